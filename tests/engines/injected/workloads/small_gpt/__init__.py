"""``small-gpt``: ``gpt-3m`` so small that it is trained in seconds, for tests of what it learns."""

from __future__ import annotations

from dataclasses import replace

from epochmark.workloads.gpt_3m import WORKLOAD as GPT_3M
from epochmark.workloads.spec import (
    Adam,
    CausalAttention,
    Dense,
    Embed,
    LayerNorm,
    Positions,
    Proof,
    Residual,
    Target,
    TiedHead,
    Tokens,
)

WORKLOAD = replace(
    GPT_3M,
    name="small-gpt",
    summary="learns to copy in seconds",
    train_samples=4_800,
    input=Tokens(context=16, vocabulary=8),
    layers=(
        Embed("embed", units=32),
        Positions("positions"),
        Residual("attention", (LayerNorm("norm"), CausalAttention("heads", heads=2))),
        Residual(
            "feed_forward",
            (
                LayerNorm("norm"),
                Dense("wide", units=128, activation="gelu_tanh"),
                Dense("narrow", units=32),
            ),
        ),
        LayerNorm("norm"),
        TiedHead("head", table="embed"),
    ),
    optimizer=Adam(learning_rate=3e-3, beta_1=0.9, beta_2=0.99, epsilon=1e-7),
    epochs=2,
    proof=Proof(replay_samples=4, distinct_samples=4, tested_samples=100),
    target=Target(loss=1.0),
)
