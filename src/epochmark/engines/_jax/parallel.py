"""JAX on several devices as its tutorials have it: one process, a mesh, arrays laid over it.

Parameters lie on every device, a batch is split; the compiler adds the sums in between.
"""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, List, Optional, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from epochmark.engines._jax.devices import list_places
from epochmark.engines._jax.training import Data, TrainingLoop
from epochmark.engines._shared.batches import orders
from epochmark.engines._shared.contract import (
    Batch,
    Device,
    DeviceUnavailableError,
    Engine,
    Inputs,
    Settings,
    Stopwatch,
    Targets,
    Weights,
)
from epochmark.engines._shared.parallel import DataParallel, Group, Replica, whole_batches
from epochmark.workloads._proof.replay_data import sum_of_arrays
from epochmark.workloads.spec import Optimizer

AXIS = "data"


class JaxDataParallel(DataParallel):
    """All devices of a training, in this process."""

    def __init__(self, engine: Engine, group: Group) -> None:
        self._engine, self._group = engine, group

    def open(self, settings: Settings) -> Device:
        if settings.device == "cpu":
            self._make_host_devices()
        device = self._engine.open(settings)
        platform = jax.config.jax_default_device.platform
        found = [place for place in jax.local_devices() if place.platform == platform]
        if len(found) < self._group.devices:
            raise DeviceUnavailableError(f"JAX has {len(found)} devices of this kind here")
        self._mesh = Mesh(found[: self._group.devices], (AXIS,))
        self._everywhere = NamedSharding(self._mesh, PartitionSpec())
        self._split = NamedSharding(self._mesh, PartitionSpec(AXIS))
        self._settings = settings
        return device

    def _make_host_devices(self) -> None:
        """Split the processor into the group's devices, before XLA first looks for any."""
        flag = f"--xla_force_host_platform_device_count={self._group.devices}"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()

    def load(self, inputs: Inputs, targets: Targets) -> Data:
        data: Data = self._engine.load(inputs, targets)
        return data

    def build(self, weights: Weights) -> None:
        self._training = self._new_training(weights)

    def fit(self, data: Data, stopwatch: Stopwatch) -> None:
        settings, training = self._settings, self._training
        inputs, targets = data
        for batch in whole_batches(
            orders(settings, len(targets)),
            settings.batch_size,
            stopwatch,
            training.take_sums,
            settings.batch_size * settings.workload.targets_per_sample,
        ):
            training.step(self._laid(inputs[batch]), self._laid(targets[batch]))

    def replicas(self) -> List[Replica]:
        """What each device itself holds of every parameter."""
        parameters = list(self._training.parameters.values())
        held = [{shard.device: shard.data for shard in array.addressable_shards}
                for array in parameters]  # fmt: skip
        ids = {place: device.id for device, place in list_places()}
        return [
            Replica(
                f"cpu:{place.id}" if place.platform == "cpu" else ids[place],
                sum_of_arrays(np.asarray(array[place]) for array in held),
            )
            for place in self._mesh.devices.flat
        ]

    def replay(
        self, weights: Weights, batches: Sequence[Batch], optimizer: Optional[Optimizer] = None
    ) -> List[float]:
        training = self._new_training(weights, optimizer)
        loaded = [self.load(*batch) for batch in batches]
        return [float(training.step(*map(self._laid, batch))) for batch in loaded]

    def all_reduce(self, numbers: int) -> Callable[[], None]:
        summed = jax.jit(
            _shard_map()(
                lambda part: jax.lax.psum(part, AXIS),
                mesh=self._mesh,
                in_specs=PartitionSpec(AXIS),
                out_specs=PartitionSpec(),
            )
        )
        values = self._laid(jnp.zeros((self._group.devices, numbers), jnp.float32))

        def reduce() -> None:
            jax.block_until_ready(summed(values))

        return reduce

    def effective_settings(self) -> Dict[str, Any]:
        return {
            "execution": "one jitted step over the mesh",
            "gradients": "summed by what XLA adds for the sharding",
            "data": "index gather from host memory, each batch laid over the mesh",
        }

    def _laid(self, array: Any) -> Any:
        """An array split over the devices by its first axis."""
        return jax.device_put(array, self._split)

    def _new_training(
        self, weights: Weights, optimizer: Optional[Optimizer] = None
    ) -> TrainingLoop:
        return TrainingLoop(self._settings, weights, self._everywhere, {}, optimizer)


def _shard_map() -> Any:
    """Where this version of JAX has it."""
    if hasattr(jax, "shard_map"):
        return jax.shard_map
    from jax.experimental.shard_map import shard_map  # before JAX 0.6

    return shard_map
