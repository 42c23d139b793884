"""``gpt-124m`` version 1: the network of ``gpt-3m`` at the size of GPT-2 small (Radford et al.
2019), for GPUs: 12 layers of 768 units, and a vocabulary of 50,304 symbols, GPT-2's 50,257 made a
multiple of 128. Its language uses the first 256 of them."""

from __future__ import annotations

from epochmark.workloads.spec import (
    Adam,
    CausalAttention,
    Dense,
    Embed,
    LayerNorm,
    Positions,
    Proof,
    Residual,
    TiedHead,
    Tokens,
    Workload,
)

BLOCKS, UNITS, HEADS = 12, 768, 12


def _block(number: int) -> tuple[Residual, Residual]:
    """Attention and feed-forward network, each a branch with its normalisation before it."""
    return (
        Residual(f"attention_{number}", (LayerNorm("norm"), CausalAttention("heads", heads=HEADS))),
        Residual(
            f"feed_forward_{number}",
            (
                LayerNorm("norm"),
                Dense("wide", units=4 * UNITS, activation="gelu_tanh"),
                Dense("narrow", units=UNITS),
            ),
        ),
    )


WORKLOAD = Workload(
    name="gpt-124m",
    version=1,
    summary="the transformer at the size of GPT-2 small, for GPUs",
    dataset="copy-markov",
    train_samples=160,
    test_samples=100,
    input=Tokens(context=1024, vocabulary=50_304),
    layers=(
        Embed("embed", units=UNITS),
        Positions("positions"),
        *(branch for number in range(1, BLOCKS + 1) for branch in _block(number)),
        LayerNorm("norm"),
        TiedHead("head", table="embed"),
    ),
    loss="sparse_categorical_crossentropy",
    optimizer=Adam(learning_rate=1e-3, beta_1=0.9, beta_2=0.99, epsilon=1e-7),
    batch_size=4,
    epochs=5,
    proof=Proof(replay_samples=1, replay_context=128, distinct_samples=1, tested_samples=2),
    passes="once",
    initial="gpt-2",
    only_if_named=True,
)
