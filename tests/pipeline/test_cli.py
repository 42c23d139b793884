"""What a user types and what comes back: output, exit codes, files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from epochmark.bench.request import public_engines
from epochmark.judge.reading import decode_record
from epochmark.system import usable_cores
from tests.pipeline.program import SMALL_BATCH, Program


def test_a_run_prints_the_answer_and_saves_the_record(program: Program) -> None:
    done = program.run("run", "fake", "--label", "my [red]machine")
    assert done.returncode == 0, done.stderr
    beside, answer = done.stdout.split("mnist-cnn v1: fake on cpu (")
    for fact in ("steady epoch", "elapsed", "images/s", "test accuracy  99.00%", "validity"):
        assert fact in answer
    assert "valid: all work was done, on cpu" in answer
    assert "measured with other engines: not ranked" in beside
    assert "310? [b]" in beside
    (record,) = program.records()
    assert record["label"] == "my [red]machine"
    assert f"record {record['id'][:8]} saved: {program.results}" in done.stdout
    assert "training" in done.stderr


def test_the_last_screen_is_the_answer_its_verdict_and_next_steps(program: Program) -> None:
    for options in ((), ("--quick",)):
        out = program.run("run", "fake", *options).stdout
        beside, answer = out.split("mnist-cnn v1", 1) if options else out.rsplit("mnist-cnn v1", 1)
        assert ("MacBook" in beside) == (options == ())
        assert "MacBook" not in answer
        assert len(answer.splitlines()) <= 24
        assert "How does this machine compare with the published ones? Find out (" in answer
        steps = [line for line in answer.splitlines() if line.startswith("  epochmark ")]
        assert len(steps) == 3
        assert "epochmark run keras-tensorflow" in steps[0]


def test_a_run_that_failed_names_no_more_than_where_to_read_on(program: Program) -> None:
    program.script(fail_in="build")
    out = program.run("run", "fake").stdout
    (record,) = program.records()
    steps = [line.split() for line in out.splitlines() if line.startswith("  epochmark ")]
    assert ["epochmark", "results", "show", record["id"][:8]] in [step[:4] for step in steps]
    assert program.run("results", "show", record["id"][:8]).returncode == 0


def test_json_is_one_document_and_nothing_else(program: Program) -> None:
    done = program.run("run", "fake", "--json")
    assert done.returncode == 0, done.stderr
    record = decode_record(done.stdout.encode())
    assert record.headline.validity == "valid"
    assert [json.loads(done.stdout)] == program.records()


def test_json_of_several_engines_is_one_list(program: Program) -> None:
    done = program.run("run", "fake", "fake", "--json", "--epochs", "1")
    assert [record["engine"]["name"] for record in json.loads(done.stdout)] == ["fake", "fake"]
    assert len(program.records()) == 2


@pytest.mark.parametrize(
    "several", [("--repeat", "1"), ("--repeat", "2"), ("--device", "all")], ids=" ".join
)
def test_json_is_a_list_where_several_may_come_and_is_read_again(
    program: Program, several: tuple[str, ...]
) -> None:
    printed = program.run("run", "fake", *several, "--json", "--epochs", "1").stdout
    records = program.records()
    assert {record["id"] for record in json.loads(printed)} == {record["id"] for record in records}
    checked = program.run("check", "-", "--json", input=printed)
    assert checked.returncode == 0, checked.stderr
    assert len(json.loads(checked.stdout)["records"]) == len(records)
    for file in program.results.glob("*.json"):
        file.unlink()
    imported = program.run("results", "import", "-", "--json", input=printed)
    assert imported.returncode == 0, imported.stderr
    assert sorted(program.records(), key=str) == sorted(records, key=str)


def test_a_single_record_is_read_from_standard_input(program: Program) -> None:
    printed = program.run("run", "fake", "--json", "--no-save").stdout
    checked = program.run("check", "-", input=printed)
    assert "1 record: intact, consistent and plausible." in checked.stdout
    assert "1 record imported" in program.run("results", "import", "-", input=printed).stdout
    file = program.folder / "printed.json"
    file.write_text(printed)
    assert program.run("check", str(file)).stdout == checked.stdout


def test_what_a_sweep_printed_is_read_again(program: Program) -> None:
    swept = program.run("run", "fake", "--batches", "256,512", "--json").stdout
    checked = program.run("check", "-", "--json", input=swept)
    assert len(json.loads(checked.stdout)["records"]) == 2


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[1, {}]", "null", "[" * 100_000, '{"records": 3}', '{"records": [], "x": 1}'],
)
def test_nonsense_on_standard_input_is_refused(program: Program, text: str) -> None:
    for command in (("check", "-"), ("results", "import", "-")):
        done = program.run(*command, input=text)
        assert done.returncode in (1, 2)
        assert "Traceback" not in done.stderr
    assert program.records() == []


def test_without_saving_nothing_is_left(program: Program) -> None:
    done = program.run("run", "fake", "--no-save", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["machine"]["machine_id"] is None
    assert not program.results.exists()
    assert [path.name.split("-")[0] for path in (program.folder / "tmp").iterdir()] == ["epochmark"]


def test_the_native_engine_is_the_default_and_takes_all_cores(
    program: Program, all_cores: None
) -> None:
    done = program.run("run", "--steps", "4", *SMALL_BATCH, "--json")
    record = json.loads(done.stdout)
    assert record["engine"]["name"] == "native"
    assert record["engine"]["settings"]["threads"] == str(usable_cores())
    assert record["headline"]["validity"] == "partial"
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ({"loss": "nan"}, "loss-diverged"),
        ({"fail_in": "fit", "fail_how": "kill"}, "killed by SIGKILL"),
        ({"fail_in": "build"}, "the fake engine was told to fail"),
    ],
)
def test_a_run_that_is_no_good_exits_with_1_and_is_kept(
    program: Program, script: dict[str, Any], message: str
) -> None:
    program.script(**script)
    done = program.run("run", "fake")
    assert done.returncode == 1
    assert message in done.stdout
    assert "What to do: " in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert [record["headline"]["validity"] for record in program.records()] == ["invalid"]


def test_what_a_failed_worker_wrote_is_kept_beside_its_record(program: Program) -> None:
    program.script(fail_in="build")
    program.run("run", "fake")
    (record,) = program.results.glob("*.json")
    assert "Traceback" in record.with_suffix(".stderr.txt").read_text()
    assert program.run("results", "rm", record.stem[-8:]).returncode == 0
    assert not list(program.results.glob("*fake*"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "caffe"], f"there are: {', '.join(public_engines())}"),
        (["run", "fake", "--device", "npu"], "devices are cpu, gpu, tpu"),
        (["run", "fake", "--device", "gpu:x"], "devices are cpu, gpu, tpu"),
        (["run", "fake", "--device", "tpu"], "runs on: cpu, gpu; not on tpu"),
        (["run", "fake", "--device", "gpu:9"], "it has cpu, gpu:0"),
        (["run", "--device", "gpu"], "native"),
        (["run", "fake", "--threads", "0"], f"--threads 0 is out of range: 1 to {usable_cores()}"),
        (["run", "fake", "--threads", "10000"], f"out of range: 1 to {usable_cores()}"),
        (["run", "fake", "--epochs", "0"], "--epochs 0 is out of range: 1 to 1000"),
        (["run", "fake", "--batch", "60001"], "--batch 60001 is out of range: 1 to 60000"),
        (["run", "fake", "--steps", "-1"], "--steps -1 is out of range"),
        (["run", "fake", "--epochs", "2", "--steps", "939"], "out of range: 1 to 938"),
        (["run", "fake", "--seed", "-1"], "--seed -1 is out of range"),
        (["run", "fake", "--label", "a\x1b[31m"], "printable"),
        (["run", "fake", "--patience", "0"], "--patience"),
        (["run", "fake", "--patience", "nan"], "--patience"),
        (["run", "fake", "--epochs", "many"], "--epochs"),
        (["run", "fake", "--data", "/nowhere"], "--data /nowhere does not contain MNIST"),
        (["results", "show", ""], "no result has an id"),
        (["results", "show", "ffff"], "'epochmark results list' shows all"),
        (["results", "rm", "../results"], "no result has an id"),
        (["table", "--format", "pdf"], "pdf"),
        (["dance"], "dance"),
    ],
)
def test_a_wrong_command_says_what_is_right(
    program: Program, arguments: list[str], message: str
) -> None:
    done = program.here(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert program.records() == []


def test_the_machine_is_described(program: Program) -> None:
    described = json.loads(program.run("machine", "--json").stdout)
    assert described["usable_cores"] == usable_cores()
    assert described["machine_id"] is None
    text = program.run("machine").stdout
    assert described["cpu"] in text
    assert f"{usable_cores()} usable" in text


def test_data_are_fetched_and_their_state_is_shown(program: Program, mnist_folder: Path) -> None:
    cache = {"XDG_CACHE_HOME": str(program.folder / "cache"), "EPOCHMARK_DATA": None}
    absent = json.loads(program.run("data", "--json", environment=cache).stdout)
    assert absent["state"] == "absent"
    assert (
        "'epochmark data fetch' downloads it"
        in program.run("data", "status", environment=cache).stdout
    )

    fetched = program.run("data", "fetch", "--data", str(mnist_folder), environment=cache)
    assert fetched.returncode == 0
    assert f"MNIST is verified in {mnist_folder}" in fetched.stdout
    named = program.run("data")
    assert named.stdout == program.run("data", "status").stdout
    assert f"named      {mnist_folder}" in named.stdout


def test_without_any_source_each_one_is_named(program: Program) -> None:
    nothing = {
        "XDG_CACHE_HOME": str(program.folder / "cache"),
        "HOME": str(program.folder / "home"),
        "EPOCHMARK_DATA": None,
        "https_proxy": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_FIND_LINKS": "",
        "PIP_RETRIES": "0",
    }
    done = program.run("run", "fake", environment=nothing)
    assert done.returncode == 1
    assert (
        "MNIST is not on this machine and could not be fetched. Tried in this order:" in done.stderr
    )
    assert "--data PATH or EPOCHMARK_DATA=PATH" in done.stderr
    assert "Traceback" not in done.stderr
    assert program.records() == []


EVERY_HELP = """
import typer

from epochmark.cli import app

def tell(command, context):
    print(command.get_help(context))
    for name, part in getattr(command, "commands", {}).items():
        tell(part, typer.Context(part, info_name=name, parent=context))

whole = typer.main.get_command(app)
tell(whole, typer.Context(whole, info_name="epochmark"))
"""


def test_help_is_the_same_where_python_leaves_docstrings_out(program: Program) -> None:
    said = [
        subprocess.run(
            [sys.executable, "-c", EVERY_HELP],
            env=program.variables({"PYTHONOPTIMIZE": optimize}),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for optimize in (None, "2")
    ]
    assert said[0].count("Usage: epochmark ") > 20
    assert "Train on this machine" in said[0]
    assert said[1] == said[0]
    done = program.run("run", "fake", environment={"PYTHONOPTIMIZE": "2"})
    assert done.returncode == 0, done.stderr


OF_PYTHON_ITSELF = {
    "collections", "contextlib", "functools", "importlib", "keyword", "operator", "reprlib",
    "types", "warnings",
}  # fmt: skip
"""What Python loads for ``-m``, before anything of ours can see to it."""


@pytest.mark.parametrize("arguments", [("run", "fake"), ("machine",), ("data", "status")])
def test_nothing_is_imported_from_the_current_folder(
    program: Program, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    needed = {"click", "msgspec", "numpy", "platformdirs", "psutil", "rich", "typer"}
    for name in (sys.stdlib_module_names | needed) - OF_PYTHON_ITSELF:
        (folder / f"{name}.py").write_text(f"raise SystemExit('{name} of the folder')\n")
    done = program.run(*arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
