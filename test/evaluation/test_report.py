"""The report of a drive is one file that needs nothing else, and shows the numbers of metrics.json."""

import base64
import json
import re
from dataclasses import replace

import cv2
import numpy as np
import pytest

from xview_localizer import demo
from xview_localizer.aerial.source import AerialImage
from xview_localizer.cli.replay import _replay
from xview_localizer.evaluation import plots, report_data
from xview_localizer.evaluation.colours import GNSS_RGB, OURS_RGB, PAGE_COLOURS, css
from xview_localizer.evaluation.metrics import reliability
from xview_localizer.evaluation.report import LEAFLET, PAGE, write_report
from xview_localizer.geometry.grid import RasterGrid

ABOUT = {"drive": "drive1", "model": "small <one>"}


@pytest.fixture
def aerial():
    image = np.random.default_rng(0).integers(0, 255, (120, 100, 3)).astype(np.uint8)
    return AerialImage(image, np.ones((120, 100), bool), RasterGrid.centred(0.0, 20.0, 1.0, 120, 100))


@pytest.fixture
def images():
    return [np.full((60, 120, 3), 40 * number, np.uint8) for number in range(5)]


def report_page(folder, *shown):
    drive, aerial, images, *findings = shown
    write_report(folder, drive, aerial, images, ABOUT, *findings)
    return (folder / "report.html").read_text()


def test_numbers_appear(tmp_path, drive, aerial, images):
    metrics = write_report(tmp_path, drive, aerial, images, ABOUT)
    page = (tmp_path / "report.html").read_text()
    assert "<b>6.0 m</b>GNSS, RMSE" in page
    assert f"<b>{np.sqrt(54 / 5):.2f} m</b>published trajectory (GNSS before it), RMSE" in page
    assert "<b>1.8 ×</b>closer to the truth" in page
    shown = dict(re.findall(r'<tr><td>([^<]*)</td><td class="value">([^<]*)</td>', page))
    assert shown["accepted poses"] == "2 of 5 images"
    assert shown["of them off by more than 5 m"] == "0"
    assert shown["position error of accepted poses, median"] == "1.50 m"
    assert shown["images within 2 m"] == "40 %"
    assert shown["images per second"] == "2.50"
    assert shown["latency, median"] == "50.0 ms"
    # Reasons are counted without their numbers.
    assert '<td class="value">2</td><td>confidence … is below …</td>' in page
    assert "model: small &lt;one&gt;" in page
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert written["trajectory_rmse_m"] == metrics["trajectory_rmse_m"] == pytest.approx(np.sqrt(54 / 5))


def test_the_page_takes_its_colours_from_their_one_home(tmp_path, drive, aerial, images):
    page = report_page(tmp_path, drive, aerial, images)
    data = json.loads(re.search(r'id="drive">(.*?)</script>', page)[1])
    assert data["colours"] == dict(PAGE_COLOURS)
    assert f"--ours: {css(OURS_RGB)}; --gnss: {css(GNSS_RGB)};" in page
    for source in (PAGE, PAGE.with_suffix(".js")):
        assert not [colour for colour in PAGE_COLOURS.values() if colour in source.read_text()]


def test_doubts_stand_in_the_page_and_beside_the_metrics(tmp_path, drive, aerial, images):
    findings = {"doubts": ["the lens <sees> 5°"], "map_shift": None}
    assert "doubtful" not in report_page(tmp_path, drive, aerial, images)
    page = report_page(tmp_path, drive, aerial, images, findings)
    assert "<li>the lens &lt;sees&gt; 5°</li>" in page
    assert json.loads((tmp_path / "metrics.json").read_text())["doubts"] == findings["doubts"]


def test_a_replay_prints_what_is_doubtful(tmp_path, drive, aerial, images, monkeypatch, capsys):
    shift = {"advice": "the map lies off by 2.00 ± 0.10 m"}
    findings = {"doubts": ["the lens sees 5°"], "map_shift": shift, "n_in_gaps_of_reference": 3}
    metrics = write_report(tmp_path, drive, aerial, images, ABOUT, findings)
    monkeypatch.setattr(demo, "replay_and_report", lambda *_, **__: (tmp_path, metrics))
    _replay(None, tmp_path)
    printed = capsys.readouterr().out
    for text in (
        "doubtful: the lens sees 5°",
        shift["advice"],
        "not judged: 3 images in gaps of the reference",
    ):
        assert text in printed


def test_a_drive_that_is_further_off_than_gnss_is_not_called_closer(tmp_path, drive, aerial, images):
    """Before, it was "0 × closer"."""
    truth_xy_m = np.array([(pose.x_m, pose.y_m) for pose in drive.truth])
    write_report(tmp_path, replace(drive, gnss_xy_m=truth_xy_m + (1.0, 0.0)), aerial, images, ABOUT)
    page = (tmp_path / "report.html").read_text()
    ratio = np.sqrt((1 + 1 + 4 + 4 + 9) / 5)  # GNSS, before the first pose, is 1 m off
    assert f"<b>{ratio:.1f} ×</b>further from the truth than GNSS" in page


def test_a_drive_without_an_accepted_pose_is_not_called_closer(tmp_path, drive, aerial, images):
    records = [replace(record, accepted=False, estimate_x_m=np.nan) for record in drive.records]
    assert "<b>1.0 ×</b>the error of GNSS" in report_page(
        tmp_path, replace(drive, records=records), aerial, images
    )


def test_an_image_without_a_pose_is_no_pose_in_the_plots(drive):
    """The third image found nothing; its error would be that of GNSS."""
    (axes,) = plots.error_over_time(drive).axes
    rejected = next(line for line in axes.lines if line.get_label() == "rejected pose")
    assert rejected.get_xydata().tolist() == [[0.0, 7.0], [4.0, 8.0]]
    (axes,) = plots.error_distribution(drive).axes
    found = next(line for line in axes.lines if line.get_label() == "all poses found")
    assert found.get_xydata()[:, 0].tolist() == [1.0, 2.0, 7.0, 8.0]


def test_page_needs_no_other_file(tmp_path, drive, aerial, images):
    write_report(tmp_path, drive, aerial, images, ABOUT)
    page = (tmp_path / "report.html").read_text()
    own = page.replace((LEAFLET / "leaflet.js").read_text(), "")
    sources = re.findall(r'<[^>]* (?:src|href)="([^"]*)"', own)
    assert len(sources) == 5
    assert all(source.startswith("data:image/") and len(source) > 1000 for source in sources)
    assert "http:" not in own and "https:" not in own and "url(" not in own


def test_the_plot_of_confidence_shows_how_often_each_was_right(drive):
    filled = [part for part in reliability(drive.frames) if part["count"]]
    (axes,) = plots.confidence(drive).axes
    expected = [(part["confidence_mean"], part["within_2m"]) for part in filled]
    np.testing.assert_allclose(axes.lines[1].get_xydata(), expected)
    assert [text.get_text() for text in axes.texts] == [str(part["count"]) for part in filled]


def test_map_has_every_image(tmp_path, drive, aerial, images):
    write_report(tmp_path, drive, aerial, [None, *images[1:]], ABOUT)
    page = (tmp_path / "report.html").read_text()
    shown = json.loads(re.search(r'id="drive">(.*?)</script>', page, re.DOTALL)[1])
    assert shown["aerial"]["bounds"] == [[-40.0, -50.0], [80.0, 50.0]]
    first, second, third, fourth, fifth = shown["images"]
    assert first["picture"] is None and second["picture"].startswith("data:image/jpeg")
    assert second["accepted"] and second["pose"] == [1.0, 10.0, pytest.approx(90 + 5.73, abs=0.01)]
    # Two sigma, the longer half axis along north.
    assert second["ellipse"] == [4.0, 2.0, pytest.approx(90.0)]
    assert (
        third["pose"] is None
        and third["error_m"] is None
        and third["reason"] == "image is blank (no contrast)"
    )
    assert fifth["error_m"] == 8.0 and fifth["elapsed_sec"] == 4.0 and not fifth["accepted"]
    assert fifth["rivals"] == [[8.0, 28.0, 90.0, 0.35]] and not fourth["rivals"]
    assert fourth["gnss"] == [6.0, 30.0] and first["estimate"] is None


def test_rivals_that_would_read_0_percent_are_left_out(drive, aerial, images):
    likely, unlikely = (8.0, 28.0, 0.0, 0.006), (9.0, 29.0, 0.0, 0.004)
    records = [*drive.records[:-1], replace(drive.records[-1], rivals=(likely, unlikely))]
    shown = report_data.map_data(replace(drive, records=records), aerial, images)["images"]
    assert shown[-1]["rivals"] == [list(likely)]


def test_long_drives_show_some_of_their_pictures(drive, aerial, images, monkeypatch):
    monkeypatch.setattr(report_data, "MAX_PICTURES", 2)
    shown = report_data.map_data(drive, aerial, images)["images"]
    assert [entry["picture"] is not None for entry in shown] == [True, False, False, False, True]


def test_large_pictures_are_made_smaller_and_small_ones_are_kept(drive, aerial, images):
    shown = report_data.map_data(drive, aerial, [np.zeros((500, 1280, 3), np.uint8), *images[1:]])["images"]
    for entry, size in ((shown[0], (250, 640)), (shown[1], (60, 120))):
        data = base64.b64decode(entry["picture"].partition(",")[2])
        assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape[:2] == size


def test_drive_without_any_accepted_fix_is_reported(tmp_path, drive, aerial, images):
    nan = float("nan")
    records = [
        replace(record, accepted=False, reason="blank", estimate_x_m=nan, estimate_y_m=nan)
        for record in drive.records
    ]
    write_report(tmp_path, replace(drive, records=records), aerial, images, ABOUT)
    page = (tmp_path / "report.html").read_text()
    assert "0 of 5 images" in page and '<td class="value">–</td>' in page and ">nan" not in page


def test_images_that_cannot_be_decoded_are_left_out(tmp_path, drive, aerial, images):
    for name, some in (("four", [None, *images[1:]]), ("none", [None] * 5)):
        (tmp_path / name).mkdir()
        write_report(tmp_path / name, drive, aerial, some, ABOUT)
        assert (tmp_path / name / "film_strip.jpg").exists() == (name == "four")
