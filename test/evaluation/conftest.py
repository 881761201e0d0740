"""A drive of five images whose every figure can be worked out by hand, and the field's data sets, rendered tiny."""

import numpy as np
import pytest

from xview_localizer.evaluation.trajectory import DriveResult
from xview_localizer.geometry.pose import Pose2
from xview_localizer.records import ImageRecord

COVARIANCE = tuple(np.diag([1.0, 4.0, 0.01]).ravel().tolist())


def record(stamp_sec, found=None, estimate=None, accepted=False, reason="", **values):
    """`found` and `estimate` are (x, y, yaw)."""
    for prefix, pose in (("", found), ("estimate_", estimate)):
        if pose is not None:
            values |= dict(zip((f"{prefix}x_m", f"{prefix}y_m", f"{prefix}yaw_rad"), pose, strict=True))
    covariance = COVARIANCE if found is not None else (float("nan"),) * 9
    return ImageRecord(stamp_sec, accepted, reason, covariance=covariance, **values)


@pytest.fixture
def drive() -> DriveResult:
    """Northwards along x = 0, 10 m between images; GNSS is 6 m too far east.

    Before the first accepted image nothing is published; the third image found nothing and is bridged by
    odometry.
    """
    north = np.pi / 2
    return DriveResult(
        records=[
            record(
                100.0,
                (0.0, 7.0, north),
                None,
                reason="confidence 0.31 is below 0.80",
                confidence=0.31,
                timings_ms={"encode": 20.0, "solve": 10.0},
            ),
            record(
                101.0,
                (1.0, 10.0, north + 0.1),
                (1.0, 10.0, north + 0.1),
                True,
                confidence=0.9,
                timings_ms={"encode": 40.0, "solve": 10.0},
            ),
            record(102.0, None, (2.0, 20.0, north), reason="image is blank (no contrast)"),
            record(
                103.0,
                (0.0, 32.0, north),
                (0.0, 32.0, north),
                True,
                confidence=0.8,
                timings_ms={"encode": 30.0, "solve": 40.0},
            ),
            record(
                104.0,
                (8.0, 40.0, north),
                (0.0, 43.0, north),
                reason="confidence 0.44 is below 0.80",
                confidence=0.44,
                rivals=((8.0, 28.0, north, 0.35),),
                timings_ms={"encode": 50.0},
            ),
        ],
        truth=[Pose2(0.0, 10.0 * number, north) for number in range(5)],
        gnss_xy_m=np.array([(6.0, 10.0 * number) for number in range(5)]),
        rate_hz=2.5,
    )


@pytest.fixture(scope="session")
def field_town():
    import field_sets

    return field_sets.FieldTown.make()


@pytest.fixture(scope="session")
def vigor(field_town, tmp_path_factory):
    import field_sets

    return field_sets.write_vigor(tmp_path_factory.mktemp("VIGOR"), field_town)


@pytest.fixture(scope="session")
def kitti(field_town, tmp_path_factory):
    import field_sets

    return field_sets.write_kitti(tmp_path_factory.mktemp("KITTI"), field_town)
