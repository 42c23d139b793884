"""``epochmark scale`` as users run it: real PyTorch processes and real host devices of JAX, in
turns, each proven."""

from __future__ import annotations

import pytest

from epochmark.bench.plan import PlannedRun
from epochmark.bench.request import RunRequest, find_workload
from epochmark.bench.scaling.request import parse_counts, scale_request
from epochmark.bench.scaling.scale import scale
from epochmark.bench.session import Bench
from epochmark.judge.documents.scalings import check_scaling
from epochmark.records.documents.scaling import Mode, Scaling, encode_scaling
from epochmark.report.text.scaling import scaling_lines
from tests import cores
from tests.engines.conftest import interpreter_of

SECONDS = 2.0


def scaled(bench: Bench, engine: str, counts: str, mode: Mode, batch_size: int) -> Scaling:
    run = RunRequest(engine=engine, workload=find_workload("mnist-mlp"), batch_size=batch_size)
    planned = PlannedRun(run, interpreter_of(engine))
    request = scale_request(planned, parse_counts(counts), mode, 0.01, SECONDS)
    made = scale(request, bench, lambda news: None)
    assert [entry.failure for entry in made.entries] == [None] * len(made.entries)
    checked = check_scaling(encode_scaling(made))
    assert checked.problems == ()
    return made


@pytest.mark.usefixtures("all_cores")
@pytest.mark.skipif(len(cores.ALL) < 2, reason="a device is a core at least")
def test_two_processes_of_torch_are_rated_beside_one(bench: Bench) -> None:
    made = scaled(bench, "torch", "1,2", "strong", 4)
    one, two = made.entries
    assert (one.rated, two.rated, two.batch_size) == (True, True, 4)
    assert len(one.turns) >= 1
    assert len(two.all_reduce_s) == 20
    first, second = (part.cores for part in two.parts)
    assert first
    assert not set(first) & set(second)
    assert one.parts[0].cores == first, "the same device alone"
    assert made.efficiencies[0].place == "base"
    assert {found.precision for found in made.efficiencies} == {"float32"}
    assert two.adam == pytest.approx(one.adam, rel=1e-4)


def test_devices_without_cores_of_their_own_show_the_mathematics(bench: Bench) -> None:
    """Host devices of JAX share its threads."""
    made = scaled(bench, "jax", "1,2", "weak", 2)
    assert made.entries[1].batch_size == 4
    assert [found.place for found in made.efficiencies] == ["unknown", "mathematics"]
    assert [part.device for part in made.entries[1].parts] == ["cpu:0", "cpu:1"]
    assert any("2 devices: mathematics only" in line for line in scaling_lines(made))
