"""JAX's own operations, one by one, each compiled, for the engines on it."""

from __future__ import annotations

from typing import Any, Callable

import jax
import numpy as np
from jax import lax

from epochmark.engines._shared.contract import Operations

LAYOUT = ("NHWC", "HWIO", "NHWC")


def operations_on(place: Any) -> Operations:
    """JAX's operations on this device."""

    def in_order(operation: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """On the CPU calls that need not wait for each other may run side by side, so that the
        last one says nothing of the others."""
        compiled: Callable[[Any, Any], Any] = jax.jit(operation)
        if place.platform != "cpu":
            return compiled
        return lambda left, right: jax.block_until_ready(compiled(left, right))

    def convolve(images: Any, kernel: Any) -> Any:
        return lax.conv_general_dilated(images, kernel, (1, 1), "VALID", dimension_numbers=LAYOUT)

    return Operations(
        put=lambda array: jax.device_put(array, place),
        get=np.asarray,
        multiply=in_order(jax.numpy.matmul),
        convolve=in_order(convolve),
        add=in_order(jax.numpy.add),
        wait=jax.block_until_ready,
    )
