"""An engine's training state, and the file in which it travels: float32, little-endian, nothing but
the numbers."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from epochmark.workloads.shapes import parameter_count, parameter_shapes
from epochmark.workloads.spec import Workload

Weights = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class State:
    """Weights, Adam's two moments and the optimizer's steps so far (``engines.TrainingState``)."""

    weights: Weights
    first: Weights
    second: Weights
    steps: int


STATES = 3
"""In the file: at the fit's end, after the single steps, after the repeated ones."""


def write_state(file: BinaryIO, workload: Workload, parts: Sequence[Weights]) -> None:
    """Append weights, first and second moments, each parameter in layer order.

    Raises ValueError where an array is not there or has not the shape that the workload gives it.
    """
    for part in parts:
        for name, shape in parameter_shapes(workload).items():
            if name not in part:
                raise ValueError(f"the engine's state has no {name}")
            array = np.asarray(part[name])
            if array.shape != shape:
                raise ValueError(f"{name} has shape {array.shape} in the state, not {shape}")
            file.write(np.ascontiguousarray(array, "<f4").tobytes())


def read_state(
    path: Path, workload: Workload, number: int
) -> list[dict[str, npt.NDArray[np.float32]]]:
    """One of the three states of a file, from 0: weights, first and second moments by parameter
    name. All three of a large workload would not fit into memory beside their float64.

    The file is the worker's and not trusted. Raises ValueError unless it is a plain file of exactly
    the size that the workload gives it; OSError where it cannot be read.
    """
    count = parameter_count(workload)
    state_size = 3 * count * 4
    size = STATES * state_size
    # a link is refused, and a pipe must not keep us waiting
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_size != size:
            raise ValueError(f"the file of its states has {found.st_size} bytes, not {size}")
        file.seek(number * state_size)
        numbers = np.frombuffer(file.read(state_size), "<f4")
    if len(numbers) != 3 * count:
        raise ValueError("the file of its states changed while it was read")
    return [_by_name(workload, part) for part in numbers.reshape(3, count)]


def _by_name(
    workload: Workload, flat: npt.NDArray[np.float32]
) -> dict[str, npt.NDArray[np.float32]]:
    shapes = parameter_shapes(workload)
    sizes = [math.prod(shape) for shape in shapes.values()]
    pieces = np.split(flat, np.cumsum(sizes)[:-1])
    return {name: piece.reshape(shapes[name]) for name, piece in zip(shapes, pieces)}
