"""MLX's own operations, one by one."""

from __future__ import annotations

from typing import Any, Callable

import mlx.core as mx
import numpy as np

from epochmark.engines._shared.batches import gathered_by_numpy
from epochmark.engines._shared.contract import Operations


def operations() -> Operations:
    """MLX's operations on its default device. MLX only records them; each is given to the device at
    once."""

    def at_once(operation: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        def run(left: Any, right: Any) -> Any:
            result = operation(left, right)
            mx.async_eval(result)
            return result

        return run

    return Operations(
        put=mx.array,
        get=np.array,
        multiply=at_once(mx.matmul),
        convolve=at_once(mx.conv2d),
        add=at_once(mx.add),
        wait=lambda result: mx.synchronize(),
        fetch=gathered_by_numpy(mx.array),
        kernel_axes="OHWI",
    )
