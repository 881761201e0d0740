"""Photometric augmentation: the network must not lean on a camera's or a simulator's colours."""

from __future__ import annotations

import cv2
import numpy as np


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
