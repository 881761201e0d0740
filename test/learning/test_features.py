"""Encoded pairs: groups on one crop, poses about its middle, and moves that keep both views in step."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from xview_localizer.engines.onnx_engine import OnnxEngine
from xview_localizer.learning.batch import batch_of
from xview_localizer.learning.encode import CROP_OFFSET_M, encode_pairs
from xview_localizer.learning.features import AerialFeatures, FeatureFolder, GroundFeatures, Group
from xview_localizer.learning.losses import to_grid_sample, transform
from xview_localizer.models.package import default_package_path
from xview_localizer.models.xview import XviewSpec
from xview_localizer.recordings.pairs import PairsDataset, PairsError
from xview_localizer.simulation.pairs_writer import PairsConfig, make_pairs


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    make_pairs(folder, [7], PairsConfig("pinhole", 2, town_size_m=140.0))
    return folder


def rewritten(pairs, change):
    """The same folder with changed entries."""
    lines = (pairs / "pairs.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    for entry in entries:
        change(entry)
    (pairs / "pairs.jsonl").write_text("\n".join(map(json.dumps, entries)))
    dataset = PairsDataset(pairs)
    (pairs / "pairs.jsonl").write_text("\n".join(lines) + "\n")
    return dataset


def encoded(dataset, out):
    engine = OnnxEngine(default_package_path() / "backbone.onnx", threads=1)
    encode_pairs(dataset, XviewSpec(), engine, out)
    return FeatureFolder([out]).groups


def test_poses_are_about_the_middle_of_their_crop(pairs, tmp_path):
    dataset = PairsDataset(pairs)
    (group,) = encoded(dataset, tmp_path)
    aerial, grounds = group.aerial, group.grounds
    xy_m = np.array([ground.pose[:2].numpy() for ground in grounds])
    truth_m = np.array([(record.truth.x_m, record.truth.y_m) for record in dataset])
    np.testing.assert_allclose(xy_m[0] - xy_m[1], truth_m[0] - truth_m[1], atol=1e-4)
    assert np.all(np.abs(xy_m.mean(axis=0)) <= CROP_OFFSET_M)
    assert aerial.half_extent_m == XviewSpec().aerial.block_m / 2
    known = grounds[0].range_m > 0
    assert 0.2 < known.float().mean() < 1.0


def test_images_far_apart_get_crops_of_their_own(pairs, tmp_path):
    def part(entry):
        entry["truth"]["x"] += 30.0 if entry["id"].endswith("1") else -30.0

    assert len(encoded(rewritten(pairs, part), tmp_path)) == 2


def test_without_depth_images_the_range_is_unknown(pairs, tmp_path):
    (group,) = encoded(rewritten(pairs, lambda entry: entry.pop("depth")), tmp_path)
    assert torch.isnan(group.grounds[0].range_m).all()


@pytest.mark.parametrize("part", ["yaw", "height"])
def test_what_training_needs_is_named(pairs, tmp_path, part):
    def lose(entry):
        if part == "yaw":
            entry["truth"].pop("yaw_deg")
        else:
            entry["camera"].pop("height_m")

    with pytest.raises(PairsError, match=r"000007_0_0 lacks truth\.yaw_deg or camera\.height_m"):
        encoded(rewritten(pairs, lose), tmp_path)


class Unturned:
    """Draws the first of everything, so that a batch holds the world as it is."""

    def integers(self, count):
        return 0

    def choice(self, count, size, replace):
        return np.arange(size)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("quarter_turns", range(4))
def test_turning_the_world_turns_both_views(quarter_turns, flip):
    """Each ground cell lies on the same object in the aerial image and in the turned one."""
    half_extent_m, rows, columns = 12.0, 6, 9
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(1, 3, 5, 5, generator=generator)
    image = torch.nn.functional.interpolate(coarse, (60, 60), mode="bicubic")[0]
    aerial = AerialFeatures(image, torch.zeros(1, 4, 4), half_extent_m)
    ground = GroundFeatures(
        tokens=torch.zeros(1, 3, columns),
        image=torch.zeros(3, 42, 126),
        elevation_rad=torch.linspace(0.0, -0.8, rows),
        azimuth_rad=torch.linspace(1.0, -1.2, columns),
        valid=torch.ones(rows, columns, dtype=torch.bool),
        range_m=1 + 5 * torch.rand(rows, columns, generator=generator),
        plan=torch.zeros(3, 8, 8),
        plan_xy=torch.zeros(rows, columns, 2),
        height_m=torch.tensor(1.6),
        pose=torch.tensor([1.5, -2.0, 0.7]),
    )

    def fallen_on(aerial, ground):
        batch = batch_of([Group(aerial, (ground,))], 1, Unturned())
        xy_m = (batch.horizontal_directions * batch.range_m[..., None]).reshape(1, -1, 2)
        grid = to_grid_sample(transform(xy_m, ground.pose[None, None])[0, :, 0], aerial.half_extent_m)
        sampled = torch.nn.functional.grid_sample(aerial.image[None], grid[None, None], align_corners=False)
        return sampled[0, :, 0].reshape(3, rows, columns)

    expected = fallen_on(aerial, ground)
    got = fallen_on(aerial.turned(quarter_turns, flip), ground.turned(quarter_turns, flip))
    torch.testing.assert_close(got.flip(-1) if flip else got, expected, atol=2e-3, rtol=0)
