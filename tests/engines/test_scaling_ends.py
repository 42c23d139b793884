"""``epochmark scale`` in a process of its own that the user, or the system, ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests import cores
from tests.engines.conftest import interpreter_of
from tests.pipeline.program import TIMEOUT_S, Program, read_until

pytestmark = [
    pytest.mark.usefixtures("all_cores"),
    pytest.mark.skipif(len(cores.ALL) < 2, reason="a device is a core at least"),
]


@pytest.fixture
def program(tmp_path: Path, mnist_folder: Path) -> Program:
    """With results and temporary files of its own, and torch where the tests have it."""
    (tmp_path / "temporary").mkdir()
    folders = {
        "EPOCHMARK_DATA": str(mnist_folder),
        "EPOCHMARK_RESULTS": str(tmp_path / "results"),
        "TMPDIR": str(tmp_path / "temporary"),
    }
    return Program(tmp_path, folders)


def measuring(program: Program) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """One device and two of torch, in their turns: the command and all below it."""
    python = str(interpreter_of("torch").python)
    process = program.start(
        "scale", "torch", "-w", "mnist-mlp", "--batch", "2", "--python", python, "--json"
    )
    read_until(process, "measuring")
    below = psutil.Process(process.pid).children(recursive=True)
    assert len(below) >= 4, "a guard, one process, and two"
    return process, below


def test_what_was_measured_is_kept_when_the_user_ends_it(program: Program) -> None:
    process, below = measuring(program)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 130
    _, alive = psutil.wait_procs(below, timeout=30)
    assert alive == []
    made = json.loads(output)
    assert made["ending"] == "interrupted"
    assert [found["precision"] for found in made["efficiencies"]] == [None, None]
    assert program.run("check", made["id"]).returncode == 0


def test_nothing_more_starts_when_the_user_ends_a_proof(program: Program) -> None:
    """Host devices of JAX are not rated: each number proves its work before the next one starts."""
    process = program.start(
        "scale", "jax", "-w", "mnist-mlp", "--batch", "2", "--devices", "1,2,4",
        "--python", str(interpreter_of("jax").python), "--json",
    )  # fmt: skip
    read_until(process, "proving the work of 2 devices")
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 130, errors
    assert "warming up 4" not in errors
    made = json.loads(output)
    assert [entry["devices"] for entry in made["entries"]] == [1, 2]
    assert made["ending"] == "interrupted"


def test_who_ended_it_while_it_warmed_up_is_said(program: Program) -> None:
    python = str(interpreter_of("torch").python)
    process = program.start("scale", "torch", "-w", "mnist-mlp", "--batch", "2", "--python", python)
    read_until(process, "warming up 2")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 130
    assert "ended by SIGTERM" in errors


def test_no_process_outlives_a_launcher_that_was_killed(program: Program) -> None:
    process, below = measuring(program)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=TIMEOUT_S)
    _, alive = psutil.wait_procs(below, timeout=60)
    assert alive == []
