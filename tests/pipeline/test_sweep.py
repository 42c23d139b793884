"""``run --sweep-batch`` through real worker processes, and what later commands make of it."""

from __future__ import annotations

import json

import pytest

from tests.pipeline.program import Program


def test_a_sweep_over_both_devices(program: Program) -> None:
    done = program.run("run", "fake", "--device", "all", "--batches", "6000,12000")
    assert done.returncode == 0, done.stderr
    records = program.records()
    swept = sorted((r["device"]["resolved"], r["workload"]["batch_size"]) for r in records)
    assert swept == [("cpu", 6000), ("cpu", 12000), ("gpu:0", 6000), ("gpu:0", 12000)]
    assert {tuple(r["workload"]["variant"]) for r in records} == {
        ("batch 6000", "quick"),
        ("batch 12000", "quick"),
    }
    table = done.stdout[done.stdout.index("ms/step") :]
    assert table.count("gpu:0   ") == 2
    assert "not ranked" in table
    assert "fake: gpu:0 " in table
    for size in ("6000", "12000"):
        assert f"batch {size}: " in table
    later = program.run("table", "--filter", "engine=fake").stdout
    assert later.count("Batch sweep: mnist-cnn v1 (quick), fake stock, float32 (") == 1
    explained = json.loads(program.run("explain", "fake", "--json").stdout)
    assert "whole-time" in [explanation["rule"] for explanation in explained["explanations"]]


def test_a_sweep_as_a_document(program: Program) -> None:
    done = program.run("run", "fake", "--device", "all", "--batches", "6000,12000", "--json")
    document = json.loads(done.stdout)
    assert len(document["records"]) == 4
    (crossover,) = document["crossovers"]
    assert (crossover["engine"], crossover["device"]) == ("fake", "gpu:0")
    assert [point["batch"] for point in crossover["at"]] == [6000, 12000]


def test_a_run_that_fails_does_not_end_the_sweep(program: Program) -> None:
    program.script(fail_in="fit", fail_at_step=50)  # only the smaller batch has that many steps
    done = program.run("run", "fake", "--batches", "12000,3000")
    assert done.returncode == 1
    table = done.stdout[done.stdout.index("ms/step") :].splitlines()
    assert [row.split()[2] for row in table if row.startswith("fake ")] == ["3000", "12000"]
    assert "invalid (engine-failed)" in done.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--batches", "64"), "2 to 32 different batch sizes"),
        (("--batches", "64,x"), "not a list of batch sizes"),
        (("--batches", "64,60001"), "60000"),
        (("--sweep-batch", "--batch", "64"), "omit --batch"),
        (("--sweep-batch", "--steps", "20"), "omit --steps and --settle"),
        (("--sweep-batch", "--settle"), "omit --steps and --settle"),
    ],
)
def test_what_cannot_be_swept_is_refused_before_anything_runs(
    program: Program, options: tuple[str, ...], message: str
) -> None:
    done = program.here("run", "fake", *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert program.records() == []
