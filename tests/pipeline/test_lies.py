"""A worker is not believed: each lie is found, and leaves a record that can be read."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from epochmark.analysis.timing.headline import headline_of
from epochmark.bench.interpreters.interpreter import Interpreter
from epochmark.bench.interpreters.probe import probe
from epochmark.bench.measure_limits import measure_engine
from epochmark.bench.plan import PlannedRun
from epochmark.bench.process.order import LAPS_BESIDES, LAPS_PER_S
from epochmark.bench.process.worker_process import STDERR_TAIL_BYTES
from epochmark.bench.session import Bench
from epochmark.engines import get_engine
from epochmark.hardware.machine import describe_machine
from epochmark.judge.check import check_record
from epochmark.judge.results import ResultFiles
from epochmark.records.digest import sealed
from epochmark.records.record import Record
from epochmark.records.upgrades import encode_record
from epochmark.report.text.answer import answer_lines
from epochmark.workloads._data.mnist_files import TEST_LABELS, TRAIN_IMAGES, IdxFile
from tests.pipeline.conftest import FAKE, MeasureFake
from tests.pipeline.program import Program

LAP = {"report": "LapEnd", "epoch": 1, "steps": 3, "end_ns": 10, "loss": 0.1, "accuracy": 0.9}
EPOCH = {"report": "EpochEnd", "epoch": 1, "loss": 0.1, "accuracy": 0.9}
FITTED = {"report": "Fitted", "startup_s": 0.1, "fit_ns": 20}
CHECKED = {
    "report": "Observed", "observed_devices": ["cpu"], "settings": {}, "test_loss": 0.03,
    "test_accuracy": 0.99,
}  # fmt: skip
TRAINING = {"report": "Phase", "name": "training"}
CHECKING = {"report": "Phase", "name": "checking"}
REPLAYED = {"report": "Replayed", "losses": [2.3] * 10, "sgd_losses": [2.3] * 3}
FINISHED = {"report": "Finished", "peak_memory_bytes": 10**8}

LIES: dict[str, tuple[str, list[Any]]] = {
    "steps below zero": ("fit", [{**LAP, "steps": -5}]),
    "no step": ("fit", [{**LAP, "steps": 0}]),
    "steps without an end": ("fit", [{**LAP, "steps": 4690, "end_ns": n} for n in (1, 2, 3)]),
    "steps of a truth value": ("fit", [{**LAP, "steps": True}]),
    "steps that are no integer": ("fit", [{**LAP, "steps": 3.0}]),
    "huge integers": ("fit", [{**LAP, "end_ns": 1 << 63}]),
    "integers beyond 128 bits": ("fit", [{**LAP, "end_ns": 1 << 130}]),
    "times that go back": ("fit", [LAP, {**LAP, "end_ns": 9}]),
    "times that stand still": ("fit", [LAP, LAP]),
    "a time below zero": ("fit", [{**LAP, "end_ns": -1}]),
    "a time of nought": ("fit", [{**LAP, "end_ns": 0}]),
    "an epoch beyond the run's": ("fit", [{**LAP, "epoch": 11}]),
    "an epoch of nought": ("fit", [{**LAP, "epoch": 0}]),
    "an epoch left out": ("fit", [{**LAP, "epoch": 2}]),
    "the end of an epoch without a lap": ("fit", [EPOCH]),
    "the end of another epoch": ("fit", [LAP, {**EPOCH, "epoch": 2}]),
    "two ends of an epoch": ("fit", [LAP, EPOCH, EPOCH]),
    "a running loss below zero": ("fit", [{**LAP, "loss": -0.1}]),
    "an accuracy above one": ("fit", [{**LAP, "accuracy": 1.5}]),
    "an epoch's accuracy below zero": ("fit", [LAP, {**EPOCH, "accuracy": -0.5}]),
    "an infinite loss": ("fit", ['{"report": "LapEnd", "epoch": 1, "steps": 3, "end_ns": 10, '
                                 '"loss": 1e999, "accuracy": 0.9}']),
    "a text that is none": ("fit", ['{"report": "Phase", "name": "\\ud800"}']),
    "unknown fields": ("fit", [{**LAP, "also": 1}]),
    "a lap before the training": ("load", [LAP]),
    "a lap after the fit": ("evaluate", [LAP]),
    "the end of the fit before its last lap": ("fit", [LAP, {**FITTED, "fit_ns": 9}]),
    "training that ended after the fit": ("fit", [LAP, {**FITTED, "trained_ns": 21}]),
    "a fit that ended twice": ("fit", [LAP, FITTED, FITTED]),
    "a lap that follows the fit": ("fit", [FITTED, LAP]),
    "a start-up longer than its life": ("fit", [LAP, {**FITTED, "startup_s": 1e6}]),
    "CPU time below zero": ("fit", [LAP, {**FITTED, "cpu_s": -1.0}]),
    "context switches below zero": ("fit", [LAP, {**FITTED, "involuntary_switches": -1}]),
    "an unknown phase": ("load", [{"report": "Phase", "name": "dancing"}]),
    "a phase again": ("fit", [TRAINING]),
    "a phase left out": ("load", [TRAINING]),
    "a second hello": ("load", [{"report": "Hello", "python": "3", "versions": {}}]),
    "a second device": ("load", [{"report": "Opened", "device": "cpu", "description": ""}]),
    "the check before the fit": ("fit", [CHECKED]),
    "the end before the check": ("fit", [LAP, FITTED, FINISHED]),
    "a test loss below zero": ("evaluate", [{**CHECKED, "test_loss": -0.03}]),
    "a test accuracy above one": ("evaluate", [{**CHECKED, "test_accuracy": 1.01}]),
    "too many devices": ("evaluate", [{**CHECKED, "observed_devices": ["cpu"] * 101}]),
    "too many settings": (
        "evaluate", [{**CHECKED, "settings": {str(n): "" for n in range(101)}}]
    ),
    "a setting too long": ("evaluate", [{**CHECKED, "settings": {"a": "x" * 301}}]),
    "too few replayed losses": ("replay", [{**REPLAYED, "losses": [2.3] * 9}]),
    "too many replayed losses": ("replay", [{**REPLAYED, "losses": [2.3] * 11}]),
    "too few losses of SGD": ("replay", [{**REPLAYED, "sgd_losses": [2.3] * 2}]),
    "no losses of SGD": ("replay", [{"report": "Replayed", "losses": [2.3] * 10}]),
    "memory below zero": ("replay", [REPLAYED, {**FINISHED, "peak_memory_bytes": -1}]),
    "words after the end": ("replay", [REPLAYED, FINISHED, TRAINING]),
    "a failure's message too long": (
        "fit",
        [{"report": "Failed", "phase": "", "exception": "", "message": "x" * 2001, "usage": False}],
    ),
    "a failure of a type too long": (
        "fit",
        [{"report": "Failed", "phase": "", "exception": "x" * 301, "message": "", "usage": False}],
    ),
    "reports of another job": (
        "fit", [{"report": "Figure", "what": "", "facts": {}, "work": 1.0, "seconds": [1.0]}]
    ),
}  # fmt: skip


def codes(record: Record) -> list[str]:
    return [finding.code for finding in record.findings]


def assert_can_be_read_again(record: Record, folder: Path) -> None:
    files = ResultFiles(folder)
    files.save(record)
    stored, unreadable = files.load()
    assert unreadable == []
    assert [run.record for run in stored] == [record]
    assert check_record(encode_record(record)).problems == ()


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_breaks_the_protocol_and_leaves_a_record(
    measure_fake: MeasureFake, tmp_path: Path, lie: str
) -> None:
    method, says = LIES[lie]
    record = measure_fake({"fail_in": method, "fail_how": "say", "says": says}).record
    assert codes(record) == ["protocol-broken"]
    assert_can_be_read_again(record, tmp_path)
    assert psutil.Process().children(recursive=True) == []


@pytest.mark.parametrize(
    "script",
    [
        {"description": "x" * 301},
        {"versions": {"torch": "x" * 301}},
        {"versions": {"x" * 301: "1"}},
        {"versions": {str(number): "1" for number in range(101)}},
        {"observed_device": "x" * 301},
        {"steps_missing": 474},
    ],
    ids=str,
)
def test_an_engine_that_says_too_much_breaks_the_protocol(
    measure_fake: MeasureFake, tmp_path: Path, script: dict[str, Any]
) -> None:
    record = measure_fake(script).record
    assert codes(record) == ["protocol-broken"]
    assert_can_be_read_again(record, tmp_path)


def test_a_lie_is_reported_and_its_record_is_among_the_results(program: Program) -> None:
    laps = [{**LAP, "steps": -5}, {**LAP, "steps": 8, "end_ns": 20}]
    program.script(fail_in="fit", fail_how="say", says=laps)
    done = program.run("run", "fake", "--steps", "3")
    assert done.returncode == 1
    assert "protocol-broken" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    listed = program.run("results", "list")
    assert "fake" in listed.stdout
    assert "skipped" not in listed.stdout + listed.stderr


def test_a_flood_of_laps_is_ended_and_hardly_shown(program: Program) -> None:
    program.script(fail_in="fit", fail_how="flood-laps")
    done = program.run("run", "fake")
    assert done.returncode == 1
    assert "laps in" in done.stdout
    assert len(done.stderr.splitlines()) < 20
    (record,) = program.records()
    assert record["failure"]["kind"] == "protocol-broken"
    assert len(record["timing"]["laps"]) < 10 * LAPS_BESIDES * LAPS_PER_S


def test_a_flood_of_output_is_ended(measure_fake: MeasureFake) -> None:
    measured = measure_fake({"fail_in": "fit", "fail_how": "flood-output"})
    assert codes(measured.record) == ["protocol-broken"]
    assert "printed more than" in measured.record.findings[0].detail
    assert len(measured.stderr) <= STDERR_TAIL_BYTES


def test_a_thousand_epochs_in_no_time_are_a_few_lines(program: Program) -> None:
    done = program.run("run", "fake", "--epochs", "1000")
    assert "epoch 1000/1000" in done.stderr
    assert len(done.stderr.splitlines()) < 100


@pytest.mark.parametrize("rate", [0.5, 2.0])
def test_a_worker_whose_clock_runs_wrong_is_invalid(measure_fake: MeasureFake, rate: float) -> None:
    record = measure_fake({"clock_rate": rate, "step_s": 0.01}, max_steps=200).record
    assert "clocks-disagree" in codes(record)
    assert record.headline.validity == "invalid"


def test_laps_that_end_before_they_are_reported_are_found(measure_fake: MeasureFake) -> None:
    """The whole fit is reported rightly, its laps are not."""
    script = {"clock_rate": 0.5, "clock_recovers": True, "step_s": 0.01}
    record = measure_fake(script, max_steps=200).record
    assert "clocks-disagree" in codes(record)
    assert record.timing.launcher is not None
    assert record.timing.fit_ns is not None
    assert record.timing.fit_ns <= record.timing.launcher.fit_high_ns


def test_check_compares_the_clocks(measure_fake: MeasureFake) -> None:
    record = measure_fake({"step_s": 0.002}, epochs=1).record
    assert codes(record) == []
    timing = record.timing
    assert timing.fit_ns is not None
    laps = [msgspec.structs.replace(lap, end_ns=lap.end_ns // 4) for lap in timing.laps]
    faster = msgspec.structs.replace(timing, laps=laps, fit_ns=timing.fit_ns // 4)
    edited = msgspec.structs.replace(record, timing=faster)
    edited = sealed(msgspec.structs.replace(edited, headline=headline_of(edited)))
    problems = check_record(encode_record(edited)).problems
    assert any("clocks-disagree is missing" in problem for problem in problems)


def test_a_launcher_that_was_stopped_blames_no_one(measure_fake: MeasureFake) -> None:
    """The worker stops and continues it, for longer than its patience."""
    measured = measure_fake(
        {"step_s": 0.05, "launcher_stopped": [5, 115]}, max_steps=120, patience_s=5.0
    )
    record = measured.record
    assert codes(record) == ["steps-limited"]
    assert record.timing.launcher is not None
    assert record.timing.launcher.absent_s > 0
    assert "not watched" in "\n".join(answer_lines(record))


@pytest.mark.parametrize("file", [TRAIN_IMAGES, TEST_LABELS], ids=lambda file: file.name)
def test_data_exchanged_after_they_were_verified_are_not_measured(
    mnist_folder: Path, tmp_path: Path, file: IdxFile
) -> None:
    folder = tmp_path / "mnist"
    shutil.copytree(mnist_folder, folder)
    with (folder / file.name).open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        last = stream.read(1)[0]
        stream.seek(-1, os.SEEK_END)
        stream.write(bytes([(last + 1) % 10]))
    record = Bench(folder, describe_machine(None)).measure(PlannedRun(FAKE)).record
    assert record.headline.validity == "invalid"
    assert record.failure is not None
    assert "was changed after it was verified" in record.failure.message


@pytest.mark.parametrize(
    "figure",
    [
        {"what": "product", "facts": {"size": -1}, "work": 1.0, "seconds": [1.0]},
        {"what": "product", "facts": {"size": 1, "more": 1}, "work": 1.0, "seconds": [1.0]},
        {"what": "product", "facts": {"size": 1}, "work": 1e17, "seconds": [1e-3]},
        {"what": "dispatch", "facts": {}, "work": 1.0, "seconds": []},
        {"what": "dispatch", "facts": {}, "work": 1.0, "seconds": [-1.0]},
        {"what": "dispatch", "facts": {}, "work": 0.0, "seconds": [1.0]},
        {"what": "guesswork", "facts": {}, "work": 1.0, "seconds": [1.0]},
    ],
    ids=str,
)
def test_a_figure_that_cannot_be_is_a_problem_of_its_engine(
    monkeypatch: pytest.MonkeyPatch, figure: dict[str, Any]
) -> None:
    says = [{"report": "Figure", **figure}]
    script = {"fail_in": "operations", "fail_how": "say", "says": says}
    monkeypatch.setenv("EPOCHMARK_FAKE", msgspec.json.encode(script).decode())
    found = measure_engine("fake", "cpu", Interpreter.own(), lambda doing: None)
    assert not found.has_figures
    assert found.problem is not None
    assert figure["what"] in found.problem


def test_more_troubles_than_there_can_be_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    says = [{"report": "Trouble", "message": "x" * 2000}] * 200
    script = {"fail_in": "operations", "fail_how": "say", "says": says}
    monkeypatch.setenv("EPOCHMARK_FAKE", msgspec.json.encode(script).decode())
    found = measure_engine("fake", "cpu", Interpreter.own(), lambda doing: None)
    assert found.problem is not None
    assert len(found.problem) <= 2000


def test_an_answer_about_devices_is_held_to_its_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    script = {"versions": {"torch": "x" * 301}}
    monkeypatch.setenv("EPOCHMARK_FAKE", msgspec.json.encode(script).decode())
    status = probe(get_engine("fake").info, Interpreter.own())
    assert status.state == "broken"
    assert "could not be understood" in str(status.problem)


def test_a_record_that_could_not_be_read_again_is_one_of_a_failure(
    correct: Record, tmp_path: Path
) -> None:
    """Whatever slips through: the last one before the disk reads what it writes."""
    laps = [msgspec.structs.replace(lap, steps=-5) for lap in correct.timing.laps]
    broken = msgspec.structs.replace(
        correct, timing=msgspec.structs.replace(correct.timing, laps=laps), label="\ud800"
    )
    files = ResultFiles(tmp_path)
    files.save(broken)
    stored, unreadable = files.load()
    assert unreadable == []
    assert codes(stored[0].record) == ["protocol-broken"]
    assert stored[0].record.id == correct.id
    assert check_record(stored[0].file.read_bytes()).problems == ()
