"""A workload's network in the kernels, and its optimizer.

Every shape, dtype, target and index is checked here; the C++ side trusts its caller.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any, Mapping, NamedTuple, Optional

import numpy as np
import numpy.typing as npt

from epochmark.errors import EpochmarkError
from epochmark.native.binding import (
    MAX_THREADS,
    Description,
    Order,
    describe,
    load_library,
    usable_cores,
)
from epochmark.workloads.shapes import parameter_count, parameter_shapes
from epochmark.workloads.spec import Images, Workload

Samples = npt.NDArray[np.unsignedinteger[Any]]
Floats = npt.NDArray[np.float32]

ISA_VARIABLE = "EPOCHMARK_NATIVE_ISA"
"""Environment variable that forces an instruction set (``avx512``, ``avx2``, ``portable``; of
bfloat16 ``avx512_bf16``)."""


class StepResult(NamedTuple):
    """Of one batch: cross-entropies summed over its targets (nats), and how many were right."""

    loss_sum: float
    correct: int


class Network:
    """The network of a workload and its optimizer, on ``threads`` threads.

    ``batch`` is the largest number of samples a step may have; ``context`` the symbols of each
    sequence, a multiple of 32, where it is to be shorter than the workload's. ``instruction_set``
    None takes the one named by ``EPOCHMARK_NATIVE_ISA``, else the best of this machine.
    ``precision`` is what products multiply (``float32``, ``bfloat16``); weights and all that goes
    in and out is float32. Raises EpochmarkError when the library, the workload, the precision, the
    instruction set, threads or memory cannot be had, or a number is out of range.
    """

    def __init__(
        self,
        workload: Workload,
        batch: int,
        threads: Optional[int] = None,
        instruction_set: Optional[str] = None,
        precision: str = "float32",
        context: Optional[int] = None,
    ) -> None:
        threads = usable_cores() if threads is None else threads
        description = _description_of(workload)
        check_range("threads", threads, MAX_THREADS)
        check_range("batch", batch, description.largest_batch)
        self.batch = batch
        self.threads = threads
        self._workload = workload
        self._context = context
        self._description = description
        self._shapes = parameter_shapes(workload)
        self._library = load_library()
        self._handle = _create(
            self._library,
            instruction_set or os.environ.get(ISA_VARIABLE, ""),
            (threads, batch, context or 0),
            workload,
            precision,
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
        flat = np.empty(self._description.parameters, np.float32)
        self._library.em_get_parameters(self._handle, flat)
        return self._split(flat)

    def get_moments(self) -> tuple[dict[str, Floats], dict[str, Floats], int]:
        """Adam's first and second moments by parameter name, and its steps so far."""
        count = self._description.parameters
        first, second = np.empty(count, np.float32), np.empty(count, np.float32)
        steps = self._library.em_get_moments(self._handle, first, second)
        return self._split(first), self._split(second), steps

    def train_step(self, inputs: Samples, targets: Samples, order: Order) -> StepResult:
        """One optimizer step on ``inputs[order]``; the loss is that before the update.

        ``inputs`` and ``targets`` must have passed ``check_data``; ``order`` uint32, each below n.
        """
        return self._call(self._library.em_train_step, inputs, targets, order)

    def evaluate_step(self, inputs: Samples, targets: Samples, order: Order) -> StepResult:
        """Loss and accuracy of ``inputs[order]``, no training; arguments as ``train_step``."""
        return self._call(self._library.em_evaluate, inputs, targets, order)

    def gradients(self, inputs: Samples, targets: Samples) -> tuple[StepResult, dict[str, Floats]]:
        """Gradients of the mean loss of one batch by parameter name; nothing is updated."""
        check_data(self._workload, inputs, targets, self._context)
        flat = np.empty(self._description.parameters, np.float32)
        order = np.arange(len(targets), dtype=np.uint32)
        stored = np.zeros_like(flat)
        result = self._call(self._library.em_gradients, inputs, targets, order, flat, stored)
        return result, self._split(flat)

    def _call(
        self, function: Any, inputs: Samples, targets: Samples, order: Order, *more: Any
    ) -> StepResult:
        if not 1 <= len(order) <= self.batch:
            samples = self._workload.samples
            raise ValueError(f"a step takes 1 to {self.batch} {samples}, got {len(order)}")
        _check_kinds((self._workload, self._context), self._description, inputs, targets)
        if order.max() >= min(len(inputs), len(targets)):
            raise ValueError(f"there is no sample {order.max()} of {len(inputs)}, {len(targets)}")
        loss_sum, correct = ctypes.c_double(), ctypes.c_int64()
        function(
            self._handle,
            inputs,
            targets,
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


def check_data(
    workload: Workload, inputs: Samples, targets: Samples, context: Optional[int] = None
) -> None:
    """Raises ValueError unless these are samples of the workload and their targets: unsigned, of
    the bytes that the library takes, contiguous, and none too large. ``context``: that of shorter
    sequences."""
    _check_kinds((workload, context), _description_of(workload), inputs, targets)
    answers = _answers(workload)
    if not len(inputs) == len(targets) > 0:
        raise ValueError(f"{len(inputs)} {workload.samples} do not match {len(targets)} {answers}")
    symbols = {} if isinstance(workload.input, Images) else {workload.samples: inputs}
    for name, array in {**symbols, answers: targets}.items():
        if array.max() >= workload.classes:
            raise ValueError(f"{name} must be 0 to {workload.classes - 1}, got {array.max()}")


def _check_kinds(
    of: tuple[Workload, Optional[int]],
    description: Description,
    inputs: Samples,
    targets: Samples,
) -> None:
    """``of``: the workload, and the context of shorter sequences."""
    workload, context = of
    images = isinstance(workload.input, Images)
    input_shape = _input_shape(workload) if context is None else (context,)
    _check_kind(workload.samples, inputs, input_shape, description.input_bytes)
    shape = () if images else input_shape
    _check_kind(_answers(workload), targets, shape, description.target_bytes)


def _check_kind(name: str, array: Samples, shape: tuple[int, ...], item_bytes: int) -> None:
    """``array`` must be contiguous, unsigned and ``(n, *shape)``."""
    wanted = np.dtype(f"u{item_bytes}")
    if array.dtype != wanted or array.shape[1:] != shape or not array.flags.c_contiguous:
        sizes = ", ".join(map(str, ("n", *shape))) + ("" if shape else ",")
        raise ValueError(
            f"{name} must be contiguous {wanted} ({sizes}), got {array.dtype} {array.shape}"
        )


def _input_shape(workload: Workload) -> tuple[int, ...]:
    """Of one sample as data sets hold it: an image of one channel is height by width."""
    shape = workload.input_shape
    return shape[:2] if isinstance(workload.input, Images) and shape[2] == 1 else shape


def _answers(workload: Workload) -> str:
    return "labels" if isinstance(workload.input, Images) else "targets"


def _description_of(workload: Workload) -> Description:
    """What the library says of this workload. Raises EpochmarkError where it trains another network
    or data of that name."""
    found = describe(workload.name)
    wanted = (
        parameter_count(workload),
        int(np.prod(workload.input_shape)),
        workload.targets_per_sample,
        workload.classes,
    )
    given = (found.parameters, found.inputs, found.targets, found.classes)
    if given != wanted:
        raise EpochmarkError(
            f"The native engine's library has another {workload.name}: parameters, inputs, targets "
            f"and classes are {given}, here {wanted}. Build it again, in a clone: "
            "pip install --force-reinstall --no-deps ."
        )
    return found


def check_range(name: str, value: int, largest: int) -> None:
    """Raises EpochmarkError unless 1 <= ``value`` <= ``largest``."""
    if not 1 <= value <= largest:
        raise EpochmarkError(
            f"The native engine takes 1 to {largest} for {name}, not {value}.", exit_code=2
        )


def _create(
    library: ctypes.CDLL,
    instruction_set: str,
    numbers: tuple[int, int, int],
    workload: Workload,
    precision: str,
) -> int:
    """``numbers``: threads, batch, and the context or 0."""
    adam = workload.optimizer
    message = ctypes.create_string_buffer(512)
    handle = library.em_create(
        workload.name.encode(),
        precision.encode(),
        instruction_set.encode(),
        *numbers,
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
