"""Exported graphs compute the same as the trained network."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from xview_localizer.engines.onnx_engine import OnnxEngine  # noqa: E402
from xview_localizer.models.backbone import Backbone, BackboneConfig, official_backbone  # noqa: E402
from xview_localizer.models.export import export_backbone, export_heads  # noqa: E402
from xview_localizer.models.heads import AerialHead, GroundHead, HeadConfig  # noqa: E402
from xview_localizer.models.manifest import ModelPackageError  # noqa: E402

SMALL = HeadConfig(backbone_channels=32, width=16, ground_blocks=1, aerial_blocks=1, descriptor=8)


def test_heads_match_torch_at_another_width(tmp_path):
    torch.manual_seed(0)
    ground, aerial = GroundHead(SMALL).eval(), AerialHead(SMALL).eval()
    export_heads(ground, aerial, tmp_path)
    inputs = {
        "tokens": torch.rand(1, 32, 18, 9),
        "image": torch.rand(1, 3, 252, 126),
        "elevation_rad": torch.linspace(0.3, -0.8, 36)[None],
        "valid": torch.ones(1, 36, 9),
        "plan": torch.rand(1, 3, 280, 280),
        "plan_xy": 2.4 * torch.rand(1, 36, 9, 2) - 1.2,
    }
    with torch.no_grad():
        expected = ground(*inputs.values())
    got = OnnxEngine(tmp_path / "ground_head.onnx", threads=1).run({k: v.numpy() for k, v in inputs.items()})
    depth = OnnxEngine(tmp_path / "depth_head.onnx", threads=1)
    got |= depth.run({"features": got["features"], "elevation_rad": inputs["elevation_rad"].numpy()})
    for name, tensor in zip(("descriptor", "dustbin", "log_range"), expected, strict=True):
        np.testing.assert_allclose(got[name], tensor.numpy(), atol=2e-4)
    inputs = {"tokens": torch.rand(1, 32, 30, 30), "image": torch.rand(1, 3, 420, 420)}
    with torch.no_grad():
        expected = aerial(*inputs.values())
    got = OnnxEngine(tmp_path / "aerial_head.onnx", threads=1).run({k: v.numpy() for k, v in inputs.items()})
    np.testing.assert_allclose(got["descriptor"], expected.numpy(), atol=2e-4)


def _official(backbone: Backbone) -> dict:
    """The backbone's random weights under DINOv2's official parameter names."""
    grid = backbone.config.position_grid
    state = backbone.state_dict()
    official = {
        "patch_embed.proj.weight": state["patch_embed.weight"],
        "patch_embed.proj.bias": state["patch_embed.bias"],
        "cls_token": state["cls_token"],
        "pos_embed": torch.cat(
            [state["cls_position"], state["position"].reshape(1, -1, grid * grid).transpose(1, 2)], dim=1
        ),
    }
    names = {
        "qkv": "attn.qkv", "proj": "attn.proj", "fc1": "mlp.fc1", "fc2": "mlp.fc2",
        "gamma1": "ls1.gamma", "gamma2": "ls2.gamma", "norm1": "norm1", "norm2": "norm2",
    }  # fmt: skip
    for name, tensor in state.items():
        if name.startswith("blocks."):
            _, index, part, *rest = name.split(".")
            official[".".join(["blocks", index, names[part], *rest])] = tensor
    return {name: tensor.contiguous() for name, tensor in official.items()}


def test_official_weights_round_trip(tmp_path):
    from safetensors.torch import save_file

    torch.manual_seed(0)
    config = BackboneConfig(width=24, heads=2, position_grid=5, taps=(0, 1))
    original = Backbone(config).eval()
    torch.nn.init.normal_(original.position, std=0.02)
    save_file(_official(original), str(tmp_path / "weights.safetensors"))
    loaded = official_backbone(tmp_path / "weights.safetensors", config)
    image = torch.rand(1, 3, 28, 42)
    with torch.no_grad():
        torch.testing.assert_close(loaded(image), original(image))


def test_missing_weight_is_named(tmp_path):
    from safetensors.torch import save_file

    backbone = Backbone(BackboneConfig(width=24, heads=2, position_grid=5, taps=(0, 1)))
    official = _official(backbone)
    del official["blocks.1.attn.qkv.weight"]
    save_file(official, str(tmp_path / "weights.safetensors"))
    with pytest.raises(
        ModelPackageError, match=r"weights.safetensors lacks the tensor blocks.1.attn.qkv.weight"
    ):
        official_backbone(tmp_path / "weights.safetensors", backbone.config)


def test_weights_of_another_size_are_refused(tmp_path):
    from safetensors.torch import save_file

    backbone = Backbone(BackboneConfig(width=24, heads=2, position_grid=5, taps=(0, 1)))
    save_file(_official(backbone), str(tmp_path / "weights.safetensors"))
    with pytest.raises(ModelPackageError, match=r"weights.safetensors: .* has shape .*, .* is expected"):
        official_backbone(
            tmp_path / "weights.safetensors", BackboneConfig(width=48, heads=2, position_grid=5, taps=(0, 1))
        )


def test_quantized_backbone_stays_close(tmp_path):
    from safetensors.torch import save_file

    torch.manual_seed(0)
    backbone = Backbone().eval()
    save_file(_official(backbone), str(tmp_path / "weights.safetensors"))
    export_backbone(official_backbone(tmp_path / "weights.safetensors"), tmp_path / "backbone.onnx")
    floats = sum(parameter.numel() for parameter in backbone.parameters()) * 4
    assert (tmp_path / "backbone.onnx").stat().st_size < 0.35 * floats
    image = torch.rand(1, 3, 70, 98)
    with torch.no_grad():
        expected = backbone(image).numpy()
    got = OnnxEngine(tmp_path / "backbone.onnx", threads=1).run({"image": image.numpy()})["tokens"]
    cosine = (got * expected).sum(1) / np.linalg.norm(got, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosine.min() > 0.97
