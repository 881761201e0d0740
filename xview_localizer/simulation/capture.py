"""The conditions of a simulated image: sun, sky, season, exposure, lens and sensor."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

# Automatic exposure brings the median of the lower half of an image near this grey level, by this exponent (1 = fully).
METERED_GREY = 105
METERING_GAIN = 0.8


@dataclass(frozen=True)
class Capture:
    """Light and camera of one recording session. Colours `…_rgb` [3] of lights are linear factors, 1 is neutral."""

    sun_direction: np.ndarray  # [3], unit, towards the sun
    sun_rgb: np.ndarray
    ambient_rgb: np.ndarray
    sky_top_rgb: np.ndarray  # of the sky, as of all surfaces: 0 to 255
    haze_rgb: np.ndarray  # likewise, of the sky at the horizon and of distant objects
    cloud: float  # cover, in [0, 1]
    cloud_seed: float
    visibility_m: float  # distance at which haze hides all but 1/e of an object's contrast
    season_tint: np.ndarray  # [3], factor on the colours of plants
    white_balance: np.ndarray  # [3], factor on the image
    exposure: float  # factor on the image
    gamma: float
    blur_px: float  # standard deviation
    motion_px: float  # length of horizontal motion blur
    noise: float  # standard deviation, in steps of 255
    vignette: float  # share by which the corners are darker
    jpeg_quality: int
    wetness: float = 0.0  # of paved ground, in [0, 1]: wet ground is darker and mirrors the sky

    @classmethod
    def sample(cls, rng: np.random.Generator, aerial: bool = False) -> Capture:
        """Any daytime weather; aerial surveys fly in better light and with longer lenses."""
        elevation_rad = np.radians(rng.uniform(28, 65) if aerial else rng.uniform(12, 70))
        azimuth_rad = rng.uniform(0, 2 * np.pi)
        overcast = rng.random() < (0.25 if aerial else 0.4)
        sun = (
            0.0
            if overcast and rng.random() < 0.6
            else (rng.uniform(0.1, 0.4) if overcast else rng.uniform(0.6, 1.0))
        )
        ambient = rng.uniform(0.75, 1.0) if overcast else rng.uniform(0.3, 0.55)
        grey_sky = np.full(3, rng.uniform(170, 235))
        blue_sky = np.array([rng.uniform(70, 140), rng.uniform(120, 180), rng.uniform(190, 240)])
        return cls(
            sun_direction=np.array(
                [
                    np.cos(elevation_rad) * np.cos(azimuth_rad),
                    np.cos(elevation_rad) * np.sin(azimuth_rad),
                    np.sin(elevation_rad),
                ]
            ),
            sun_rgb=sun * np.array([1.0, 0.97, 0.9]),
            ambient_rgb=ambient * (np.ones(3) if overcast else np.array([0.92, 0.98, 1.08])),
            sky_top_rgb=grey_sky * 0.92 if overcast else blue_sky,
            haze_rgb=grey_sky if overcast else np.array([200.0, 210.0, 222.0]) * rng.uniform(0.9, 1.1),
            cloud=float(rng.uniform(0, 0.9)),
            cloud_seed=float(rng.uniform(0, 1000)),
            visibility_m=float(rng.uniform(300, 3000)),
            season_tint=np.exp(rng.normal(0, [0.16, 0.1, 0.14])),
            white_balance=np.exp(rng.normal(0, 0.06, 3)),
            exposure=float(np.exp(rng.normal(0.05, 0.18))),
            gamma=float(np.exp(rng.normal(0, 0.15))),
            blur_px=float(rng.uniform(0.4, 1.1) if aerial else rng.uniform(0.2, 0.8)),
            motion_px=0.0 if aerial or rng.random() < 0.7 else float(rng.uniform(1, 5)),
            noise=float(rng.uniform(0.5, 5)),
            vignette=0.0 if aerial else float(rng.uniform(0, 0.35)),
            jpeg_quality=int(rng.integers(55, 95)),
        )

    def sky(self, direction: np.ndarray) -> np.ndarray:
        """Colour [N, 3] of the sky along unit rays [N, 3]."""
        height = np.clip(direction[:, 2], 0, 1)[:, None]
        base = self.haze_rgb + (self.sky_top_rgb - self.haze_rgb) * np.sqrt(height)
        plane = direction[:, :2] / np.maximum(height, 0.05) + self.cloud_seed
        wave = (
            np.sin(1.3 * plane[:, 0] + 0.7 * plane[:, 1])
            + np.sin(2.9 * plane[:, 1] - 1.1 * plane[:, 0] + 1)
            + np.sin(5.3 * plane.sum(axis=1))
        )
        cover = self.cloud * np.clip(wave / 3 + 0.2, 0, 1)[:, None]
        return base * (1 - cover) + 240 * cover

    def develop(self, linear: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The RGB uint8 image that sensor and lens make of linear colours [H, W, 3]."""
        metered = max(float(np.median(linear[linear.shape[0] // 2 :])), 5.0)
        x = linear.astype(np.float32) * np.float32(self.exposure * (METERED_GREY / metered) ** METERING_GAIN)
        x *= self.white_balance.astype(np.float32)
        if self.vignette:
            v, u = np.mgrid[-1 : 1 : linear.shape[0] * 1j, -1 : 1 : linear.shape[1] * 1j].astype(np.float32)
            x *= (1 - np.float32(self.vignette) * (u**2 + v**2) / 2)[..., None]
        x = 255 * np.clip(x / 255, 0, 1.2) ** np.float32(self.gamma)
        x = cv2.GaussianBlur(x, (0, 0), self.blur_px)
        if self.motion_px:
            x = cv2.blur(x, (int(np.ceil(self.motion_px)), 1))
        x += rng.standard_normal(x.shape, dtype=np.float32) * np.float32(self.noise)
        return np.clip(x, 0, 255).astype(np.uint8)
