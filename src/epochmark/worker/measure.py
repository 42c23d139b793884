"""The story of one measurement of limits: a processor's, or an engine's on one device."""

from __future__ import annotations

import functools
import itertools
import math
import sys
import time
from typing import Any, Callable, Dict, List, Union

import numpy as np
import numpy.typing as npt

from epochmark.engines import Engine, Operations, Settings, get_engine
from epochmark.errors import EpochmarkError
from epochmark.native import instruction_sets, usable_cores
from epochmark.native.meter import Meter, bfloat16_instruction_sets, product_size
from epochmark.worker.protocol import (
    Figure,
    Finished,
    Hello,
    LimitsJob,
    MessagePipe,
    Opened,
    PhasedRun,
    Trouble,
    UsedSettings,
)
from epochmark.workloads import WORKLOADS
from epochmark.workloads._proof import reference
from epochmark.workloads.initial_weights import draw_weights
from epochmark.workloads.shapes import layer_shapes
from epochmark.workloads.spec import Shape

BUDGET_S = 0.4
"""For all repetitions of one piece of work, if the least number of them takes no longer."""
REPETITION_S = 0.01
"""A repetition has enough calls to take at least this long: clocks and waking threads then
cost less than a thousandth."""
FEWEST, MOST = 3, 200
CONVOLUTION = "conv_2"
SEED = 1
TOLERANCE = 0.02
"""Of the largest entry. Bfloat16 factors, as TPUs take by default, err by 0.4 % at most in each
product, and much less in sums; a wrong result is wrong by all of it."""

Floats = npt.NDArray[np.float32]
Facts = Dict[str, Union[str, int]]


class LimitsRun(PhasedRun):
    """One job carried out; ``phase`` says how far it came when something raises."""

    def __init__(self, job: LimitsJob, pipe: MessagePipe) -> None:
        super().__init__(pipe)
        self._job = job

    def carry_out(self) -> None:
        """Measure and report. Whatever an engine raises passes through."""
        if self._job.engine is None:
            self._pipe.send(Hello(sys.version.split()[0], {}))
            self._measure_processor()
        else:
            self._measure_engine(self._job.engine)
        self._pipe.send(Finished(None))

    def _measure_processor(self) -> None:
        for threads in sorted({1, usable_cores()}):
            on = f"{threads} thread{'s' if threads > 1 else ''}"
            for name in instruction_sets():
                self._enter(f"{name}, {on}")
                self._measure_instruction_set(name, Meter(name, threads))
            meter = Meter("", threads)
            for name in bfloat16_instruction_sets():
                self._enter(f"{name}, {on}")
                facts: Facts = {
                    "instruction_set": name,
                    "precision": "bfloat16",
                    "threads": threads,
                }
                call = functools.partial(meter.bfloat16_multiply_adds, name)
                self._time("multiply_adds", facts, call)
            self._enter(f"memory, {on}")
            try:
                self._measure_bandwidth(meter)
            except EpochmarkError as error:
                self._pipe.send(Trouble(f"memory bandwidth, {on}: {error}"))

    def _measure_instruction_set(self, name: str, meter: Meter) -> None:
        facts: Facts = {"instruction_set": name, "threads": meter.threads}
        self._time("multiply_adds", {**facts, "precision": "float32"}, meter.multiply_adds)
        size = product_size()
        a, b = _random((size, size), (size, size))
        c = np.empty_like(a)
        self._time(
            "product",
            {**facts, "size": size},
            lambda: meter.product(a, b, c),
            work=2.0 * size**3,
        )
        _check("matrix product of the native kernels", c[:16], a[:16] @ b)

    def _measure_bandwidth(self, meter: Meter) -> None:
        array_bytes = self._job.triad_array_bytes
        meter.allocate_triad(array_bytes)
        facts: Facts = {"threads": meter.threads, "array_bytes": array_bytes}
        self._time("triad", facts, meter.triad, work=3.0 * array_bytes)
        if meter.triad_error() != 0.0:
            raise RuntimeError("the triad of the native kernels is wrong")

    def _measure_engine(self, name: str) -> None:
        job, pipe = self._job, self._pipe
        engine = get_engine(name)
        workload = WORKLOADS[job.workload]
        pipe.send(Hello(sys.version.split()[0], engine.versions()))
        self._enter("starting")
        device = engine.open(
            Settings(
                workload=workload,
                device=job.device,
                precision="stock",
                tuning="stock",
                seed=SEED,
                epochs=1,
                batch_size=workload.batch_size,
            )
        )
        pipe.send(Opened(device.id, device.description))
        engine.build(draw_weights(workload, SEED))
        settings = engine.effective_settings()
        pipe.send(UsedSettings({key: str(value) for key, value in settings.items()}))
        operations = engine.operations()
        if operations is None:
            pipe.send(Trouble("it does not offer its operations one by one"))
            return
        self._measure_product(operations)
        self._measure_convolution(operations)
        self._measure_dispatch(operations)
        self._measure_input(operations, engine)

    def _measure_product(self, operations: Operations) -> None:
        self._enter("matrix product")
        size = operations.product_size
        a, b = _random((size, size), (size, size))
        left, right = operations.put(a), operations.put(b)
        multiply = operations.multiply
        got = operations.get(multiply(left, right))
        _check("matrix product", got[:16], a[:16] @ b)
        self._time(
            "product",
            {"size": size},
            lambda: multiply(left, right),
            operations.wait,
            work=2.0 * size**3,
        )

    def _measure_convolution(self, operations: Operations) -> None:
        self._enter("convolution")
        workload = WORKLOADS[self._job.workload]
        shapes = next(entry for entry in layer_shapes(workload) if entry.layer.name == CONVOLUTION)
        assert shapes.kernel is not None
        images, kernel = _random((workload.batch_size, *shapes.input), shapes.kernel)
        laid = operations.put(_transposed(images, "NHWC", operations.image_axes))
        laid_kernel = operations.put(_transposed(kernel, "HWIO", operations.kernel_axes))
        convolve = operations.convolve
        got = _transposed(
            operations.get(convolve(laid, laid_kernel)), operations.image_axes, "NHWC"
        )
        wanted = reference.convolve(
            images[:1].astype(np.float64), kernel.astype(np.float64), np.zeros(kernel.shape[-1])
        )
        if operations.pools:
            wanted = reference.max_pool(reference.relu(wanted), 2)
        _check("convolution", got[:1], wanted)
        self._time(
            "convolution",
            {},
            lambda: convolve(laid, laid_kernel),
            operations.wait,
            work=2.0 * workload.batch_size * shapes.positions * math.prod(shapes.kernel),
        )

    def _measure_dispatch(self, operations: Operations) -> None:
        """Every call is waited for: this is how long one takes from Python and back."""
        self._enter("dispatch")
        first, second = (operations.put(np.array(value, np.float32)) for value in (1, 2))
        add, wait = operations.add, operations.wait
        _check("sum", operations.get(add(first, second)), np.array(3.0, np.float32))
        self._time("dispatch", {}, lambda: wait(add(first, second)), work=1.0)

    def _measure_input(self, operations: Operations, engine: Engine) -> None:
        """Batches in shuffled order from as many images as a run has: caches do not hold them."""
        fetch = operations.fetch
        if fetch is None:
            return
        self._enter("input")
        workload = WORKLOADS[self._job.workload]
        generator, size = np.random.default_rng(SEED), workload.batch_size
        count = workload.train_samples // size * size
        pixels = generator.integers(0, 256, (count, *workload.input_shape[:2]), np.uint8)
        labels = generator.integers(0, workload.classes, count, np.uint8)
        data = engine.load(pixels, labels)
        batches = generator.permutation(count).reshape(-1, size)
        images, classes = (operations.get(part) for part in fetch(data, batches[0]))
        first = pixels[batches[0]].reshape(size, -1).astype(np.float32)
        wanted = first / np.float32(workload.pixel_scale)
        _check("batch of images", images.reshape(size, -1), wanted)
        _check("batch of labels", classes.astype(np.uint8), labels[batches[0]])
        in_turn = itertools.cycle(batches)
        self._time("input", {}, lambda: fetch(data, next(in_turn)), operations.wait, wanted.nbytes)

    def _time(
        self,
        what: str,
        facts: Facts,
        call: Callable[[], Any],
        wait: Callable[[Any], Any] = lambda result: None,
        work: float = 0.0,
    ) -> None:
        """Report repetitions of ``call``; without ``work`` it returns how much it did."""
        done = call()
        wait(done)
        self._pipe.send(Figure(what, facts, work or float(done), time_calls(call, wait)))


def time_calls(call: Callable[[], Any], wait: Callable[[Any], Any]) -> List[float]:
    """Seconds a call takes, of several repetitions of as many calls as need ``REPETITION_S``.

    ``wait`` gets the result of a repetition's last call.
    """
    calls = 1
    while True:
        seconds = _repetition(call, wait, calls)
        if seconds >= REPETITION_S:
            break
        calls *= 2
    count = max(FEWEST, min(MOST, int(BUDGET_S / seconds)))
    return [_repetition(call, wait, calls) / calls for _ in range(count)]


def _repetition(call: Callable[[], Any], wait: Callable[[Any], Any], calls: int) -> float:
    start_ns = time.perf_counter_ns()
    for _ in range(calls):
        result = call()
    wait(result)
    return (time.perf_counter_ns() - start_ns) / 1e9


def _random(*shapes: Shape) -> List[Floats]:
    generator = np.random.default_rng(SEED)
    return [generator.standard_normal(shape, np.float32) for shape in shapes]


def _transposed(array: npt.NDArray[Any], axes: str, wanted: str) -> npt.NDArray[Any]:
    return np.ascontiguousarray(array.transpose([axes.index(axis) for axis in wanted]))


def _check(what: str, got: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> None:
    """Raises ``RuntimeError`` when the result is not what it should be."""
    if got.shape != wanted.shape:
        raise RuntimeError(f"its {what} has the shape {got.shape}, not {wanted.shape}")
    error = float(np.max(np.abs(got - wanted)) / np.max(np.abs(wanted)))
    if not error <= TOLERANCE:  # nor NaN
        raise RuntimeError(f"its {what} is wrong by {error:.1%} of the largest entry")
