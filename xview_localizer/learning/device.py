"""The device on which networks are trained."""

from __future__ import annotations

import torch

DEVICES = ("cpu", "cuda")


class DeviceError(ValueError):
    """The device for training is unknown, or there is none."""


def require_device(name: str) -> None:
    """Raise DeviceError unless training can run on `name`: before data are made, which may take hours."""
    if name.partition(":")[0] not in DEVICES:
        raise DeviceError(f"--device must be {' or '.join(DEVICES)}, got {name!r}")
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:  # AssertionError where torch was built without CUDA
        why = str(error).partition("\n")[0]
        raise DeviceError(
            f"--device {name} cannot be used: {why}; take cpu, or install a driver and a PyTorch that fit the GPU"
        ) from error
