"""The mean of two matchers: its ends, its middle, its adapted backbone."""

import pytest

torch = pytest.importorskip("torch")

from xview_localizer.learning import lora  # noqa: E402
from xview_localizer.learning.averaging import averaged  # noqa: E402
from xview_localizer.learning.matcher import Matcher  # noqa: E402
from xview_localizer.models.backbone import Backbone, BackboneConfig  # noqa: E402


def _matcher(seed: int, corrections_std: float) -> Matcher:
    """Heads of their own beside one common backbone, whose corrections are drawn."""
    torch.manual_seed(7)
    backbone = Backbone(BackboneConfig(width=48, heads=3, taps=(0, 1)))
    lora.adapt(backbone, 2)
    torch.manual_seed(seed)
    matcher = Matcher(backbone=backbone)
    with torch.no_grad():
        for name, parameter in backbone.named_parameters():
            if name.endswith(".up"):
                parameter.normal_(std=corrections_std)
        matcher.log_inverse_temperature.fill_(float(seed))
    return matcher


@pytest.fixture
def start():
    return _matcher(1, 0.0)


@pytest.fixture
def tuned():
    return _matcher(3, 0.3)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_ends_are_the_two_matchers(start, tuned, share):
    one = start if share else tuned
    mean = averaged(start, tuned, share)
    image = torch.rand(1, 3, 28, 42)
    torch.testing.assert_close(mean.backbone(image), one.backbone(image), atol=1e-4, rtol=1e-4)
    for name, value in one.ground.state_dict().items():
        torch.testing.assert_close(mean.ground.state_dict()[name], value)
    assert mean.inverse_temperature == one.inverse_temperature


def test_every_weight_lies_between(start, tuned):
    mean = averaged(start, tuned, 0.25)
    for name, value in mean.state_dict().items():
        if not name.startswith("backbone."):
            expected = 0.25 * start.state_dict()[name] + 0.75 * tuned.state_dict()[name]
            torch.testing.assert_close(value, expected)
    layer, plain = tuned.backbone.blocks[0].qkv, start.backbone.blocks[0].qkv.linear.weight
    torch.testing.assert_close(mean.backbone.blocks[0].qkv.weight, plain + 0.75 * (layer.up @ layer.down))


def test_heads_alone_are_averaged_too():
    start, tuned = Matcher(), Matcher()
    mean = averaged(start, tuned, 0.5)
    assert mean.backbone is None
    name = next(iter(mean.aerial.state_dict()))
    expected = (start.aerial.state_dict()[name] + tuned.aerial.state_dict()[name]) / 2
    torch.testing.assert_close(mean.aerial.state_dict()[name], expected)


def test_a_share_beyond_the_whole_is_refused(start, tuned):
    with pytest.raises(ValueError, match=r"\[0, 1\], got 1.5"):
        averaged(start, tuned, 1.5)
