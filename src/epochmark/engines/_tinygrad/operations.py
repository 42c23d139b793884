"""tinygrad's own operations, one by one, compiled on first use like the training step."""

from __future__ import annotations

from tinygrad import Device as Devices
from tinygrad import Tensor, TinyJit

from epochmark.engines._shared.batches import gathered_by_numpy
from epochmark.engines._shared.contract import Operations


def operations_on(device: str) -> Operations:
    """tinygrad's operations on this device, by its own name."""
    return Operations(
        put=lambda array: Tensor(array, device=device).clone().realize(),
        get=lambda tensor: tensor.numpy(),
        multiply=TinyJit(lambda left, right: (left @ right).realize()),
        convolve=TinyJit(lambda images, kernel: images.conv2d(kernel).realize()),
        add=TinyJit(lambda left, right: (left + right).realize()),
        wait=lambda result: Devices[device].synchronize(),
        fetch=gathered_by_numpy(lambda array: Tensor(array, device=device).realize()),
        image_axes="NCHW",
        kernel_axes="OIHW",
    )
