"""The adapted backbone begins as the plain one, learns only its corrections, and becomes a plain one again."""

import pytest

torch = pytest.importorskip("torch")

from xview_localizer.learning import lora  # noqa: E402
from xview_localizer.models.backbone import Backbone, BackboneConfig  # noqa: E402

RANK = 3


@pytest.fixture
def backbone():
    torch.manual_seed(0)
    return Backbone(BackboneConfig(width=48, heads=3, taps=(0, 1)))


def test_it_begins_as_the_plain_one(backbone):
    image = torch.rand(1, 3, 28, 42)
    with torch.no_grad():
        plain = backbone(image)
        lora.adapt(backbone, RANK)
        torch.testing.assert_close(backbone(image), plain)


def test_only_corrections_are_trained(backbone):
    lora.adapt(backbone, RANK)
    trained = {name.rsplit(".", 1)[1] for name, p in backbone.named_parameters() if p.requires_grad}
    assert trained == {"up", "down"}


def test_rank_0_freezes_everything(backbone):
    lora.adapt(backbone, 0)
    assert not any(parameter.requires_grad for parameter in backbone.parameters())


def test_merged_computes_the_same(backbone):
    lora.adapt(backbone, RANK)
    image = torch.rand(1, 3, 28, 42)
    with torch.no_grad():
        before = backbone(image)
        for name, parameter in backbone.named_parameters():
            if name.endswith(".up"):
                parameter.normal_(std=0.2)
        changed = backbone(image)
        plain = lora.merged(backbone)
        torch.testing.assert_close(plain(image), changed, atol=1e-4, rtol=1e-4)
    assert (changed - before).abs().max() > 0.05
    assert set(plain.state_dict()) == set(Backbone(plain.config).state_dict())
