"""How much memory a run took: the worker's own, whoever started it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.pipeline.program import Program

LAUNCHED_FROM_A_LARGE_PROGRAM = """
import epochmark
held = b"x" * (700 << 20)
record = epochmark.run("fake", max_steps=1, save=False)
print(record.peak_memory_bytes, len(held))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is inherited")
def test_a_program_that_holds_much_does_not_lend_its_size_to_the_worker(program: Program) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LAUNCHED_FROM_A_LARGE_PROGRAM],
        env=program.variables({}),
        capture_output=True,
        text=True,
        check=True,
    )
    peak, held = map(int, done.stdout.split())
    assert 20 << 20 < peak < held / 2, "a worker that loads MNIST takes about 150 MiB"
