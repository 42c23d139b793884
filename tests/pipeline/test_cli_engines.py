"""``epochmark engines``, and ``epochmark run`` with several engines, devices and interpreters."""

from __future__ import annotations

import importlib.util
import json
import sys

import pytest

from epochmark.bench.request import public_engines
from tests.pipeline.program import SMALL_BATCH, Program


def absent_engine() -> str:
    """An engine that the interpreter of the tests does not have."""
    if importlib.util.find_spec("plaidml") is not None:
        pytest.skip("the interpreter of the tests has PlaidML")
    return "plaidml-keras"


def test_every_engine_is_listed_with_what_helps(program: Program) -> None:
    done = program.run("engines", "--json")
    assert done.returncode == 0, done.stderr
    statuses = {status["engine"]: status for status in json.loads(done.stdout)}
    assert sorted(statuses) == public_engines()
    native = statuses["native"]
    assert (native["state"], native["where"]) == ("ready", "own")
    assert [device["id"] for device in native["devices"]] == ["cpu"]
    absent = statuses[absent_engine()]
    assert absent["state"] == "missing"
    assert "plaidml" in absent["problem"]
    assert "epochmark engines install plaidml-keras (about" in absent["remedy"]


def test_the_list_for_people_says_the_same(program: Program) -> None:
    done = program.run("engines", "list")
    assert done.returncode == 0, done.stderr
    assert "native" in done.stdout
    assert f"epochmark engines install {absent_engine()}" in done.stdout


def test_ready_engines_are_asked_once(program: Program) -> None:
    def ready(*arguments: str) -> tuple[list[dict[str, object]], bool]:
        done = program.run(*arguments, "--json")
        found = json.loads(done.stdout)
        statuses = found if isinstance(found, list) else found["engines"]
        asking = "asking the engines" in done.stderr
        return [status for status in statuses if status["state"] == "ready"], asking

    first, asked_first = ready("engines")
    assert (asked_first, {status["asked"] for status in first}) == (True, {None})
    again, asked_again = ready("machine")
    assert not asked_again
    assert None not in {status["asked"] for status in again}
    assert [{**status, "asked": None} for status in again] == first
    assert ready("engines", "--refresh")[1]
    assert "--refresh asks them again" in program.run("engines").stdout


def test_machine_lists_devices(program: Program) -> None:
    done = program.run("machine")
    assert done.returncode == 0, done.stderr
    assert "devices the engines can train on:" in done.stdout
    assert "  native" in done.stdout
    described = json.loads(program.run("machine", "--json").stdout)
    assert described["usable_cores"] >= 1
    assert {status["engine"] for status in described["engines"]} == set(public_engines())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["engines", "install", "caffe"], "there is no engine 'caffe'; there are: "),
        (["engines", "install"], "name an engine, or give --all; there are: jax"),
        (["engines", "install", "native"], "native needs nothing installed"),
        (["engines", "install", "torch", "--accelerator", "abacus"], "with abacus; they are known"),
        (["engines", "install", "torch", "--python", "/nowhere"], "does not exist"),
        (["engines", "remove", "torch"], "no environment was made for torch"),
        (["engines", "remove", "caffe"], "no engine and no environment 'caffe'; environments: "),
        (["engines", "remove", "../precious"], "is left alone"),
        (["run", "--all", "torch"], "omit their names"),
        (["run", "--all", "--python", sys.executable], "omit --python"),
        (["run", "native", "--python", "/nowhere"], "--python /nowhere: no such interpreter"),
        (["run", "native", "--device", "gpu"], "native runs on: cpu; not on gpu"),
        (["run", "native", "--precision", "float64"], "native has no precision 'float64'"),
    ],
)
def test_a_wrong_command_says_what_is_right(
    program: Program, arguments: list[str], said: str
) -> None:
    done = program.here(*arguments)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert program.records() == []


def test_an_engine_that_is_not_there_names_the_command_that_helps(program: Program) -> None:
    engine = absent_engine()
    done = program.here("run", engine)
    assert done.returncode == 2
    assert f"epochmark engines install {engine}" in done.stderr
    assert f"epochmark run {engine} --python PATH" in done.stderr


def test_several_engines_end_in_one_table(program: Program) -> None:
    program.script(step_s=0.05)  # laps for a speed
    done = program.run("run", "fake", "native", "--steps", "40", *SMALL_BATCH)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "mnist-cnn v1, 40 steps, batch 8, on cpu: 2 runs, fastest first" in lines
    header = next(line for line in lines if line.startswith("engine"))
    for column in ("start-up", "s/epoch", "interval", "elapsed", "images/s", "accuracy"):
        assert column in header
    below, *rows = lines[lines.index(header) + 2 :][:3]
    assert below == "  only a part of the work, so not ranked:"
    assert {row.split()[0] for row in rows} == {"fake", "native"}
    assert "1 of 2: fake on cpu" in done.stderr
    assert "2 of 2: native on cpu" in done.stderr
    assert len(program.records()) == 2


def test_a_failed_run_does_not_stop_the_others(program: Program) -> None:
    program.script(fail_in="fit")
    done = program.run("run", "fake", "native", "--steps", "10", *SMALL_BATCH)
    assert done.returncode == 1
    assert "invalid (engine-failed)" in done.stdout
    assert "fake on cpu: engine-failed: while training: RuntimeError" in done.stdout
    assert [record["outcome"] for record in program.records()] == ["failed", "completed"]


def test_an_engine_that_refuses_does_not_stop_the_others(program: Program) -> None:
    done = program.run("run", "fake", "fake", "--device", "gpu:3", "--anyway")
    assert done.returncode == 1
    assert done.stderr.count("left out: fake has no gpu:3; it has cpu, gpu:0") == 2


def test_each_device_of_an_engine(program: Program) -> None:
    done = program.run("run", "fake", "--device", "all", "--steps", "3", "--json", "--anyway")
    assert done.returncode == 0, done.stderr
    devices = [record["device"]["resolved"] for record in json.loads(done.stdout)]
    assert devices == ["cpu", "gpu:0"]


def test_all_ready_engines_run(program: Program) -> None:
    done = program.run("run", "--all", "--steps", "3", *SMALL_BATCH, "--json")
    assert done.returncode in (0, 1), done.stderr
    document = json.loads(done.stdout)
    records = document if isinstance(document, list) else [document]
    assert "native" in [record["engine"]["name"] for record in records]


def test_a_device_that_no_engine_sees_lists_what_is_there(program: Program) -> None:
    done = program.here("run", "--all", "--device", "tpu")
    assert done.returncode == 2
    assert "no engine that is ready here can do this" in done.stderr
    assert "native: native runs on: cpu; not on tpu" in done.stderr


def test_native_names_the_way_to_a_published_figure(program: Program) -> None:
    done = program.run("run", "--steps", "3", *SMALL_BATCH)
    assert "epochmark engines install keras-tensorflow" in done.stdout
    assert "epochmark run keras-tensorflow" in done.stdout
