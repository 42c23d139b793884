"""PyTorch's own operations, one by one, for the engines on it."""

from __future__ import annotations

from typing import Any, Callable

import torch
from torch.nn.functional import conv2d

from epochmark.engines._shared.contract import Operations
from epochmark.engines._torch.devices import end_lazy_step, synchronise


def operations_on(device: torch.device) -> Operations:
    """PyTorch's operations on this device."""

    def at_once(operation: Callable[..., Any]) -> Callable[..., Any]:
        """XLA would leave out what nothing reads; a step each makes it compute."""
        if device.type != "xla":
            return operation

        def step(*arguments: Any) -> Any:
            result = operation(*arguments)
            end_lazy_step(device)
            return result

        return step

    return Operations(
        put=lambda array: torch.from_numpy(array).to(device),
        get=lambda tensor: tensor.cpu().numpy(),
        multiply=at_once(torch.mm),
        convolve=at_once(conv2d),
        add=at_once(torch.add),
        wait=lambda result: synchronise(device),
        image_axes="NCHW",
        kernel_axes="OIHW",
    )
