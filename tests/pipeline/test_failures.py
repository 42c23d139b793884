"""However a worker ends, there is a record of it, and no process is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import psutil
import pytest

from epochmark.worker.protocol import LapEnd, Message, Phase
from tests.pipeline.conftest import MeasureFake


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """Every test here ends without a child process of ours."""
    yield
    assert psutil.Process().children(recursive=True) == []


@pytest.mark.parametrize("method", ["open", "load", "build", "fit", "evaluate", "replay"])
def test_an_exception_anywhere_is_reported(measure_fake: MeasureFake, method: str) -> None:
    measured = measure_fake({"fail_in": method})
    failure = measured.record.failure
    assert failure is not None
    assert failure.kind == "failed"
    assert failure.exception == "RuntimeError"
    assert failure.message == "RuntimeError: the fake engine was told to fail"
    assert [finding.code for finding in measured.record.findings] == ["engine-failed"]
    assert b"Traceback" in measured.stderr


def test_more_right_answers_than_test_images_are_an_error(measure_fake: MeasureFake) -> None:
    measured = measure_fake({"test_accuracy": 2.0176})
    assert measured.record.failure is not None
    assert "the engine found 202% of the test images right" in measured.record.failure.message
    assert measured.record.headline.validity == "invalid"


def test_laps_before_a_crash_are_kept(measure_fake: MeasureFake) -> None:
    record = measure_fake({"fail_in": "fit", "fail_at_step": 2000, "fail_how": "exit"}).record
    assert record.failure is not None
    assert record.failure.kind == "crashed"
    assert record.failure.exit_status == 3
    assert record.failure.phase == "training"
    assert len(record.learning.epochs) == 4
    assert record.headline.validity == "invalid"


def test_a_kill_names_its_signal(measure_fake: MeasureFake) -> None:
    record = measure_fake({"fail_in": "fit", "fail_how": "kill"}).record
    assert record.failure is not None
    assert record.failure.kind == "killed"
    assert record.failure.signal == "SIGKILL"
    assert [finding.code for finding in record.findings] == ["worker-killed"]


@pytest.mark.parametrize("how", ["hang", "spin"])
def test_a_worker_without_progress_is_stopped(measure_fake: MeasureFake, how: str) -> None:
    record = measure_fake(
        {"fail_in": "fit", "fail_how": how, "ignore_sigterm": how == "hang"}, patience_s=1.0
    ).record
    assert record.failure is not None
    assert record.failure.kind == "hung"
    assert [finding.code for finding in record.findings] == ["worker-hung"]


@pytest.mark.parametrize("how", ["garbage", "flood"])
def test_a_broken_report_is_not_believed(measure_fake: MeasureFake, how: str) -> None:
    record = measure_fake({"fail_in": "fit", "fail_how": how}).record
    assert record.failure is not None
    assert record.failure.kind == "protocol-broken"


def test_output_of_a_framework_is_no_report(measure_fake: MeasureFake) -> None:
    measured = measure_fake({"stdout_bytes": 3_000_000, "stderr_bytes": 3_000_000})
    assert measured.record.headline.validity == "valid"
    assert 0 < len(measured.stderr) <= 1 << 18


def test_children_and_threads_of_a_worker_end_with_it(measure_fake: MeasureFake) -> None:
    children: list[psutil.Process] = []

    def remember(report: Message) -> None:
        if isinstance(report, Phase) and report.name == "loading":
            children.extend(psutil.Process().children(recursive=True))

    record = measure_fake({"leave_child": True}, on_report=remember).record
    assert record.headline.validity == "valid"
    assert len(children) >= 2
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []


@pytest.mark.parametrize("phase", ["starting", "loading", "building", "training", "checking"])
def test_ctrl_c_in_each_phase_leaves_a_record(measure_fake: MeasureFake, phase: str) -> None:
    interrupted = threading.Event()

    def interrupt(report: Message) -> None:
        if isinstance(report, Phase) and report.name == phase and not interrupted.is_set():
            interrupted.set()
            os.kill(os.getpid(), signal.SIGINT)

    measured = measure_fake(
        {"fail_in": "replay", "fail_how": "hang", "step_s": 0.0002}, on_report=interrupt
    )
    assert measured.interrupted
    assert measured.record.failure is not None
    assert measured.record.failure.phase in {phase, "training", "checking"}


def test_a_worker_whose_launcher_dies_ends_too(measure_fake: MeasureFake) -> None:
    """The launcher is killed outright, as the kernel does when memory runs out."""
    program = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from epochmark.bench.plan import PlannedRun\n"
        "from epochmark.bench.request import RunRequest\n"
        "from epochmark.bench.session import Bench\n"
        "from epochmark.datasets import get_mnist\n"
        "from epochmark.hardware.machine import describe_machine\n"
        "def tell(report):\n"
        "    print(type(report).__name__, flush=True)\n"
        "bench = Bench(get_mnist(None, lambda *a: None), describe_machine(None))\n"
        "bench.measure(PlannedRun(RunRequest(engine='fake')), tell)\n"
    )
    environment = {**os.environ, "EPOCHMARK_FAKE": '{"fail_in": "fit", "fail_how": "hang"}'}
    launcher = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment
    )
    assert launcher.stdout is not None
    with launcher.stdout as lines:
        while b"Opened" not in next(lines):
            pass
        workers = psutil.Process(launcher.pid).children(recursive=True)
        launcher.kill()
        launcher.wait()
    assert workers
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert alive == []


def test_slow_is_not_hung(measure_fake: MeasureFake) -> None:
    laps = 0

    def count(report: Message) -> None:
        nonlocal laps
        laps += isinstance(report, LapEnd)

    record = measure_fake({"step_s": 0.3}, max_steps=6, on_report=count, patience_s=2.0).record
    assert record.headline.validity == "partial"
    assert laps == 6
