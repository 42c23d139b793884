"""``epochmark compare`` on real records: by engine, by id, by file, and a published machine."""

from __future__ import annotations

import json

import pytest

from epochmark.judge.reading import decode_record
from epochmark.records.digest import sealed
from epochmark.records.upgrades import encode_record
from tests.pipeline.program import Program
from tests.pipeline.test_calm import with_epochs


def test_records_by_engine_id_and_file(program: Program) -> None:
    for _ in range(2):
        assert program.here("run", "fake").returncode == 0
    files = sorted(program.results.glob("*.json"))
    for file, epoch_s in zip(files, (1.0, 2.0), strict=True):
        # as on a machine without noise: no epoch is warm-up, so that enough remain
        record = with_epochs(decode_record(file.read_bytes()), [epoch_s] * 10)
        file.write_bytes(encode_record(sealed(record)))
    first, second = program.records()
    file = files[0]
    for a, b in ((first["id"], second["id"][:8]), ("fake", str(file)), (first["id"], "fake")):
        done = program.run("compare", a, b)
        assert done.returncode == 0, done.stderr
        assert "fake" in done.stdout.splitlines()[0]
        assert "not comparable" not in done.stdout
    document = json.loads(program.run("compare", first["id"], second["id"], "--json").stdout)
    assert document["verdict"] == "faster"
    assert document["ratio"]["low"] <= document["ratio"]["median"] <= document["ratio"]["high"]
    assert document["ratio"]["median"] == pytest.approx(2.0)
    for earlier, later, code in ((first, second, 1), (second, first, 0)):
        done = program.run("compare", earlier["id"], later["id"], "--fail-slower", "3%")
        assert done.returncode == code
        assert "the 3% allowed" in done.stdout.splitlines()[-1]
    done = program.run("compare", first["id"], second["id"], "--fail-slower", "3", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["fail_slower"]["verdict"] == "slower"


def test_an_engine_means_this_machines_run_though_another_ones_is_newer(program: Program) -> None:
    assert program.here("run", "fake").returncode == 0
    (program.results / "machine-id").unlink()  # as if on another machine
    assert program.here("run", "fake").returncode == 0
    own, other = sorted(program.records(), key=lambda record: record["created"])
    (program.results / "machine-id").write_text(own["machine"]["machine_id"] + "\n")
    assert own["id"][:8] in program.run("compare", "fake", other["id"]).stdout
    assert own["id"][:8] in program.run("explain", "fake").stdout


def test_the_users_own_record_is_taken_before_its_export(program: Program) -> None:
    """The export lacks the machine's id."""
    program.script(step_s=0.0001)
    for _ in range(2):
        assert program.here("run", "fake").returncode == 0
    ids = [record["id"] for record in program.records()]
    bundle = str(program.folder / "bundle.json")
    assert program.run("results", "export", bundle).returncode == 0
    assert "not known" not in program.run("compare", "--with", bundle, *ids).stdout
    next(program.results.glob(f"*{ids[1][:8]}.json")).unlink()
    assert "not known to be one" in program.run("compare", "--with", bundle, *ids).stdout


def test_what_cannot_be_compared_says_why(program: Program) -> None:
    program.here("run", "fake")
    program.here("run", "fake", "--epochs", "2")
    whole, short = sorted(program.records(), key=lambda record: -record["workload"]["epochs"])
    done = program.run("compare", whole["id"], short["id"])
    assert done.returncode == 0
    assert "are not comparable" in done.stdout
    assert "variant differs: none and 2 epochs" in done.stdout
    undecided = program.run("compare", whole["id"], short["id"], "--fail-slower", "3%")
    assert undecided.returncode == 3
    assert "Undecided" in undecided.stdout
    for nonsense in ("much", "-1%", "nan", "1e9"):
        done = program.run("compare", whole["id"], short["id"], "--fail-slower", nonsense)
        assert done.returncode == 2
        assert "such as 3%" in done.stderr
    published = program.run("compare", "gtx-1080-ti", whole["id"])
    assert "engine and machine both differ" in published.stdout


def test_what_is_not_there_is_a_usage_error(program: Program) -> None:
    (program.folder / "broken.json").write_text("{}")
    for name, message in (
        ("native", "there is no run of native"),
        ("123456", "no result has an id that begins with '123456'"),
        (str(program.folder / "missing.json"), "cannot be read"),
        (str(program.folder / "broken.json"), "neither a bundle nor a record"),
    ):
        done = program.run("compare", name, "gtx-1080-ti")
        assert done.returncode == 2
        assert message in done.stderr
