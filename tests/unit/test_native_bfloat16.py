"""The native kernels in bfloat16: against float64 products of rounded factors, and who is refused.

Where the processor has no instructions for it, each test asserts that it is refused, and why.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from epochmark import native
from epochmark.bench.request import RunRequest
from epochmark.engines import Settings, UnavailableError
from epochmark.engines.native import NativeEngine
from epochmark.errors import EpochmarkError
from epochmark.workloads import MNIST_CNN, WORKLOADS, Workload
from epochmark.workloads._data import read_data
from epochmark.workloads._proof import parity, replay_data
from epochmark.workloads._proof import reference as ref
from epochmark.workloads.initial_weights import draw_weights
from epochmark.workloads.shapes import judged_parameters

from .test_native_gpt import random_batch as random_sequences
from .test_native_gradients import random_batch as random_images
from .test_native_training import Mnist

GPT, MNIST_MLP = WORKLOADS["gpt-3m"], WORKLOADS["mnist-mlp"]
HERE = bool(native.instruction_sets("bfloat16"))
NEARER = 0.4
"""Of the distance between the gradients of rounded factors and those of unrounded ones, in their
norm. A factor that is float32 on one side and float64 on the other is rounded to the other side
now and then, more often the more products came before it."""

Arrays = Mapping[str, npt.NDArray[Any]]
Batch = tuple[native.Samples, native.Samples]


class Rounding(np.ndarray[Any, np.dtype[Any]]):
    """float64 whose matrix products are those of factors rounded to bfloat16; what is made of it
    is of its kind. Those with the ten scores of ``mnist-mlp`` are not rounded by the kernels."""

    def __matmul__(self, other: Any) -> Any:
        return rounded_product(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return rounded_product(other, self)


def rounded_product(left: Any, right: Any) -> Any:
    factors = [np.asarray(left, np.float64), np.asarray(right, np.float64)]
    if factors[0].ndim == 1:  # a mean over the targets' losses
        return np.matmul(*factors)
    if MNIST_MLP.classes not in (*factors[0].shape, *factors[1].shape):
        factors = [to_bfloat16(factor) for factor in factors]
    return np.matmul(*factors).view(Rounding)


def to_bfloat16(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """To nearest, ties to even: the upper half of a float32."""
    bits = values.astype(np.float32).view(np.uint32)
    bits = bits + np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1))
    return (bits & np.uint32(0xFFFF0000)).view(np.float32).astype(np.float64)


@functools.cache
def weights_of(workload: Workload) -> dict[str, npt.NDArray[np.float32]]:
    return draw_weights(workload, seed=3, bias_range=0.1, spread=3.0 if workload is GPT else 1.0)


def weights_without_branches(but: str) -> dict[str, npt.NDArray[np.float32]]:
    """Of gpt-3m, where the result of every branch is zero but of that one: with a few products one
    after the other, roundings hardly differ."""
    ends = {
        name: np.zeros_like(array)
        for name, array in weights_of(GPT).items()
        if name.endswith(("output.kernel", "narrow.kernel")) and not name.startswith(f"{but}.")
    }
    return {**weights_of(GPT), **ends}


def batch_of(workload: Workload, size: int) -> Batch:
    return random_sequences(size) if workload is GPT else random_images(size, seed=5)


def judged(
    workload: Workload, weights: Arrays, batch: Batch, rounding: bool
) -> tuple[float, Arrays]:
    """Mean loss and gradients of a batch, in float64."""
    inputs, targets = batch
    if rounding:
        weights = {name: array.view(Rounding) for name, array in weights.items()}
        inputs = inputs.view(Rounding) if workload is MNIST_MLP else inputs
    return ref.loss_and_gradients(workload, weights, inputs, targets)


def error(found: npt.NDArray[Any], right: npt.NDArray[Any]) -> float:
    return float(np.linalg.norm(found - np.asarray(right)) / np.linalg.norm(right))


def new_network(workload: Workload, batch: int, threads: int) -> native.Network:
    network = native.Network(workload, batch, threads, precision="bfloat16")
    network.set_weights(weights_of(workload))
    return network


def is_refused() -> bool:
    """On a processor without the instructions; then that is asserted."""
    if not HERE:
        assert "AVX512_BF16" in native.missing("bfloat16")
        with pytest.raises(EpochmarkError, match=f"no bfloat16 here: {native.missing('bfloat16')}"):
            native.Network(GPT, 1, 1, precision="bfloat16")
    return not HERE


def check_gradients(workload: Workload, weights: Arrays, size: int, threads: int) -> float:
    """The largest error of a gradient, as a part of what the roundings change in it."""
    batch = batch_of(workload, size)
    network = native.Network(workload, size, threads, precision="bfloat16")
    network.set_weights(weights)
    result, gradients = network.gradients(*batch)
    loss, right = judged(workload, weights, batch, rounding=True)
    _, unrounded = judged(workload, weights, batch, rounding=False)
    assert network.instruction_set == "avx512_bf16"
    assert result.loss_sum / batch[1].size == pytest.approx(float(loss), rel=2e-5)
    names = [name for name in judged_parameters(workload) if np.any(unrounded[name])]
    for name in set(judged_parameters(workload)) - set(names):
        assert not gradients[name].any(), name
    return max(
        error(gradients[name], right[name]) / error(np.asarray(right[name]), unrounded[name])
        for name in names
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("but", "within"),
    [("none", 0.1), ("feed_forward_1", NEARER), ("attention_1", NEARER), ("attention_4", NEARER)],
)
def test_gradients_of_gpt_3m_are_those_of_rounded_factors(but: str, within: float) -> None:
    if not is_refused():
        assert check_gradients(GPT, weights_without_branches(but), size=2, threads=2) < within


@pytest.mark.parametrize(
    ("size", "threads", "within"), [(1, 1, 1e-3), (7, 2, 1e-3), (61, 3, NEARER), (64, 2, NEARER)]
)
def test_gradients_of_mnist_mlp_are_those_of_rounded_factors(
    size: int, threads: int, within: float
) -> None:
    """Larger batches have a ReLU so close to zero that a rounding decides."""
    if not is_refused():
        assert check_gradients(MNIST_MLP, weights_of(MNIST_MLP), size, threads) < within


@pytest.mark.parametrize("workload", [GPT, MNIST_MLP], ids=lambda workload: workload.name)
@pytest.mark.parametrize("threads", [1, 3])
def test_the_same_call_gives_the_same_bits(workload: Workload, threads: int) -> None:
    if is_refused():
        return
    trained = []
    for _ in range(2):
        network = new_network(workload, 5, threads)
        for order in ([0, 1, 2, 3, 4], [4, 2], [3]):
            network.train_step(*batch_of(workload, 5), np.array(order, np.uint32))
        trained.append(network.get_weights())
    for name, array in trained[0].items():
        assert np.array_equal(array, trained[1][name]), name
        assert not np.array_equal(array, weights_of(workload)[name]), name


def test_a_smaller_batch_after_a_larger_one_leaves_nothing_of_it() -> None:
    if is_refused():
        return
    network = new_network(MNIST_MLP, 100, 2)
    network.gradients(*random_images(100))
    _, gradients = network.gradients(*batch_of(MNIST_MLP, 7))
    _, alone = new_network(MNIST_MLP, 7, 2).gradients(*batch_of(MNIST_MLP, 7))
    for name, array in gradients.items():
        assert np.array_equal(array, alone[name]), name


@pytest.mark.parametrize("workload", [GPT, MNIST_MLP], ids=lambda workload: workload.name)
def test_weights_are_kept_in_float32(workload: Workload) -> None:
    if is_refused():
        return
    network = new_network(workload, 2, 1)
    for name, array in network.get_weights().items():
        assert np.array_equal(array, weights_of(workload)[name]), name
    network.train_step(*batch_of(workload, 2), np.arange(2, dtype=np.uint32))
    for name, array in network.get_weights().items():
        if "kernel" in name:
            assert np.any(to_bfloat16(array.astype(np.float64)) != array), name


@pytest.mark.parametrize(
    ("workload", "name"), [(GPT, "attention_2.heads.query.bias"), (MNIST_MLP, "dense_1.bias")]
)
def test_not_a_number_is_seen(workload: Workload, name: str) -> None:
    if is_refused():
        return
    network = native.Network(workload, 1, 1, precision="bfloat16")
    weights = weights_of(workload)
    network.set_weights({**weights, name: np.full_like(weights[name], np.nan)})
    result, _ = network.gradients(*batch_of(workload, 1))
    assert np.isnan(result.loss_sum)


def replayed(workload: Workload, batches: Sequence[Batch]) -> parity.Verdict:
    """Both replays, as a worker makes them and a record is judged."""
    engine = NativeEngine()
    engine.open(asked(workload))
    weights = replay_data.replay_weights(workload)
    losses = engine.replay(weights, batches)
    by_sgd = engine.replay(
        weights, batches[: replay_data.SGD_STEPS], replay_data.replay_sgd(workload)
    )
    version = replay_data.REPLAY_VERSION
    return parity.judge_replay(workload, "epsilon_hat", version, losses, by_sgd, "bfloat16")


def asked(workload: Workload, precision: str = "bfloat16") -> Settings:
    return Settings(workload, "cpu", precision, "stock", 1, 1, workload.batch_size, threads=2)


@pytest.mark.slow
def test_both_replays_of_gpt_3m_are_those_of_bfloat16() -> None:
    if is_refused():
        return
    data = read_data(GPT, "")
    verdict = replayed(GPT, replay_data.replay_batches(GPT, data.inputs, data.targets))
    assert verdict.precision == "bfloat16", verdict


@pytest.mark.slow
def test_both_replays_of_mnist_mlp_are_those_of_bfloat16(mnist: Mnist) -> None:
    if is_refused():
        return
    verdict = replayed(MNIST_MLP, replay_data.replay_batches(MNIST_MLP, *mnist[:2]))
    assert verdict.precision == "bfloat16", verdict


def test_the_engine_says_what_it_computed_in() -> None:
    if is_refused():
        return
    engine = NativeEngine()
    engine.open(asked(MNIST_MLP))
    engine.build(weights_of(MNIST_MLP))
    settings = engine.effective_settings()
    assert settings["compute_type"] == "bfloat16"
    assert settings["instruction_set"] == "avx512_bf16"


@pytest.mark.parametrize("forced", ["avx512", "avx2", "portable"])
def test_another_instruction_set_is_refused(forced: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if is_refused():
        return
    monkeypatch.setenv("EPOCHMARK_NATIVE_ISA", forced)
    with pytest.raises(UnavailableError, match=f"is {forced}, and bfloat16 needs avx512_bf16"):
        NativeEngine().open(asked(MNIST_MLP))
    with pytest.raises(EpochmarkError, match=f"no instruction set '{forced}' for bfloat16"):
        native.Network(MNIST_MLP, 1, 1, precision="bfloat16")
    NativeEngine().open(asked(MNIST_MLP, "float32"))


def test_a_processor_without_the_instructions_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "missing", {"bfloat16": "it lacks them", "float32": ""}.get)
    monkeypatch.setattr(native, "instruction_sets", {"bfloat16": [], "float32": ["avx2"]}.get)
    with pytest.raises(UnavailableError, match="no bfloat16 here: it lacks them; ask for: float32"):
        NativeEngine().open(asked(MNIST_MLP))


def test_a_workload_without_it_is_refused_with_who_has_it() -> None:
    said = (
        "native has no bfloat16 for mnist-cnn; these have: jax, keras-jax, keras-tensorflow, "
        "keras-torch, torch"
    )
    with pytest.raises(EpochmarkError, match=said) as raised:
        RunRequest("native", precision="bfloat16").check()
    assert raised.value.exit_code == 2
    RunRequest("native", precision="bfloat16", workload=GPT).check()
    offered = {"bfloat16": tuple(native.workloads("bfloat16"))}
    assert dict(NativeEngine.info.limited_precisions) == offered
    if not is_refused():
        with pytest.raises(EpochmarkError, match="no workload 'mnist-cnn' in bfloat16 here"):
            native.Network(MNIST_CNN, 1, 1, precision="bfloat16")
