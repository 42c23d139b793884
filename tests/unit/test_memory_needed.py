"""What memory a run needs is known from its workload, and refused where it is not there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from epochmark.bench.plan import PlannedRun, plan_named
from epochmark.bench.request import RunRequest
from epochmark.bench.session import Bench, written_files
from epochmark.bench.watching import memory, space
from epochmark.bench.watching.memory import MemoryNeeded, check_memory, memory_remark
from epochmark.bench.watching.space import check_space, temporary_bytes
from epochmark.errors import EpochmarkError
from epochmark.hardware.gpus.described import free_gpu_bytes
from epochmark.hardware.gpus.nvidia import NvidiaDriver, NvidiaGpu
from epochmark.hardware.machine import describe_machine
from epochmark.workloads import WORKLOADS
from epochmark.workloads._proof.memory import judge_bytes, state_bytes
from epochmark.workloads._proof.training_state import STATES, write_state
from epochmark.workloads.initial_weights import draw_weights
from epochmark.workloads.memory_needed import training_memory
from epochmark.workloads.shapes import parameter_count
from epochmark.workloads.spec import Tokens
from tests.pipeline.in_process import call

GPT = WORKLOADS["gpt-124m"]
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
    assert found.total == 16 * PARAMETERS + 4 * batch * ACTIVATIONS


def test_memory_of_images_is_that_computed_by_hand() -> None:
    """Convolutions, pool, hidden layer, and three times the ten scores."""
    kept = 26 * 26 * 32 + 24 * 24 * 64 + 12 * 12 * 64 + 128 + 3 * 10
    assert training_memory(WORKLOADS["mnist-cnn"], 128).activations == 4 * 128 * kept


def test_the_proof_needs_a_state_and_float64() -> None:
    assert state_bytes(GPT) == 12 * PARAMETERS
    of_step = 5 * PARAMETERS + ACTIVATIONS
    assert judge_bytes(GPT, 4) == judge_bytes(GPT, 1) == 12 * PARAMETERS + 8 * of_step


def test_a_run_needs_the_larger_of_training_and_proof() -> None:
    at_once = RunRequest("torch", workload=GPT, batch_size=32)
    needed = MemoryNeeded.of(at_once)
    assert needed.host == training_memory(GPT, 32).total + state_bytes(GPT)
    assert needed.device == 0
    assert MemoryNeeded.of(replace(at_once, batch_size=1)).host == judge_bytes(GPT, 1)
    on_gpu = MemoryNeeded.of(replace(at_once, device="gpu:1"))
    assert on_gpu.device == training_memory(GPT, 32).total
    assert on_gpu.host == judge_bytes(GPT, 32)


def test_what_a_large_run_needs_is_said_before_it() -> None:
    said = memory_remark(RunRequest("torch", workload=GPT, batch_size=1))
    assert said == (
        "gpt-124m at batch 1 needs at least 8.5 GiB of memory (3.1 GiB to train, 8.5 GiB for the "
        "proof in float64 after that)"
    )
    assert memory_remark(RunRequest("torch")) is None


@pytest.mark.parametrize("name", [*WORKLOADS])
def test_every_workload_is_refused_where_memory_is_short(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = RunRequest("torch", workload=WORKLOADS[name])
    need = MemoryNeeded.of(request).host
    monkeypatch.setattr(memory, "free_memory_bytes", lambda: need)
    check_memory(request)
    monkeypatch.setattr(memory, "free_memory_bytes", lambda: None)
    check_memory(request)
    monkeypatch.setattr(memory, "free_memory_bytes", lambda: need - 1)
    with pytest.raises(EpochmarkError, match=f"{name} at batch .* needs at least") as refused:
        check_memory(request)
    assert refused.value.exit_code == 2
    assert "are free on this machine" in str(refused.value)


def test_a_device_that_is_too_small_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    request = RunRequest("torch", device="gpu", workload=GPT)
    monkeypatch.setattr(memory, "free_memory_bytes", lambda: 64 * GIB)
    for free in (None, 24 * GIB):
        monkeypatch.setattr(memory, "free_gpu_bytes", lambda free=free: free)
        check_memory(request)
    monkeypatch.setattr(memory, "free_gpu_bytes", lambda: 4 * GIB)
    with pytest.raises(EpochmarkError, match=r"6\.7 GiB to train on the device") as refused:
        check_memory(request)
    assert refused.value.exit_code == 2
    assert "4.0 GiB are free on its GPU" in str(refused.value)
    check_memory(replace(request, device="cpu"))


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
    monkeypatch.setattr(memory, "usable_memory_bytes", lambda: 8 * GIB)
    with pytest.raises(EpochmarkError, match=r"8\.0 GiB are all that this machine has") as refused:
        plan_named(["native"], asked, None)
    assert refused.value.exit_code == 2
    monkeypatch.setattr(memory, "usable_memory_bytes", lambda: 9 * GIB)
    assert len(plan_named(["native"], asked, None).runs) == 1


def test_a_run_is_refused_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory_bytes", lambda: GIB)
    bench = Bench(Path("nowhere"), describe_machine(None))
    with pytest.raises(EpochmarkError, match=r"8\.5 GiB .* 1\.0 GiB are free"):
        bench.measure(PlannedRun(RunRequest("torch", workload=GPT)))


def test_the_command_ends_with_code_2(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "free_memory_bytes", lambda: 100 << 20)
    monkeypatch.setenv("EPOCHMARK_RESULTS", str(tmp_path))
    status, _, complaint = call("run", "fake", "-w", "gpt-3m", "--no-save")
    assert status == 2
    assert "gpt-3m at batch 32 needs at least 0.4 GiB of memory" in complaint
    assert "0.1 GiB are free on this machine" in complaint


def test_what_is_free_in_a_folder_is_known(tmp_path: Path) -> None:
    assert (space.free_bytes(tmp_path) or 0) > 0
    assert space.free_bytes(tmp_path / "none") is None


def test_room_for_temporary_files_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files of weights, and three states of three arrays."""
    need = 4 * (2 + 9) * PARAMETERS
    assert temporary_bytes(GPT) == need == 5_476_939_776
    request = RunRequest("torch", workload=GPT)
    for free in (need, None):
        monkeypatch.setattr(space, "free_bytes", lambda _, free=free: free)
        check_space(request, Path("/scratch"))
    monkeypatch.setattr(space, "free_bytes", lambda _: need - 1)
    with pytest.raises(
        EpochmarkError, match=r"1 run of gpt-124m need 5,477 MB, and .* are free in /scratch"
    ) as refused:
        check_space(request, Path("/scratch"))
    assert refused.value.exit_code == 2
    with pytest.raises(EpochmarkError, match=r"of 3 runs of gpt-124m need 16,431 MB"):
        check_space(request, Path("/scratch"), runs=3)


def test_the_files_of_a_run_are_as_large_as_said(tmp_path: Path) -> None:
    workload = WORKLOADS["mnist-mlp"]
    files = written_files(RunRequest("fake", workload=workload), tmp_path)
    parts = [draw_weights(workload, 1)] * 3
    with files.states.open("wb") as file:
        for _ in range(STATES):
            write_state(file, workload, parts)
    written = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert written == pytest.approx(temporary_bytes(workload), rel=1e-3)
