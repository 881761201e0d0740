"""Held-out images are not trained on, and a package that got worse is not written."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from xview_localizer.learning.adapt import Figures, got_worse, keep_unless_worse
from xview_localizer.learning.road_split import GUARD_M, split_road

BEFORE = Figures(40, 0.5, 1.0, 20, 1)


@pytest.mark.parametrize("rounds", [1, 2])
def test_no_camera_is_learnt_from_near_one_that_is_held_out(rounds):
    """Also where the same road is driven twice."""
    x_m = np.tile(np.arange(0.0, 600.0, 3.0), rounds)
    xy_m = np.column_stack([x_m, 40.0 * np.sin(x_m / 60)])
    split = split_road(xy_m)
    assert min(map(len, (split.learn, split.calibrate, split.judge))) > 3
    held_out = xy_m[split.calibrate + split.judge]
    apart_m = np.linalg.norm(xy_m[split.learn][:, None] - held_out[None], axis=-1)
    assert apart_m.min() >= GUARD_M
    assert not set(split.calibrate) & set(split.judge)


@pytest.mark.parametrize(
    "change", [{"within_2m": 0.47}, {"median_m": 1.2}, {"wrong_accepted": 2}, {"accepted": 10}]
)
def test_a_package_that_got_worse_is_not_written(tmp_path, change):
    (tmp_path / "candidate").mkdir()
    (tmp_path / "candidate" / "model.yaml").write_text("new")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "model.yaml").write_text("old")
    files = (tmp_path / "candidate", tmp_path / "out")
    assert len(keep_unless_worse(*files, BEFORE, replace(BEFORE, **change)).worse) == 1
    assert (tmp_path / "out" / "model.yaml").read_text() == "old"
    better = replace(BEFORE, within_2m=0.9, median_m=0.5, accepted=30, wrong_accepted=0)
    assert not keep_unless_worse(*files, BEFORE, better).worse
    assert (tmp_path / "out" / "model.yaml").read_text() == "new"


def test_fewer_poses_but_no_wrong_ones_is_not_worse():
    assert got_worse(BEFORE, replace(BEFORE, accepted=10, wrong_accepted=0)) == ()
