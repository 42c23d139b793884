"""The embedded kernels: a thin, checking binding to ``libepochmark_native`` (see ``api.h``).

Every shape, dtype, label and index is checked here; the C++ side trusts its caller.
"""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from pathlib import Path
from typing import Any, Mapping, NamedTuple, Optional

import numpy as np
import numpy.typing as npt

from epochmark.errors import EpochmarkError
from epochmark.workloads.shapes import parameter_shapes
from epochmark.workloads.spec import Adam, Workload

__all__ = [
    "MAX_BATCH",
    "MAX_THREADS",
    "Network",
    "Order",
    "StepResult",
    "build",
    "check_data",
    "compiler",
    "instruction_sets",
    "kernel_version",
    "shuffled_order",
    "usable_cores",
]

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Order = npt.NDArray[np.uint32]

MAX_THREADS = 256
"""Each thread holds about 2 MB of its own; more threads than a batch has images cannot help."""

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


def library_path() -> Path:
    """Where the shared library must be: beside this file."""
    suffix = "dylib" if sys.platform == "darwin" else "so"
    return Path(__file__).with_name(f"libepochmark_native.{suffix}")


@functools.cache
def _library() -> ctypes.CDLL:
    path = library_path()
    if not path.is_file():
        raise EpochmarkError(
            f"The native engine's library is missing: {path} does not exist. Install epochmark "
            "again, from a wheel or in a clone with pip install --force-reinstall --no-deps . and "
            "a C++ compiler (Debian, Ubuntu: sudo apt install g++; macOS: xcode-select --install)."
        )
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise EpochmarkError(
            f"The native engine's library cannot be loaded: {error}. It was probably built for "
            "another system or processor; build it here, in a clone: "
            "pip install --force-reinstall --no-deps ."
        ) from error
    _declare(library)
    return library


def _declare(library: ctypes.CDLL) -> None:
    """Argument types of ``api.h``."""
    network, text = ctypes.c_void_p, ctypes.c_char_p
    bytes_in = np.ctypeslib.ndpointer(np.uint8, flags="C_CONTIGUOUS")
    order_in = np.ctypeslib.ndpointer(np.uint32, ndim=1, flags="C_CONTIGUOUS")
    order_out = np.ctypeslib.ndpointer(np.uint32, ndim=1, flags=("C_CONTIGUOUS", "WRITEABLE"))
    floats = np.ctypeslib.ndpointer(np.float32, ndim=1, flags="C_CONTIGUOUS")
    floats_out = np.ctypeslib.ndpointer(np.float32, ndim=1, flags=("C_CONTIGUOUS", "WRITEABLE"))
    real, whole = ctypes.c_double, ctypes.c_int
    batch = [network, bytes_in, bytes_in, order_in, whole]
    results = [ctypes.POINTER(ctypes.c_double), ctypes.POINTER(ctypes.c_int64)]
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "em_kernel_version": (whole, []),
        "em_build": (text, []),
        "em_compiler": (text, []),
        "em_instruction_sets": (text, []),
        "em_parameter_count": (ctypes.c_int64, []),
        "em_create": (
            network,
            [text, whole, whole, real, real, real, real, text, ctypes.c_size_t],
        ),
        "em_destroy": (None, [network]),
        "em_instruction_set": (text, [network]),
        "em_set_parameters": (None, [network, floats]),
        "em_get_parameters": (None, [network, floats_out]),
        "em_get_moments": (ctypes.c_int64, [network, floats_out, floats_out]),
        "em_train_step": (None, batch + results),
        "em_gradients": (None, [*batch, *results, floats_out]),
        "em_evaluate": (None, batch + results),
        "em_shuffle": (None, [ctypes.c_uint64, ctypes.c_uint64, order_out, ctypes.c_int64]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments


def kernel_version() -> int:
    """Raised with every change of the kernels; part of the comparability key."""
    return int(_library().em_kernel_version())


def build() -> str:
    """``Release``, or how the kernels were compiled otherwise than they are released."""
    return str(_library().em_build().decode())


def compiler() -> str:
    """Who compiled the kernels, and its version."""
    return str(_library().em_compiler().decode())


def instruction_sets() -> list[str]:
    """Instruction sets this machine can run the kernels with, best first."""
    return str(_library().em_instruction_sets().decode()).split(",")


def usable_cores() -> int:
    """Cores this process may use, at most ``MAX_THREADS``."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MAX_THREADS)
    return min(os.cpu_count() or 1, MAX_THREADS)


def shuffled_order(seed: int, epoch: int, count: int) -> Order:
    """A uniformly random permutation of 0..count-1; a function of its arguments alone."""
    order = np.empty(count, np.uint32)
    _library().em_shuffle(seed % 2**64, epoch % 2**64, order, count)
    return order


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
        _check_range("threads", threads, MAX_THREADS)
        _check_range("batch", batch, MAX_BATCH)
        self.batch = batch
        self.threads = threads
        self._shapes = parameter_shapes(workload)
        self._library = _library()
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
        """Take these weights (float32, shapes of the workload) and start the optimizer anew."""
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


def _check_range(name: str, value: int, largest: int) -> None:
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
