"""A training in PyTorch as its tutorials write it: tensors, model, optimizer, step, evaluation."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any, Callable, ContextManager, Iterable, List, Mapping, Optional, Tuple

import numpy as np
import torch
from torch import nn

from epochmark.engines._shared.contract import (
    Indices,
    Inputs,
    Settings,
    Targets,
    TrainingState,
    Weights,
)
from epochmark.engines._shared.inputs import images_nchw
from epochmark.engines._shared.layouts import nchw_weights, weights_from_nchw
from epochmark.engines._torch.devices import end_lazy_step, synchronise, to_numpy
from epochmark.engines._torch.layers import make_model
from epochmark.workloads import Workload
from epochmark.workloads.spec import SGD, Images, Optimizer

Data = Tuple[torch.Tensor, torch.Tensor]
Forward = Callable[[torch.Tensor, torch.Tensor], Tuple[torch.Tensor, torch.Tensor]]


def to_tensors(workload: Workload, inputs: Inputs, targets: Targets) -> Data:
    """In host memory: images float32 ``(n, channels, height, width)``, or symbols int64 ``(n,
    context)``; and int64 targets ``(n,)`` or ``(n, context)``."""
    answers = torch.tensor(targets.astype(np.int64))
    if isinstance(workload.input, Images):
        pixels = torch.tensor(images_nchw(workload, inputs), dtype=torch.float32)
        return pixels / workload.input.scale, answers
    return torch.tensor(inputs.astype(np.int64)), answers


class Training:
    """Model, optimizer and the epoch's sums, all on one device.

    ``network`` is what computes the scores: the ``model``, or what is wrapped around it.
    ``low_precision`` is the type of autocast, None for float32. float16 comes with PyTorch's
    gradient scaler, as its users train it. ``tuned`` are the values of the engine's tunables.
    """

    def __init__(
        self,
        settings: Settings,
        weights: Weights,
        device: torch.device,
        low_precision: Optional[torch.dtype],
        tuned: Mapping[str, str],
        optimizer: Optional[Optimizer] = None,
    ) -> None:
        self._workload = settings.workload
        self.model = make_model(self._workload)
        arrays = nchw_weights(self._workload, weights)
        # not strict: a head tied to a table is under both names
        self.model.load_state_dict(
            {name: torch.from_numpy(array) for name, array in arrays.items()}, strict=False
        )
        self._channels_last = tuned.get("memory_format") == "channels_last"
        if self._channels_last:
            self.model.to(memory_format=torch.channels_last)
        self.model.to(device)
        self.network: nn.Module = self.model
        self.criterion = nn.CrossEntropyLoss()
        parameters, fused = self.model.parameters(), tuned.get("adam") == "fused"
        self.optimizer = make_optimizer(optimizer or self._workload.optimizer, parameters, fused)
        self._compiled_forward: Forward = self.forward
        if tuned.get("compile", "off") != "off":
            self._compiled_forward = compiled(self.forward, tuned["compile"])
        self._device = device
        self._low_precision = low_precision
        self._scaler = torch.amp.GradScaler(device.type) if low_precision is torch.float16 else None
        self._reset_sums()

    def step(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """One step of training; the mean loss before it, still on the device."""
        self.optimizer.zero_grad()
        if self._channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        scores, loss = self._compiled_forward(inputs, targets)
        if self._scaler is None:
            loss.backward()
            self.optimizer.step()
        else:
            self._scaler.scale(loss).backward()
            self._scaler.step(self.optimizer)
            self._scaler.update()
        self.count(scores, loss, targets)
        end_lazy_step(self._device)
        return loss.detach()

    def forward(
        self, inputs: torch.Tensor, targets: torch.Tensor
    ) -> Tuple[torch.Tensor, torch.Tensor]:
        """Scores before the softmax, ``(..., classes)``, and mean loss of a batch."""
        with self._autocast():
            scores = self.network(inputs)
            return scores, self.criterion(scores.flatten(0, -2), targets.flatten())

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def evaluate(self, inputs: torch.Tensor, targets: torch.Tensor) -> None:
        """Add a batch's losses and right answers to the sums, without training on it."""
        inputs, targets = inputs.to(self._device), targets.to(self._device)
        scores, loss = self.forward(inputs, targets)
        self.count(scores, loss, targets)

    def count(self, scores: torch.Tensor, loss: torch.Tensor, targets: torch.Tensor) -> None:
        """Add a batch to the epoch's sums, on the device."""
        self._loss_sum += loss.detach() * targets.numel()
        self._correct += (scores.detach().argmax(dim=-1) == targets).sum()

    def take_sums(self) -> Tuple[float, float]:
        """Sum of losses and number of right answers since the last call; waits for the device."""
        loss_sum, correct = self._loss_sum.item(), self._correct.item()
        self._reset_sums()
        return loss_sum, correct

    def synchronise(self) -> None:
        """Return when the device has done everything it was given."""
        synchronise(self._device)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def tensors(self, inputs: torch.Tensor) -> List[torch.Tensor]:
        """Parameters, Adam's moments, and the scores of these inputs."""
        moments = [
            state[name]
            for state in self.optimizer.state.values()
            for name in ("exp_avg", "exp_avg_sq")
        ]
        return [*self.model.parameters(), *moments, self.model(inputs.to(self._device))]

    def state(self) -> TrainingState:
        """Parameters, moments and the number of steps, copied to host memory."""
        kept = dict(self.optimizer.state)  # its own makes entries for who asks

        def ours(value: Callable[[torch.Tensor], torch.Tensor]) -> Weights:
            named = self.model.named_parameters()
            arrays = {name: to_numpy(value(parameter)) for name, parameter in named}
            return weights_from_nchw(self._workload, arrays)

        return TrainingState(
            weights=ours(lambda parameter: parameter),
            first=ours(lambda parameter: kept[parameter]["exp_avg"]),
            second=ours(lambda parameter: kept[parameter]["exp_avg_sq"]),
            steps=max(int(of_parameter["step"]) for of_parameter in kept.values()),
        )

    def _reset_sums(self) -> None:
        self._loss_sum = torch.zeros((), device=self._device)
        self._correct = torch.zeros((), device=self._device, dtype=torch.int64)

    def _autocast(self) -> ContextManager[Any]:
        if self._low_precision is None:
            return contextlib.nullcontext()
        autocast: ContextManager[Any] = torch.autocast(self._device.type, dtype=self._low_precision)
        return autocast


def make_optimizer(
    constants: Optimizer, parameters: Iterable[nn.Parameter], fused: bool
) -> torch.optim.Optimizer:
    """PyTorch's own, with these constants."""
    if isinstance(constants, SGD):
        return torch.optim.SGD(parameters, lr=constants.learning_rate)
    return torch.optim.Adam(
        parameters,
        lr=constants.learning_rate,
        betas=(constants.beta_1, constants.beta_2),
        eps=constants.epsilon,
        fused=True if fused else None,
    )


def compiled(forward: Forward, mode: str) -> Forward:
    """``forward`` by ``torch.compile``: once for each size of batch, the last one being smaller.

    It keeps what it compiled in the worker's own temporary folder: a run starts cold.
    """
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(Path("inductor-cache").absolute())
    fast: Forward = torch.compile(forward, mode=mode, dynamic=False)
    return fast


def gathered(data: Data, batch: Indices, device: torch.device) -> Data:
    """A batch by its indices, gathered where the data lies, and moved to the device."""
    inputs, targets = data
    index = torch.from_numpy(batch).to(inputs.device)
    return inputs[index].to(device), targets[index].to(device)
