"""Augmentation, so that the network relies neither on the colours of a camera or a simulator nor on one input alone."""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

TEXTURE_DROPOUT = 0.12  # share of images that are blanked
TOKEN_DROPOUT = 0.05  # share of images whose tokens are all dropped
TOKEN_CHANNEL_DROPOUT = 0.1  # share of token channels that are dropped
BLANK = 0.45  # the grey of a blanked image
STYLE_SHARE = 0.3  # share of photographs that get the style of another one
STYLE_FREQUENCIES = 3  # how many frequencies on either side of zero make up the style


def augment_photometric(image: np.ndarray, rng: np.random.Generator, strength: float = 1.0) -> np.ndarray:
    """Random exposure, gamma, white balance, saturation, contrast, blur, noise and JPEG of an RGB uint8 image."""
    x = image.astype(np.float32) / 255
    x = x ** np.exp(rng.normal(0, 0.3 * strength))
    x = x * np.exp(rng.normal(0, 0.15 * strength)) * np.exp(rng.normal(0, 0.08 * strength, 3))
    grey = x.mean(axis=-1, keepdims=True)
    x = grey + (x - grey) * rng.uniform(max(0.0, 1 - 0.8 * strength), 1 + 0.5 * strength)
    x = 0.5 + (x - 0.5) * np.exp(rng.normal(0, 0.15 * strength))
    if rng.random() < 0.15 * strength:
        x = x[..., rng.permutation(3)]
    if rng.random() < 0.4 * strength:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.3, 1.8))
    if rng.random() < 0.5 * strength:
        x = x + rng.normal(0, rng.uniform(0.005, 0.04), x.shape)
    x = np.clip(x * 255, 0, 255).astype(np.uint8)
    if rng.random() < 0.5 * strength:
        _, data = cv2.imencode(".jpg", x[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.uniform(25, 90))])
        x = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
    return np.ascontiguousarray(x)


def augment_texture(image: Tensor, generator: torch.Generator) -> Tensor:
    """Images [B, 3, H, W] in [0, 1] with mixed and stretched colours; a few are blanked.

    This is drawn anew in each step, unlike the augmentation of stored tokens.
    """
    draw = _Draw(image, generator)
    mix = torch.eye(3, device=image.device) + 0.15 * draw.normal(3, 3)
    mix = mix * (0.2 * draw.normal(1, 1)).exp()
    mixed = (mix @ image.flatten(2) + 0.06 * draw.normal(3, 1)).clamp(0, 1).reshape(image.shape)
    return torch.where(draw.chance(TEXTURE_DROPOUT), BLANK, mixed)


def augment_tokens(tokens: Tensor, generator: torch.Generator) -> Tensor:
    """Tokens [B, C, h, w] in which some channels of each image, and all channels of a few images, are dropped."""
    draw = _Draw(tokens, generator)
    kept = (draw.uniform(tokens.shape[1], 1, 1) > TOKEN_CHANNEL_DROPOUT) & ~draw.chance(TOKEN_DROPOUT)
    return tokens * kept / (1 - TOKEN_CHANNEL_DROPOUT)


def augment_photograph(image: Tensor, generator: torch.Generator) -> Tensor:
    """Photographs [B, 3, H, W] in [0, 1] with changed light, lens and style, for a backbone that runs in every step.

    The style is the low part of the amplitude spectrum, taken in part from another image of the batch (Fourier domain
    adaptation, Yang and Soatto, 2020).
    """
    draw = _Draw(image, generator)
    x = torch.where(draw.chance(STYLE_SHARE), _with_style_of(image, image.roll(1, 0), draw), image)
    x = x.clamp(1e-3, 1) ** (0.2 * draw.normal(1, 1, 1)).exp() * (0.15 * draw.normal(3, 1, 1)).exp()
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * (1.4 * draw.uniform(1, 1, 1))
    soft = F.avg_pool2d(F.avg_pool2d(x, 3, 1, 1, count_include_pad=False), 3, 1, 1, count_include_pad=False)
    x = x + (soft - x) * draw.uniform(1, 1, 1) * draw.chance(0.4)
    noise = torch.randn(x.shape, generator=generator, device=x.device)
    return (x + 0.03 * draw.uniform(1, 1, 1) * noise).clamp(0, 1)


def _with_style_of(image: Tensor, other: Tensor, draw: _Draw) -> Tensor:
    spectrum, other_spectrum = torch.fft.rfft2(image.float()), torch.fft.rfft2(other.float())
    rows, columns = spectrum.shape[-2:]
    low = torch.zeros(rows, columns, device=image.device)
    for part in (low[:STYLE_FREQUENCIES], low[-STYLE_FREQUENCIES:]):
        part[:, :STYLE_FREQUENCIES] = 1.0
    share = low * draw.uniform(1, 1, 1)
    amplitude = spectrum.abs() * (1 - share) + other_spectrum.abs() * share
    return torch.fft.irfft2(torch.polar(amplitude, spectrum.angle()), s=image.shape[-2:]).clamp(0, 1)


class _Draw:
    """Random numbers for each image of a batch, [B, …]."""

    def __init__(self, batch: Tensor, generator: torch.Generator) -> None:
        self._count, self._options = len(batch), {"generator": generator, "device": batch.device}

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(self._count, *shape, **self._options)

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(self._count, *shape, **self._options)

    def chance(self, probability: float) -> Tensor:
        """[B, 1, 1, 1] bool."""
        return self.uniform(1, 1, 1) < probability
