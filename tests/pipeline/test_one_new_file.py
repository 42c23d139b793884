"""One new file makes an engine or a sensor known everywhere, as CONTRIBUTING.md promises."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.program import Program

ROOT = Path(__file__).parents[2]

ENGINE = """
from epochmark.engines import EngineInfo, Support, Variables
from epochmark.engines.fake import FakeEngine


class NewEngine(FakeEngine):
    info = EngineInfo(
        name="new-engine",
        title="New",
        summary="the scripted engine by another name",
        family="new-engine",
        adam_form="algorithm_1",
        devices=(
            Support("cpu", "a new framework", "on a machine of the test"),
            Support("tpu", "not offered", seen="", offered=False),
        ),
        variables=Variables(
            places=("NEW_DEVICE",),
            threads=("NEW_THREADS",),
            switches=("NEWEST_*",),
            own=("ZEAL",),
            folders=("NEW_HOME",),
        ),
        memory_errors=("was told to fail",),
        cuda_packages=("new-cuda",),
    )


ENGINE = NewEngine()
"""

SENSOR = """
from epochmark.hardware.sensors import Channel, Sensor, SensorInfo

INFO = SensorInfo(reads="°C of the test", source="this file", seen="in the test")


def open_sensor(worker, root):
    return NewSensor()


class NewSensor(Sensor):
    source = "a new sensor"
    channels = (Channel("temperature", "CPU"),)
    interval_s = 0.01

    def read(self):
        return [51.5]
"""

FOUND_BY_PYTHON = """
import pathlib

import epochmark.engines
import epochmark.hardware.sensors

folder = pathlib.Path(__file__).parent
epochmark.engines.__path__.append(str(folder / "engines"))
epochmark.hardware.sensors.__path__.append(str(folder / "sensors"))
"""
"""Run before anything else where it is on the path, by the launcher as by the worker."""


@pytest.fixture
def program(program: Program, tmp_path: Path) -> Program:
    """With an engine and a sensor more."""
    added = tmp_path / "added"
    for name, text in (("engines/new_engine", ENGINE), ("sensors/new_sensor", SENSOR)):
        (added / name).parent.mkdir(parents=True)
        (added / name).with_suffix(".py").write_text(text, "utf-8")
    (added / "sitecustomize.py").write_text(FOUND_BY_PYTHON, "utf-8")
    path = [str(added), *filter(None, [os.environ.get("PYTHONPATH")])]
    program.environment["PYTHONPATH"] = os.pathsep.join(path)
    return program


def printed(program: Program, statement: str) -> Any:
    """What an expression is, after these imports, in a Python that has the new files."""
    done = subprocess.run(
        [sys.executable, "-c", f"import json\n{statement}"],
        env=program.variables({}),
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return json.loads(done.stdout)


def trained(program: Program, *options: str, **variables: str) -> dict[str, Any]:
    """The record of a short run in a worker that has the new files as well."""
    run = ("run", "new-engine", "--python", sys.executable, "--json", *options)
    done = program.run(*run, environment=variables)
    assert done.stdout, done.stderr
    record: dict[str, Any] = json.loads(done.stdout)
    return record


def test_a_new_engine_is_listed_and_can_be_asked_for(program: Program) -> None:
    listed = json.loads(program.run("engines", "--json").stdout)
    (status,) = [status for status in listed if status["engine"] == "new-engine"]
    assert status["title"] == "New"
    refused = program.run("run", "new-engine", "--device", "gpu")
    assert refused.returncode == 2
    assert "new-engine runs on: cpu; not on gpu" in refused.stderr
    assert "new-engine" in program.run("run", "no-engine").stderr


def test_a_new_engine_and_a_new_sensor_are_in_the_record_of_a_run(program: Program) -> None:
    program.script(step_s=0.01)
    variables = {"NEW_DEVICE": "0", "NEWEST_MODE": "fast", "ZEAL": "9", "ZEALOT": "no"}
    record = trained(program, "--steps", "60", **variables)
    assert record["outcome"] == "completed"
    assert record["environment"] == {**record["environment"], "NEWEST_MODE": "fast", "ZEAL": "9"}
    assert "ZEALOT" not in record["environment"]
    assert {"NEWEST_MODE=fast", "ZEAL=9"} <= {*record["workload"]["variant"]}
    assert "NEW_DEVICE=0" not in record["workload"]["variant"]
    (log,) = [log for log in record["sensors"] if log["sensor"] == "new-sensor"]
    assert set(log["columns"][0]["values"]) == {51.5}


def test_a_new_engines_word_for_lack_of_memory_is_known(program: Program) -> None:
    program.script(fail_in="fit")
    record = trained(program)
    assert [finding["code"] for finding in record["findings"]] == ["out-of-memory"]


def test_a_new_engines_variables_and_packages_are_known(program: Program) -> None:
    kept, absolute, is_for_cuda = printed(
        program,
        "from epochmark.bench.interpreters.environment import own_environment\n"
        "from epochmark.bench.interpreters.environment import foreign_environment\n"
        "from epochmark.environments.pip import is_for_cuda\n"
        "given = {'NEW_DEVICE': '0', 'NEWEST_MODE': 'fast', 'NEW_HOME': 'here'}\n"
        "print(json.dumps([own_environment(given), foreign_environment(given), "
        "is_for_cuda('new_cuda13')]))",
    )
    assert kept["NEW_DEVICE"] == "0"
    assert "NEWEST_MODE" not in kept
    assert absolute["NEW_HOME"] == str(ROOT / "here")
    assert is_for_cuda


def test_both_are_in_the_documentation(program: Program) -> None:
    engines, devices, sensors = printed(
        program,
        "from tools import write_docs as docs\n"
        "print(json.dumps([docs.engines_table(), docs.devices_table(), docs.sensors_table()]))",
    )
    assert "| new-engine | New | the scripted engine by another name | 1 |" in engines
    assert "| new-engine | cpu | a new framework | on a machine of the test |" in devices
    assert "| `new-sensor` | °C of the test | this file | nothing | in the test |" in sensors
