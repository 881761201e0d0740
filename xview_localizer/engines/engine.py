"""The small interface behind which a graph runs: named arrays in, named arrays out, batch 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np


class EngineError(RuntimeError):
    """A graph cannot be loaded or run; the message names the graph, the tensor and what was expected."""


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
