"""Official weights are checked and kept unchanged; other files are refused by name."""

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file

from xview_localizer.models import dinov2_import
from xview_localizer.models.backbone import BackboneConfig, official_backbone
from xview_localizer.models.dinov2_import import Variant, import_dinov2
from xview_localizer.models.manifest import ModelPackageError
from xview_localizer.models.weights import read_weights

WIDTH, BLOCKS, GRID = 64, 2, 5


@pytest.fixture
def small_variant(monkeypatch):
    monkeypatch.setitem(dinov2_import.VARIANTS, "small", Variant(WIDTH, BLOCKS))


def official():
    """Random weights of the official layout."""
    shapes = {
        "cls_token": (1, 1, WIDTH), "pos_embed": (1, GRID**2 + 1, WIDTH), "mask_token": (1, WIDTH),
        "patch_embed.proj.weight": (WIDTH, 3, 14, 14), "patch_embed.proj.bias": (WIDTH,),
        "norm.weight": (WIDTH,), "norm.bias": (WIDTH,),
    }  # fmt: skip
    for block in range(BLOCKS):
        for name, size in (
            ("ls1.gamma", (WIDTH,)), ("ls2.gamma", (WIDTH,)),
            ("norm1.weight", (WIDTH,)), ("norm1.bias", (WIDTH,)), ("norm2.weight", (WIDTH,)), ("norm2.bias", (WIDTH,)),
            ("attn.qkv.weight", (3 * WIDTH, WIDTH)), ("attn.qkv.bias", (3 * WIDTH,)),
            ("attn.proj.weight", (WIDTH, WIDTH)), ("attn.proj.bias", (WIDTH,)),
            ("mlp.fc1.weight", (4 * WIDTH, WIDTH)), ("mlp.fc1.bias", (4 * WIDTH,)),
            ("mlp.fc2.weight", (WIDTH, 4 * WIDTH)), ("mlp.fc2.bias", (WIDTH,)),
        ):  # fmt: skip
            shapes[f"blocks.{block}.{name}"] = size
    return {name: torch.randn(size) for name, size in shapes.items()}


def test_a_checkpoint_becomes_safetensors_that_a_backbone_takes(small_variant, tmp_path):
    weights = official()
    torch.save(weights, tmp_path / "pretrain.pth")
    import_dinov2(tmp_path / "pretrain.pth", "small", tmp_path / "out" / "small.safetensors")
    kept = load_file(str(tmp_path / "out" / "small.safetensors"))
    assert kept.keys() == weights.keys()
    assert all(torch.equal(kept[name], weights[name]) for name in weights)
    backbone = official_backbone(
        tmp_path / "out" / "small.safetensors", BackboneConfig(WIDTH, 1, GRID, (0, 1))
    )
    torch.testing.assert_close(backbone.blocks[1].fc1.bias, weights["blocks.1.mlp.fc1.bias"])


def test_another_layout_size_or_variant_is_refused_by_name(small_variant, tmp_path):
    weights, path, out = official(), tmp_path / "pretrain.pth", tmp_path / "out.safetensors"
    torch.save(weights, path)
    with pytest.raises(ModelPackageError, match="has 2 blocks of width 64, which is small and not vits"):
        import_dinov2(path, "vits", out)
    with pytest.raises(ModelPackageError, match="unknown variant 'vitg'"):
        import_dinov2(path, "vitg", out)
    del weights["blocks.1.attn.qkv.bias"]
    torch.save(weights, path)
    with pytest.raises(ModelPackageError, match="blocks.1.attn.qkv.bias"):
        import_dinov2(path, "small", out)
    torch.save(torch.nn.Linear(2, 2), path)
    with pytest.raises(ModelPackageError, match="cannot be read as weights"):
        import_dinov2(path, "small", out)
    assert not out.exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b".", b"<html>not found</html>" * 10, b"PK\x03\x04" + bytes(99)])
def test_a_file_that_holds_no_weights_is_refused(tmp_path, suffix, content):
    """As an empty or cut download, or a server's answer that it has no such file."""
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(ModelPackageError, match=r"cannot be read as weights: \S"):
        read_weights(path)


def test_a_position_table_of_another_grid_is_refused(small_variant, tmp_path):
    """That of images of another size, and one that is not square."""
    weights, path = official(), tmp_path / "pretrain.pth"
    torch.save(weights, path)
    with pytest.raises(ModelPackageError, match=r"pos_embed has shape \[1, 26, 64\], that of 7 × 7 patches"):
        official_backbone(path, BackboneConfig(WIDTH, 1, 7, (0, 1)))
    weights["pos_embed"] = weights["pos_embed"][:, :-1]
    torch.save(weights, path)
    with pytest.raises(ModelPackageError, match="another layout: pos_embed has shape"):
        import_dinov2(path, "small", tmp_path / "out.safetensors")
