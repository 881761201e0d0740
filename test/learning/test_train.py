"""The training loop on made-up features: it learns, resumes, and takes in what is written meanwhile."""

import zlib
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from xview_localizer.atomic import PART_SUFFIX  # noqa: E402
from xview_localizer.learning.batch import batch_of  # noqa: E402
from xview_localizer.learning.features import FeatureFolder  # noqa: E402
from xview_localizer.learning.lora import adapt  # noqa: E402
from xview_localizer.learning.matcher import Matcher  # noqa: E402
from xview_localizer.learning.objective import batch_loss, lift_cells  # noqa: E402
from xview_localizer.learning.train import train  # noqa: E402
from xview_localizer.learning.train_config import TrainConfig  # noqa: E402
from xview_localizer.learning.work_folder import WorkFolderError  # noqa: E402
from xview_localizer.models.backbone import Backbone  # noqa: E402

ROWS, COLUMNS, PLAN_PX = 4, 6, 28
CONFIG = TrainConfig(steps=4, warmup_steps=1, cells=30, hypotheses=16, checkpoint_every=2, refresh_every=2)


@pytest.fixture(autouse=True)
def one_thread():
    """One thread: several, which wait for each other in a busy loop, take minutes on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def write_group(folder, name: str, columns: int = COLUMNS, grounds: int = 2, tokens: bool = True) -> None:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    arrays = {
        "aerial_image": rng.integers(0, 256, (84, 84, 3), dtype=np.uint8),
        "half_extent_m": np.float64(7.2),
        "count": np.int64(grounds),
    }
    if tokens:
        arrays["aerial_tokens"] = rng.normal(size=(768, 6, 6)).astype(np.float16)
    for i in range(grounds):
        arrays |= {
            f"image_{i}": rng.integers(0, 256, (14 * ROWS // 2, 14 * columns, 3), dtype=np.uint8),
            f"elevation_rad_{i}": np.linspace(0.1, -0.6, ROWS, dtype=np.float32),
            f"azimuth_rad_{i}": np.linspace(0.7, -0.7, columns, dtype=np.float32),
            f"valid_{i}": np.ones((ROWS, columns), bool),
            f"range_m_{i}": rng.uniform(0, 9, (ROWS, columns)).astype(np.float32),
            f"height_m_{i}": np.float64(1.5),
            f"plan_{i}": rng.integers(0, 256, (PLAN_PX, PLAN_PX, 3), dtype=np.uint8),
            f"plan_xy_{i}": rng.uniform(-1, 1, (ROWS, columns, 2)).astype(np.float32),
            f"pose_{i}": rng.uniform(-2, 2, 3).astype(np.float32),
        }
        if tokens:
            arrays[f"tokens_{i}"] = rng.normal(size=(768, ROWS // 2, columns)).astype(np.float16)
    np.savez(folder / f"{name}.npz", **arrays)


def test_a_batch_has_one_width(tmp_path):
    for number in range(3):
        write_group(tmp_path, f"wide{number}")
        write_group(tmp_path, f"narrow{number}", columns=4)
    features = FeatureFolder([tmp_path])
    rng = np.random.default_rng(0)
    widths = set()
    for _ in range(12):
        batch = batch_of(features.draw(2, rng), 2, rng)
        assert len(batch.image) == 4 and batch.crop.tolist() == [0, 0, 1, 1]
        widths.add(batch.valid.shape[2])
    assert widths == {4, 6}


def test_an_interrupted_training_goes_on(tmp_path, monkeypatch):
    for number in range(2):
        write_group(tmp_path, f"group{number}")
    features = FeatureFolder([tmp_path])
    with monkeypatch.context() as patch:
        steps = iter([batch_loss, batch_loss])
        patch.setattr("xview_localizer.learning.train.batch_loss", lambda *about: next(steps)(*about))
        with pytest.raises(StopIteration):
            train(features, tmp_path / "out", CONFIG)
    state = torch.load(tmp_path / "out" / "checkpoint.pt", weights_only=True)
    assert state["step"] == 2
    matcher = train(features, tmp_path / "out", CONFIG)
    after = torch.load(tmp_path / "out" / "checkpoint.pt", weights_only=True)
    assert after["step"] == 4
    assert not torch.equal(matcher.aerial.tokens.weight, state["matcher"]["aerial.tokens.weight"])
    again = train(features, tmp_path / "out", CONFIG)
    torch.testing.assert_close(again.aerial.tokens.weight, matcher.aerial.tokens.weight)
    with pytest.raises(WorkFolderError, match="out was made with cells 30, not 20"):
        train(features, tmp_path / "out", replace(CONFIG, cells=20))


def test_a_training_that_went_on_gives_the_weights_of_one_that_was_not_interrupted(tmp_path, monkeypatch):
    for number in range(5):
        write_group(tmp_path, f"group{number}")
    features = FeatureFolder([tmp_path])
    whole = train(features, tmp_path / "whole", CONFIG)
    with monkeypatch.context() as patch:
        steps = iter(3 * [batch_loss])
        patch.setattr("xview_localizer.learning.train.batch_loss", lambda *about: next(steps)(*about))
        with pytest.raises(StopIteration):
            train(features, tmp_path / "broken", CONFIG)
    gone_on = train(FeatureFolder([tmp_path]), tmp_path / "broken", CONFIG)
    for name, weights in whole.state_dict().items():
        torch.testing.assert_close(gone_on.state_dict()[name], weights, rtol=0, atol=0)


def test_features_written_during_training_are_used(tmp_path):
    write_group(tmp_path, "first")
    features = FeatureFolder([tmp_path])
    write_group(tmp_path, "second")
    (tmp_path / f"third.npz.7.8{PART_SUFFIX}").write_bytes(b"half")
    train(features, tmp_path / "out", CONFIG)
    assert len(features) == 2


def test_without_tokens_the_backbone_is_needed_and_adapted(tmp_path):
    for number in range(2):
        write_group(tmp_path, f"group{number}", tokens=False)
    features = FeatureFolder([tmp_path])
    with pytest.raises(ValueError, match="needs the backbone's weights"):
        train(features, tmp_path / "out", CONFIG)
    torch.manual_seed(0)
    backbone = Backbone()
    adapt(backbone, 2)
    matcher = train(features, tmp_path / "adapted", CONFIG, start=Matcher(backbone=backbone))
    corrections = [p for name, p in matcher.backbone.named_parameters() if name.endswith(".up")]
    assert any(correction.abs().max() > 0 for correction in corrections)


def test_small_views_fill_up_with_cells_that_do_not_count(tmp_path):
    write_group(tmp_path, "group", grounds=1)
    features = FeatureFolder([tmp_path])
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    batch = batch_of(features.draw(1, rng), 1, rng)
    batch.valid[:, 1:] = False
    config = TrainConfig(**{**vars(CONFIG), "cells": 20})
    cells, _ = lift_cells(Matcher(), batch, 0.5, config, generator)
    assert cells.taking_part.sum() == COLUMNS
    _, log = batch_loss(Matcher(), batch, 0.5, config, generator)
    assert all(torch.isfinite(value) for value in log.values())


def batch_of_unknown_range(folder):
    write_group(folder, "group", grounds=1)
    rng = np.random.default_rng(0)
    batch = batch_of(FeatureFolder([folder]).draw(1, rng), 1, rng)
    batch.range_m[:] = torch.nan
    return batch


def test_cells_of_unknown_range_are_lifted_by_the_network_and_teach_only_the_pose(tmp_path):
    batch, generator = batch_of_unknown_range(tmp_path), torch.Generator().manual_seed(0)
    matcher = Matcher()
    cells, _ = lift_cells(matcher, batch, 0.0, CONFIG, generator)
    assert not cells.is_labelled.any() and torch.isfinite(cells.xy_m).all()
    assert (cells.xy_m.norm(dim=2) > 0).all()
    total, log = batch_loss(matcher, batch, 0.0, CONFIG, generator)
    assert log["nce"] == log["depth"] == 0.0 and log["pose"] > 0.0
    total.backward()
    assert all(torch.isfinite(p.grad).all() for p in matcher.parameters() if p.grad is not None)


def test_the_depth_from_before_stands_in_for_unknown_ranges_and_is_kept(tmp_path):
    batch, generator = batch_of_unknown_range(tmp_path), torch.Generator().manual_seed(0)
    batch = replace(batch, range_before_m=torch.full_like(batch.range_m, 7.0))
    config = TrainConfig(**{**vars(CONFIG), "depth_noise": 0.0})
    cells, _ = lift_cells(Matcher(), batch, 0.0, config, generator)
    horizontal = cells.xy_m.norm(dim=2) / 7.0
    steepest = np.cos(0.6)  # of the views' elevations
    assert ((horizontal > steepest - 1e-3) & (horizontal < 1 + 1e-3)).all()
    _, log = batch_loss(Matcher(), batch, 0.0, config, generator)
    assert log["nce"] == 0.0 and log["depth"] > 0.0


def test_training_keeps_the_depth_from_before_where_ranges_are_unknown(tmp_path, monkeypatch):
    write_group(tmp_path, "group", grounds=1)
    features = FeatureFolder([tmp_path])
    for group in features.groups:
        group.grounds[0].range_m[:] = torch.nan
    start, before, given = Matcher(), Matcher().eval(), []
    monkeypatch.setattr(
        "xview_localizer.learning.train.batch_loss",
        lambda matcher, batch, *others: given.append(batch) or batch_loss(matcher, batch, *others),
    )
    trained = train(features, tmp_path / "out", CONFIG, start=start, depth_of=before)
    assert len(given) == CONFIG.steps
    for batch in given:
        torch.testing.assert_close(batch.range_before_m, before.range_m(batch))
    assert not torch.allclose(trained.range_m(given[0]), given[0].range_before_m)


def test_the_loss_falls(tmp_path):
    for number in range(2):
        write_group(tmp_path, f"group{number}")
    losses = []

    def progress(step, averages):
        losses.append(averages["nce"])

    config = TrainConfig(**{**vars(CONFIG), "steps": 50, "learning_rate": 3e-3, "checkpoint_every": 100})
    train(FeatureFolder([tmp_path]), tmp_path / "out", config, progress)
    assert losses[-1] < losses[0]
