"""The report as people and programs get it: terminal, JSON, page, exit code."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path

import msgspec
import pytest

from epochmark.fleet.shown.page import fleet_page
from epochmark.fleet.shown.strip import MOST_LABELS, strip_of
from epochmark.fleet.shown.text import MOST_GROUPS, sections_of
from epochmark.records.record import Record
from epochmark.report.drawing.theme import light
from epochmark.report.page import content_security_policy
from tests.pipeline.program import Program
from tests.unit.fleet.samples import (
    fleet,
    healthy,
    machine_id,
    records_of,
    report_of,
    write_bundles,
)

replace = msgspec.structs.replace
HOSTILE = "</script></svg><img src=x onerror=alert(1)>\x1b[31m"


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path, {"EPOCHMARK_RESULTS": str(tmp_path / "results")})


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Bundles of six nodes, the last of which is slow, and a file that is empty."""
    folder = tmp_path / "in"
    folder.mkdir()
    write_bundles(folder, fleet({**healthy(5), "node-5": 1.15}))
    (folder / "broken.json").write_bytes(b"")
    return folder


def test_the_worst_comes_first() -> None:
    report = report_of(fleet({**healthy(8), "node-9": 1.12, "node-10": 0.85}))
    (section,) = sections_of(report)
    assert section.rows[0][:2] == ("node-9", "slow")
    assert section.rows[-1][:2] == ("node-10", "fast")


def test_of_many_nodes_the_terminal_has_the_worst() -> None:
    (section,) = sections_of(report_of(fleet({**healthy(8), "node-9": 1.12})), most=3)
    assert section.rows[0][0] == "node-9"
    assert len(section.rows) == 3
    assert section.notes == ("and 6 alike; the page and --json have them all",)


def test_thousands_of_groups_are_not_all_shown() -> None:
    """A file may make up any processor."""

    def odd(record: Record) -> Record:
        cpu = f"CPU {record.machine.machine_id}"
        return replace(record, machine=replace(record.machine, cpu=cpu))

    several = fleet({f"node-{number}": 1.0 for number in range(10, 60)}, runs=1, change=odd)
    report = report_of([*fleet(healthy(6)), *several])
    titles = [section.title for section in sections_of(report)]
    assert len(report.groups) == 51
    assert titles[0] == "Not alike, so not judged"
    assert len(titles) == 2
    assert len(sections_of(report_of(several))) == MOST_GROUPS + 1


def test_a_slow_node_is_exit_code_1_and_a_broken_file_is_named(
    program: Program, files: Path
) -> None:
    done = program.run("fleet", "report", str(files))
    assert done.returncode == 1
    assert done.stdout.startswith("1 of 6 nodes is slow: node-5.\nWhat to do: look at the slow")
    assert f"skipped {files / 'broken.json'}: it is empty" in done.stdout


def test_a_healthy_fleet_is_exit_code_0(program: Program, files: Path) -> None:
    (files / "node-5.json").unlink()
    done = program.run("fleet", "report", str(files))
    assert (done.returncode, done.stderr) == (0, "")


def test_no_run_at_all_is_exit_code_2(program: Program, tmp_path: Path) -> None:
    done = program.run("fleet", "report", str(tmp_path / "nothing.json"))
    assert done.returncode == 2
    assert "no run could be read" in done.stderr


def test_json_has_every_node_with_its_figures(program: Program, files: Path) -> None:
    names = files.parent / "names"
    names.write_text(f"{machine_id('node-5')} rack-7\n{'0' * 16} rack-8\n")
    done = program.run("fleet", "report", str(files), "--names", str(names), "--json")
    document = json.loads(done.stdout)
    assert done.returncode == 1
    assert document["slow"] == ["rack-7"]
    assert document["silent"] == ["rack-8"]
    (group,) = document["groups"]
    assert [node["verdict"] for node in group["nodes"]] == ["slow", *["alike"] * 5]
    assert group["nodes"][0]["machine_ids"] == [machine_id("node-5")]
    assert len(group["nodes"][0]["rounds_s"]) == 2
    assert document["skipped"] == [f"{files / 'broken.json'}: it is empty"]


def test_a_baseline_gets_a_column(program: Program, files: Path) -> None:
    before = files.parent / "before"
    before.mkdir()
    write_bundles(before, fleet(healthy(6)))
    done = program.run("fleet", "report", str(files), "--baseline", str(before))
    assert "vs past" in done.stdout
    assert "As a whole no clear difference from its baseline" in done.stdout


def test_the_page_is_written_beside_the_answer(program: Program, files: Path) -> None:
    page = files.parent / "fleet.html"
    done = program.run("fleet", "report", str(files), "-o", str(page))
    assert done.returncode == 1
    assert "1 of 6 nodes is slow: node-5." in page.read_text("utf-8")
    assert program.run("fleet", "report", str(files), "-o", "fleet.txt").returncode == 2


def test_it_fits_a_terminal_of_80_columns(program: Program, files: Path) -> None:
    ours, theirs = pty.openpty()
    variables = program.variables({"COLUMNS": "80", "TERM": "dumb"})
    command = program.command("fleet", "report", files.name)
    with subprocess.Popen(command, env=variables, stdout=theirs, cwd=files.parent) as running:
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 4096)
            except OSError:
                break
        assert running.wait() == 1
    lines = shown.decode().splitlines()
    assert any(line.startswith("node-5") for line in lines)
    assert max(len(line) for line in lines) <= 80


def test_hostile_text_is_text_on_the_page() -> None:
    def hostile(record: Record) -> Record:
        return replace(record, machine=replace(record.machine, cpu=HOSTILE))

    records = [*fleet(healthy(6)), *records_of("node-9", 1.2, change=hostile)]
    names = {machine_id(f"node-{number}"): f"{HOSTILE}{number}" for number in range(10)}
    page = fleet_page(report_of(records, names))
    assert "<img" not in page
    assert "\x1b" not in page
    assert page.count("<script") == 1


def test_nothing_may_be_loaded_by_the_page() -> None:
    page = fleet_page(report_of(fleet(healthy(6))))
    style = page.split("<style>")[1].split("</style>")[0]
    script = page.split("<script>")[1].split("</script>")[0]
    assert f'content="{content_security_policy(style, script)}"' in page.replace("&#39;", "'")


def test_outliers_have_their_names_in_the_strip() -> None:
    slow = {f"node-{number}": 1.3 + number / 100 for number in range(20, 34)}
    (group,) = report_of(fleet({**healthy(40), **slow}, runs=3)).groups
    drawing = strip_of(group, light(290))
    assert drawing is not None
    texts = [
        value["text"]
        for layer in drawing.spec["layer"]
        for value in layer["data"]["values"]
        if "text" in value
    ]
    assert len(texts) == MOST_LABELS
    assert any(text.startswith("node-33 +") for text in texts)


def test_a_single_node_has_no_strip() -> None:
    (group,) = report_of(records_of("node-0")).groups
    assert strip_of(group, light(860)) is None
