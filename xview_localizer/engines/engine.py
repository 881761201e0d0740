"""The interface of inference engines: named arrays in, named arrays out, batch 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np


class EngineError(RuntimeError):
    """A graph cannot be loaded or run; the message names the graph, the tensor and what was expected."""


@dataclass(frozen=True)
class SizeRange:
    """The sizes of a free axis: the least, the typical one, for which engines are optimized, and the greatest."""

    least: int
    typical: int
    greatest: int

    def divided(self, by: int) -> SizeRange:
        """The sizes of an axis that is `by` times coarser."""
        return SizeRange(self.least // by, self.typical // by, self.greatest // by)


# Sizes by axis, by input; axes and inputs of fixed size are left out.
InputSizes = Mapping[str, Mapping[int, SizeRange]]


@dataclass(frozen=True)
class Graph:
    """An ONNX file and the sizes of inputs with which it is run."""

    name: str
    path: Path
    sha256: str
    sizes: InputSizes = field(default_factory=dict)


@dataclass(frozen=True)
class TensorSpec:
    """Name, shape (None = any size) and dtype of one input or output."""

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype


class Engine(Protocol):
    """Runs one graph. `run` raises EngineError on inputs that do not fit `inputs`."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the graph once."""
        ...


def check_inputs(graph: str, expected: Sequence[TensorSpec], inputs: Mapping[str, np.ndarray]) -> None:
    """Raise EngineError where names, shapes or dtypes of `inputs` are not those that `graph` takes."""
    for spec in expected:
        if spec.name not in inputs:
            raise EngineError(f"{graph} needs the input {spec.name!r}, got {sorted(inputs)}")
        array = inputs[spec.name]
        fits = len(array.shape) == len(spec.shape) and all(
            want is None or want == got for want, got in zip(spec.shape, array.shape, strict=True)
        )
        if not fits:
            raise EngineError(f"{graph}: {spec.name!r} must have shape {spec.shape}, got {array.shape}")
        if array.dtype != spec.dtype:
            raise EngineError(f"{graph}: {spec.name!r} must be {spec.dtype}, got {array.dtype}")
    unknown = sorted(set(inputs) - {spec.name for spec in expected})
    if unknown:
        raise EngineError(f"{graph} has no input {unknown[0]!r}; it takes {[spec.name for spec in expected]}")


def typical_inputs(specs: Sequence[TensorSpec], sizes: InputSizes) -> dict[str, np.ndarray]:
    """Zeros of the typical sizes; free axes without declared sizes have the size 1."""
    shapes = {
        spec.name: tuple(
            size if size is not None else sizes.get(spec.name, {}).get(axis, SizeRange(1, 1, 1)).typical
            for axis, size in enumerate(spec.shape)
        )
        for spec in specs
    }
    return {spec.name: np.zeros(shapes[spec.name], spec.dtype) for spec in specs}
