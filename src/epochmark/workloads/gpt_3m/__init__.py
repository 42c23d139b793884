"""``gpt-3m`` version 1: GPT-2's network, small enough to train in minutes, on a language whose best
possible loss is known exactly (``workloads._data.copy_markov``)."""

from __future__ import annotations

from epochmark.workloads.spec import (
    Adam,
    CausalAttention,
    Dense,
    Embed,
    Layer,
    LayerNorm,
    Positions,
    Proof,
    Residual,
    Target,
    TiedHead,
    Tokens,
    Workload,
)


def gpt_layers(blocks: int, units: int, heads: int) -> tuple[Layer, ...]:
    """GPT-2's network (Radford et al. 2019): ``blocks`` times attention and a feed-forward network,
    each a branch with its normalisation before it."""
    return (
        Embed("embed", units=units),
        Positions("positions"),
        *(branch for number in range(1, blocks + 1) for branch in _block(number, units, heads)),
        LayerNorm("norm"),
        TiedHead("head", table="embed"),
    )


def _block(number: int, units: int, heads: int) -> tuple[Residual, Residual]:
    return (
        Residual(f"attention_{number}", (LayerNorm("norm"), CausalAttention("heads", heads=heads))),
        Residual(
            f"feed_forward_{number}",
            (
                LayerNorm("norm"),
                Dense("wide", units=4 * units, activation="gelu_tanh"),
                Dense("narrow", units=units),
            ),
        ),
    )


WORKLOAD = Workload(
    name="gpt-3m",
    version=1,
    summary="a transformer of three million parameters that learns to copy",
    dataset="copy-markov",
    train_samples=2_688,
    test_samples=1_000,
    input=Tokens(context=128, vocabulary=256),
    layers=gpt_layers(blocks=4, units=256, heads=4),
    loss="sparse_categorical_crossentropy",
    optimizer=Adam(learning_rate=1e-3, beta_1=0.9, beta_2=0.99, epsilon=1e-7),
    batch_size=32,
    epochs=6,
    proof=Proof(replay_samples=4, distinct_samples=4, tested_samples=100),
    passes="once",
    initial="gpt-2",
    target=Target(loss=0.7065),
)
