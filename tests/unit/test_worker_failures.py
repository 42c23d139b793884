"""What is kept of an exception's message: few words, with what happened among them."""

from __future__ import annotations

import pytest

from epochmark.worker.train import failure_of

CUDA = """CUDA error: out of memory
CUDA kernel errors might be asynchronously reported at some other API call.
For debugging consider passing CUDA_LAUNCH_BLOCKING=1
Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.
"""
TENSORFLOW = """Graph execution error:

Detected at node sequential_1/conv2d_1/convolution defined at (most recent call last):
OOM when allocating tensor with shape[128,24,24,64] and type float
[Op:__inference_multi_step_on_iterator_1234]"""
XLA = """INTERNAL: the device gave up

Buffers:
RESOURCE_EXHAUSTED while running a kernel
========================"""


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("", ""),
        ("one line", "one line"),
        ("first\nsecond", "first ... second"),
        ("first\nsecond\nthird", "first ... third"),
        (CUDA, "CUDA error: out of memory ... Compile with `TORCH_USE_CUDA_DSA` to enable "
         "device-side assertions."),
        (TENSORFLOW, "Graph execution error: ... OOM when allocating tensor with "
         "shape[128,24,24,64] and type float ... [Op:__inference_multi_step_on_iterator_1234]"),
        (XLA, "INTERNAL: the device gave up ... RESOURCE_EXHAUSTED while running a kernel"),
    ],
)  # fmt: skip
def test_the_message_in_short(message: str, kept: str) -> None:
    failed = failure_of(RuntimeError(message), "training")
    assert (failed.exception, failed.message, failed.phase) == ("RuntimeError", kept, "training")


def test_a_long_message_is_cut() -> None:
    assert len(failure_of(RuntimeError("x" * 5000), "training").message) == 1000
    assert len(failure_of(RuntimeError(f"{'x' * 5000}\n{'y' * 5000}"), "training").message) < 1000
