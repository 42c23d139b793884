"""The work behind ``epochmark limits`` is really done: counted, and right to the last element."""

from __future__ import annotations

import numpy as np
import pytest

from epochmark import native
from epochmark.errors import EpochmarkError
from epochmark.native.meter import Meter, bfloat16_instruction_sets, product_size
from epochmark.workloads._proof.reference import convolve, max_pool, relu

INSTRUCTION_SETS = native.instruction_sets()
THREADS = (1, 3)


@pytest.fixture(params=[(name, count) for name in INSTRUCTION_SETS for count in THREADS], ids=str)
def meter(request: pytest.FixtureRequest) -> Meter:
    return Meter(*request.param)


def test_multiply_adds_are_counted_over_rounds_and_threads(meter: Meter) -> None:
    once = Meter("portable", 1).multiply_adds(100)
    assert once > 0
    assert meter.multiply_adds(200) == 2 * meter.multiply_adds(100)
    assert meter.multiply_adds(100) % (once * meter.threads) == 0, "vectors are 1, 2 or 4 times"


def test_bfloat16_multiply_adds_are_counted() -> None:
    """By each set of instructions that the processor has; many have none."""
    for name in bfloat16_instruction_sets():
        per_thread = Meter("", 1).bfloat16_multiply_adds(name, 100)
        assert per_thread > 0
        assert Meter("", 3).bfloat16_multiply_adds(name, 200) == 6 * per_thread


def test_the_product_is_right(meter: Meter) -> None:
    size = product_size()
    generator = np.random.default_rng(1)
    a, b = (generator.standard_normal((size, size), np.float32) for _ in range(2))
    c = np.full((size, size), np.nan, np.float32)
    meter.product(a, b, c)
    # float64 would take seconds; float32 sums of 1536 products differ by rounding only
    np.testing.assert_allclose(c, a @ b, atol=1e-3)
    again = np.empty_like(c)
    meter.product(a, b, again)
    assert np.array_equal(c, again)


def test_the_triad_is_right(meter: Meter) -> None:
    meter.allocate_triad(4 * 100_003)
    assert meter.triad_error() == 3.5, "not done yet: a is 0, not 2 + 3 * 0.5"
    meter.triad()
    assert meter.triad_error() == 0.0


def test_the_convolution_is_the_second_layer(meter: Meter) -> None:
    generator = np.random.default_rng(2)
    images, kernel, bias = (
        generator.standard_normal(shape) for shape in ((4, 26, 26, 32), (3, 3, 32, 64), (64,))
    )
    kernel /= 17
    pooled = np.full((4, 12, 12, 64), np.nan, np.float32)
    single = [array.astype(np.float32) for array in (images, kernel, bias)]
    meter.convolution(single[0], single[1], single[2], pooled)
    wanted = max_pool(relu(convolve(images, kernel, bias)), 2)
    np.testing.assert_allclose(pooled, wanted, atol=1e-4)


def test_dispatch_returns(meter: Meter) -> None:
    for _ in range(100):
        meter.dispatch()


def test_what_cannot_be_had_is_reported() -> None:
    with pytest.raises(EpochmarkError, match="no instruction set 'mmx' here"):
        Meter("mmx", 1)
    with pytest.raises(EpochmarkError, match="1 to 256 for threads"):
        Meter("", 0)
    with pytest.raises(EpochmarkError, match="not enough memory"):
        Meter("", 1).allocate_triad(1 << 62)
    wrong = np.zeros((2, 2), np.float32)
    with pytest.raises(ValueError, match="matrices must be"):
        Meter("", 1).product(wrong, wrong, wrong)
