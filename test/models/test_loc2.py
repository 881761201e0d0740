"""Files of the released layout become a package that computes the same; files of another layout are refused by name."""

import numpy as np
import pytest
import yaml

torch = pytest.importorskip("torch")

from torch import nn

from xview_localizer.aerial.memory import InMemoryMap
from xview_localizer.engines.factory import EngineConfig
from xview_localizer.geometry.camera import EquirectangularCamera
from xview_localizer.geometry.levelling import R_base_optical_from_rpy
from xview_localizer.ground_view import LevelView
from xview_localizer.imaging import network_image, render_rays
from xview_localizer.localizer import Localizer
from xview_localizer.models.backbone import bicubic_weights_with_margin
from xview_localizer.models.dinov2_import import dinov2
from xview_localizer.models.loc2 import GroundImageSpec, spec_from_dict, spec_to_dict
from xview_localizer.models.loc2_head import Loc2Heads
from xview_localizer.models.loc2_import import VARIANTS, import_loc2
from xview_localizer.models.manifest import ModelPackageError
from xview_localizer.models.networks import open_networks
from xview_localizer.models.weights import read_weights

WIDTH, DEPTH, GRID = 64, 2, 37
FORWARD = R_base_optical_from_rpy(0.0, 0.0, 0.0)


def official_dinov2() -> dict[str, torch.Tensor]:
    """Random weights with DINOv2's official names, of a small network."""
    shapes = {
        "cls_token": (1, 1, WIDTH),
        "pos_embed": (1, GRID**2 + 1, WIDTH),
        "mask_token": (1, WIDTH),
        "patch_embed.proj.weight": (WIDTH, 3, 14, 14),
        "patch_embed.proj.bias": (WIDTH,),
        "norm.weight": (WIDTH,),
        "norm.bias": (WIDTH,),
    }
    for block in range(DEPTH):
        shapes |= {f"blocks.{block}.{name}": (WIDTH,) for name in ("ls1.gamma", "ls2.gamma")}
        for name, size in (("norm1", (WIDTH,)), ("norm2", (WIDTH,)), ("attn.qkv", (3 * WIDTH, WIDTH)),
                           ("attn.proj", (WIDTH, WIDTH)), ("mlp.fc1", (4 * WIDTH, WIDTH)),
                           ("mlp.fc2", (WIDTH, 4 * WIDTH))):  # fmt: skip
            shapes[f"blocks.{block}.{name}.weight"] = size
            shapes[f"blocks.{block}.{name}.bias"] = size[:1]
    return {name: 0.3 * torch.randn(size) for name, size in shapes.items()}


def published_heads() -> Loc2Heads:
    heads = Loc2Heads(WIDTH).eval()
    for module in heads.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2.0)
    heads.dustbin_score.data.fill_(1.5)
    return heads


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights")
    heads = published_heads()
    torch.save(heads.state_dict(), folder / "model.pt")
    torch.save(official_dinov2(), folder / "dinov2.pth")
    return folder, heads


@pytest.fixture(scope="module")
def imported(files, tmp_path_factory):
    folder, _ = files
    out = tmp_path_factory.mktemp("packages") / "loc2"
    return import_loc2(folder / "model.pt", folder / "dinov2.pth", "kitti", out)


def test_an_imported_package_computes_what_the_weights_mean(files, imported):
    folder, heads = files
    networks = open_networks(imported, EngineConfig(threads=1))
    backbone = dinov2(read_weights(folder / "dinov2.pth"), folder)
    rng = np.random.default_rng(0)
    aerial = rng.integers(0, 255, (504, 504, 3), dtype=np.uint8)
    with torch.no_grad():
        tokens = backbone(torch.from_numpy(network_image(aerial)))
        tokens = nn.functional.interpolate(tokens, (41, 41), mode="bilinear", align_corners=False)
        expected = heads.sat_projector(tokens)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(networks.aerial.describe(aerial), expected, atol=1e-3)
    assert networks.spec.dustbin == 1.5 and networks.spec.inverse_temperature == 10.0
    assert "AGPL-3.0" in imported.licence


def test_an_imported_package_localizes_over_flat_ground(imported, small_town):
    localizer = Localizer(open_networks(imported, EngineConfig(threads=1)), InMemoryMap(small_town.aerial))
    observation = localizer.observe(small_town.view())
    assert observation.depth_source == "flat ground: the model has no depth network"
    assert observation.scale_known and len(observation.descriptor) > 100
    np.testing.assert_allclose(np.linalg.norm(observation.descriptor, axis=1), 1.0, atol=1e-4)
    # A pinhole image: everything it shows lies ahead.
    assert (observation.ground_xy_m[:, 0] > 0).all()


def refuse(weights, files, tmp_path, head: bool, message: str) -> None:
    folder, _ = files
    path = tmp_path / "wrong.pt"
    torch.save(weights, path)
    with pytest.raises(ModelPackageError, match=message):
        import_loc2(
            path if head else folder / "model.pt",
            folder / "dinov2.pth" if head else path,
            "vigor",
            tmp_path / "out",
        )
    assert not (tmp_path / "out").exists()


def test_wrong_heads_are_refused_by_tensor(files, tmp_path):
    weights = dict(files[1].state_dict())
    weights["grd_projector.att_layer.layers.9.q_proj.weight"] = weights.pop(
        "sat_projector.final_block.conv1.weight"
    )
    message = r"missing tensor sat_projector.final_block.conv1.weight, .*layers.9.q_proj"
    refuse(weights, files, tmp_path, True, message)


def test_heads_of_another_width_are_refused(files, tmp_path):
    refuse(
        Loc2Heads(32).state_dict(),
        files,
        tmp_path,
        True,
        r"conv1.weight has shape \[512, 32, 3, 3\], \[512, 64",
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("blocks.1.mlp.fc1.weight"), "missing tensor blocks.1.mlp.fc1.weight"),
        (lambda w: w.pop("pos_embed"), "missing tensor pos_embed"),
        (lambda w: w.update(register_tokens=torch.zeros(1, 4, WIDTH)), "unexpected tensor register_tokens"),
    ],
)
def test_wrong_backbones_are_refused_by_tensor(files, tmp_path, change, message):
    weights = official_dinov2()
    change(weights)
    refuse(weights, files, tmp_path, False, message)


class Code:
    """Code in a checkpoint, which must never be run."""

    def __reduce__(self):
        return (print, ("run",))


def test_checkpoints_run_no_code(files, tmp_path, capsys):
    refuse(
        {"dustbin_score": Code()}, files, tmp_path, True, "code is not run, .* save the network's state_dict"
    )
    assert "run" not in capsys.readouterr().out


def test_unknown_variants_are_refused(files, tmp_path):
    with pytest.raises(ModelPackageError, match="unknown variant 'oxford'; there are vigor, kitti"):
        import_loc2(files[0] / "model.pt", files[0] / "dinov2.pth", "oxford", tmp_path)


def test_a_pinhole_image_needs_a_focal_length():
    with pytest.raises(ValueError, match="focal_px of a pinhole image must be above 0, got 0.0"):
        GroundImageSpec("pinhole", 364, 1232)


def test_spec_survives_yaml(imported):
    assert spec_from_dict(yaml.safe_load(yaml.safe_dump(spec_to_dict(imported.spec)))) == imported.spec


def test_panorama_cells_turn_from_behind_over_the_left_end_inclusive():
    """Down and right of the paper are backward and right of the level frame: -forward and -left."""
    rays = GroundImageSpec().cell_rays_level
    theta, phi = np.linspace(0, np.pi, 51)[:, None], np.linspace(0, 2 * np.pi, 102)
    down, right = np.sin(theta) * np.cos(phi), -np.sin(theta) * np.sin(phi)
    np.testing.assert_allclose(rays[..., 0], -down, atol=1e-12)
    np.testing.assert_allclose(rays[..., 1], -right, atol=1e-12)
    np.testing.assert_allclose(rays[..., 2], np.broadcast_to(np.cos(theta), rays.shape[:2]), atol=1e-12)


def test_pinhole_cells_have_the_camera_s_directions():
    spec, _ = VARIANTS["kitti"]
    rays = spec.cell_rays_level
    u = np.linspace(0, 1232, 88)
    np.testing.assert_allclose(
        rays[..., 1] / rays[..., 0], np.broadcast_to((spec.centre_column_px - u) / spec.focal_px, (26, 88))
    )
    assert (rays[0, :, 2] > 0).all() and (rays[-1, :, 2] < 0).all()


@pytest.mark.parametrize("name", VARIANTS)
def test_aerial_cells_reach_from_rim_to_rim(name):
    aerial = VARIANTS[name][1]
    assert aerial.cell_m * (aerial.block_cells - 1) == pytest.approx(aerial.image_m)
    assert aerial.image_px % 14 == 0


def test_a_level_panorama_is_taken_as_it_is():
    spec = GroundImageSpec(rows_px=140, columns_px=280)
    camera = EquirectangularCamera(280, 140, 280 / (2 * np.pi), 140 / np.pi, 140.0, 70.0)
    image = np.random.default_rng(0).integers(0, 255, (140, 280, 3), dtype=np.uint8)
    view = LevelView(image, camera, FORWARD, 1.8)
    rendered, seen = render_rays(view.image, camera, spec.pixel_rays_level @ view.R_level_camera)
    assert seen.all()
    assert np.abs(rendered.astype(int) - image).max() <= 2


def test_position_tables_are_resized_as_dinov2_does():
    table = torch.rand(1, 1, GRID, 1)
    expected = nn.functional.interpolate(table, scale_factor=(51.1 / GRID, 1.0), mode="bicubic")
    got = bicubic_weights_with_margin(GRID, 51, 0.1) @ table[0, 0]
    torch.testing.assert_close(got, expected[0, 0], atol=1e-5, rtol=0)
