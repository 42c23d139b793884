"""What a user types and what comes back: output, exit codes, files."""

from __future__ import annotations

import csv
import io
import json
import shutil
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
    assert {one["id"] for one in json.loads(printed)} == {one["id"] for one in records}
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
    done = program.run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert program.records() == []


def test_results_are_listed_shown_and_removed(filled: Program) -> None:
    listed = filled.run("results", "list")
    assert listed.stdout == filled.run("results").stdout
    records = json.loads(filled.run("results", "list", "--json").stdout)
    assert [record["id"] for record in records] == [
        record["id"] for record in sorted(filled.records(), key=lambda record: record["created"])
    ]
    assert all(record["id"][:8] in listed.stdout for record in records)
    first = records[0]["id"]

    shown = filled.run("results", "show", first[:6])
    assert "steady epoch" in shown.stdout
    assert str(filled.results) in shown.stdout
    assert json.loads(filled.run("results", "show", first, "--json").stdout) == records[0]

    removed = filled.run("results", "rm", first[:6], "--json")
    assert json.loads(removed.stdout) == {"removed": first}
    assert {record["id"] for record in filled.records()} == {r["id"] for r in records[1:]}
    assert filled.run("results", "show", first).returncode == 2


def test_where_an_id_is_taken_so_is_an_engine(filled: Program) -> None:
    """Its newest run here."""
    newest = max(
        (one for one in filled.records() if one["engine"]["name"] == "fake"),
        key=lambda one: one["created"],
    )["id"]
    folder = filled.folder
    shown = filled.run("results", "show", "fake", "--json")
    assert json.loads(shown.stdout)["id"] == newest
    assert json.loads(filled.run("explain", "fake", "--json").stdout)["id"] == newest
    assert json.loads(filled.run("check", "fake", "--json").stdout)["records"][0]["id"] == newest
    filled.run("results", "export", str(folder / "one.json"), "fake")
    exported = json.loads((folder / "one.json").read_text("utf-8"))
    assert [one["id"] for one in exported["records"]] == [newest]
    page, picture = folder / "page.html", folder / "speed.svg"
    assert "1 record" in filled.run("report", "fake", "-o", str(page)).stdout
    assert filled.run("plot", "speed", "fake", "-o", str(picture)).returncode == 0
    removed = filled.run("results", "rm", "fake", "--json")
    assert json.loads(removed.stdout) == {"removed": newest}
    assert "there is no run of jax" in filled.run("results", "show", "jax").stderr


def test_without_results_the_next_step_is_told(program: Program) -> None:
    assert "'epochmark run' makes the first" in program.run("results").stdout


def test_a_shortened_id_must_be_unique(filled: Program) -> None:
    document = json.loads((filled.results / "fake-valid.json").read_text())
    for name, record_id in (("a", "abc100000000"), ("b", "abc200000000")):
        (filled.results / f"{name}.json").write_text(json.dumps({**document, "id": record_id}))
    ambiguous = filled.run("results", "show", "abc")
    assert ambiguous.returncode == 2
    assert "abc100000000, abc200000000; type more of it" in ambiguous.stderr
    assert filled.run("results", "show", "abc2").returncode == 0

    shutil.copy(filled.results / "a.json", filled.results / "copy.json")
    copied = filled.run("results", "rm", "abc1")
    assert copied.returncode == 2
    assert "a.json, copy.json are copies of one record" in copied.stderr


def test_bad_files_among_the_results_are_named_and_skipped(filled: Program) -> None:
    (filled.results / "cut\x1b[31m.json").write_text('{"schema": 1')
    (filled.results / "folder.json").mkdir()
    for arguments in (["results"], ["results", "--json"], ["table"], ["table", "--format", "csv"]):
        done = filled.run(*arguments)
        assert done.returncode == 0
        assert "fake" in done.stdout
        assert "folder.json: it is not a regular file" in done.stderr
        assert "cut [31m.json: " in done.stderr
    assert "(2 files could not be read)" in filled.run("results", "show", "nope").stderr


def test_the_table_in_every_format(filled: Program) -> None:
    for other in filled.results.glob("fake-valid-*.json"):  # one run to be ranked first
        other.unlink()
    document = json.loads((filled.results / "fake-valid.json").read_text())
    slower = {**document, "id": "5" * 12, "label": "box | 2", "timing": {**document["timing"]}}
    slower["timing"]["laps"] = [
        {**lap, "end_ns": 2 * lap["end_ns"]} for lap in document["timing"]["laps"]
    ]
    (filled.results / "slower.json").write_text(json.dumps(slower))

    text = filled.run("table", "--all").stdout
    assert text.count("Measured here: ") == 4
    assert "failed, or wrong work, so not ranked:" in text
    assert "MacBook Air 2020 (M1)" in text
    ranks = [line.split()[0] for line in text.splitlines() if document["id"][:8] in line]
    assert ranks == ["1"]
    (second,) = [line.split() for line in text.splitlines() if "55555555" in line]
    assert second[0] == "2"
    assert "2.00" in second

    markdown = filled.run("table", "--all", "--format", "markdown").stdout
    assert r"(box \| 2) |" in markdown
    assert "### Published elsewhere, not ranked" in markdown

    rows = list(csv.DictReader(io.StringIO(filled.run("table", "--format", "csv").stdout)))
    measured = {row["id"]: row for row in rows if row["origin"] == "measured"}
    assert set(measured) == {record["id"] for record in filled.records()}
    assert measured["5" * 12]["label"] == "box | 2"
    assert {row["origin"] for row in rows} == {"measured", "published"}

    documents = json.loads(filled.run("table", "--format", "json").stdout)
    assert len(documents) == len(rows)
    assert documents[0]["steady_epoch_s"] == float(rows[0]["steady_epoch_s"])


def test_the_machine_is_described(program: Program) -> None:
    described = json.loads(program.run("machine", "--json").stdout)
    assert described["usable_cores"] == usable_cores()
    assert described["machine_id"] is None
    text = program.run("machine").stdout
    assert described["cpu"] in text
    assert f"{usable_cores()} usable" in text


def test_data_are_fetched_and_their_state_is_told(program: Program, mnist_folder: Path) -> None:
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


def test_the_table_is_the_newest_run_of_each_engine_in_forty_lines(program: Program) -> None:
    for _ in range(2):
        for options in ((), ("--quick",), ("--epochs", "2"), ("--steps", "30")):
            assert program.run("run", "fake", *options).returncode == 0
    records = sorted(program.records(), key=lambda record: record["created"])
    text = program.run("table").stdout
    assert len(text.splitlines()) <= 40
    assert text.startswith("This machine (")
    newest = {tuple(record["workload"]["variant"]): record["id"][:8] for record in records}
    assert all(text.count(short_id) == 1 for short_id in newest.values())
    assert "only a part of the work, so not ranked:" in text
    assert "4 more runs and all published figures: 'epochmark table --all'" in text
    assert all(record["id"][:8] in program.run("table", "--all").stdout for record in records)


def test_columns_for_who_hunts_regressions(program: Program) -> None:
    program.script(versions={"torch": "2.13"})
    assert program.run("run", "fake", "--label", "before").returncode == 0
    wanted = "label,threads,startup_s,first_step_s,peak_memory_bytes,framework_version"
    header, rule, row, *_ = program.run("table", "--columns", wanted).stdout.splitlines()[2:]
    assert header.split(maxsplit=2)[:2] == ["label", "threads"]
    assert row.split()[0] == "before"
    assert row.rstrip().endswith("torch 2.13")
    assert set(rule) == {"─"}
    added = program.run("table", "--columns", "+label").stdout
    assert "before" in added
    assert "s/epoch" in added
    (measured,) = [
        row
        for row in csv.DictReader(
            io.StringIO(program.run("table", "--format", "csv", "--columns", wanted).stdout)
        )
        if row["label"]
    ]
    assert list(measured) == wanted.split(",")
    assert float(measured["startup_s"]) > 0
    assert int(measured["peak_memory_bytes"]) > 1 << 20
    refused = program.run("table", "--columns", "labels")
    assert refused.returncode == 2
    assert "did you mean label?" in refused.stderr
