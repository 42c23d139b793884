"""Ctrl-C and SIGTERM in Python programs that call epochmark, also while a run is saved."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from epochmark.bench.process.interrupts import INTERRUPTIONS
from epochmark.cli import app
from epochmark.records.store import FOLDER_VARIABLE
from tests.pipeline.program import (
    TIMEOUT_S,
    Program,
    interrupt,
    python,
    read_until_said,
)


def test_a_command_called_from_a_program_leaves_its_signal_handlers_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    before = [signal.getsignal(number) for number in INTERRUPTIONS]
    app(["results", "--json"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out) == []
    assert [signal.getsignal(number) for number in INTERRUPTIONS] == before


LOOP = """
import epochmark

for seed in (1, 2, 3):
    print("run", seed, flush=True)
    epochmark.run("fake", seed=seed, on_report=lambda report: print(report, flush=True))
"""


OWN_HANDLER = """
import signal

def asked_to_end(number, frame):
    raise SystemExit(7)

signal.signal(signal.SIGTERM, asked_to_end)
"""


IN_A_THREAD = """
import threading

import epochmark

thread = threading.Thread(target=lambda: print(epochmark.run("fake").headline.validity))
thread.start()
thread.join()
"""


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(("laps", "kept"), [(5, []), (6, ["partial"])])
def test_ctrl_c_ends_a_loop_over_runs_and_keeps_the_one_it_stopped_from_six_laps_on(
    program: Program, laps: int, kept: list[str], times: int
) -> None:
    """Each step is a lap. Whoever asks again does not lose it."""
    program.script(step_s=0.3, fail_in="fit", fail_how="hang", fail_at_step=laps + 1)
    process = python(program, LOOP)
    for _ in range(laps):
        read_until_said(process, "LapEnd(")
    for _ in range(times - 1):
        process.send_signal(signal.SIGINT)
    out, err = interrupt(process)
    assert process.returncode == -signal.SIGINT
    assert err.strip().endswith("KeyboardInterrupt")
    assert "run 2" not in out
    assert [record["headline"]["validity"] for record in program.records()] == kept


@pytest.mark.parametrize(
    ("handler", "status"), [("", -signal.SIGTERM), (OWN_HANDLER, 7)], ids=["none", "own"]
)
def test_sigterm_means_to_a_python_program_what_it_says_itself(
    program: Program, handler: str, status: int
) -> None:
    program.script(fail_in="fit", fail_how="hang")
    process = python(program, handler + LOOP)
    read_until_said(process, "training")
    out, _ = interrupt(process, signal.SIGTERM)
    assert process.returncode == status
    assert "run 2" not in out


def test_ctrl_c_while_a_python_program_saves_loses_nothing(program: Program) -> None:
    process = python(program, INTERRUPTED_WHILE_SAVING + LOOP)
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == -signal.SIGINT
    assert err.strip().endswith("KeyboardInterrupt")
    assert "run 2" not in out
    assert [record["headline"]["validity"] for record in program.records()] == ["valid"]


def test_runs_in_a_thread_leave_signals_alone(program: Program) -> None:
    out, err = python(program, IN_A_THREAD).communicate(timeout=TIMEOUT_S)
    assert (out, err) == ("valid\n", "")


INTERRUPTED_WHILE_SAVING = """
import os
import signal

from epochmark.judge.results import ResultFiles

save = ResultFiles.save

def interrupted_save(*arguments):
    os.kill(os.getpid(), signal.SIGINT)
    return save(*arguments)

ResultFiles.save = interrupted_save
"""


def test_ctrl_c_while_a_finished_run_is_saved_loses_nothing(
    program: Program, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTED_WHILE_SAVING, encoding="utf-8")
    program.script()
    found = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    done = program.run("run", "fake", "fake", environment={"PYTHONPATH": found})
    assert done.returncode == 130
    assert done.stderr.endswith("epochmark: interrupted\n")
    assert [record["headline"]["validity"] for record in program.records()] == ["valid"]


REPEATED = """
import epochmark

epochmark.run("fake", repeat=3, max_steps=40, on_report=lambda report: print(report, flush=True))
"""


def test_ctrl_c_keeps_the_repetitions_before_it(program: Program) -> None:
    program.script(step_s=0.05)
    process = python(program, REPEATED)
    read_until_said(process, "Finished(")
    read_until_said(process, "training")
    _, err = interrupt(process)
    assert process.returncode == -signal.SIGINT
    assert err.strip().endswith("KeyboardInterrupt")
    failures = [record["failure"] for record in program.records()]
    assert None in failures
    assert len(failures) < 3


KILLED_WHILE_SAVING = """
import os
import signal

from epochmark.judge.results import ResultFiles

save = ResultFiles.save

def killed_save(*arguments):
    os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
    return save(*arguments)

ResultFiles.save = killed_save
"""


def test_a_kill_while_a_run_is_saved_leaves_nothing_half_written(
    program: Program, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(KILLED_WHILE_SAVING, encoding="utf-8")
    found = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    killed = program.run("run", "fake", environment={"PYTHONPATH": found})
    assert killed.returncode == -signal.SIGKILL
    assert program.records() == []
    listed = program.run("results")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert program.run("run", "fake").returncode == 0
    assert [record["headline"]["validity"] for record in program.records()] == ["valid"]
