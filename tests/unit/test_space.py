"""Room for the temporary files of a run: computed from its workload, looked at before it starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from epochmark.bench.request import RunRequest
from epochmark.bench.session import written_files
from epochmark.bench.watching import space
from epochmark.bench.watching.space import check_space, temporary_bytes
from epochmark.errors import EpochmarkError
from epochmark.workloads import WORKLOADS
from epochmark.workloads._proof.training_state import STATES, write_state
from epochmark.workloads.initial_weights import draw_weights
from epochmark.workloads.shapes import parameter_count

GPT = WORKLOADS["gpt-124m"]


def test_what_is_free_in_a_folder_is_known(tmp_path: Path) -> None:
    assert (space.free_bytes(tmp_path) or 0) > 0
    assert space.free_bytes(tmp_path / "none") is None


def test_room_for_temporary_files_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files of weights, and three states of three arrays."""
    need = 4 * (2 + 9) * parameter_count(GPT)
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
