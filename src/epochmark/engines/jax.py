"""JAX with optax: one jitted training step, as their tutorials write it, on CPU, GPU, TPU or Metal.

Stock here: NumPy arrays in host memory (images ``(n, 28, 28, 1)``), each batch gathered by a
shuffled index and given to the step, which donates nothing. The last, partial batch of an epoch has
another shape and compiles once more.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from epochmark.engines._jax import GPUS
from epochmark.engines._jax.threads import limit_threads
from epochmark.engines._shared.batches import Calls, evaluated, gathered_by_numpy, timed_batches
from epochmark.engines._shared.builds import JAX_BUILDS
from epochmark.engines._shared.contract import (
    Batch,
    Device,
    Engine,
    Inputs,
    Operations,
    Settings,
    Stopwatch,
    Targets,
    TrainingState,
    Weights,
)
from epochmark.engines._shared.info import ALL_WORDS, EngineInfo, Support, Tunable, Variables
from epochmark.engines._shared.inputs import (
    blank_sample,
    blank_targets,
    evaluation_batch,
    layout_of,
)
from epochmark.engines._shared.parallel import DataParallel, Group, Parallel
from epochmark.engines._shared.requirements import JAX
from epochmark.workloads.spec import Optimizer

if TYPE_CHECKING:
    from epochmark.engines._jax.training import Data, TrainingLoop


class JaxEngine(Engine):
    info = EngineInfo(
        name="jax",
        title="JAX",
        summary="JAX and optax, one jitted step",
        family="jax",
        adam_form="algorithm_1",
        words=ALL_WORDS,
        devices=(
            Support("cpu", "JAX", "x86-64 Linux: JAX 0.10, optax 0.2"),
            Support("gpu", GPUS, "none of them"),
            Support("tpu", "`jax[tpu]`"),
        ),
        modules=("jax", "optax"),
        distributions=("jax", "jaxlib", "jax-metal", "optax", "numpy"),
        requirements=JAX,
        builds=JAX_BUILDS,
        precisions=("stock", "float32", "tf32", "bfloat16"),
        variables=Variables(
            places=(
                "JAX_PLATFORMS",
                "XLA_PYTHON_CLIENT_ALLOCATOR",
                "XLA_PYTHON_CLIENT_MEM_FRACTION",
                "XLA_PYTHON_CLIENT_PREALLOCATE",
            ),
            threads=("NPROC",),
            switches=("JAX_*",),
            folders=("JAX_COMPILATION_CACHE_DIR",),
        ),
        memory_errors=("resource_exhausted",),
        cuda_packages=("jax-cuda",),
        parallel=Parallel(
            through="one process, a `Mesh` with `NamedSharding`; on a CPU host devices, which "
            "share its threads",
            seen="host devices: x86-64 Linux, JAX 0.10; GPUs and TPUs: never",
            processes=False,
            own_cores=False,
        ),
        tunables=(
            Tunable(
                "convolution",
                ("xla", "matmul"),
                "a matrix product over the nine shifted images side by side, instead of XLA's own "
                "convolution",
                ("cpu",),
                word="Conv2D",
            ),
            Tunable(
                "pooling",
                ("reduce_window", "reshape"),
                "largest value of two axes of an array reshaped to windows, instead of "
                "`reduce_window`",
                word="MaxPool2D",
            ),
            Tunable(
                "data",
                ("host", "device"),
                "all samples on the device before the first step; each batch is gathered there",
            ),
            Tunable(
                "donate",
                ("off", "on"),
                "the step writes parameters and moments where the old ones were",
            ),
            Tunable(
                "steps_per_call",
                ("1", "16"),
                "this many steps in one call, by `lax.scan`; fewer where a lap or an epoch ends",
                ("gpu", "tpu"),
            ),
        ),
    )

    def list_devices(self) -> List[Device]:
        from epochmark.engines._jax.devices import list_places

        return [device for device, _ in list_places()]

    def open(self, settings: Settings) -> Device:
        limit_threads(settings.threads)
        from epochmark.engines._jax.devices import open_device

        self._settings = settings
        self._opened, self._place = open_device(settings)
        self._tuned = self.info.all_settings(
            self._opened.id, settings.tuned_settings, settings.workload
        )
        return self._opened

    def load(self, inputs: Inputs, targets: Targets) -> Data:
        from epochmark.engines._jax.training import to_arrays

        return to_arrays(self._settings.workload, inputs, targets)

    def build(self, weights: Weights) -> None:
        self._training = self._new_training(weights)

    def fit(self, data: Data, stopwatch: Stopwatch) -> None:
        import jax

        inputs, targets = data
        training = self._training
        if self._tuned["data"] == "device":
            inputs, targets = jax.device_put((inputs, targets), self._place)
        calls = Calls(training, inputs, targets, self._steps_per_call())
        for batch in timed_batches(
            self._settings, len(targets), stopwatch, calls.synchronise, calls.take_sums
        ):
            calls.add(batch)

    def observed_devices(self) -> List[str]:
        """Where the parameters, Adam's moments and the scores of one sample are."""
        from epochmark.engines._jax.devices import device_id

        workload = self._settings.workload
        inputs, _ = self.load(blank_sample(workload), blank_targets(workload))
        return sorted({device_id(array) for array in self._training.arrays(inputs)})

    def evaluate(self, inputs: Inputs, targets: Targets) -> Tuple[float, float]:
        size = evaluation_batch(self._settings.workload, images=1000)
        return evaluated(self._training, self.load(inputs, targets), size)

    def replay(
        self, weights: Weights, batches: Sequence[Batch], optimizer: Optional[Optimizer] = None
    ) -> List[float]:
        training = self._new_training(weights, optimizer)
        loaded = [self.load(*batch) for batch in batches]
        if self._steps_per_call() == 1:
            return [float(training.step(*batch)) for batch in loaded]
        return [float(loss) for loss in training.steps(*map(np.stack, zip(*loaded)))]

    def state(self) -> TrainingState:
        return self._training.state()

    def effective_settings(self) -> Dict[str, Any]:
        import jax

        from epochmark.engines._jax.devices import threads_on

        weights = next(iter(self._training.parameters.values()))
        return {
            "execution": "operation by operation, nothing jitted"
            if jax.config.jax_disable_jit
            else "one jitted step"
            if self._steps_per_call() == 1
            else f"{self._steps_per_call()} steps in one jitted scan",
            **layout_of(self._settings.workload, "NHWC"),
            "data": "index gather on the device"
            if self._tuned["data"] == "device"
            else "index gather from host memory, each batch handed to the step",
            "compute_type": "bfloat16"
            if self._settings.precision == "bfloat16"
            else str(weights.dtype),
            "matmul_precision": jax.config.jax_default_matmul_precision or "JAX's default",
            "platform_version": self._place.client.platform_version.splitlines()[0],
            **threads_on(self._opened),
        }

    def operations(self) -> Operations:
        from epochmark.engines._jax.operations import operations_on

        operations = operations_on(self._place)
        return replace(operations, fetch=gathered_by_numpy(operations.put))

    def data_parallel(self, group: Group) -> DataParallel:
        from epochmark.engines._jax.parallel import JaxDataParallel

        return JaxDataParallel(self, group)

    def _new_training(
        self, weights: Weights, optimizer: Optional[Optimizer] = None
    ) -> TrainingLoop:
        from epochmark.engines._jax.training import TrainingLoop

        return TrainingLoop(self._settings, weights, self._place, self._tuned, optimizer)

    def _steps_per_call(self) -> int:
        return int(self._tuned.get("steps_per_call", "1"))


ENGINE = JaxEngine()
