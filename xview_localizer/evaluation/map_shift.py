"""An estimate of how far the map is shifted, from the poses found on a drive whose truth is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from xview_localizer.evaluation.trajectory import DriveResult
from xview_localizer.geometry.pose import turned

# A standard error from fewer stretches of road is not reliable.
LEAST_STRETCHES = 6
# A shift is reported where it exceeds SIGNIFICANT_M, the usual error of poses, and SIGNIFICANT_SIGMAS standard errors.
# So many are needed because a standard error from few stretches is itself uncertain by a third: of 4000 random drives
# without a shift, 0.2 % report one.
SIGNIFICANT_SIGMAS, SIGNIFICANT_M = 5.5, 0.3
# For normal errors: the median length in the plane over the standard deviation of an axis, sqrt(2 ln 2), and the
# standard deviation of a median over that of a mean, sqrt(pi / 2).
MEDIAN_LENGTH_PER_SIGMA, MEDIAN_PER_MEAN = 1.1774, 1.2533
# Of a shifted map and a wrong mounting, one explains the errors clearly better than the other where the error that it
# leaves is smaller than this share of the other's.
CLEARLY_SMALLER = 0.7


@dataclass(frozen=True)
class MapShift:
    """The `map.shift_east_m` and `map.shift_north_m` that correct the map, and the standard deviation of each.

    `unexplained_m` is the mean error that remains after a shift of the map. `by_mounting_m` is the one that remains
    after a shift along the robot's own axes, such as a wrong mounting causes.
    """

    east_m: float
    north_m: float
    sigma_m: float
    change_m: float  # from the shift that is set now
    stretches: int
    unexplained_m: float
    by_mounting_m: float

    @property
    def is_significant(self) -> bool:
        """Whether the shift is beyond doubt; False where a wrong mounting explains the errors better."""
        return (
            self.change_m > max(SIGNIFICANT_M, SIGNIFICANT_SIGMAS * self.sigma_m)
            and self.by_mounting_m >= CLEARLY_SMALLER * self.unexplained_m
        )

    @property
    def could_be_mounting(self) -> bool:
        """Whether the drive's headings are too much alike to tell a shifted map from a wrong mounting."""
        return self.unexplained_m >= CLEARLY_SMALLER * self.by_mounting_m

    def record(self) -> dict[str, float | bool | str]:
        """The fields for JSON, with the advice."""
        return asdict(self) | {"significant": self.is_significant, "advice": self.advice()}

    def advice(self) -> str:
        """What to write into the parameter file; empty where the shift is not significant."""
        if not self.is_significant:
            return ""
        doubt = (
            "\n(a wrong position of the camera looks the same on a drive in one direction: check it, or drive others)"
            if self.could_be_mounting
            else ""
        )
        return (
            f"the map lies off by {self.change_m:.2f} ± {self.sigma_m:.2f} m; write under map in the parameter file:\n"
            f"      shift_east_m: {self.east_m:.2f}\n      shift_north_m: {self.north_m:.2f}{doubt}"
        )


def estimate_map_shift(
    result: DriveResult, values: Mapping[str, object], independence_m: float
) -> MapShift | None:
    """The shift that removes the median error of the accepted poses; None where too few stretches of road have any.

    `values` are the settings that the drive was localized with. Errors repeat over the ground that images share, so
    that each `independence_m` of road counts once, by its median.
    """
    number = np.flatnonzero([record.accepted for record in result.records]).tolist()
    steps_m = np.linalg.norm(np.diff(result.truth_xy_m, axis=0), axis=1)
    stretch = (np.concatenate([[0.0], np.cumsum(steps_m)]) // independence_m)[number]
    if len(np.unique(stretch)) < LEAST_STRETCHES:
        return None
    found_xy_m = np.array([(result.records[n].x_m, result.records[n].y_m) for n in number])
    error_m = found_xy_m - result.truth_xy_m[number]
    median_m, sigma_m, unexplained_m = _median(error_m, stretch)
    _, _, by_mounting_m = _median(
        turned(error_m, np.array([-result.truth[n].yaw_rad for n in number])), stretch
    )
    now_m = np.array([values["map.shift_east_m"], values["map.shift_north_m"]], dtype=float)
    # Poses lie where the map shows the ground: a map that shows it too far west has to be moved east.
    east_m, north_m = (now_m - median_m).tolist()
    return MapShift(
        east_m,
        north_m,
        sigma_m,
        change_m=float(np.hypot(*median_m)),
        stretches=len(np.unique(stretch)),
        unexplained_m=unexplained_m,
        by_mounting_m=by_mounting_m,
    )


def _median(error_m: np.ndarray, stretch: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Median [2] over the stretches' medians of errors [N, 2], its standard deviation, mean distance from it."""
    each_m = np.array([np.median(error_m[stretch == s], axis=0) for s in np.unique(stretch)])
    median_m = np.median(each_m, axis=0)
    off_m = np.linalg.norm(each_m - median_m, axis=1)
    spread_m = float(np.median(off_m)) / MEDIAN_LENGTH_PER_SIGMA
    return median_m, MEDIAN_PER_MEAN * spread_m / float(np.sqrt(len(each_m))), float(off_m.mean())
