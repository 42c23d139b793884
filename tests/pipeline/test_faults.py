"""Frameworks that misbehave in ways frameworks do; the run and its record survive."""

from __future__ import annotations

import resource

import msgspec
import psutil
import pytest

from epochmark.bench.plan import PlannedRun
from epochmark.bench.session import Bench
from epochmark.judge.validity import judge
from epochmark.records.record import Record
from epochmark.report.text.answer import answer_lines
from epochmark.worker.protocol import Message, Phase
from tests.pipeline.conftest import FAKE, MeasureFake

GIB = 1 << 30


def test_hundreds_of_warnings_are_no_report(measure_fake: MeasureFake) -> None:
    measured = measure_fake({"warnings": 800, "stdout_bytes": 5000})
    assert measured.record.headline.validity == "valid"
    assert b"warning number 799" in measured.stderr


def test_a_forked_copy_ends_with_its_worker(measure_fake: MeasureFake) -> None:
    family: list[psutil.Process] = []

    def remember(report: Message) -> None:
        if isinstance(report, Phase) and report.name == "loading":
            family.extend(psutil.Process().children(recursive=True))

    record = measure_fake({"fork": True, "leave_child": True}, on_report=remember).record
    assert record.headline.validity == "valid"
    assert len(family) >= 3
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []


def test_memory_that_runs_out_is_named(measure_fake: MeasureFake) -> None:
    """The worker inherits a real limit of its address space."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(
        resource.RLIMIT_AS, (psutil.Process().memory_info().vms + 4 * GIB, limits[1])
    )
    try:
        record = measure_fake({"allocate_bytes": 64 * GIB}).record
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    assert [finding.code for finding in record.findings] == ["out-of-memory"]
    assert record.failure is not None
    assert record.failure.phase == "building"
    assert "Unable to allocate" in record.failure.message


def test_a_worker_deaf_to_sigterm_is_ended(measure_fake: MeasureFake) -> None:
    record = measure_fake(
        {"fail_in": "load", "fail_how": "spin", "ignore_sigterm": True, "fork": True},
        patience_s=1.0,
    ).record
    assert [finding.code for finding in record.findings] == ["worker-hung"]
    assert psutil.Process().children(recursive=True) == []


def test_a_failed_import_shows_the_frameworks_words_and_the_version(
    measure_fake: MeasureFake,
) -> None:
    record = measure_fake({"fail_in": "open", "fail_how": "lack"}).record
    text = "\n".join(answer_lines(record))
    assert "ModuleNotFoundError: No module named 'a_module_nobody_has'" in text
    assert f"Python {record.engine.python}" in text


@pytest.fixture(scope="module")
def failed(bench: Bench) -> Record:
    """A run whose engine raised during training."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("EPOCHMARK_FAKE", '{"fail_in": "fit"}')
        return bench.measure(PlannedRun(FAKE)).record


@pytest.mark.parametrize(
    ("exception", "message"),
    [
        ("OutOfMemoryError", "CUDA out of memory. Tried to allocate 2.00 GiB"),
        ("ResourceExhaustedError", "failed to allocate memory"),
        ("XlaRuntimeError", "RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes"),
        ("RuntimeError", "OpenCL Error -4: CL_MEM_OBJECT_ALLOCATION_FAILURE"),
    ],
)
def test_each_frameworks_way_to_lack_memory_is_known(
    failed: Record, exception: str, message: str
) -> None:
    assert failed.failure is not None
    failure = msgspec.structs.replace(
        failed.failure, exception=exception, message=f"{exception}: {message}"
    )
    (finding,) = judge(msgspec.structs.replace(failed, failure=failure))
    assert finding.code == "out-of-memory"


def test_memory_that_a_framework_in_cpp_lacks_is_named(measure_fake: MeasureFake) -> None:
    """A real std::bad_alloc that is not caught ends the process with SIGABRT."""
    record = measure_fake({"fail_in": "fit", "fail_how": "bad_alloc"}).record
    assert [finding.code for finding in record.findings] == ["out-of-memory"]
    assert record.failure is not None
    assert record.failure.signal == "SIGABRT"
    assert "std::bad_alloc" in record.failure.message


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGBUS", "SIGILL", "SIGABRT", "SIGFPE"])
def test_a_crash_is_no_lack_of_memory(measure_fake: MeasureFake, name: str) -> None:
    record = measure_fake({"fail_in": "fit", "fail_how": "crash", "signal": name}).record
    assert [finding.code for finding in record.findings] == ["worker-crashed"]
    assert record.failure is not None
    assert (record.failure.kind, record.failure.signal) == ("crashed", name)
    text = "\n".join(answer_lines(record))
    assert f"crashed: {name}, it " in text
    assert "--batch" not in text


def test_a_worker_that_somebody_ends_was_killed(measure_fake: MeasureFake) -> None:
    record = measure_fake({"fail_in": "fit", "fail_how": "crash", "signal": "SIGTERM"}).record
    assert [finding.code for finding in record.findings] == ["worker-killed"]
    assert "killed by SIGTERM" in record.findings[0].detail
