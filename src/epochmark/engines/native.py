"""The embedded engine: C++ kernels of our own for certain workloads, on the CPU.

It is the tool's yardstick: no framework, no version of one, the same arithmetic everywhere. The
kernels and what they do are in ``epochmark/native`` (docs/native.md).
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
import numpy.typing as npt

from epochmark import native
from epochmark.engines._shared.batches import own_part
from epochmark.engines._shared.contract import (
    Batch,
    Device,
    DeviceUnavailableError,
    Engine,
    Inputs,
    Operations,
    Settings,
    Stopwatch,
    Targets,
    TrainingState,
    UnavailableError,
    Weights,
)
from epochmark.engines._shared.info import ALL_WORDS, EngineInfo, Support, Variables
from epochmark.native.meter import POOLED_SHAPE, Meter, product_size
from epochmark.native.network import ISA_VARIABLE
from epochmark.workloads.spec import SGD, Images, Optimizer

CPU = Device("cpu", "the processor")

Data = Tuple[Inputs, Targets]
Floats = npt.NDArray[np.float32]


class NativeEngine(Engine):
    info = EngineInfo(
        name="native",
        title="Native kernels",
        summary="embedded C++ kernels, nothing to install",
        family="native",
        adam_form="epsilon_hat",
        words=ALL_WORDS,
        workloads=("mnist-cnn", "mnist-mlp", "gpt-3m", "gpt-124m"),
        precisions=("stock", "float32", "bfloat16"),
        limited_precisions=(("bfloat16", ("mnist-mlp", "gpt-3m")),),
        devices=(
            Support("cpu", "the package's own kernels ([native.md](native.md))", "x86-64 Linux"),
        ),
        variables=Variables(switches=("EPOCHMARK_NATIVE_*",), handed=(ISA_VARIABLE,)),
    )

    _settings: Settings
    _precision: str
    _network: Optional[native.Network] = None

    def list_devices(self) -> List[Device]:
        return [CPU]

    def open(self, settings: Settings) -> Device:
        if settings.device != CPU.id:
            raise DeviceUnavailableError(
                f"The native engine has no device {settings.device!r}; it trains on: {CPU.id}."
            )
        self._settings = settings
        self._precision = "float32" if settings.precision == "stock" else settings.precision
        _check_precision(self._precision)  # a missing library shows here, before data is loaded
        return CPU

    def load(self, inputs: Inputs, targets: Targets) -> Data:
        return self._checked(inputs, targets)

    def build(self, weights: Weights) -> None:
        self._network = self._new_network(weights)

    def fit(self, data: Data, stopwatch: Stopwatch) -> None:
        inputs, targets = data
        settings, network = self._settings, self._built()
        steps_left = settings.max_steps
        for epoch in range(settings.epochs):
            batches = _split(self._order(epoch, len(targets)), settings.batch_size)
            wanted = batches[:steps_left]
            so_far = _EpochSoFar(settings.workload.targets_per_sample)
            for batch in wanted:
                lap_due = so_far.steps_since_lap and stopwatch.wants_lap()
                if lap_due and not stopwatch.lap(*so_far.end_lap()):
                    return
                so_far.add(network.train_step(inputs, targets, batch), len(batch))
            if len(wanted) < len(batches):
                stopwatch.lap(*so_far.end_lap())
                return
            if steps_left is not None:
                steps_left -= len(wanted)
            if not stopwatch.epoch(*so_far.end_lap()) or steps_left == 0:
                return

    def observed_devices(self) -> List[str]:
        return [CPU.id]

    def evaluate(self, inputs: Inputs, targets: Targets) -> Tuple[float, float]:
        inputs, targets = self._checked(inputs, targets)
        network = self._built()
        results = [
            network.evaluate_step(inputs, targets, batch)
            for batch in _split(np.arange(len(targets), dtype=np.uint32), network.batch)
        ]
        loss = sum(result.loss_sum for result in results) / targets.size
        return loss, sum(result.correct for result in results) / targets.size

    def replay(
        self, weights: Weights, batches: Sequence[Batch], optimizer: Optional[Optimizer] = None
    ) -> List[float]:
        context = self._shorter_context(batches[0][0])
        network = self._new_network(weights, max(len(targets) for _, targets in batches), context)
        losses = []
        for batch in batches:
            inputs, targets = self._checked(*batch, context)
            if isinstance(optimizer, SGD):
                result = _step_by_gradients(network, inputs, targets, optimizer)
            else:
                everything = np.arange(len(targets), dtype=np.uint32)
                result = network.train_step(inputs, targets, everything)
            losses.append(result.loss_sum / targets.size)
        return losses

    def state(self) -> TrainingState:
        network = self._built()
        first, second, steps = network.get_moments()
        return TrainingState(network.get_weights(), first, second, steps)

    def effective_settings(self) -> Dict[str, Any]:
        network = self._built()
        return {
            "threads": network.threads,
            "instruction_set": network.instruction_set,
            "kernel_version": native.describe(self._settings.workload.name).kernel_version,
            "build": native.build(),
            "compiler": native.compiler(),
            "compute_type": self._precision,
        }

    def operations(self) -> Operations:
        """In float32. Where a framework dispatches an operation, the kernels wake their threads."""
        network = self._built()
        is_float32 = self._precision == "float32"
        meter = Meter(network.instruction_set if is_float32 else "", network.threads)

        def multiply(a: Floats, b: Floats) -> Floats:
            product = np.empty_like(a)
            meter.product(a, b, product)
            return product

        def convolve(images: Floats, kernel: Floats) -> Floats:
            pooled = np.empty((len(images), *POOLED_SHAPE), np.float32)
            meter.convolution(images, kernel, np.zeros(kernel.shape[-1], np.float32), pooled)
            return pooled

        def add(a: Floats, b: Floats) -> Floats:
            meter.dispatch()
            return a + b

        return Operations(
            put=lambda array: array,
            get=lambda array: array,
            multiply=multiply,
            convolve=convolve,
            add=add,
            wait=lambda result: None,
            product_size=product_size(),
            pools=True,
        )

    def _order(self, epoch: int, samples: int) -> native.Order:
        """Of the samples in an epoch: all, shuffled, or its own part where none comes twice."""
        workload = self._settings.workload
        if workload.passes == "once":
            return np.asarray(own_part(workload, samples, epoch), np.uint32)
        return native.shuffled_order(self._settings.seed, epoch, samples)

    def _checked(self, inputs: Inputs, targets: Targets, context: Optional[int] = None) -> Data:
        inputs, targets = np.ascontiguousarray(inputs), np.ascontiguousarray(targets)
        native.check_data(self._settings.workload, inputs, targets, context)
        return inputs, targets

    def _shorter_context(self, inputs: Inputs) -> Optional[int]:
        """That of sequences which are shorter than the workload's."""
        workload = self._settings.workload
        if isinstance(workload.input, Images) or inputs.shape[1] == workload.input.context:
            return None
        return int(inputs.shape[1])

    def _new_network(
        self,
        weights: Weights,
        batch_size: Optional[int] = None,
        context: Optional[int] = None,
    ) -> native.Network:
        settings = self._settings
        network = native.Network(
            settings.workload,
            batch_size or settings.batch_size,
            settings.threads,
            precision=self._precision,
            context=context,
        )
        network.set_weights(weights)
        return network

    def _built(self) -> native.Network:
        assert self._network is not None, "build comes before this"
        return self._network


def _check_precision(precision: str) -> None:
    """Raises UnavailableError where the processor has no instructions for it, or others are
    forced."""
    why, forced = native.missing(precision), os.environ.get(ISA_VARIABLE, "")
    there = native.instruction_sets(precision)
    if not why and precision != "float32" and forced and forced not in there:
        why = f"{ISA_VARIABLE} is {forced}, and {precision} needs {', '.join(there)}"
    if why:
        raise UnavailableError(
            f"The native engine has no {precision} here: {why}; ask for: float32"
        )


def _step_by_gradients(
    network: native.Network, inputs: Inputs, targets: Targets, optimizer: SGD
) -> native.StepResult:
    """The kernels update by Adam only: of another optimizer they give the gradients."""
    result, gradients = network.gradients(inputs, targets)
    rate = np.float32(optimizer.learning_rate)
    weights = network.get_weights()
    network.set_weights({name: weights[name] - rate * gradients[name] for name in weights})
    return result


class _EpochSoFar:
    """Sums over the targets an epoch has seen, and the steps since its last lap."""

    def __init__(self, targets_per_sample: int) -> None:
        self.steps_since_lap = 0
        self._targets_per_sample = targets_per_sample
        self._targets = 0
        self._loss_sum = 0.0
        self._correct = 0

    def add(self, result: native.StepResult, samples: int) -> None:
        self.steps_since_lap += 1
        self._targets += samples * self._targets_per_sample
        self._loss_sum += result.loss_sum
        self._correct += result.correct

    def end_lap(self) -> Tuple[int, float, float]:
        """Steps of the lap that ends here; mean loss and accuracy of the epoch so far."""
        steps, self.steps_since_lap = self.steps_since_lap, 0
        return steps, self._loss_sum / self._targets, self._correct / self._targets


def _split(order: native.Order, size: int) -> List[native.Order]:
    return [order[start : start + size] for start in range(0, len(order), size)]


ENGINE = NativeEngine()
