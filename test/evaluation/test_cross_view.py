"""The field's data sets: images rendered at labelled poses are found there, and what is missing is named."""

import json
import re
import shutil
from dataclasses import replace

import cv2
import field_sets
import numpy as np
import pytest
from typer.testing import CliRunner

from xview_localizer.cli import main as cli
from xview_localizer.evaluation.cross_view import CrossViewResult, evaluate_cross_view, map_of
from xview_localizer.evaluation.cross_view_files import CrossViewError
from xview_localizer.evaluation.cross_view_table import cross_view_figures
from xview_localizer.evaluation.kitti import open_kitti
from xview_localizer.evaluation.metrics import Frame
from xview_localizer.evaluation.vigor import open_vigor
from xview_localizer.geometry.grid import Bounds
from xview_localizer.geometry.pose import Pose2


def test_vigor_images_are_found_where_their_labels_say(vigor, networks, tmp_path):
    """Every label is off the middle on both axes: a wrong sign puts the pose 13 m off or more."""
    images = open_vigor(vigor)
    assert [record.turned_deg != 0 for record in images.records] == [True, True]
    (tmp_path / "broken.jpg").write_text("no image")
    broken = replace(images.records[0], panorama_path=tmp_path / "broken.jpg")
    result = evaluate_cross_view([*images.records, broken], networks)
    assert [frame.id.split(",")[0] for frame in result.frames] == ["NewYork", "Chicago"]
    for frame in result.frames:
        assert frame.error_m < 2 and abs(frame.yaw_error_deg) < 3, frame
    assert result.unreadable == {"broken": f"{tmp_path / 'broken.jpg'} is no readable image"}
    assert np.abs([record.xy_m for record in images.records]).min() > 6.5


def test_kitti_images_are_found_where_their_labels_say(kitti, tmp_path):
    out = tmp_path / "kitti.json"
    words = ["evaluate", "--kitti", str(kitti), "--threads", "1", "--out", str(out)]
    shown = CliRunner().invoke(cli.app, words, catch_exceptions=False, env={"COLUMNS": "80"}).output
    assert "KITTI, same area, heading known within ± 10°, labels of test1_files.txt\n" in shown
    assert re.search(r"│ lateral error within 3 m +│ +100 % │", shown) and len(shown.splitlines()) <= 25
    figures = json.loads(out.read_text())
    assert [frame["id"][-1] for frame in figures["frames"]] == ["3", "7"]
    for frame in figures["frames"]:
        assert frame["error_m"] < 2 and abs(frame["yaw_error_deg"]) < 3, frame
    assert figures["all"]["longitudinal_recall_3m"] == figures["all"]["yaw_recall_3deg"] == 1.0


def test_kitti_parts_are_those_of_the_field(kitti):
    """Turn by the heading, go to the camera, move by the shift, turn by the rotation, cut out: one after the other."""
    record = open_kitti(kitti, heading_within_deg=10.0).records[0]
    sample = record.load()
    _, _, longitudinal, lateral, rotation = field_sets.KITTI_IMAGES["0000000003"]
    pixel_m = field_sets.KITTI_METRES_PER_PIXEL
    image = cv2.imread(str(record.aerial_path))[..., ::-1]

    def turned(image, left_deg):
        middle = (image.shape[1] - 1) / 2, (image.shape[0] - 1) / 2
        return cv2.warpAffine(image, cv2.getRotationMatrix2D(middle, left_deg, 1.0), image.shape[1::-1])

    def moved(image, right_m, up_m):
        step = np.float64([[1, 0, right_m / pixel_m], [0, 1, -up_m / pixel_m]])
        return cv2.warpAffine(image, step, image.shape[1::-1])

    image = turned(image, -np.degrees(record.yaw_rad))  # the vehicle drives to the right now
    image = moved(image, -1.08, 0.26)  # the camera is in the middle
    image = moved(image, 20 * longitudinal, 20 * lateral)
    image = turned(image, 10 * rotation)[384:896, 384:896]

    def differs(record):
        return np.abs(image.astype(float) - record.load().aerial.image).mean()

    assert differs(record) < 1.5
    for off in (Pose2(0.2, 0.0, 0.0), Pose2(0.0, 0.2, 0.0), Pose2(0.0, 0.0, 0.01)):
        assert differs(replace(record, T_part_camera=record.T_part_camera @ off)) > 2
    shift_m, turn = 20 * np.array([longitudinal, lateral]), np.radians(10 * rotation)
    cos, sin = np.cos(turn), np.sin(turn)
    expected = (*(np.array([[cos, -sin], [sin, cos]]) @ shift_m), turn)
    assert (sample.truth.x_m, sample.truth.y_m, sample.truth.yaw_rad) == pytest.approx(expected)
    assert sample.truth.tolerance_m == 0.0


def test_what_is_known_beforehand_is_the_protocol(vigor, kitti):
    """Aligned panoramas are not turned; an image's orientation does not depend on how many are taken."""
    aligned = open_vigor(vigor, heading_within_deg=0.0).records[0].load()
    assert aligned.truth.yaw_rad == aligned.prior.yaw_rad == np.pi / 2
    assert aligned.prior.radius_m == pytest.approx(320 * 0.113248)
    assert open_vigor(vigor).records[0].load().prior.heading is None
    assert open_vigor(vigor, limit=1).records[0] == open_vigor(vigor).records[0]
    assert len(open_vigor(vigor, "cross").records) == 1
    within_10, unknown = (open_kitti(kitti, "cross", degrees).records for degrees in (10.0, 180.0))
    assert np.degrees(within_10[0].load().truth.yaw_rad) == pytest.approx(8.0)
    assert np.degrees(unknown[0].load().truth.yaw_rad) == pytest.approx(144.0)
    assert within_10[0].load().prior.heading == pytest.approx((0.0, np.radians(10 / np.sqrt(3))))
    assert unknown[0].load().prior.heading is None


def test_smaller_images_of_vigor_show_the_same_ground(vigor, tmp_path):
    record = open_vigor(vigor).records[0]
    cv2.imwrite(str(tmp_path / "small.png"), cv2.resize(cv2.imread(str(record.aerial_path)), (320, 320)))
    small = replace(record, aerial_path=tmp_path / "small.png").load()
    assert small.aerial.grid.bounds.width_m == pytest.approx(640 * 0.113248)
    assert small.truth == record.load().truth


def test_an_aerial_image_is_seen_whole_where_the_network_spans_it(vigor):
    """Its rim is then described once; a network with a smaller view also needs the blocks beside it."""
    aerial = open_vigor(vigor).records[0].load().aerial  # 72 m wide
    middle, beside = Bounds.around(0.9, -0.9, 35.5), Bounds.around(51.5, 0.0, 35.5)
    whole, parts = map_of(aerial, 71.0), map_of(aerial, 43.0)
    assert whole.read(middle, 0.2).valid_ratio > 0.95
    assert whole.read(beside, 0.2).valid_ratio == 0.0
    assert parts.read(beside, 0.2).valid_ratio > 0.25


LABELS = "splits__corrected/NewYork/same_area_balanced_test__corrected.txt"


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        (
            LABELS,
            None,
            "has no labels of VIGOR: expected is splits__corrected/NewYork/same_area_balanced_test__corr",
        ),
        (
            LABELS.replace("NewYork", "Seattle"),
            None,
            "expected is a list of test images for each of NewYork, Seattle",
        ),
        (LABELS, "a.jpg b.png 1\n", "line 1 has 3 columns; expected is PANORAMA SATELLITE ROWS COLUMNS"),
        (LABELS, "\na.jpg b.png 1 x\n", "line 2: could not convert string to float: 'x'"),
        (LABELS, "a.jpg b.png 1 nan\n", "line 1: 1 nan is not finite"),
        (LABELS, "a.jpg b.png 1 321\n", "the offset 1 321 lies outside of 640 px"),
        (
            LABELS,
            "a.jpg b.png 1 2\n",
            "2 of 4 images are missing, the first of them .*NewYork/panorama/a.jpg",
        ),
        (
            "NewYork/panorama/NewYork,40.700000,-74.000000,.jpg",
            "",
            "no image could be used; the first: .* is no read",
        ),
    ],
)
def test_what_is_missing_in_vigor_is_named(vigor, networks, tmp_path, path, text, message):
    folder = shutil.copytree(vigor, tmp_path / "VIGOR")
    (folder / path).unlink() if text is None else (folder / path).write_text(text)
    with pytest.raises(CrossViewError, match=message):
        records = open_vigor(folder).records
        evaluate_cross_view(records if text else records[:1], networks)


RAW = f"raw_data/{field_sets.DAY}"
OXTS = f"{RAW}/{field_sets.DRIVE}/oxts/data/0000000003.txt"
IMAGE = f"{field_sets.DAY}/{field_sets.DRIVE}/0000000003.png"


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("test1_files.txt", None, "there is no .*test1_files.txt; expected is the list of test images"),
        ("test1_files.txt", "", "the lists of the data set name no image"),
        (
            "test1_files.txt",
            f"{IMAGE} 0 0\n",
            "line 1 has 3 columns; expected is DAY/DRIVE/NUMBER.png LONGITUDINAL",
        ),
        ("test1_files.txt", "a.png 0 0 0\n", "a.png is not DAY/DRIVE/NUMBER.png"),
        ("test1_files.txt", f"{IMAGE} 0 1.5 0\n", "0 1.5 0 are no shares between -1 and 1"),
        (
            f"{RAW}/calib_cam_to_cam.txt",
            None,
            "there is no .*calib_cam_to_cam.txt; expected is KITTI's calibration",
        ),
        (
            f"{RAW}/calib_cam_to_cam.txt",
            "P_rect_03: 1\n",
            "has no P_rect_02; expected is KITTI's calibration",
        ),
        (f"{RAW}/calib_cam_to_cam.txt", "P_rect_02: 1 2\n", "P_rect_02 has 2 numbers"),
        (f"{RAW}/calib_cam_to_cam.txt", f"P_rect_02:{12 * ' 0'}\n", "P_rect_02 has no focal length"),
        (OXTS, "490.0 8.4 112.0 0 0 0\n", "490 is no latitude"),
        (OXTS, "49.0 8.4 112.0\n", "0000000003.txt has 3 columns; expected is an oxts file: latitude"),
        (f"satmap/{IMAGE}", None, "1 of 4 images are missing, the first of them .*satmap"),
    ],
)
def test_what_is_missing_in_kitti_is_named(kitti, networks, tmp_path, path, text, message):
    folder = shutil.copytree(kitti, tmp_path / "KITTI")
    (folder / path).unlink() if text is None else (folder / path).write_text(text)
    with pytest.raises(CrossViewError, match=message):
        evaluate_cross_view(open_kitti(folder).records, networks)


def test_too_small_an_aerial_image_of_kitti_is_refused(kitti, tmp_path):
    record = open_kitti(kitti).records[0]
    cv2.imwrite(str(tmp_path / "small.png"), np.zeros((640, 640, 3), np.uint8))
    with pytest.raises(
        CrossViewError, match="640 × 640 px and does not reach far enough; expected are 1280 × 1280"
    ):
        replace(record, aerial_path=tmp_path / "small.png").load()


@pytest.mark.parametrize("opened", [open_vigor, open_kitti])
@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        ({"area": "test1"}, "the area must be same or cross, got 'test1'"),
        ({"heading_within_deg": 200.0}, "within 0 to 180 degrees, got 200"),
        ({"limit": 0}, "at least 1 image, got 0"),
    ],
)
def test_a_protocol_that_is_none_is_refused(vigor, kitti, opened, protocol, message):
    with pytest.raises(CrossViewError, match=message):
        opened(vigor if opened is open_vigor else kitti, **protocol)


def frame(along_m, across_m, yaw_error_deg, accepted):
    error_m = float(np.hypot(along_m, across_m))
    found = yaw_error_deg is not None
    return Frame(
        "a", error_m, along_m, across_m, yaw_error_deg, accepted, "", 0.5, 1.0, 10.0, 5.0, has_pose=found
    )


def test_figures_are_over_all_images_and_over_the_accepted_ones():
    frames = [
        frame(0.6, -0.8, -0.5, True),
        frame(-4.0, 3.0, 4.0, False),
        frame(0.0, 2.0, 2.0, True),
        frame(8.0, 6.0, None, False),  # no pose was found: the search's middle stands in
    ]
    figures = cross_view_figures(CrossViewResult(frames, {"b": "broken"}))
    assert (figures["n"], figures["n_rejected"], figures["n_without_pose"], figures["n_unreadable"]) == (
        4,
        2,
        1,
        1,
    )
    assert figures["all"] == pytest.approx(
        {
            "position_mean_m": 4.5, "position_median_m": 3.5,
            "lateral_recall_1m": 0.25, "lateral_recall_3m": 0.75, "lateral_recall_5m": 0.75,
            "longitudinal_recall_1m": 0.5, "longitudinal_recall_3m": 0.5, "longitudinal_recall_5m": 0.75,
            "yaw_mean_deg": 6.5 / 3, "yaw_median_deg": 2.0,
            "yaw_recall_1deg": 0.25, "yaw_recall_3deg": 0.5, "yaw_recall_5deg": 0.75,
        }
    )  # fmt: skip
    assert figures["accepted"]["position_mean_m"] == 1.5 and figures["accepted"]["yaw_recall_1deg"] == 0.5
    assert set(cross_view_figures(CrossViewResult(frames[1:2], {}))["accepted"].values()) == {None}
