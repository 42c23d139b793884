"""What an engine does not offer is refused before anything starts, with what it does offer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from epochmark.bench.request import RunRequest
from epochmark.engines import get_engine
from epochmark.errors import EpochmarkError
from epochmark.system import usable_cores
from epochmark.workloads import WORKLOADS

PRECISIONS = "stock, float32, bfloat16"
ON_GPU = "jax, keras-jax, keras-tensorflow, keras-torch, mlx, plaidml-keras, tinygrad, torch"


@pytest.mark.parametrize(
    ("departures", "message"),
    [
        ({"device": "gpu"}, f"native runs on: cpu; not on gpu; on gpu: {ON_GPU}"),
        ({"precision": "tf32"}, f"native has no precision 'tf32', only: {PRECISIONS}"),
        ({"tuning": "tuned"}, "native has no tuned mode on cpu; omit --tuning"),
    ],
)
def test_what_an_engine_lacks_is_refused(departures: dict[str, Any], message: str) -> None:
    with pytest.raises(EpochmarkError) as raised:
        RunRequest(engine="native", **departures).check()
    assert str(raised.value) == message
    assert raised.value.exit_code == 2


def test_a_batch_that_leaves_samples_over_is_refused_where_none_comes_twice() -> None:
    gpt = WORKLOADS["gpt-3m"]
    RunRequest(engine="fake", workload=gpt, batch_size=96).check()
    with pytest.raises(EpochmarkError) as raised:
        RunRequest(engine="fake", workload=gpt, batch_size=100).check()
    assert str(raised.value) == (
        "--batch 100 leaves a smaller batch at the end of the 2,688 sequences of an epoch of "
        "gpt-3m; without one: 84, 96, 112, 128"
    )
    assert raised.value.exit_code == 2


def test_plaidml_knows_no_word_of_a_transformer() -> None:
    with pytest.raises(EpochmarkError, match="does not offer gpt-3m; these do: jax, keras-jax"):
        RunRequest(engine="plaidml-keras", workload=WORKLOADS["gpt-3m"]).check()


def test_threads_are_refused_where_they_cannot_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = get_engine("fake")
    monkeypatch.setattr(fake, "info", replace(fake.info, sets_threads=False), raising=False)
    RunRequest(engine="fake").check()
    with pytest.raises(EpochmarkError, match="fake has no setting for threads"):
        RunRequest(engine="fake", threads=1).check()


def test_the_cpus_a_run_will_keep_busy() -> None:
    assert RunRequest(engine="fake", threads=1).run_cpus == 1
    assert RunRequest(engine="fake").run_cpus == usable_cores()
    assert RunRequest(engine="fake", device="gpu:1").run_cpus == 1


@pytest.mark.parametrize(
    ("engine", "meant"),
    [
        ("tensorflow", "keras-tensorflow"),
        ("pytorch", "torch"),
        ("Jax", "jax"),
        ("plaid", "plaidml-keras"),
    ],
)
def test_what_was_probably_meant_is_named(engine: str, meant: str) -> None:
    with pytest.raises(EpochmarkError, match=rf"did you mean {meant}\?") as raised:
        RunRequest(engine=engine).check()
    assert raised.value.exit_code == 2


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "mps", "ROCm"])
def test_a_vendors_word_for_a_gpu_is_understood(device: str) -> None:
    with pytest.raises(EpochmarkError, match=r"is not a device \(did you mean gpu\?\)"):
        RunRequest(engine="torch", device=device).check()
