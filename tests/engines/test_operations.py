"""What every ready engine offers to ``epochmark limits``: right results, and times of them."""

from __future__ import annotations

import pytest

from epochmark.bench.measure_limits import measure_engine
from epochmark.engines import Engine, get_engine
from tests.engines.conftest import ENGINES, interpreter_of

WITH_INPUT = ("jax", "mlx", "tinygrad", "torch")
"""Whose ``fit`` brings each batch to the device itself, apart from the step."""
WITHOUT_INPUT = ("keras-jax", "keras-tensorflow", "keras-torch", "native")


@pytest.mark.parametrize("engine", ENGINES)
def test_operations_are_right_and_take_time(engine: str) -> None:
    found = measure_engine(engine, "cpu", interpreter_of(engine), lambda phase: None)
    assert (found.engine, found.device) == (engine, "cpu")
    assert bool(found.versions) == bool(get_engine(engine).info.distributions)
    assert found.settings
    if type(get_engine(engine)).operations is Engine.operations:
        assert found.problem == "it does not offer its operations one by one"
        return
    assert found.problem is None
    assert found.product is not None
    assert found.convolution is not None
    assert found.dispatch is not None
    assert engine not in (WITH_INPUT if found.input is None else WITHOUT_INPUT)
    # a scalar takes less than a matrix, on whatever machine
    assert found.dispatch.call_s.low < found.product.timed.call_s.high
