"""Reading published weights safely, and loading them into a module of the same names and shapes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor, nn

from xview_localizer.models.manifest import ModelPackageError


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file or a PyTorch checkpoint by name; code in the file is not run.

    Raises ModelPackageError where the file holds anything but tensors.
    """
    read = _read_safetensors if path.suffix == ".safetensors" else _read_checkpoint
    try:
        loaded = read(path)
    except UnpicklingError as error:
        # PyTorch's own text advises to read the file without this safety.
        raise ModelPackageError(
            f"{path} cannot be read as weights: it holds more than tensors, whose code is not run, or is damaged; save "
            "the network's state_dict() alone"
        ) from error
    except Exception as error:  # what the readers raise for a damaged file has no common base class
        cause = str(error) or type(error).__name__
        raise ModelPackageError(f"{path} cannot be read as weights: {cause}") from error
    if not isinstance(loaded, Mapping) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise ModelPackageError(f"{path} is not a plain dictionary of tensors; save its state_dict() alone")
    return dict(loaded)


def _read_safetensors(path: Path) -> object:
    from safetensors.torch import load_file

    return load_file(str(path))


def _read_checkpoint(path: Path) -> object:
    return torch.load(path, map_location="cpu", weights_only=True)


def load_exactly(module: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Load `weights` into `module`. Raises ModelPackageError where names or shapes differ."""
    expected = module.state_dict()
    missing = [name for name in expected if name not in weights]
    unexpected = [name for name in weights if name not in expected]
    if missing or unexpected:
        raise ModelPackageError(
            f"{path} is of another layout: first missing tensor {next(iter(missing), 'none')}, "
            f"first unexpected {next(iter(unexpected), 'none')}"
        )
    for name, value in expected.items():
        if value.shape != weights[name].shape:
            raise ModelPackageError(
                f"{path}: {name} has shape {list(weights[name].shape)}, {list(value.shape)} is expected"
            )
    module.load_state_dict(weights)
