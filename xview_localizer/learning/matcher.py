"""The trained module: both heads, the temperature of the cosine and, where it is adapted, the backbone."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from xview_localizer.learning.augment import augment_photograph, augment_texture, augment_tokens
from xview_localizer.learning.batch import Batch
from xview_localizer.models.backbone import Backbone
from xview_localizer.models.export import heads_of
from xview_localizer.models.heads import AerialHead, GroundHead, HeadConfig
from xview_localizer.models.package import ModelPackage

LARGEST_INVERSE_TEMPERATURE = 40.0  # more makes matches so sharp that training becomes unstable


class Matcher(nn.Module):
    """Both heads and the learned temperature; with a `backbone`, tokens are computed in every step instead of read."""

    def __init__(self, config: HeadConfig = HeadConfig(), backbone: Backbone | None = None) -> None:
        super().__init__()
        self.ground = GroundHead(config)
        self.aerial = AerialHead(config)
        self.backbone = backbone
        self.log_inverse_temperature = nn.Parameter(torch.tensor(math.log(1 / 0.1)))

    @classmethod
    def of(cls, package: ModelPackage, backbone: Backbone | None = None) -> Matcher:
        """The matcher with the weights of `package`. Raises ModelPackageError where its heads have another layout."""
        matcher = cls(backbone=backbone)
        matcher.ground, matcher.aerial = heads_of(package)
        matcher.log_inverse_temperature.data.fill_(math.log(package.spec.inverse_temperature))
        return matcher

    @property
    def inverse_temperature(self) -> Tensor:
        return self.log_inverse_temperature.clamp(max=math.log(LARGEST_INVERSE_TEMPERATURE)).exp()

    def describe_aerial(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Descriptors [G, D, 2 h, 2 w] of the augmented crops."""
        image, tokens = self._augmented(batch.aerial_image, batch.aerial_tokens, generator)
        return self.aerial(tokens, augment_texture(image, generator)).float()

    def describe_ground(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Descriptor [B, D, 2 h, w], dustbin [B, 2 h, w] and log range [B, 2 h, w] of the augmented views."""
        image, tokens = self._augmented(batch.image, batch.tokens, generator)
        outputs = self.ground(
            tokens, augment_texture(image, generator), batch.elevation_rad, batch.valid.float(),
            augment_texture(batch.plan.float() / 255, generator), batch.plan_xy,
        )  # fmt: skip
        descriptor, dustbin, log_range = (output.float() for output in outputs)
        return descriptor, dustbin, log_range

    @torch.no_grad()
    def range_m(self, batch: Batch) -> Tensor:
        """Range [B, 2 h, w] of each cell by the network's own depth, of the views as they are."""
        image = batch.image.float() / 255
        outputs = self.ground(
            self._tokens(image, batch.tokens), image, batch.elevation_rad, batch.valid.float(),
            batch.plan.float() / 255, batch.plan_xy,
        )  # fmt: skip
        return batch.height_m[:, None, None] * outputs[2].float().exp()

    def _augmented(
        self, pixels: Tensor, tokens: Tensor | None, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Images in [0, 1] and tokens: stored ones, or the backbone's of images augmented in this step."""
        image = pixels.float() / 255
        if tokens is None:
            image = augment_photograph(image, generator)
        return image, augment_tokens(self._tokens(image, tokens), generator)

    def _tokens(self, image: Tensor, stored: Tensor | None) -> Tensor:
        if stored is not None:
            return stored.float()
        if self.backbone is None:
            raise ValueError("the features hold no tokens, so training needs the backbone's weights")
        return self.backbone(image).float()
