"""Augmentation: the network must not lean on a camera's or a simulator's colours, nor on one input alone."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

TEXTURE_DROPOUT = 0.12
TOKEN_DROPOUT = 0.05
TOKEN_CHANNEL_DROPOUT = 0.1


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


def augment_texture(image: Tensor, rng: np.random.Generator) -> Tensor:
    """Colours of [1, 3, H, W] in [0, 1] mixed and stretched; now and then nothing at all is left to see.

    Drawn anew each step, which the stored tokens' augmentation cannot be.
    """
    if rng.random() < TEXTURE_DROPOUT:
        return torch.full_like(image, 0.45)
    mix = torch.from_numpy((np.eye(3) + rng.normal(0, 0.15, (3, 3))) * np.exp(rng.normal(0, 0.2))).to(image)
    offset = torch.from_numpy(rng.normal(0, 0.06, (3, 1))).to(image)
    return (mix @ image.flatten(2) + offset).clamp(0, 1).reshape(image.shape)


def augment_tokens(tokens: Tensor, rng: np.random.Generator) -> Tensor:
    """Tokens [1, C, h, w] with some channels dropped, and now and then all of them."""
    if rng.random() < TOKEN_DROPOUT:
        return torch.zeros_like(tokens)
    kept = torch.from_numpy(rng.random((tokens.shape[1], 1, 1)) > TOKEN_CHANNEL_DROPOUT).to(tokens)
    return tokens * (kept / (1 - TOKEN_CHANNEL_DROPOUT))
