"""The replay: its inputs are fixed to the byte, its golden losses right, its verdict fair."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from epochmark.workloads import MNIST_CNN, WORKLOADS
from epochmark.workloads._proof import parity, reference, replay_data
from epochmark.workloads.registry import GOLDEN_LOSSES, read_evidence
from epochmark.workloads.spec import SGD

Mnist = tuple[npt.NDArray[np.uint8], ...]
GOLDEN = replay_data.golden_losses(MNIST_CNN, "epsilon_hat")
TOLERANCES = parity.replay_tolerances(MNIST_CNN)
VERSIONS = replay_data.replay_versions(MNIST_CNN)


def judge(
    losses: Sequence[float | None],
    golden: Sequence[float] = GOLDEN,
    tolerances: parity.Tolerances = TOLERANCES,
) -> parity.Verdict:
    return parity.judge(losses, golden, tolerances)


def with_errors(*errors: float) -> list[float | None]:
    """Golden losses, the first ones off by these relative errors."""
    padded = [*errors, *[0.0] * (len(GOLDEN) - len(errors))]
    return [loss * (1 + error) for loss, error in zip(GOLDEN, padded, strict=True)]


def test_weights_are_those_of_the_golden_losses_with_biases() -> None:
    weights = replay_data.replay_weights(MNIST_CNN)
    for name, array in weights.items():
        if name.endswith(".bias"):
            assert 0.0 < np.abs(array).max() <= np.float32(replay_data.REPLAY_BIAS_RANGE)


def test_batches_are_the_first_training_images_with_drawn_lowest_bits(mnist: Mnist) -> None:
    batches = replay_data.replay_batches(MNIST_CNN, mnist[0], mnist[1])
    assert len(batches) == replay_data.REPLAY_STEPS
    images = np.concatenate([images for images, _ in batches])
    assert np.array_equal(images >> 4, mnist[0][:1280] >> 4)
    assert np.bincount(images.ravel() & 15).min() > 0.99 * images.size / 16
    assert np.array_equal(np.concatenate([labels for _, labels in batches]), mnist[1][:1280])


def test_the_first_version_had_the_images_as_they_are(mnist: Mnist) -> None:
    batches = replay_data.replay_batches(MNIST_CNN, mnist[0], mnist[1], version=1)
    assert np.array_equal(np.concatenate([images for images, _ in batches]), mnist[0][:1280])


@pytest.mark.parametrize(("version", "ties"), [(1, True), (2, False)])
def test_only_the_first_version_has_equal_maxima(mnist: Mnist, version: int, ties: bool) -> None:
    """Windows of the pooling in which two or more inputs have the maximum, above ReLU's zero, in
    the first batch."""
    images, _ = replay_data.replay_batches(MNIST_CNN, mnist[0], mnist[1], version=version)[0]
    weights = replay_data.replay_weights(MNIST_CNN, version)
    values = reference.prepare(MNIST_CNN, images)
    for name in ("conv_1", "conv_2"):
        kernel = weights[f"{name}.kernel"].astype(np.float64)
        values = reference.relu(
            reference.convolve(values, kernel, weights[f"{name}.bias"].astype(np.float64))
        )
    windows = values.reshape(len(values), 12, 2, 12, 2, 64).transpose(0, 1, 3, 5, 2, 4)
    flat = windows.reshape(-1, 4)
    highest = flat.max(axis=1, keepdims=True)
    close = (flat >= highest - 1e-13).sum(axis=1)
    shared = (close > 1) & (highest[:, 0] > 0)
    assert (shared.mean() > 0.05) == ties
    assert (shared.sum() > 0) == ties


def test_other_images_are_refused(mnist: Mnist) -> None:
    with pytest.raises(ValueError, match="golden"):
        replay_data.replay_batches(MNIST_CNN, mnist[2], mnist[3])
    with pytest.raises(ValueError, match="golden"):
        replay_data.replay_batches(MNIST_CNN, mnist[0][:1000], mnist[1][:1000])


def test_a_single_changed_pixel_is_noticed(mnist: Mnist) -> None:
    images = mnist[0].copy()
    images[1279, 27, 27] ^= 0x10  # the lowest four bits are drawn anyway
    with pytest.raises(ValueError, match="golden"):
        replay_data.replay_batches(MNIST_CNN, images, mnist[1])


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("form", reference.ADAM_FORMS)
def test_stored_losses_are_those_of_the_reference(mnist: Mnist, form: str, version: int) -> None:
    # Two steps; all ten come from the same code (benchmarks/make_golden_losses.py).
    batches = replay_data.replay_batches(MNIST_CNN, mnist[0], mnist[1], version=version)[:2]
    weights = replay_data.replay_weights(MNIST_CNN, version)
    losses, _ = reference.train(MNIST_CNN, weights, batches, form)
    assert losses == pytest.approx(
        replay_data.golden_losses(MNIST_CNN, form, version)[:2], rel=1e-12
    )


def test_the_forms_of_adam_differ_from_the_second_step_on() -> None:
    other = replay_data.golden_losses(MNIST_CNN, "algorithm_1")
    assert len(GOLDEN) == len(other) == replay_data.REPLAY_STEPS
    assert GOLDEN[0] == other[0]
    assert judge(other).precision is None
    assert judge(GOLDEN, other).precision is None


@pytest.mark.parametrize("version", VERSIONS)
def test_golden_losses_say_where_they_come_from(version: int) -> None:
    stored = read_evidence(MNIST_CNN, GOLDEN_LOSSES)
    golden = stored["replays"][str(version)]
    assert set(golden["losses"]) == set(reference.ADAM_FORMS)
    assert {"script", "method", "weights", "batches", "numpy", "date"} <= set(golden["provenance"])
    seed = replay_data.recipe_of(MNIST_CNN, version).weights_seed
    assert f"seed={seed}," in golden["provenance"]["weights"]


def test_a_version_that_is_not_there_has_no_golden_losses() -> None:
    with pytest.raises(ValueError, match="version 99 of the replay"):
        replay_data.golden_losses(MNIST_CNN, "epsilon_hat", 99)


def test_another_workload_has_no_golden_losses() -> None:
    newer, other = replace(MNIST_CNN, version=2), replace(MNIST_CNN, name="other")
    for workload, words in ((newer, "is of version 1"), (other, "no golden losses for other")):
        with pytest.raises(ValueError, match=words):
            replay_data.golden_losses(workload, "epsilon_hat")
        with pytest.raises(ValueError, match=words):
            replay_data.replay_weights(workload)
    with pytest.raises(ValueError, match="amsgrad"):
        replay_data.golden_losses(MNIST_CNN, "amsgrad")


def test_exact_losses_are_float32() -> None:
    verdict = judge(GOLDEN)
    assert verdict == parity.Verdict((0.0,) * 10, 0.0, ("float32",))


def test_errors_are_relative_and_kept_by_step() -> None:
    verdict = judge(with_errors(0.0, -3e-6, 2e-6))
    assert verdict.errors[:3] == pytest.approx([0.0, 3e-6, 2e-6], rel=1e-6)
    assert verdict.max_error == pytest.approx(3e-6, rel=1e-6)
    assert verdict.precision == "float32"


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, None])
@pytest.mark.parametrize("step", [0, 4, 9])
def test_a_loss_that_is_no_number_meets_no_precision(bad: float | None, step: int) -> None:
    losses: list[float | None] = list(GOLDEN)
    losses[step] = bad
    verdict = judge(losses)
    assert verdict.precision is None
    assert verdict.errors[step] == verdict.max_error == math.inf


@pytest.mark.parametrize("losses", [[], GOLDEN[:9], [*GOLDEN, 1.0]])
def test_a_wrong_number_of_losses_meets_no_precision(losses: list[float]) -> None:
    verdict = judge(losses)
    assert verdict.precision is None
    assert verdict.max_error == math.inf


@pytest.mark.parametrize("version", VERSIONS)
def test_tolerances_widen_with_step_and_with_precision(version: int) -> None:
    tolerances = parity.replay_tolerances(MNIST_CNN, version)
    profiles = list(tolerances.values())
    assert list(tolerances) == ["float32", "tf32", "float16", "bfloat16"]
    for profile in profiles:
        assert len(profile) == replay_data.REPLAY_STEPS
        assert list(profile) == sorted(profile)
    for tighter, wider in pairwise(profiles):
        assert all(a <= b for a, b in zip(tighter, wider, strict=True))


@pytest.mark.parametrize("precision", TOLERANCES)
def test_each_class_takes_what_is_just_inside_its_tolerance(precision: str) -> None:
    limits = TOLERANCES[precision]
    inside = judge(with_errors(*(0.99 * limit for limit in limits)))
    assert precision in inside.met
    assert inside.precision == ("tf32" if precision == "float16" else precision)
    outside = judge(with_errors(*(1.01 * limit for limit in limits)))
    assert precision not in outside.met


@pytest.mark.parametrize("step", range(10))
def test_one_step_outside_is_enough(step: int) -> None:
    errors = [0.0] * 10
    errors[step] = 1.01 * TOLERANCES["float32"][step]
    assert "float32" not in judge(with_errors(*errors)).met


def test_an_exact_first_loss_cannot_pass_for_reduced_precision() -> None:
    # A learning rate 1 % off in float32: right at first, then inside bfloat16's tolerance.
    wrong = with_errors(5e-8, 2.4e-4, 2e-4, 3e-4, 1.7e-3)
    assert judge(wrong).precision is None
    # The same from step 2 on after a first loss as coarse as bfloat16 makes it.
    coarse = with_errors(2e-5, 2.4e-4, 2e-4, 3e-4, 1.7e-3)
    assert judge(coarse).precision == "bfloat16"


def test_without_tolerances_nothing_is_judged() -> None:
    for errors in ((0.0,), (1e-3,), (5.0,)):
        verdict = judge(with_errors(*errors), tolerances={})
        assert verdict.precision is None
        assert verdict.unjudged
    assert not judge([math.nan] * 10, tolerances={}).unjudged


def test_float32_losses_that_are_wrong_are_no_other_precision() -> None:
    only = {"float32": TOLERANCES["float32"]}
    assert judge(with_errors(1e-4, 1e-3), tolerances=only).unjudged  # bfloat16, for all we know
    assert not judge(with_errors(5e-8, 1e-3), tolerances=only).unjudged
    assert not judge(with_errors(1e-4, 1e-1)).unjudged


FORM = "epsilon_hat"
SGD_GOLDEN = replay_data.golden_sgd_losses(MNIST_CNN)


def judge_both(
    error: float = 0.0, sgd_error: float = 0.0, version: int = replay_data.REPLAY_VERSION
) -> parity.Verdict:
    """Both replays, the last loss of each off by this."""
    golden = replay_data.golden_losses(MNIST_CNN, FORM, version)
    losses = [*golden[:-1], golden[-1] * (1 + error)]
    sgd = [*SGD_GOLDEN[:-1], SGD_GOLDEN[-1] * (1 + sgd_error)]
    return parity.judge_replay(MNIST_CNN, FORM, version, losses, sgd)


def test_both_replays_must_meet_a_precision() -> None:
    right = judge_both()
    assert right.precision == "float32"
    assert len(right.errors) == replay_data.REPLAY_STEPS + replay_data.SGD_STEPS
    for wrong, scale in ((judge_both(error=1e-3), False), (judge_both(sgd_error=1e-4), True)):
        assert wrong.precision is None
        assert wrong.wrong_scale == scale
        assert ("with plain SGD is 1.0e-04" in wrong.in_words()) == scale
        assert not wrong.unjudged


@pytest.mark.parametrize("name", ["mnist-mlp", "gpt-3m"])
def test_a_wrong_scale_is_judged_where_other_precisions_are_not(name: str) -> None:
    """Adam met float32, whose tolerance with plain SGD is known."""
    workload = WORKLOADS[name]
    losses = [loss * (1 + 3e-7) for loss in replay_data.golden_losses(workload, FORM)]
    first, second, third = replay_data.golden_sgd_losses(workload)
    sgd = [first, second * 1.1, third * 1.2]
    verdict = parity.judge_replay(workload, FORM, replay_data.REPLAY_VERSION, losses, sgd)
    assert (verdict.precision, verdict.unjudged, verdict.wrong_scale) == (None, False, True)


@pytest.mark.parametrize("version", [1, 2])
def test_older_replays_have_no_sgd_and_are_judged_without(version: int) -> None:
    golden = replay_data.golden_losses(MNIST_CNN, FORM, version)
    assert replay_data.golden_sgd_losses(MNIST_CNN, version) == ()
    without = parity.judge_replay(MNIST_CNN, FORM, version, golden, None)
    assert without.precision == "float32"
    assert judge_both(version=version).precision is None, "it cannot have had any"


@pytest.mark.parametrize("losses", [None, [], SGD_GOLDEN[:2], [*SGD_GOLDEN, 1.0], [None] * 3])
def test_losses_of_sgd_that_are_not_there_meet_no_precision(
    losses: list[float | None] | None,
) -> None:
    verdict = parity.judge_replay(MNIST_CNN, FORM, replay_data.REPLAY_VERSION, GOLDEN, losses)
    assert verdict.precision is None
    assert verdict.max_error == math.inf
    assert verdict.wrong_scale


def test_without_tolerances_for_sgd_nothing_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parity, "sgd_tolerances", lambda *_: {})
    assert judge_both().unjudged
    assert not judge_both(error=1.0).unjudged, "that is wrong in any precision"


@pytest.mark.parametrize(
    ("requested", "precision", "unjudged"),
    [("bfloat16", "bfloat16", False), ("stock", None, True), ("float16", None, True)],
)
def test_a_wide_class_counts_only_where_it_is_asked_for(
    requested: str, precision: str | None, unjudged: bool
) -> None:
    """Losses off by 1e-4, as of correct bfloat16, and of float32 with exact GELU."""
    gpt = WORKLOADS["gpt-3m"]
    assert "bfloat16" in parity.only_if_requested(gpt)
    losses = [loss * (1 + 1e-4) for loss in replay_data.golden_losses(gpt, FORM)]
    sgd = [loss * (1 + 1e-4) for loss in replay_data.golden_sgd_losses(gpt)]
    verdict = parity.judge_replay(gpt, FORM, replay_data.REPLAY_VERSION, losses, sgd, requested)
    assert verdict.precision == precision
    assert verdict.unjudged == unjudged


@pytest.mark.slow
def test_one_percent_of_scale_is_far_outside(mnist: Mnist) -> None:
    """A rate 1 % higher is a gradient 1 % larger; the stored losses are those of the right one."""
    batches = replay_data.replay_batches(MNIST_CNN, mnist[0], mnist[1])[: replay_data.SGD_STEPS]
    weights, rate = (
        replay_data.replay_weights(MNIST_CNN),
        replay_data.replay_sgd(MNIST_CNN).learning_rate,
    )
    right, large = (
        reference.train(MNIST_CNN, weights, batches, FORM, optimizer=SGD(factor * rate))[0]
        for factor in (1.0, 1.01)
    )
    assert right == pytest.approx(SGD_GOLDEN, rel=1e-12)
    errors = parity.judge(large, SGD_GOLDEN, {}).errors
    assert max(errors) > 90 * max(parity.sgd_tolerances(MNIST_CNN)["float32"])


@given(st.lists(st.one_of(st.none(), st.floats()), max_size=12))
def test_nothing_an_engine_reports_breaks_the_judge(losses: list[float | None]) -> None:
    verdict = judge(losses)
    assert len(verdict.errors) == max(len(losses), len(GOLDEN))
    assert all(error >= 0.0 for error in verdict.errors)
    assert verdict.max_error == max(verdict.errors)
