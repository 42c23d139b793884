"""PyTorch on several devices with one thing wrong, in the process of rank 1 unless it is a sum:
which one, the environment variable ``DEFECT`` says."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from typing import Any, Tuple

from epochmark.engines import DataParallel, Group, Weights
from epochmark.engines.torch import TorchEngine

FAILS_AT = 1
"""Steps of the fit, which has three at least."""


class DefectiveParallelEngine(TorchEngine):
    info = replace(TorchEngine.info, name="defective-parallel")

    def versions(self) -> dict[str, str]:
        found = super().versions()
        if os.environ["DEFECT"] == "other versions" and os.environ.get("RANK_OF_TEST") == "1":
            return {**found, "torch": "1.0"}
        return found

    def data_parallel(self, group: Group) -> DataParallel:
        os.environ["RANK_OF_TEST"] = str(group.rank)
        return defective(self, group, os.environ["DEFECT"])


def defective(engine: TorchEngine, group: Group, defect: str) -> DataParallel:
    import torch
    from torch import distributed as dist
    from torch import nn
    from torch.nn.parallel import DistributedDataParallel

    from epochmark.engines._torch.parallel import ParallelTraining, TorchDataParallel

    # DDP wants its own annotations, or none
    def summed(state, bucket):  # type: ignore[no-untyped-def]
        work = dist.all_reduce(bucket.buffer(), async_op=True)
        return work.get_future().then(lambda done: done.value()[0])

    def its_own(state, bucket):  # type: ignore[no-untyped-def]
        """Takes part in the sum, and goes on with its own gradients."""
        kept = bucket.buffer().clone()
        work = dist.all_reduce(bucket.buffer(), async_op=True)
        return work.get_future().then(lambda done: kept)

    class Training(ParallelTraining):
        def averaged(self, model: nn.Module) -> nn.Module:
            network = DistributedDataParallel(model)
            if defect == "sum":
                network.register_comm_hook(None, summed)
            if defect == "not reduced" and group.rank == 1:
                network.register_comm_hook(None, its_own)
            elif defect == "not reduced":
                from torch.distributed.algorithms.ddp_comm_hooks import default_hooks

                network.register_comm_hook(None, default_hooks.allreduce_hook)
            return network

        def forward(
            self, inputs: torch.Tensor, targets: torch.Tensor
        ) -> Tuple[torch.Tensor, torch.Tensor]:
            if group.rank == 1 and self.steps == FAILS_AT:
                fail(defect)
            return super().forward(inputs, targets)

    class Defective(TorchDataParallel):
        def _new_training(self, weights: Weights, optimizer: Any = None) -> Training:
            return Training(self._settings, weights, self._device, self._low_precision, optimizer)

    return Defective(engine, group)


def fail(defect: str) -> None:
    import torch

    if defect == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if defect == "memory":
        torch.zeros(1 << 50)
    if defect == "hangs":
        time.sleep(10_000)


ENGINE = DefectiveParallelEngine()
