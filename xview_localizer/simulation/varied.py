"""Cameras, weather and aerial surveys of a wider range than the classic ones: lenses, heights, dusk, rain, dirt."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from xview_localizer.simulation.capture import Capture

MAX_TILT_DEG = 5.0
# Of tall objects in the orthophoto (tangent): between new orthophotos and old ones, which lean more.
LEAN_SIGMA = 0.16
METRES_PER_PIXEL = (0.15, 0.2, 0.25, 0.3, 0.4, 0.5)


def sample_any_camera(rng: np.random.Generator, kind: str) -> dict:
    """A random `camera` record, 0.25 to 3.5 m high: a panorama, perhaps cropped, a pinhole of 50 to 120° or a fisheye.

    Raises ValueError for an unknown kind.
    """
    if kind == "equirectangular":
        width = int(rng.choice([512, 640, 768]))
        top_deg, bottom_deg = (90.0, 90.0) if rng.random() < 0.4 else rng.uniform((25, 35), (90, 90))
        px_per_deg = width / 360
        record = {
            "model": kind, "width": width, "height": int((top_deg + bottom_deg) * px_per_deg), "hfov_deg": 360.0,
            "px_per_deg_v": px_per_deg, "horizon_row": float(top_deg * px_per_deg),
        }  # fmt: skip
    elif kind == "pinhole":
        width, height = [(640, 480), (640, 360), (512, 384), (480, 640), (720, 540)][rng.integers(5)]
        fisheye = rng.random() < 0.25
        hfov_rad = np.radians(rng.uniform(100, 150) if fisheye else rng.uniform(50, 120))
        focal = float(width / hfov_rad if fisheye else width / 2 / np.tan(hfov_rad / 2))
        middle = np.array([width, height]) * (0.5 + rng.normal(0, 0.01, 2))
        record = {
            "model": kind, "width": width, "height": height, "fx": focal, "fy": focal, "cx": float(middle[0]),
            "cy": float(middle[1]), "distortion_model": "equidistant" if fisheye else "none",
            "d": [0.0] * 4 if fisheye else [],
        }  # fmt: skip
    else:
        raise ValueError(f"kind must be 'equirectangular' or 'pinhole', got {kind!r}")
    record["height_m"] = float(rng.uniform(1.0, 2.2) if rng.random() < 0.7 else rng.uniform(0.25, 3.5))
    return record


def sample_any_capture(rng: np.random.Generator, aerial: bool = False) -> Capture:
    """A random capture: classic, with a low sun, at dusk or in rain; an aerial one with any colour cast and blur."""
    capture = Capture.sample(rng, aerial)
    if aerial:
        cast = np.exp(rng.normal(0, 0.12, 3))
        return replace(
            capture,
            white_balance=cast,
            blur_px=float(rng.uniform(0.3, 1.8)),
            jpeg_quality=int(rng.integers(40, 95)),
        )
    weather = rng.choice(["classic", "low sun", "dusk", "wet"], p=[0.45, 0.2, 0.15, 0.2])
    return in_weather(capture, str(weather), rng)


def with_weather(capture: Capture, weathers: tuple[str, ...], rng: np.random.Generator) -> Capture:
    """The capture in one of `weathers`, or unchanged where there are none."""
    return in_weather(capture, str(rng.choice(weathers)), rng) if weathers else capture


def in_weather(capture: Capture, weather: str, rng: np.random.Generator) -> Capture:
    """The capture in another weather or light: low sun, dusk, wet, mist or glare; "classic" leaves it as it is."""
    if weather == "low sun":
        height = np.sin(np.radians(rng.uniform(6, 18)))
        flat = capture.sun_direction[:2] / np.linalg.norm(capture.sun_direction[:2])
        sun = np.array([*(flat * np.sqrt(1 - height**2)), height])
        return replace(
            capture, sun_direction=sun, sun_rgb=rng.uniform(0.8, 1.6) * np.array([1.0, 0.86, 0.66])
        )
    if weather == "dusk":
        tint = np.array([rng.uniform(0.8, 1.2), 0.9, rng.uniform(0.9, 1.3)])
        return replace(
            capture, sun_rgb=np.zeros(3), ambient_rgb=0.35 * tint, haze_rgb=capture.haze_rgb * 0.5 * tint,
            sky_top_rgb=capture.sky_top_rgb * 0.35, noise=float(rng.uniform(3, 9)),
        )  # fmt: skip
    if weather == "wet":
        return replace(
            capture, wetness=float(rng.uniform(0.4, 1.0)), visibility_m=float(rng.uniform(120, 900))
        )
    if weather == "mist":
        grey = np.full(3, rng.uniform(165, 225))
        return replace(
            capture, sun_rgb=0.15 * capture.sun_rgb, ambient_rgb=rng.uniform(0.7, 0.95) * np.array([0.97, 1.0, 1.03]),
            sky_top_rgb=grey, haze_rgb=grey, cloud=0.0, visibility_m=float(rng.uniform(45, 160)),
        )  # fmt: skip
    if weather == "glare":
        return replace(
            capture, sun_rgb=rng.uniform(1.2, 1.7) * np.array([1.0, 0.95, 0.84]),
            ambient_rgb=rng.uniform(0.2, 0.3) * np.array([0.9, 0.98, 1.12]), visibility_m=4000.0,
        )  # fmt: skip
    return capture


def soil_view(rng: np.random.Generator, image: np.ndarray, range_m: np.ndarray) -> None:
    """Add the vehicle's body at the bottom of some views, and dirt on the lens of some; changes both arrays."""
    height, width = range_m.shape
    if rng.random() < 0.35:
        across = np.linspace(-1, 1, width)
        top = height * (1 - rng.uniform(0.04, 0.16) * (1 - rng.uniform(0, 0.8) * across**2))
        body = np.arange(height)[:, None] >= top
        shade = np.linspace(0.7, 1.3, height)[:, None, None]
        painted = np.clip((rng.uniform(15, 200) + rng.normal(0, 12, 3)) * shade, 0, 255) * np.ones(
            (1, width, 1)
        )
        image[body] = painted[body].astype(np.uint8)
        range_m[body] = 0.0
    if rng.random() < 0.2:
        veil = np.zeros((height, width), np.float32)
        for _ in range(int(rng.integers(1, 7))):
            middle = tuple(int(v) for v in rng.uniform(0, (width, height)))
            cv2.circle(veil, middle, int(rng.uniform(0.01, 0.06) * width), float(rng.uniform(0.2, 0.7)), -1)
        veil = cv2.GaussianBlur(veil, (0, 0), 0.012 * width)[..., None]
        image[:] = (image * (1 - veil) + rng.uniform(60, 140) * veil).astype(np.uint8)


def seam(rng: np.random.Generator, image: np.ndarray) -> None:
    """Change the colours of some orthophotos [H, W, 3] beyond a line, as where two flights meet; in place."""
    if rng.random() < 0.25:
        height, width = image.shape[:2]
        angle_rad = rng.uniform(0, 2 * np.pi)
        v, u = np.mgrid[:height, :width]
        beyond = (u - rng.uniform(0.2, 0.8) * width) * np.cos(angle_rad) + (v - 0.5 * height) * np.sin(
            angle_rad
        ) > 0
        image[beyond] = np.clip(image[beyond] * np.exp(rng.normal(0, 0.1, 3)), 0, 255).astype(np.uint8)
