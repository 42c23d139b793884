"""Several devices that do other work than one, or fail, are caught: by real PyTorch processes, with
one thing wrong in one of them."""

from __future__ import annotations

import re
from dataclasses import replace

import psutil
import pytest

from epochmark.bench.plan import PlannedRun
from epochmark.bench.request import RunRequest, find_workload
from epochmark.bench.scaling.request import scale_request
from epochmark.bench.scaling.scale import scale
from epochmark.bench.session import Bench
from epochmark.records.documents.scaling import Efficiency, ScalingEntry
from tests.engines.conftest import interpreter_of, with_injected

pytestmark = pytest.mark.usefixtures("injected")

PATIENCE_S = 300.0
SHORT_PATIENCE_S = 25.0
"""Longer than importing PyTorch takes."""


def scaled(
    bench: Bench, defect: str, patience_s: float = PATIENCE_S
) -> tuple[ScalingEntry, Efficiency]:
    """Two devices alone, of which one has the defect; afterwards no process is left."""
    run = RunRequest(engine="defective-parallel", workload=find_workload("mnist-mlp"), batch_size=2)
    planned = PlannedRun(run, with_injected(interpreter_of("torch"), DEFECT=defect))
    request = replace(scale_request(planned, [2], "weak", 0.01, 1.0), shares=())
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    made = scale(request, replace(bench, patience_s=patience_s), lambda news: None)
    after = {process.pid for process in psutil.Process().children(recursive=True)}
    assert after <= before
    return made.entries[0], made.efficiencies[0]


def test_a_sum_of_gradients_for_their_mean_is_refused(bench: Bench) -> None:
    """Of Adam's replay by a thousandth, of plain SGD's by far more."""
    entry, found = scaled(bench, "sum")
    assert entry.failure is None
    assert found.place == "out"
    assert found.reason is not None
    assert "gradients are not the mean over all devices" in found.reason
    assert len({part.sha256 for part in entry.parts}) == 1


def test_a_process_whose_gradients_are_not_reduced_is_refused(bench: Bench) -> None:
    entry, found = scaled(bench, "not reduced")
    assert entry.failure is None
    assert found.place == "out"
    assert len({part.sha256 for part in entry.parts}) == 2


@pytest.mark.parametrize(
    ("defect", "reason"),
    [
        ("killed", "rank 1 was killed by SIGKILL"),
        ("memory", "rank 1: .*allocate"),
        ("other versions", "rank 1 has other versions than rank 0"),
    ],
)
def test_a_process_that_fails_ends_it_with_its_reason(
    bench: Bench, defect: str, reason: str
) -> None:
    entry, found = scaled(bench, defect)
    assert found.place == "out"
    assert entry.failure is not None
    assert entry.failure.kind == "failed"
    assert re.search(reason, entry.failure.message), entry.failure


def test_a_process_that_hangs_ends_it(bench: Bench) -> None:
    """The others wait for it, and are silent."""
    entry, found = scaled(bench, "hangs", SHORT_PATIENCE_S)
    assert found.place == "out"
    assert entry.failure is not None
    assert (entry.failure.kind, entry.failure.phase) == ("hung", "training")
