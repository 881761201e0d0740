"""Training features on the training device: aerial crops, the ground images taken in them, and their true poses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class AerialFeatures:
    """An aerial crop about its own middle: image [3, H, W] uint8, and tokens [C, h, w] where they were stored."""

    image: Tensor
    tokens: Tensor | None
    half_extent_m: float

    def turned(self, quarter_turns: int, flip: bool) -> AerialFeatures:
        """The crop with north and south swapped if `flip`, then turned counter-clockwise."""

        def move(x: Tensor) -> Tensor:
            return torch.rot90(x.flip(-2) if flip else x, quarter_turns, dims=(-2, -1))

        return replace(
            self, image=move(self.image), tokens=None if self.tokens is None else move(self.tokens)
        )


@dataclass(frozen=True)
class GroundFeatures:
    """A canonical ground view with its true pose, relative to the middle of the aerial crop."""

    image: Tensor  # [3, 14 h, 14 w] uint8
    tokens: Tensor | None  # [C, h, w], where they were stored
    elevation_rad: Tensor  # [2 h]
    azimuth_rad: Tensor  # [w]
    valid: Tensor  # [2 h, w] bool
    range_m: Tensor  # [2 h, w] along the ray, 0 where nothing is (sky), NaN where unknown
    plan: Tensor  # [3, S, S] uint8
    plan_xy: Tensor  # [2 h, w, 2]
    height_m: Tensor  # scalar
    pose: Tensor  # [3] x, y, yaw

    def turned(self, quarter_turns: int, flip: bool) -> GroundFeatures:
        """The view that belongs to the crop of `AerialFeatures.turned`."""
        sign = -1.0 if flip else 1.0
        x, y, yaw = self.pose[0], sign * self.pose[1], sign * self.pose[2]
        for _ in range(quarter_turns % 4):
            x, y, yaw = -y, x, yaw + torch.pi / 2
        pose = torch.stack([x, y, yaw])
        if not flip:
            return replace(self, pose=pose)
        mirrored_xy = self.plan_xy.flip(-2) * self.plan_xy.new_tensor([1.0, -1.0])
        return replace(
            self,
            pose=pose,
            tokens=None if self.tokens is None else self.tokens.flip(-1),
            image=self.image.flip(-1),
            azimuth_rad=-self.azimuth_rad.flip(-1),
            valid=self.valid.flip(-1),
            range_m=self.range_m.flip(-1),
            plan=self.plan.flip(-2),
            plan_xy=mirrored_xy,
        )


@dataclass(frozen=True)
class Group:
    """One aerial crop and the ground images taken in it, all of one camera."""

    aerial: AerialFeatures
    grounds: tuple[GroundFeatures, ...]

    @property
    def columns(self) -> int:
        """Width of the views in cells."""
        return len(self.grounds[0].azimuth_rad)


class FeatureFolder:
    """All features of one or several encoded folders, in the memory of `device`.

    Raises ValueError where the folders hold none.
    """

    def __init__(
        self, folders: list[Path], track: Callable[[Iterable], Iterable] = iter, device: str = "cpu"
    ) -> None:
        self._folders, self._device = [Path(folder) for folder in folders], device
        self._groups: dict[Path, Group] = {}
        self._of_width: dict[int, list[Group]] = {}
        self.refresh(track)
        if not self._groups:
            raise ValueError(f"no encoded features in {', '.join(map(str, folders))}; run the encoding first")

    def __len__(self) -> int:
        return len(self._groups)

    @property
    def groups(self) -> list[Group]:
        """All groups, in the order in which they were read."""
        return list(self._groups.values())

    def refresh(self, track: Callable[[Iterable], Iterable] = iter) -> None:
        """Read the files written since the last call; features may be encoded while training runs."""
        paths = {path for folder in self._folders for path in folder.glob("*.npz")} - set(self._groups)
        for path in track(sorted(paths)):
            with np.load(path) as arrays:
                group = _load_group(arrays, self._device)
            self._groups[path] = group
            self._of_width.setdefault(group.columns, []).append(group)

    def draw(self, count: int, rng: np.random.Generator) -> list[Group]:
        """At most `count` random groups whose views have the same width, so that they fit into one batch."""
        widths = list(self._of_width)
        sizes = np.array([len(self._of_width[width]) for width in widths])
        groups = self._of_width[widths[rng.choice(len(widths), p=sizes / sizes.sum())]]
        return [groups[i] for i in rng.choice(len(groups), min(count, len(groups)), replace=False)]


def _load_group(arrays, device: str) -> Group:
    def tensor(name: str) -> Tensor:
        return torch.from_numpy(arrays[name]).to(device)

    def image(name: str) -> Tensor:
        return tensor(name).permute(2, 0, 1).contiguous()

    def tokens(name: str) -> Tensor | None:
        return tensor(name) if name in arrays else None

    aerial = AerialFeatures(image("aerial_image"), tokens("aerial_tokens"), float(arrays["half_extent_m"]))
    grounds = tuple(
        GroundFeatures(
            image(f"image_{i}"), tokens(f"tokens_{i}"), tensor(f"elevation_rad_{i}"), tensor(f"azimuth_rad_{i}"),
            tensor(f"valid_{i}"), tensor(f"range_m_{i}"), image(f"plan_{i}"), tensor(f"plan_xy_{i}"),
            tensor(f"height_m_{i}").float(), tensor(f"pose_{i}"),
        )
        for i in range(int(arrays["count"]))
    )  # fmt: skip
    return Group(aerial, grounds)
