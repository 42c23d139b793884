"""The network of the kernels and its optimizer.

Every shape, dtype, label and index is checked here; the C++ side trusts its caller.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any, Mapping, NamedTuple, Optional

import numpy as np
import numpy.typing as npt

from epochmark.errors import EpochmarkError
from epochmark.native.binding import MAX_THREADS, Order, load_library, usable_cores
from epochmark.workloads.shapes import parameter_shapes
from epochmark.workloads.spec import Adam, Workload

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

MAX_BATCH = 65_536
"""A batch's activations take about 48 kB an image."""

ISA_VARIABLE = "EPOCHMARK_NATIVE_ISA"
"""Environment variable that forces an instruction set (``avx512``, ``avx2``, ``portable``)."""

CLASSES = 10
IMAGE_SHAPE = (28, 28)


class StepResult(NamedTuple):
    """Of one batch: cross-entropies summed over its images (nats), and how many were right."""

    loss_sum: float
    correct: int


class Network:
    """The network of ``mnist-cnn`` and its optimizer, in float32, on ``threads`` threads.

    ``batch`` is the largest number of images a step may have. ``instruction_set`` None takes the
    one named by ``EPOCHMARK_NATIVE_ISA``, else the best of this machine. Raises EpochmarkError when
    the library, the instruction set, threads or memory cannot be had, or a number is out of range.
    """

    def __init__(
        self,
        workload: Workload,
        batch: int,
        threads: Optional[int] = None,
        instruction_set: Optional[str] = None,
    ) -> None:
        threads = usable_cores() if threads is None else threads
        check_range("threads", threads, MAX_THREADS)
        check_range("batch", batch, MAX_BATCH)
        self.batch = batch
        self.threads = threads
        self._shapes = parameter_shapes(workload)
        self._library = load_library()
        self._handle = _create(
            self._library,
            instruction_set or os.environ.get(ISA_VARIABLE, ""),
            threads,
            batch,
            workload.optimizer,
        )

    def __del__(self) -> None:
        if hasattr(self, "_handle"):  # not if __init__ failed
            self._library.em_destroy(self._handle)

    @property
    def instruction_set(self) -> str:
        return str(self._library.em_instruction_set(self._handle).decode())

    def set_weights(self, weights: Mapping[str, npt.NDArray[np.float32]]) -> None:
        """Take these weights (float32, shapes of the workload) and reset the optimizer."""
        if set(weights) != set(self._shapes):
            raise ValueError(f"weights must be {sorted(self._shapes)}, got {sorted(weights)}")
        for name, shape in self._shapes.items():
            array = weights[name]
            if array.shape != shape or array.dtype != np.float32:
                raise ValueError(f"{name} must be float32 {shape}, got {array.dtype} {array.shape}")
        flat = np.concatenate([np.ravel(weights[name]) for name in self._shapes])
        self._library.em_set_parameters(self._handle, flat)

    def get_weights(self) -> dict[str, Floats]:
        flat = np.empty(self._library.em_parameter_count(), np.float32)
        self._library.em_get_parameters(self._handle, flat)
        return self._split(flat)

    def get_moments(self) -> tuple[dict[str, Floats], dict[str, Floats], int]:
        """Adam's first and second moments by parameter name, and its steps so far."""
        count = self._library.em_parameter_count()
        first, second = np.empty(count, np.float32), np.empty(count, np.float32)
        steps = self._library.em_get_moments(self._handle, first, second)
        return self._split(first), self._split(second), steps

    def train_step(self, images: Pixels, labels: Pixels, order: Order) -> StepResult:
        """One optimizer step on ``images[order]``; the loss is that before the update.

        ``images`` uint8 (n, 28, 28) and ``labels`` uint8 (n,) must have passed
        ``check_data``, ``order`` uint32 be a part of a permutation of 0..n-1.
        """
        return self._call(self._library.em_train_step, images, labels, order)

    def evaluate_step(self, images: Pixels, labels: Pixels, order: Order) -> StepResult:
        """Loss and accuracy of ``images[order]``, no training; arguments as ``train_step``."""
        return self._call(self._library.em_evaluate, images, labels, order)

    def gradients(self, images: Pixels, labels: Pixels) -> tuple[StepResult, dict[str, Floats]]:
        """Gradients of the mean loss of one batch by parameter name; nothing is updated."""
        check_data(images, labels)
        flat = np.empty(self._library.em_parameter_count(), np.float32)
        order = np.arange(len(labels), dtype=np.uint32)
        result = self._call(self._library.em_gradients, images, labels, order, flat)
        return result, self._split(flat)

    def _call(
        self, function: Any, images: Pixels, labels: Pixels, order: Order, *more: Any
    ) -> StepResult:
        if not 1 <= len(order) <= self.batch:
            raise ValueError(f"a step takes 1 to {self.batch} images, got {len(order)}")
        loss_sum, correct = ctypes.c_double(), ctypes.c_int64()
        function(
            self._handle,
            images,
            labels,
            order,
            len(order),
            ctypes.byref(loss_sum),
            ctypes.byref(correct),
            *more,
        )
        return StepResult(loss_sum.value, correct.value)

    def _split(self, flat: Floats) -> dict[str, Floats]:
        sizes = [int(np.prod(shape)) for shape in self._shapes.values()]
        parts = np.split(flat, np.cumsum(sizes)[:-1])
        return {
            name: part.reshape(shape) for (name, shape), part in zip(self._shapes.items(), parts)
        }


def check_data(images: Pixels, labels: Pixels) -> None:
    """Raises ValueError unless these are uint8 images (n, 28, 28) and labels (n,) in 0..9."""
    if images.dtype != np.uint8 or images.shape[1:] != IMAGE_SHAPE or not images.flags.c_contiguous:
        raise ValueError(
            f"images must be contiguous uint8 (n, 28, 28), got {images.dtype} {images.shape}"
        )
    if labels.dtype != np.uint8 or labels.ndim != 1 or not labels.flags.c_contiguous:
        raise ValueError(f"labels must be contiguous uint8 (n,), got {labels.dtype} {labels.shape}")
    if not len(images) == len(labels) > 0:
        raise ValueError(f"{len(images)} images do not match {len(labels)} labels")
    if labels.max() >= CLASSES:
        raise ValueError(f"labels must be 0 to {CLASSES - 1}, got {labels.max()}")


def check_range(name: str, value: int, largest: int) -> None:
    """Raises EpochmarkError unless 1 <= ``value`` <= ``largest``."""
    if not 1 <= value <= largest:
        raise EpochmarkError(
            f"The native engine takes 1 to {largest} for {name}, not {value}.", exit_code=2
        )


def _create(
    library: ctypes.CDLL, instruction_set: str, threads: int, batch: int, adam: Adam
) -> int:
    message = ctypes.create_string_buffer(512)
    handle = library.em_create(
        instruction_set.encode(),
        threads,
        batch,
        adam.learning_rate,
        adam.beta_1,
        adam.beta_2,
        adam.epsilon,
        message,
        len(message),
    )
    if not handle:
        raise EpochmarkError(f"The native engine cannot start: {message.value.decode()}.")
    return int(handle)
