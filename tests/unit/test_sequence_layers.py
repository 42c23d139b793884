"""The words of transformers in float64: by hand, by central differences, and in a whole network."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from epochmark.workloads import MNIST_CNN, Workload
from epochmark.workloads._layers import scores, sequences
from epochmark.workloads._proof import reference
from epochmark.workloads.flops import count_flops
from epochmark.workloads.initial_weights import draw_weights
from epochmark.workloads.memory_traffic import operations_per_step
from epochmark.workloads.shapes import (
    judged_parameters,
    layer_shapes,
    parameter_count,
    parameter_shapes,
)
from epochmark.workloads.spec import (
    SGD,
    CausalAttention,
    Dense,
    Embed,
    Flatten,
    Images,
    Layer,
    LayerNorm,
    Positions,
    Residual,
    TiedHead,
    Tokens,
    words_of,
)
from tests.unit.test_reference import differences

Array = npt.NDArray[np.float64]


def gpt(blocks: int, units: int, heads: int, wide: int, context: int, vocabulary: int) -> Workload:
    """GPT-2's network in this size."""
    inner: list[Layer] = []
    for number in range(1, blocks + 1):
        inner += [
            Residual(
                f"attention_{number}",
                (LayerNorm("norm"), CausalAttention("heads", heads)),
            ),
            Residual(
                f"feed_forward_{number}",
                (LayerNorm("norm"), Dense("wide", wide, "gelu_tanh"), Dense("narrow", units)),
            ),
        ]
    layers = (Embed("embed", units), Positions("positions"), *inner, LayerNorm("norm"),
              TiedHead("head", table="embed"))  # fmt: skip
    return replace(
        MNIST_CNN,
        name="tiny-gpt",
        input=Tokens(context, vocabulary),
        layers=layers,
        initial="gpt-2",
    )


TINY = gpt(blocks=2, units=6, heads=2, wide=7, context=5, vocabulary=11)
GPT_3M = gpt(blocks=4, units=256, heads=4, wide=1024, context=128, vocabulary=256)


def sequences_of(workload: Workload, count: int, seed: int) -> tuple[npt.NDArray[Any], ...]:
    rng = np.random.default_rng(seed)
    shape = (count, workload.input_shape[0] + 1)
    drawn = rng.integers(0, workload.classes, shape).astype(np.uint8)
    return drawn[:, :-1], drawn[:, 1:]


def assert_gradients(
    forward: Callable[..., Array],
    backward: Callable[[Array], tuple[Array, ...]],
    arguments: list[Array],
) -> None:
    """Those that ``backward`` gives for a weighted sum of outputs, against central differences."""
    weights = np.random.default_rng(8).normal(size=forward(*arguments).shape)
    for position, gradient in enumerate(backward(weights)):

        def weighted(at: Array, position: int = position) -> float:
            changed = [*arguments[:position], at, *arguments[position + 1 :]]
            return float((weights * forward(*changed)).sum())

        expected = differences(weighted, arguments[position])
        np.testing.assert_allclose(gradient, expected, rtol=2e-6, atol=1e-7)


def test_gelu_by_hand_and_its_gradient() -> None:
    # 1/2 * (1 + tanh(0.7978845608 * 1.044715)) = 0.84119199
    assert scores.gelu_tanh(np.array([1.0, 0.0, -9.0])) == pytest.approx(
        [0.8411919906082768, 0.0, 0.0], abs=1e-9
    )
    inputs = np.linspace(-4, 4, 33)
    assert_gradients(
        scores.gelu_tanh, lambda weights: (scores.gelu_tanh_backward(inputs, weights),), [inputs]
    )


def test_gelu_is_the_tanh_form_and_not_erf() -> None:
    inputs = np.linspace(-3, 3, 301)
    erf = np.array([0.5 * x * (1 + math.erf(x / math.sqrt(2))) for x in inputs])
    apart = np.abs(scores.gelu_tanh(inputs) - erf).max()
    assert 1e-4 < apart < 1e-3


def test_dense_takes_sequences_as_well() -> None:
    rng = np.random.default_rng(1)
    arguments = [rng.normal(size=shape) for shape in ((2, 3, 4), (4, 5), (5,))]
    assert_gradients(
        scores.dense,
        lambda weights: scores.dense_backward(arguments[0], arguments[1], weights),
        arguments,
    )


def test_embedding_picks_rows_and_sums_their_gradients() -> None:
    symbols = np.array([[2, 0, 2]])
    table = np.arange(8.0).reshape(4, 2)
    assert sequences.embed(symbols, table).tolist() == [[[4, 5], [0, 1], [4, 5]]]
    gradient = sequences.embed_backward(symbols, table, np.array([[[1.0, 2], [3, 4], [5, 6]]]))
    assert gradient.tolist() == [[3, 4], [0, 0], [6, 8], [0, 0]]


def test_layer_norm_by_hand() -> None:
    inputs = np.array([[1.0, 3.0]])  # mean 2, variance 1
    outputs = sequences.layer_norm(inputs, np.array([2.0, 2.0]), np.array([0.5, 0.5]), 0.0)
    assert outputs.tolist() == [[-1.5, 2.5]]
    outputs = sequences.layer_norm(inputs, np.ones(2), np.zeros(2), 3.0)  # over sqrt(1 + 3)
    assert outputs.tolist() == [[-0.5, 0.5]]


def test_layer_norm_gradients() -> None:
    rng = np.random.default_rng(2)
    arguments = [rng.normal(size=shape) for shape in ((2, 3, 5), (5,), (5,))]
    assert_gradients(
        lambda inputs, scale, bias: sequences.layer_norm(inputs, scale, bias, 0.1),
        lambda weights: sequences.layer_norm_backward(arguments[0], arguments[1], 0.1, weights),
        arguments,
    )


def test_attention_by_hand() -> None:
    """One head of one unit: at the first position itself, at the second a weighted mean."""
    query, key, value = (np.array([[[[a], [b]]]]) for a, b in ((1.0, 2.0), (0.0, 0.5), (3.0, 5.0)))
    given = sequences.attend(sequences.Heads(query, key, value))
    share = 1 / (1 + math.exp(-1.0))  # scores 0 and 2 * 0.5
    assert given.ravel() == pytest.approx([3.0, 3.0 * (1 - share) + 5.0 * share], rel=1e-14)


def test_scores_are_divided_by_the_root_of_a_heads_size() -> None:
    rng = np.random.default_rng(3)
    parts = sequences.Heads(*(rng.normal(size=(1, 1, 3, 16)) for _ in range(3)))
    exact = np.exp(parts.query[0, 0, 1] @ parts.key[0, 0, :2].T / 4)
    assert sequences.causal_weights(parts)[0, 0, 1, :2] == pytest.approx(exact / exact.sum())


def test_no_position_sees_a_later_one() -> None:
    inputs, _ = sequences_of(TINY, 3, seed=4)
    weights = draw_weights(TINY, 4, bias_range=0.1, spread=20.0)
    before = reference.compute_logits(TINY, weights, inputs.astype(np.intp))
    changed = inputs.astype(np.intp)
    changed[:, 3] = (changed[:, 3] + 1) % TINY.classes
    after = reference.compute_logits(TINY, weights, changed)
    assert np.array_equal(after[:, :3], before[:, :3])
    assert not np.allclose(after[:, 3:], before[:, 3:])


def test_attention_gradients() -> None:
    rng = np.random.default_rng(5)
    arguments = [rng.normal(size=(2, 2, 4, 3)) for _ in range(3)]
    assert_gradients(
        lambda *parts: sequences.attend(sequences.Heads(*parts)),
        lambda weights: sequences.attend_backward(sequences.Heads(*arguments), weights),
        arguments,
    )


def test_heads_are_columns_side_by_side() -> None:
    inputs = np.arange(8.0).reshape(1, 2, 4)
    split = sequences.split_heads(inputs, 2)
    assert split[0, 1].tolist() == [[2, 3], [6, 7]]
    assert np.array_equal(sequences.join_heads(split), inputs)


@pytest.mark.parametrize("shares", [None, np.array([0.5, 0.2, 0.3])])
def test_every_gradient_of_a_whole_network(shares: Array | None) -> None:
    """Tied table, residual branches and all; only every seventh entry of larger arrays."""
    weights: dict[str, Any] = {
        name: array.astype(np.float64)
        for name, array in draw_weights(TINY, 6, bias_range=0.1, spread=15.0).items()
    }
    inputs, targets = sequences_of(TINY, 3, seed=6)
    _, gradients = reference.loss_and_gradients(TINY, weights, inputs, targets, shares)
    assert list(gradients) == list(weights) == list(parameter_shapes(TINY))
    for name, gradient in gradients.items():
        entries = list(np.ndindex(gradient.shape))
        for index in entries[:: 7 if len(entries) > 20 else 1]:
            losses = []
            for step in (1e-6, -1e-6):
                shifted = weights[name].copy()
                shifted[index] += step
                changed = {**weights, name: shifted}
                losses.append(
                    reference.loss_and_gradients(TINY, changed, inputs, targets, shares)[0]
                )
            expected = (losses[0] - losses[1]) / 2e-6
            assert gradient[index] == pytest.approx(expected, rel=1e-5, abs=1e-8), (name, index)


def test_loss_and_accuracy_are_means_over_targets() -> None:
    weights = draw_weights(TINY, 7, spread=20.0)
    inputs, targets = sequences_of(TINY, 9, seed=7)
    loss, accuracy, halves = reference.evaluate(TINY, weights, inputs, targets)
    assert loss == pytest.approx(
        reference.loss_and_gradients(TINY, weights, inputs, targets)[0], rel=1e-12
    )
    assert accuracy * targets.size == pytest.approx(round(accuracy * targets.size))
    assert halves is None


def test_the_loss_of_the_first_half_is_that_of_the_first_half_alone() -> None:
    """No position sees what comes after it."""
    copies = replace(TINY, dataset="copy-markov")
    weights = draw_weights(TINY, 7, spread=20.0)
    inputs, targets = sequences_of(TINY, 9, seed=7)
    loss, _, halves = reference.evaluate(copies, weights, inputs, targets)
    alone = reference.evaluate(TINY, weights, inputs[:, :2], targets[:, :2]).loss
    assert halves == pytest.approx((alone, (5 * loss - 2 * alone) / 3))


def test_shorter_sequences_are_computed_too() -> None:
    """Those of a replay may be shorter than the context."""
    weights = draw_weights(TINY, 8)
    inputs, targets = sequences_of(TINY, 2, seed=8)
    _, gradients = reference.loss_and_gradients(TINY, weights, inputs[:, :3], targets[:, :3])
    table = gradients["positions.table"]
    assert np.any(table[:3])
    assert not np.any(table[3:])


def test_training_learns_a_sequence_by_heart() -> None:
    weights = draw_weights(TINY, 9)
    batch = sequences_of(TINY, 2, seed=9)
    losses, _ = reference.train(TINY, weights, [(batch[0], batch[1])] * 60, "algorithm_1")
    assert losses[0] == pytest.approx(math.log(TINY.classes), rel=0.05)
    assert losses[-1] < 0.9 * losses[0]


def test_a_step_of_sgd_shows_the_scale_of_the_gradient() -> None:
    weights = draw_weights(TINY, 10)
    batch = sequences_of(TINY, 2, seed=10)
    _, gradients = reference.loss_and_gradients(TINY, weights, batch[0], batch[1])
    _, trained = reference.train(
        TINY, weights, [(batch[0], batch[1])], "algorithm_1", optimizer=SGD(0.5)
    )
    for name, gradient in gradients.items():
        moved = weights[name].astype(np.float64) - 0.5 * gradient
        np.testing.assert_allclose(trained[name], moved, rtol=1e-12)


def test_names_shapes_and_size_of_the_gpt_of_three_million() -> None:
    shapes = parameter_shapes(GPT_3M)
    assert shapes["attention_1.heads.query.kernel"] == (256, 256)
    assert shapes["feed_forward_4.wide.bias"] == (1024,)
    assert shapes["embed.table"] == (256, 256)
    assert shapes["positions.table"] == (128, 256)
    assert parameter_count(GPT_3M) == 3_257_856
    assert layer_shapes(GPT_3M)[-1].output == (128, 256)


def test_the_bias_of_keys_changes_nothing_and_is_not_judged() -> None:
    weights = draw_weights(TINY, 11, bias_range=0.1, spread=15.0)
    inputs, targets = sequences_of(TINY, 2, seed=11)
    loss, gradients = reference.loss_and_gradients(TINY, weights, inputs, targets)
    shifted = {
        name: weight + 1 if name.endswith("key.bias") else weight
        for name, weight in weights.items()
    }
    assert reference.loss_and_gradients(TINY, shifted, inputs, targets)[0] == pytest.approx(loss)
    unjudged = set(weights) - set(judged_parameters(TINY))
    assert unjudged == {"attention_1.heads.key.bias", "attention_2.heads.key.bias"}
    for name, gradient in gradients.items():
        assert (np.abs(gradient).max() < 1e-12) == (name in unjudged), name
    assert judged_parameters(MNIST_CNN) == tuple(parameter_shapes(MNIST_CNN))


def test_flops_count_the_causal_half_of_attention() -> None:
    flops = count_flops(GPT_3M)
    assert round(flops.training * 32 / 1e9, 1) == 82.2
    pairs, kernels = 128 * 129 // 2, 4 * 256 * 256 * 128
    by_name = {layer.name: layer for layer in flops.layers}
    assert by_name["attention_1.heads"].forward == 2 * (kernels + 2 * pairs * 256)
    assert by_name["head"].forward == 2 * 128 * 256 * 256
    assert all(layer.training == 3 * layer.forward for layer in flops.layers)
    assert flops.training_convolutions == 0


def test_operations_of_a_step() -> None:
    """Forwards: embedding, positions, in each block seven (attention has three) and two additions;
    norm, head, loss. Backwards: two for each that has parameters or a table, one for positions,
    five for attention. And Adam."""
    block = (1 + 3 + 1) + (1 + 1 + 1 + 1)
    backward = (2 + 5) + (2 + 2 + 2)
    forwards, backwards = 2 + 4 * block + 2 + 1, 2 + 1 + 4 * backward + 2 + 2 + 1 - 1
    assert operations_per_step(GPT_3M) == forwards + backwards + 1
    assert operations_per_step(MNIST_CNN) == 16


def test_initial_values_are_those_of_each_parameter() -> None:
    weights = draw_weights(GPT_3M, seed=1)
    for name, array in weights.items():
        kind = name.rpartition(".")[2]
        if kind in ("bias", "scale"):
            assert np.array_equal(array, np.full(array.shape, float(kind == "scale")))
            continue
        ends = name.endswith(("heads.output.kernel", "narrow.kernel"))
        deviation = 0.02 / math.sqrt(8) if ends else 0.02
        # five standard errors of a uniform distribution's deviation
        error = 5 * math.sqrt(0.2 / array.size)
        assert array.std() == pytest.approx(deviation, rel=error), name
        assert np.abs(array).max() <= np.float32(math.sqrt(3) * deviation)


def test_a_range_moves_scales_around_one() -> None:
    weights = draw_weights(TINY, seed=1, bias_range=0.1)
    scale = weights["norm.scale"]
    assert 0.9 <= scale.min() < scale.max() <= 1.1
    assert np.array_equal(weights["embed.table"], draw_weights(TINY, seed=1)["embed.table"])


def test_the_words_of_a_workload() -> None:
    assert words_of(MNIST_CNN) == {
        "Images", "Conv2D", "MaxPool2D", "Flatten", "Dense", "relu", "softmax", "Adam",
    }  # fmt: skip
    assert words_of(GPT_3M) == {
        "Tokens", "Embed", "Positions", "LayerNorm", "CausalAttention", "Residual", "Dense",
        "gelu_tanh", "TiedHead", "Adam",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ((Embed("embed", 6), CausalAttention("heads", 4)), "heads: 6 units cannot be shared by 4"),
        ((Embed("embed", 6), TiedHead("head", "table")), "head: no embedding called 'table'"),
        ((Embed("embed", 6), Residual("add", (Dense("wide", 7),))), "add: the branch turns"),
        ((Embed("embed", 6), Embed("again", 6)), "again: needs 1 dimensions"),
        ((Embed("same", 6), LayerNorm("same")), "two layers are called same"),
        ((Positions("early"),), "early: needs 2 dimensions"),
    ],
)
def test_what_does_not_fit_is_named(layers: tuple[Layer, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        layer_shapes(replace(TINY, layers=layers))


def test_images_cannot_be_embedded() -> None:
    images = replace(
        MNIST_CNN, input=Images((2, 2, 1), 255.0, 10), layers=(Flatten("flat"), Embed("embed", 3))
    )
    with pytest.raises(ValueError, match="embed: embeds symbols"):
        layer_shapes(images)


def test_a_network_without_scores_at_its_end_is_refused() -> None:
    inputs, targets = sequences_of(TINY, 1, seed=0)
    for layers in (TINY.layers[:-1], (*TINY.layers[:-1], Dense("head", 11))):
        workload = replace(TINY, layers=layers)
        with pytest.raises(ValueError, match="cannot compute activations"):
            reference.loss_and_gradients(workload, draw_weights(workload, 0), inputs, targets)
