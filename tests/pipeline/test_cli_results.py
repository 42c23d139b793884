"""Stored results as a user meets them: listed, shown, removed, in a table, exported."""

from __future__ import annotations

import csv
import io
import json
import shutil

from tests.pipeline.program import Program


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
        (record for record in filled.records() if record["engine"]["name"] == "fake"),
        key=lambda record: record["created"],
    )["id"]
    folder = filled.folder
    shown = filled.run("results", "show", "fake", "--json")
    assert json.loads(shown.stdout)["id"] == newest
    assert json.loads(filled.run("explain", "fake", "--json").stdout)["id"] == newest
    assert json.loads(filled.run("check", "fake", "--json").stdout)["records"][0]["id"] == newest
    filled.run("results", "export", str(folder / "one.json"), "fake")
    exported = json.loads((folder / "one.json").read_text("utf-8"))
    assert [record["id"] for record in exported["records"]] == [newest]
    page, picture = folder / "page.html", folder / "speed.svg"
    assert "1 record" in filled.run("report", "fake", "-o", str(page)).stdout
    assert filled.run("plot", "speed", "fake", "-o", str(picture)).returncode == 0
    removed = filled.run("results", "rm", "fake", "--json")
    assert json.loads(removed.stdout) == {"removed": newest}
    assert "there is no run of jax" in filled.run("results", "show", "jax").stderr


def test_without_results_the_next_step_is_named(program: Program) -> None:
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


def test_the_table_is_the_newest_run_of_each_engine_in_forty_lines(program: Program) -> None:
    for _ in range(2):
        for options in ((), ("--quick",), ("--epochs", "2"), ("--steps", "30")):
            assert program.here("run", "fake", *options).returncode == 0
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
    assert program.here("run", "fake", "--label", "before").returncode == 0
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
