"""What memory a run needs is known from its workload, and refused where it is not there."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import NoReturn, cast

import numpy as np
import pytest

from epochmark.bench import session
from epochmark.bench.interpreters.interpreter import Interpreter
from epochmark.bench.plan import PlannedRun, plan_named, planned_in
from epochmark.bench.request import RunRequest
from epochmark.bench.scaling import scale as scale_story
from epochmark.bench.scaling.nodes.muster import ReadyNode
from epochmark.bench.scaling.request import ScaleRequest
from epochmark.bench.session import Bench
from epochmark.bench.tuned import search as search_story
from epochmark.bench.tuned.search import TunedSearch
from epochmark.bench.watching import memory
from epochmark.bench.watching.memory import (
    MemoryNeeded,
    check_memory,
    check_size,
    memory_remark,
)
from epochmark.errors import EpochmarkError
from epochmark.hardware.gpus.described import free_gpu_bytes
from epochmark.hardware.gpus.nvidia import NvidiaDriver, NvidiaGpu
from epochmark.hardware.machine import describe_machine
from epochmark.workloads import WORKLOADS
from epochmark.workloads._proof.continuation import Shares
from epochmark.workloads._proof.float64 import Float64
from epochmark.workloads._proof.memory import judge_bytes, judge_least_bytes, state_bytes
from epochmark.workloads._proof.training_state import State, Weights
from epochmark.workloads.initial_weights import draw_weights
from epochmark.workloads.memory_needed import training_memory
from epochmark.workloads.shapes import parameter_count
from epochmark.workloads.spec import Tokens
from tests.pipeline.in_process import call

GPT = WORKLOADS["gpt-124m"]
SMALL = WORKLOADS["mnist-cnn"]
GIB = 2**30

TABLES = (50_304 + 1_024) * 768
NORM = 2 * 768
ATTENTION = 4 * (768 * 768 + 768)
FEED_FORWARD = (768 * 3072 + 3072) + (3072 * 768 + 768)
PARAMETERS = TABLES + 12 * (2 * NORM + ATTENTION + FEED_FORWARD) + NORM

LINE = 1_024 * 768
"""Numbers between two layers, of one sequence."""
BLOCK = (1 + 5 + 1) * LINE + (1 + 2 * 4 + 1 + 1) * LINE
"""Norm, attention (query, key, value, heads, output), sum; norm, wide before and after GELU,
narrow, sum."""
ACTIVATIONS = 2 * LINE + 12 * BLOCK + LINE + 3 * 1_024 * 50_304


def test_gpt_124m_is_gpt_2_small() -> None:
    assert parameter_count(GPT) == PARAMETERS == 124_475_904
    assert GPT.input == Tokens(context=1_024, vocabulary=50_304)
    assert (GPT.batch_size, GPT.epochs, GPT.steps_per_epoch()) == (4, 5, 40)


@pytest.mark.parametrize("batch", [1, 4])
def test_memory_of_a_training_is_that_computed_by_hand(batch: int) -> None:
    found = training_memory(GPT, batch)
    assert found == (4 * PARAMETERS, 4 * PARAMETERS, 8 * PARAMETERS, 4 * batch * ACTIVATIONS)
    assert found.certain == 16 * PARAMETERS


def test_memory_of_images_is_that_computed_by_hand() -> None:
    """Convolutions, pool, hidden layer, and three times the ten scores."""
    kept = 26 * 26 * 32 + 24 * 24 * 64 + 12 * 12 * 64 + 128 + 3 * 10
    assert training_memory(WORKLOADS["mnist-cnn"], 128).activations == 4 * 128 * kept


def test_the_proof_needs_a_state_and_float64() -> None:
    assert state_bytes(GPT) == 12 * PARAMETERS
    assert judge_least_bytes(GPT) == 12 * PARAMETERS + 8 * 5 * PARAMETERS
    with_activations = judge_least_bytes(GPT) + 8 * ACTIVATIONS
    assert judge_bytes(GPT, 4) == judge_bytes(GPT, 1) == with_activations


def test_float64_takes_what_is_called_certain() -> None:
    """At its peak, two steps in a row, as NumPy counts its arrays."""
    weights = draw_weights(SMALL, 1)
    zeros = {name: np.zeros_like(array) for name, array in weights.items()}
    images, labels = np.zeros((1, *SMALL.input_shape), np.uint8), np.zeros(1, np.uint8)
    batch = Shares(images, labels, np.ones(1))
    tracemalloc.start()
    try:
        start = State(_copied(weights), _copied(zeros), _copied(zeros), steps=0)
        Float64(SMALL, "algorithm_1").follow(start, [batch, batch])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert judge_least_bytes(SMALL) <= peak < 2 * judge_least_bytes(SMALL)


def _copied(arrays: Weights) -> Weights:
    return {name: array.copy() for name, array in arrays.items()}


def test_a_run_certainly_needs_the_larger_of_training_and_proof() -> None:
    at_once = RunRequest("torch", workload=GPT, batch_size=32)
    needed = MemoryNeeded.of(at_once)
    assert (needed.host, needed.device) == (judge_least_bytes(GPT), 0)
    assert MemoryNeeded.of(at_once, proves=False).host == 16 * PARAMETERS
    on_gpu = MemoryNeeded.of(replace(at_once, device="gpu:1"))
    assert (on_gpu.host, on_gpu.device) == (judge_least_bytes(GPT), 16 * PARAMETERS)
    assert MemoryNeeded.of(replace(at_once, device="gpu"), proves=False).host == 0


def test_what_a_large_run_needs_is_said_before_it() -> None:
    asked = RunRequest("torch", workload=GPT)
    assert memory_remark(asked) == (
        "gpt-124m at batch 4 needs 1.9 GiB of memory to train, and about 4.9 GiB more for "
        "activations; after that 6.1 GiB for the proof in float64, and about 2.4 GiB more"
    )
    assert str(MemoryNeeded.of(replace(asked, device="gpu"), proves=False)) == (
        "gpt-124m at batch 4 needs 1.9 GiB on the device to train, and about 4.9 GiB more for "
        "activations"
    )
    assert memory_remark(RunRequest("torch")) is None


@pytest.mark.parametrize("name", [*WORKLOADS])
@pytest.mark.parametrize("proves", [True, False])
def test_every_workload_is_refused_where_memory_is_short(
    name: str, proves: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = RunRequest("torch", workload=WORKLOADS[name])
    need = MemoryNeeded.of(request, proves).host
    monkeypatch.setattr(memory, "usable_memory_bytes", lambda: need)
    for free in (need, None):
        monkeypatch.setattr(memory, "free_memory_bytes", lambda free=free: free)
        check_memory(request, proves)
    monkeypatch.setattr(memory, "free_memory_bytes", lambda: need - 1)
    with pytest.raises(EpochmarkError, match=f"{name} needs at least .* of memory") as refused:
        check_memory(request, proves)
    assert refused.value.exit_code == 2
    assert "are free on this machine: close other programs, or use" in str(refused.value)
    assert ("float64" in str(refused.value)) == proves


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_activations_refuse_no_run(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """``native`` keeps those of a sequence for each thread, whatever the batch."""
    large = RunRequest("native", workload=WORKLOADS["gpt-3m"], batch_size=2688, precision=precision)
    assert MemoryNeeded.of(large).activations > 24 * GIB
    monkeypatch.setattr(memory, "free_memory_bytes", lambda: GIB)
    monkeypatch.setattr(memory, "usable_memory_bytes", lambda: GIB)
    check_memory(large)
    check_size(large)


def test_a_device_that_is_too_small_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    request = RunRequest("torch", device="gpu", workload=GPT)
    monkeypatch.setattr(memory, "free_memory_bytes", lambda: 64 * GIB)
    for free in (None, 2 * GIB):
        monkeypatch.setattr(memory, "free_gpu_bytes", lambda free=free: free)
        check_memory(request)
    monkeypatch.setattr(memory, "free_gpu_bytes", lambda: GIB)
    with pytest.raises(EpochmarkError, match=r"1\.9 GiB to train on the device") as refused:
        check_memory(request)
    assert refused.value.exit_code == 2
    assert "1.0 GiB are free on its GPU: close other programs there" in str(refused.value)
    check_memory(replace(request, device="cpu"))


def test_no_driver_is_asked_for_little(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(memory, "free_memory_bytes", lambda: 64 * GIB)
    monkeypatch.setattr(memory, "free_gpu_bytes", lambda: asked.append("driver"))
    for name in ("mnist-cnn", "gpt-3m"):
        check_memory(RunRequest("torch", device="gpu", workload=WORKLOADS[name]))
    assert not asked
    check_memory(RunRequest("torch", device="gpu", workload=GPT))
    assert asked == ["driver"]


def test_the_gpu_with_most_free_memory_counts(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "nvidia0").touch()
    gpus = tuple(NvidiaGpu("one of them", free_bytes=free) for free in (3 * GIB, 5 * GIB, None))
    assert free_gpu_bytes(tmp_path, lambda: NvidiaDriver("works", gpus=gpus)) == 5 * GIB
    assert free_gpu_bytes(tmp_path, lambda: NvidiaDriver("silent")) is None


def test_a_machine_that_is_too_small_is_known_when_runs_are_planned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = RunRequest("native", workload=GPT)
    monkeypatch.setattr(memory, "usable_memory_bytes", lambda: 6 * GIB)
    with pytest.raises(EpochmarkError) as refused:
        plan_named(["native"], asked, None)
    assert refused.value.exit_code == 2
    assert str(refused.value) == (
        "gpt-124m needs at least 6.1 GiB of memory for its proof in float64 at any batch size, and "
        "6.0 GiB are all that this machine has: it needs a machine with more memory"
    )
    assert planned_in(Interpreter.own(), asked, proves=False).request == asked
    monkeypatch.setattr(memory, "usable_memory_bytes", lambda: 7 * GIB)
    assert len(plan_named(["native"], asked, None).runs) == 1


def test_a_run_is_refused_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory_bytes", lambda: GIB)
    bench = Bench(Path("nowhere"), describe_machine(None))
    with pytest.raises(EpochmarkError, match=r"6\.1 GiB .* 1\.0 GiB are free"):
        bench.measure(PlannedRun(RunRequest("torch", workload=GPT)))


def test_a_scaling_looks_at_the_machine_that_trains_and_needs_no_float64(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scale_story, "started", begin)
    planned = PlannedRun(RunRequest("torch", workload=GPT))
    bench = Bench(Path("nowhere"), describe_machine(None))
    here = ScaleRequest(planned, [1], "weak", target=0.1, max_seconds=1.0)
    for free, request in ((2 * GIB, here), (GIB, replace(here, nodes=[cast("ReadyNode", None)]))):
        monkeypatch.setattr(memory, "free_memory_bytes", lambda free=free: free)
        with pytest.raises(BegunError):
            scale_story.scale(request, bench, lambda news: None)
    with pytest.raises(EpochmarkError, match=r"1\.9 GiB of memory to train"):
        scale_story.scale(here, bench, lambda news: None)


def test_trials_of_settings_need_no_float64_and_are_looked_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(search_story, "_description", lambda planned, tell: None)
    monkeypatch.setattr(session, "written_files", begin)
    bench = Bench(Path("nowhere"), describe_machine(None))
    planned = PlannedRun(RunRequest("torch", workload=GPT, tuning="tuned"))
    search = TunedSearch(bench, Path("nowhere"), saves=False, retune=True)
    monkeypatch.setattr(memory, "free_memory_bytes", lambda: GIB)
    with pytest.raises(EpochmarkError, match=r"1\.9 GiB of memory to train"):
        search.tuned(planned, lambda doing: None)
    with pytest.raises(BegunError):
        bench.measure(planned, trial=lambda report: False)
    monkeypatch.setattr(memory, "free_memory_bytes", lambda: 2 * GIB)
    with pytest.raises(BegunError):
        search.tuned(planned, lambda doing: None)


def begin(*_: object) -> NoReturn:
    """In the place of what a worker needs first."""
    raise BegunError


class BegunError(Exception):
    """A worker would start now."""


def test_the_command_ends_with_code_2(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "free_memory_bytes", lambda: 100 << 20)
    monkeypatch.setenv("EPOCHMARK_RESULTS", str(tmp_path))
    status, _, complaint = call("run", "fake", "-w", "gpt-3m", "--no-save")
    assert status == 2
    assert "gpt-3m needs at least 162 MiB of memory" in complaint
    assert "100 MiB are free on this machine" in complaint
