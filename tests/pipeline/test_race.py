"""``epochmark race`` with real workers that take turns, each with a script of its own."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from epochmark.bench.interpreters.interpreter import Interpreter
from epochmark.bench.plan import PlannedRun
from epochmark.bench.racing.race import RaceRequest, race
from epochmark.bench.request import RunRequest
from epochmark.bench.session import Bench
from epochmark.judge.documents.races import check_race, decode_race
from epochmark.records.documents.race import Race, encode_race
from epochmark.report.text.race import race_lines
from epochmark.workloads import WORKLOADS
from tests.engines.conftest import SMALL_BATCH, interpreter_of, with_injected
from tests.pipeline.conftest import FAKE
from tests.pipeline.program import TIMEOUT_S, Program, read_until

STEP_S = 0.002


def interpreter(folder: Path, name: str, **script: Any) -> str:
    """An interpreter that is ours, in which the fake engine does what the script says."""
    file = folder / name
    words = json.dumps({"step_s": STEP_S, **script})
    file.write_text(f"#!/bin/sh\nEPOCHMARK_FAKE='{words}' exec {sys.executable} \"$@\"\n")
    file.chmod(0o755)
    return str(file)


def raced(
    bench: Bench, folder: Path, scripts: Sequence[dict[str, Any]], seconds: float = 7.0
) -> Race:
    """A race of fake engines in this process, with little patience."""
    runs = [
        PlannedRun(FAKE, Interpreter.foreign(interpreter(folder, f"python-{number}", **script)))
        for number, script in enumerate(scripts)
    ]
    names = [f"fake@python-{number}" for number in range(len(runs))]
    request = RaceRequest(names, runs, target=0.01, max_seconds=seconds)
    return race(request, replace(bench, patience_s=10.0), lambda news: None)


@pytest.mark.alone
def test_a_slower_entry_is_found_and_the_race_is_kept(program: Program) -> None:
    fast, slow = (
        f"fake@{interpreter(program.folder, name, step_s=step_s)}"
        for name, step_s in (("fast", STEP_S), ("slow", 1.25 * STEP_S))
    )
    done = program.run("race", fast, slow, "--max-seconds", "7", "--gate", "3%", "--label", "mine")
    assert done.returncode == 1, done.stderr
    assert "fake@slow" in done.stdout
    assert "times as long as fake@fast" in done.stdout
    assert "Gate: an entry is slower than fake@fast by more than 3 %." in done.stdout
    assert str(program.folder / "fast") not in done.stdout

    (file,) = (program.results / "races").glob("*.json")
    document = json.loads(file.read_text("utf-8"))
    assert [standing["place"] for standing in document["standings"]] == ["reference", "slower"]
    short_id = document["id"][:8]
    assert short_id in program.run("results").stdout
    shown = program.run("results", "show", short_id)
    assert shown.stdout.splitlines()[0] == done.stdout.splitlines()[0]
    checked = program.run("check", short_id)
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout
    assert "1 race: intact, consistent and plausible." in checked.stdout

    bundle = str(program.folder / "bundle.json")
    assert "1 race exported" in program.run("results", "export", bundle).stdout
    assert program.run("check", bundle).returncode == 0
    assert program.run("results", "rm", short_id).returncode == 0
    assert not file.exists()
    assert "1 race imported" in program.run("results", "import", bundle).stdout
    assert file.exists()


def test_what_is_wrong_with_a_document_is_found(bench: Bench, tmp_path: Path) -> None:
    made = raced(bench, tmp_path, [{}, {}], seconds=2.0)
    document = encode_race(made)
    assert check_race(document).problems == ()
    fields = json.loads(document)
    fields["standings"][1]["place"] = "faster"
    (problem,) = check_race(json.dumps(fields).encode()).problems
    assert "says place faster" in problem
    fields = json.loads(document)
    fields["entries"][1]["turns"].pop()
    assert any("digest" in problem for problem in check_race(json.dumps(fields).encode()).problems)
    fields["entries"][1]["warm_up_laps"] = 10**6
    (problem,) = check_race(json.dumps(fields).encode()).problems
    assert "it cannot be read" in problem
    fields["race_schema"] = 2
    (problem,) = check_race(json.dumps(fields).encode()).problems
    assert "upgrade epochmark" in problem


@pytest.mark.parametrize("how", ["kill", "hang"])
def test_the_others_go_on_when_an_entry_fails(bench: Bench, tmp_path: Path, how: str) -> None:
    failing = {"fail_in": "fit", "fail_how": how, "fail_at_step": 1000}
    made = raced(bench, tmp_path, [{}, failing, {}], seconds=8.0)
    assert [standing.place == "out" for standing in made.standings] == [False, True, False]
    assert made.standings[2].pairs >= 6
    assert made.entries[1].record.failure is not None
    assert len(made.entries[1].turns) < len(made.entries[0].turns)
    assert decode_race(encode_race(made)).standings == made.standings


def test_too_few_are_left_when_one_of_two_fails(bench: Bench, tmp_path: Path) -> None:
    made = raced(bench, tmp_path, [{}, {"fail_in": "build", "fail_how": "raise"}])
    assert made.ending == "too few entries"
    assert made.entries[0].record.continuation is not None
    assert made.standings[1].reason is not None
    assert "engine-failed" in made.standings[1].reason


def test_a_race_ends_with_the_epochs_of_an_entry(bench: Bench, tmp_path: Path) -> None:
    made = raced(bench, tmp_path, [{"step_s": 0.0}, {}], seconds=60.0)
    assert made.ending == "epochs"
    assert [standing.place == "out" for standing in made.standings] == [False, False]
    assert all(entry.record.continuation is not None for entry in made.entries)
    assert "then an entry had trained 1000 epochs" in race_lines(made)[-1]


def test_wrong_work_is_not_ranked(bench: Bench, tmp_path: Path) -> None:
    """Nor does a clock that runs slowly win."""
    made = raced(bench, tmp_path, [{"replay": 0.1}, {}, {"clock_rate": 0.5}], seconds=3.0)
    assert [standing.place for standing in made.standings] == ["out", "reference", "out"]
    replay, _, clock = (standing.reason for standing in made.standings)
    assert replay is not None
    assert "parity-failed" in replay
    assert clock is not None
    assert "clock" in clock


def test_what_was_raced_is_kept_when_the_user_ends_it(program: Program) -> None:
    entry = f"fake@{interpreter(program.folder, 'python')}"
    process = program.start("race", entry, entry, "--json")
    for _ in range(2):  # the second is some turns later
        read_until(process, "racing")
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 130
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
    made = json.loads(output)
    assert made["ending"] == "interrupted"
    assert all(entry["turns"] for entry in made["entries"])
    assert program.run("check", made["id"]).returncode == 0


def test_a_race_is_kept_elsewhere_when_its_folder_fails(program: Program) -> None:
    """Ctrl-C comes besides, while the last proof is computed."""
    entries = [f"fake@{interpreter(program.folder, name)}" for name in ("first", "last")]
    process = program.start("race", *entries, "--max-seconds", "2")
    read_until(process, "proving the work of fake@last")
    launcher, guard_only = psutil.Process(process.pid), 1
    while len(launcher.children()) > guard_only:
        time.sleep(0.01)
    folder = program.results / "races"
    folder.rmdir()
    folder.touch()
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 130
    assert "the others are compared with it" in output
    assert f"results cannot be saved in {folder}" in errors
    saved = Path(output.split("saved: ")[1].strip())
    made = decode_race(saved.read_bytes())
    assert made.ending == "interrupted"
    assert [entry.record.continuation is None for entry in made.entries] == [False, True]


def test_nothing_suspended_outlives_a_launcher_that_was_killed(program: Program) -> None:
    """Nor do the processes below a worker, which its death alone would leave suspended."""
    entry = f"fake@{interpreter(program.folder, 'python', leave_child=True)}"
    process = program.start("race", entry, entry)
    read_until(process, "racing")
    below = psutil.Process(process.pid).children(recursive=True)
    while psutil.STATUS_STOPPED not in {process.status() for process in below}:
        time.sleep(0.01)  # a stop is seen once the process had its CPU again
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=TIMEOUT_S)
    _, alive = psutil.wait_procs(below, timeout=30)
    assert alive == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fake"], "2 to 6 entries, not 1"),
        (["fake", "nativ"], "did you mean native?"),
        (["fake", "fake:tunde"], "did you mean tuned?"),
        (["fake", "fake@nowhere/python"], "neither a version"),
        (["native", "native+threads=no"], "such as +threads=2"),
        (["native", "native+thread=1"], "did you mean threads?"),
        (["native", "native@1.0"], "needs nothing installed"),
        (["fake", "fake", "-w", "mnist-cn"], "did you mean mnist-cnn?"),
        (["fake", "fake", "--max-seconds", "0"], "out of range"),
        (["fake", "fake", "--max-seconds", "14401"], "1 to 14400"),
        (["fake", "fake", "--quick", "--exact"], "exclude each other"),
        (["fake", "fake", "--gate", "much"], "--gate wants a percentage"),
        (["fake", "fake", "--device", "all"], "one device"),
    ],
)
def test_what_cannot_be_raced_says_why(
    program: Program, arguments: list[str], message: str
) -> None:
    done = program.here("race", *arguments)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.slow
def test_native_and_torch_race(bench: Bench) -> None:
    """Warm after a second, where a user's race trains for an epoch first."""
    runs = [
        PlannedRun(
            RunRequest(engine=name, workload=WORKLOADS["mnist-mlp"], batch_size=SMALL_BATCH),
            with_injected(interpreter_of(name), WARM_UP_S="1"),
        )
        for name in ("native", "torch")
    ]
    request = RaceRequest(["native", "torch"], runs, target=0.01, max_seconds=10.0)
    made = race(request, bench, lambda news: None)
    assert [standing.place for standing in made.standings] == ["reference", "slower"]
    assert all(entry.record and entry.record.continuation for entry in made.entries)
