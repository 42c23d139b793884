"""The float64 continuation: what it starts from, what it refuses, and what it finds."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from epochmark.bench import continuation as judging
from epochmark.bench.continuation import judged_continuation, one_blas_thread
from epochmark.bench.process.launcher import WorkerOutcome
from epochmark.bench.request import RunRequest
from epochmark.engines._shared.layouts import nchw_weights, weights_from_nchw
from epochmark.judge.validity import judge
from epochmark.records.findings import MEANING, FindingCode
from epochmark.records.record import Calm, Continuation, Record, Stretch, WatchingCost
from epochmark.report.figures import proof_text, short_proof
from epochmark.worker.protocol import Continued
from epochmark.workloads import MNIST_CNN
from epochmark.workloads._proof import (
    continuation,
    continuation_verdict,
    float64,
    reference,
    training_state,
)
from epochmark.workloads.initial_weights import draw_weights
from epochmark.workloads.shapes import parameter_count, parameter_shapes
from tests.report.samples import sample
from tests.unit.samples import record
from tests.unit.test_reference import TINY, make_batch

Bytes = npt.NDArray[np.uint8]

PARAMETERS = list(parameter_shapes(MNIST_CNN))


def stretch(steps: int, off: float | None = 1e-6, **values: Any) -> Stretch:
    """Steps that agree, the last parameter's updates to so much."""
    errors = {**dict.fromkeys(PARAMETERS, 1e-7), PARAMETERS[-1]: off}
    right = Stretch(losses=[0.4] * steps, right_losses=[0.4] * steps, update_errors=errors)
    return msgspec.structs.replace(right, **values)


GOOD = Continuation(
    version=1,
    single=stretch(8, off=1e-5),
    repeated=stretch(1),
    repeated_steps=5,
    steps=4690,
    steps_after=4703,
    test_loss=0.04,
    test_accuracy=0.985,
    right_test_loss=0.04,
    right_test_accuracy=0.985,
)


def trained(found: Continuation | None = GOOD, **changes: Any) -> Record:
    """A run of ten epochs whose worker went on like this."""
    run = sample(1)
    return msgspec.structs.replace(run, continuation=found, before_continuation=False, **changes)


def codes(run: Record) -> set[str]:
    return {finding.code for finding in judge(run)}


def changed(**values: Any) -> Continuation:
    return msgspec.structs.replace(GOOD, **values)


def test_what_agrees_is_valid_and_the_answer_says_how_far() -> None:
    assert codes(trained()) == set()
    assert "13 further steps of the timed code to 1.0e-05 of each update" in proof_text(trained())


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (None, "continuation-missing"),
        (Continuation(version=1, problem="it has no state"), "continuation-missing"),
        (changed(single=None), "continuation-missing"),
        (changed(steps=4689, steps_after=4702), "work-incomplete"),
        (changed(steps=4691, steps_after=4704), "work-incomplete"),
        (changed(steps_after=4702), "continuation-failed"),
        (changed(repeated=stretch(1, losses=[])), "continuation-failed"),
        (changed(repeated=stretch(1, losses=[None])), "continuation-failed"),
        (changed(single=stretch(8, losses=[0.4] * 7 + [0.41])), "continuation-failed"),
        (changed(single=stretch(7)), "continuation-failed"),
        (changed(single=stretch(8, off=2e-2)), "continuation-failed"),
        (changed(single=stretch(8, off=None)), "continuation-failed"),
        (changed(repeated=stretch(1, update_errors={})), "continuation-failed"),
        (changed(right_test_loss=0.05), "weights-mismatch"),
        (changed(right_test_accuracy=0.98), "weights-mismatch"),
        (changed(test_loss=None), "weights-mismatch"),
        (changed(test_accuracy=0.1, right_test_accuracy=0.1), "weights-mismatch"),
    ],
)
def test_what_does_not_agree_is_invalid(found: Continuation | None, code: str) -> None:
    assert codes(trained(found)) == {code}


def test_without_a_tolerance_the_steps_after_the_fit_are_not_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = trained(changed(single=stretch(8, off=2e-2)))
    judged_steps = int(short_proof(run).split()[0])
    monkeypatch.setattr(continuation_verdict, "tolerance_of", lambda *_: None)
    steps = int(short_proof(run).split()[0])
    assert codes(run) == {"not-judged"}
    assert "13 further steps of the timed code were not judged" in proof_text(run)
    assert "of each update" not in proof_text(run)
    assert steps == judged_steps - 13


def test_a_proof_that_does_not_fit_into_memory_is_said_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def without_memory(*_: Any) -> None:
        raise MemoryError("Unable to allocate 949. MiB")

    monkeypatch.setattr(judging, "read_data", without_memory)
    outcome = WorkerOutcome(reports=[Continued(losses=[0.4])])
    found = judged_continuation(RunRequest("fake"), outcome, tmp_path / "states", tmp_path)
    assert found == Continuation(
        version=continuation.VERSION, problem="not enough memory for the proof in float64"
    )
    (finding,) = judge(trained(found))
    assert (finding.code, finding.detail) == ("continuation-missing", found.problem)
    assert "memory" in MEANING[FindingCode.CONTINUATION_MISSING].remedy


def test_a_record_from_before_the_continuation_is_not_blamed_for_having_none() -> None:
    run = record("fake-valid-2")
    assert run.before_continuation
    assert codes(run) == set()
    assert "was not checked" in proof_text(run)


def test_the_scaler_of_float16_may_leave_steps_out_and_no_other_may() -> None:
    skipped = changed(steps=4680, steps_after=4693)
    run = trained(skipped)
    precision = msgspec.structs.replace(run.precision, requested="float16")
    assert "work-incomplete" not in codes(msgspec.structs.replace(run, precision=precision))
    half = changed(steps=2345, steps_after=2358)
    assert "work-incomplete" in codes(msgspec.structs.replace(trained(half), precision=precision))


def test_the_answer_says_where_loss_and_accuracy_were_not_judged() -> None:
    assert "loss and accuracy are what correct training gives" in proof_text(trained())
    run = trained()
    other_batch = msgspec.structs.replace(
        run, workload=msgspec.structs.replace(run.workload, batch_size=256)
    )
    reduced = msgspec.structs.replace(
        run, precision=msgspec.structs.replace(run.precision, observed="bfloat16")
    )
    for unjudged in (other_batch, reduced):
        assert "loss and accuracy were not judged" in proof_text(unjudged)
        assert "correct training" not in proof_text(unjudged)


def calm(worker_cpu_s: float | None) -> Calm:
    own_s, lasted_s = worker_cpu_s or 0.0, 117.0
    return Calm(
        source="test", cpus=2, end_s=[lasted_s], foreign_cpu_s=[0.0], own_cpu_s=[own_s],
        idle_cpu_s=[2 * lasted_s - own_s], steal_cpu_s=None, memory_stall_s=None,
        swap_in_bytes=None, quota_throttled_s=None, suspended_s=None, runnable=None,
        worker_cpu_s=worker_cpu_s, involuntary_switches=None,
        cost=WatchingCost(sampler_cpu_s=0.0, parent_cpu_s=0.0, reporting_cpu_s=0.0),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("worker_cpu_s", "found"), [(0.1, {"implausible"}), (0.0, set()), (None, set()), (200.0, set())]
)
def test_work_takes_cpu_time(worker_cpu_s: float | None, found: set[str]) -> None:
    """0.1 s for ten epochs; a kernel that counts none at all shows nothing."""
    assert codes(trained(calm=calm(worker_cpu_s))) == found


def test_no_cores_compute_that_fast_whatever_limits_say() -> None:
    run = trained()
    laps = [
        msgspec.structs.replace(lap, end_ns=max(1, lap.end_ns // 30)) for lap in run.timing.laps
    ]
    timing = msgspec.structs.replace(run.timing, laps=laps, fit_ns=laps[-1].end_ns)
    fast = msgspec.structs.replace(run, timing=timing, calm=None, limits=None)
    assert "implausible" in codes(fast)
    gpu = msgspec.structs.replace(
        fast.device, requested="gpu", resolved="gpu:0", observed=["gpu:0"]
    )
    assert "implausible" not in codes(msgspec.structs.replace(fast, device=gpu))


def states_file(folder: Path) -> Path:
    path = folder / "states"
    with path.open("wb") as file:
        for first in range(0, 3 * training_state.STATES, 3):
            parts = [draw_weights(MNIST_CNN, seed) for seed in range(first, first + 3)]
            training_state.write_state(file, MNIST_CNN, parts)
    return path


def test_states_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = states_file(tmp_path)
    for number in range(training_state.STATES):
        parts = training_state.read_state(path, MNIST_CNN, number)
        assert len(parts) == 3
        for part, seed in zip(parts, range(3 * number, 3 * number + 3), strict=True):
            weights = draw_weights(MNIST_CNN, seed)
            assert list(part) == list(weights)
            assert all(np.array_equal(part[name], weights[name]) for name in weights)


def test_a_file_of_another_size_or_kind_is_refused(tmp_path: Path) -> None:
    path = states_file(tmp_path)
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(OSError, match="symbolic links"):
        training_state.read_state(link, MNIST_CNN, 0)
    with pytest.raises(ValueError, match="bytes, not"):
        training_state.read_state(Path("/dev/null"), MNIST_CNN, 0)
    with path.open("ab") as file:
        file.write(b"\0")
    size = 9 * 4 * parameter_count(MNIST_CNN)
    with pytest.raises(ValueError, match=f"{size + 1} bytes, not {size}"):
        training_state.read_state(path, MNIST_CNN, 0)


def test_a_state_of_no_numbers_is_judged_without_a_word(mnist: tuple[Bytes, ...]) -> None:
    """Warnings are errors here."""
    weights = {name: np.full(array.shape, np.nan, np.float32)
               for name, array in draw_weights(MNIST_CNN, 1).items()}  # fmt: skip
    judge = float64.Float64(MNIST_CNN, "epsilon_hat")
    repeated = continuation.repeated_batch(MNIST_CNN, mnist[0], mnist[1], 1)
    batch = continuation.shares_of(MNIST_CNN, repeated)
    losses, after = judge.follow(training_state.State(weights, weights, weights, 1), [batch])
    assert np.isnan(losses).all()
    assert set(float64.update_errors(MNIST_CNN, weights, weights, after).values()) == {np.inf}
    assert judge.evaluate(weights, mnist[2][:10], mnist[3][:10])[1] < 1


def test_a_state_of_another_shape_is_refused() -> None:
    weights = dict(draw_weights(MNIST_CNN, 1))
    weights["dense_1.kernel"] = weights["dense_1.kernel"].T
    with pytest.raises(ValueError, match=r"dense_1\.kernel has shape"):
        training_state.write_state(io.BytesIO(), MNIST_CNN, (weights, weights, weights))
    with pytest.raises(ValueError, match=r"no conv_1\.kernel"):
        training_state.write_state(io.BytesIO(), MNIST_CNN, ({}, {}, {}))


def test_repeated_images_weigh_as_often_as_they_occur() -> None:
    images, labels = make_batch(TINY, 3, seed=3)
    index = np.array([0, 0, 1, 2])
    weights = draw_weights(TINY, 1, bias_range=0.1)
    whole = reference.loss_and_gradients(TINY, weights, images[index], labels[index])
    shares = np.array([0.5, 0.25, 0.25])
    brief = reference.loss_and_gradients(TINY, weights, images, labels, shares)
    assert brief[0] == pytest.approx(whole[0], rel=1e-12)
    for name, gradient in whole[1].items():
        assert brief[1][name] == pytest.approx(gradient, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("size", [1, 96, 128, 200, 512])
def test_a_batch_of_any_size_is_computed_from_128_images_at_most(
    size: int, mnist: tuple[Bytes, ...]
) -> None:
    images, labels = mnist[:2]
    batches = continuation.single_batches(MNIST_CNN, images, labels, size)
    assert [len(batch[1]) for batch in batches] == [size] * 8
    for batch in batches:
        brief = continuation.shares_of(MNIST_CNN, batch)
        assert len(brief.inputs) == len(brief.targets) == len(brief.shares) == min(size, 128)
        assert brief.shares.sum() == pytest.approx(1.0)
        sums = np.tensordot(brief.shares, brief.inputs.astype(float), axes=1)
        assert sums == pytest.approx(batch[0].mean(axis=0))


def test_the_repeated_batch_is_one_image(mnist: tuple[Bytes, ...]) -> None:
    images, labels = continuation.repeated_batch(MNIST_CNN, mnist[0], mnist[1], 640)
    assert (images == images[0]).all()
    assert len(set(labels.tolist())) == 1
    assert len(continuation.shares_of(MNIST_CNN, (images, labels)).targets) == 1


@pytest.mark.parametrize("form", reference.ADAM_FORMS)
def test_adam_goes_on_from_a_state_as_if_it_had_never_stopped(form: str) -> None:
    rng = np.random.default_rng(1)
    start = {"w": rng.normal(size=5)}
    gradients = [{"w": rng.normal(size=5)} for _ in range(4)]
    whole = reference.AdamOptimizer(TINY.optimizer, form)
    weights: Any = start
    for gradient in gradients[:2]:
        weights = whole.update(weights, gradient)
    beta_1, beta_2 = TINY.optimizer.beta_1, TINY.optimizer.beta_2
    first, second = np.zeros(5), np.zeros(5)
    for gradient in gradients[:2]:
        first = beta_1 * first + (1 - beta_1) * gradient["w"]
        second = beta_2 * second + (1 - beta_2) * gradient["w"] ** 2
    later = reference.AdamOptimizer(TINY.optimizer, form, {"w": first}, {"w": second}, 2)
    continued = weights
    for gradient in gradients[2:]:
        weights, continued = whole.update(weights, gradient), later.update(continued, gradient)
    assert continued["w"] == pytest.approx(weights["w"], rel=1e-12)


def test_layouts_of_nchw_frameworks_come_back() -> None:
    weights = draw_weights(MNIST_CNN, 3, bias_range=0.1)
    back = weights_from_nchw(MNIST_CNN, nchw_weights(MNIST_CNN, weights))
    assert list(back) == list(weights)
    assert all(np.array_equal(back[name], weights[name]) for name in weights)


def test_the_proof_computes_on_one_thread_and_leaves_no_variable_to_the_next_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("KMP_DUPLICATE_LIB_OK", raising=False)
    monkeypatch.delitem(sys.modules, "threadpoolctl", raising=False)
    before = dict(os.environ)
    with one_blas_thread():
        assert os.environ == before
        libraries = sys.modules["threadpoolctl"].threadpool_info()
        threads = [one["num_threads"] for one in libraries if one["user_api"] == "blas"]
        assert threads == [1] * len(threads) != []
