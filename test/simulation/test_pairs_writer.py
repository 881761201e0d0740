"""Data sets written from towns are valid, honest about their truth, and repeatable."""

import filecmp
import itertools

import numpy as np
import pytest

from xview_localizer.recordings.pairs import PairsDataset
from xview_localizer.simulation.pairs_writer import (
    CROP_M,
    PRIOR_RADIUS_M,
    PairsConfig,
    make_pairs,
    sample_camera,
    write_index,
)
from xview_localizer.simulation.varied import sample_any_camera

TOWN_M = 150.0


@pytest.fixture(scope="module")
def panoramas(tmp_path_factory):
    out = tmp_path_factory.mktemp("panoramas")
    make_pairs(out, [3], PairsConfig(images_per_town=5, vary_camera=False, town_size_m=TOWN_M))
    return out


def test_what_an_interrupted_run_has_written_is_not_written_again(tmp_path):
    written = []

    def write(job):
        written.append(job[1])
        if job[1] == 2 and len(written) == 2:
            raise KeyboardInterrupt
        return [{"id": str(job[1])}]

    jobs = [(tmp_path, seed) for seed in (1, 2)]
    with pytest.raises(KeyboardInterrupt):
        write_index(tmp_path, write, jobs, 1)
    assert not (tmp_path / "pairs.jsonl").exists()
    write_index(tmp_path, write, jobs, 1)
    assert written == [1, 2, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.jsonl"]
    assert (tmp_path / "pairs.jsonl").read_text() == '{"id": "1"}\n{"id": "2"}\n'


@pytest.fixture(scope="module")
def keyframes(tmp_path_factory):
    out = tmp_path_factory.mktemp("keyframes")
    config = PairsConfig(
        "pinhole", images_per_town=3, keyframes=3, heading_sigma_deg=10.0, town_size_m=TOWN_M
    )
    make_pairs(out, [4], config)
    return list(PairsDataset(out))


def test_single_images_are_readable_and_inside_their_aerial_image(panoramas):
    records = list(PairsDataset(panoramas))
    assert len(records) == 5
    for record in records:
        height, width = record.load_image().shape[:2]
        assert (width, height) == (record.camera.width, record.camera.height)
        assert record.load_range_m().shape == (height, width)
        aerial = record.load_aerial()
        assert aerial.grid.bounds.contains(np.array([record.truth.x_m, record.truth.y_m]))
        assert aerial.grid.bounds.width_m == pytest.approx(CROP_M, abs=0.5)
        assert 1.2 <= record.camera_height_m <= 2.6


def test_truth_lies_in_the_prior_disc(panoramas):
    for record in PairsDataset(panoramas):
        away_m = np.hypot(record.prior.x_m - record.truth.x_m, record.prior.y_m - record.truth.y_m)
        assert away_m <= PRIOR_RADIUS_M == record.prior.radius_m
        assert record.prior.yaw_rad is None


def test_images_share_aerial_images(panoramas):
    assert len({record.aerial_path for record in PairsDataset(panoramas)}) < 5


def test_same_seed_same_files(panoramas, tmp_path):
    make_pairs(tmp_path, [3], PairsConfig(images_per_town=5, vary_camera=False, town_size_m=TOWN_M))
    names = sorted(path.name for path in panoramas.iterdir())
    assert names == sorted(path.name for path in tmp_path.iterdir())
    assert filecmp.cmpfiles(panoramas, tmp_path, names, shallow=False)[0] == names


def test_keyframes_are_spaced_and_joined_by_drifting_odometry(keyframes):
    assert len({record.sequence for record in keyframes}) == 1
    for before, after in itertools.pairwise(keyframes):
        assert after.stamp_sec > before.stamp_sec
        step_m = np.hypot(after.truth.x_m - before.truth.x_m, after.truth.y_m - before.truth.y_m)
        odom = before.odom.inverse() @ after.odom
        assert step_m == pytest.approx(2.5, abs=0.1)
        assert np.hypot(odom.x_m, odom.y_m) == pytest.approx(step_m, rel=0.1)
        assert np.hypot(odom.x_m, odom.y_m) != step_m


def test_heading_prior_errors_stay_within_the_stated_uncertainty(keyframes):
    for record in keyframes:
        error_rad = np.angle(np.exp(1j * (record.prior.yaw_rad - record.truth.yaw_rad)))
        assert abs(error_rad) <= record.prior.yaw_sigma_rad == pytest.approx(np.radians(10.0))


@pytest.mark.parametrize("sample", [sample_camera, sample_any_camera])
def test_unknown_kind_is_refused(sample):
    with pytest.raises(ValueError, match="kind must be 'equirectangular' or 'pinhole'"):
        sample(np.random.default_rng(0), "fisheye")
