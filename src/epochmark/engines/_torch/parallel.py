"""PyTorch on several devices as its tutorials have it: one process each, DistributedDataParallel,
gloo on the CPU and NCCL (RCCL) on GPUs."""

from __future__ import annotations

import datetime
import os
import sys
import time
from dataclasses import replace
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from epochmark.engines._shared.batches import orders
from epochmark.engines._shared.contract import (
    Batch,
    Device,
    Engine,
    Inputs,
    Settings,
    Stopwatch,
    Targets,
    UnavailableError,
    Weights,
)
from epochmark.engines._shared.parallel import (
    DataParallel,
    Group,
    Replica,
    shard,
    whole_batches,
)
from epochmark.engines._torch.devices import (
    describe,
    device_id,
    find_device,
    set_precision,
    set_seed,
    set_threads,
    synchronise,
    to_numpy,
)
from epochmark.engines._torch.training import Data, Training, gathered, to_tensors
from epochmark.workloads._proof.replay_data import sum_of_arrays
from epochmark.workloads.spec import Optimizer

PATIENCE = datetime.timedelta(hours=2)
"""A suspended training waits for its turn in the middle of a step."""
BACKENDS = {"cpu": "gloo", "cuda": "nccl"}
"""By PyTorch's kind of device; ROCm's GPUs are ``cuda`` too, and RCCL is ``nccl``."""
LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"


class ParallelTraining(Training):
    """A training whose gradients are averaged over the processes of a group.

    ``weight`` is how many times an equal part of the batch its own part is: DDP gives every
    process the same say.
    """

    def __init__(
        self,
        settings: Settings,
        weights: Weights,
        device: torch.device,
        low_precision: Optional[torch.dtype],
        optimizer: Optional[Optimizer] = None,
    ) -> None:
        super().__init__(settings, weights, device, low_precision, {}, optimizer)
        self.network = self.averaged(self.model)
        self.weight = 1.0
        self.steps = 0
        self.forward_ns = 0

    def averaged(self, model: nn.Module) -> nn.Module:
        """The model as DDP trains it; alone there is nothing to average."""
        return DistributedDataParallel(model) if dist.get_world_size() > 1 else model

    def forward(
        self, inputs: torch.Tensor, targets: torch.Tensor
    ) -> Tuple[torch.Tensor, torch.Tensor]:
        began_ns = time.perf_counter_ns()
        scores, loss = super().forward(inputs, targets)
        self.steps += 1
        if self.steps > 1:
            self.forward_ns += time.perf_counter_ns() - began_ns
        return scores, loss if self.weight == 1.0 else loss * self.weight


class TorchDataParallel(DataParallel):
    """Its process, one of as many as there are devices."""

    def __init__(self, engine: Engine, group: Group) -> None:
        self._engine, self._group = engine, group

    def open(self, settings: Settings) -> Device:
        kind = settings.device.partition(":")[0]
        wanted = kind if kind == "cpu" else f"{kind}:{self._group.own_device}"
        device, self._device = find_device(self._engine.info.title, wanted)
        if self._device.type not in BACKENDS:
            raise UnavailableError(
                f"several devices of PyTorch are offered on {' and '.join(BACKENDS)}, not on "
                f"{self._device.type}"
            )
        self._settings = replace(settings, device=device.id)
        set_threads(settings.threads, all_cpus=False)
        set_seed(settings.seed)
        self._low_precision = set_precision(settings.precision, device, self._device)
        self._join()
        return device

    def _join(self) -> None:
        """Meet the others where no port can be taken already: what gloo and NCCL open between them,
        the system chooses."""
        if self._device.type != "cpu":
            torch.cuda.set_device(self._device)
        elif self._group.address is None:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", LOOPBACK)
        dist.init_process_group(
            BACKENDS[self._device.type],
            rank=self._group.rank,
            world_size=self._group.processes,
            timeout=PATIENCE,
            **self._meeting(),
        )

    def _meeting(self) -> Dict[str, Any]:
        """Through a file on one machine; over several at a port that the first one holds."""
        group = self._group
        if group.address is None:
            return {"init_method": f"file://{group.meeting}"}
        host, port = group.address
        store = dist.TCPStore(
            host,
            port,
            group.processes,
            is_master=group.rank == 0,
            timeout=PATIENCE,
            wait_for_workers=False,
            master_listen_fd=group.listening,
        )
        return {"store": store}

    def load(self, inputs: Inputs, targets: Targets) -> Data:
        return to_tensors(self._settings.workload, inputs, targets)

    def build(self, weights: Weights) -> None:
        self._training = self._new_training(weights)

    def fit(self, data: Data, stopwatch: Stopwatch) -> None:
        settings, training = self._settings, self._training
        workload = settings.workload
        targets_per_batch = (
            settings.batch_size // self._group.processes * workload.targets_per_sample
        )
        for batch in whole_batches(
            orders(settings, len(data[1])),
            settings.batch_size,
            stopwatch,
            training.take_sums,
            targets_per_batch,
        ):
            training.step(*gathered(data, shard(batch, self._group), self._device))

    def replicas(self) -> List[Replica]:
        parameters = [parameter.detach() for parameter in self._training.model.parameters()]
        places = "+".join(sorted({device_id(parameter.device) for parameter in parameters}))
        return [Replica(places, sum_of_arrays(map(to_numpy, parameters)))]

    def replay(
        self, weights: Weights, batches: Sequence[Batch], optimizer: Optional[Optimizer] = None
    ) -> List[float]:
        training = self._new_training(weights, optimizer)
        losses = []
        for inputs, targets in batches:
            own = shard(np.arange(len(targets)), self._group)
            training.weight = len(own) * self._group.processes / len(targets)
            data = self.load(inputs[own], targets[own])
            losses.append(float(training.step(*(part.to(self._device) for part in data))))
        return losses

    def all_reduce(self, numbers: int) -> Callable[[], None]:
        values = torch.zeros(numbers, device=self._device)

        def reduce() -> None:
            dist.all_reduce(values)
            synchronise(self._device)

        return reduce

    def effective_settings(self) -> Dict[str, Any]:
        return {
            "backend": dist.get_backend(),
            "execution": "eager",
            "gradients": "DistributedDataParallel, its own buckets",
            "data": "each process gathers its part from host memory",
            "autocast": str(self._low_precision or "none").replace("torch.", ""),
            **describe(self._device),
        }

    def forward_s(self) -> Optional[float]:
        training = self._training
        if self._device.type != "cpu" or training.steps < 2:
            return None
        return training.forward_ns / (training.steps - 1) / 1e9

    def _new_training(
        self, weights: Weights, optimizer: Optional[Optimizer] = None
    ) -> ParallelTraining:
        return ParallelTraining(
            self._settings, weights, self._device, self._low_precision, optimizer
        )
