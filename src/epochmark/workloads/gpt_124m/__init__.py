"""``gpt-124m`` version 1: the network of ``gpt-3m`` at the size of GPT-2 small (Radford et al.
2019), for GPUs: 12 layers of 768 units, and a vocabulary of 50,304 symbols, GPT-2's 50,257 made a
multiple of 128. Its language uses the first 256 of them."""

from __future__ import annotations

from epochmark.workloads.gpt_3m import gpt_layers
from epochmark.workloads.spec import Adam, Proof, Tokens, Workload

WORKLOAD = Workload(
    name="gpt-124m",
    version=1,
    summary="the transformer at the size of GPT-2 small, for GPUs",
    dataset="copy-markov",
    train_samples=160,
    test_samples=100,
    input=Tokens(context=1024, vocabulary=50_304),
    layers=gpt_layers(blocks=12, units=768, heads=12),
    loss="sparse_categorical_crossentropy",
    optimizer=Adam(learning_rate=1e-3, beta_1=0.9, beta_2=0.99, epsilon=1e-7),
    batch_size=4,
    epochs=5,
    proof=Proof(replay_samples=1, replay_context=128, distinct_samples=1, tested_samples=2),
    passes="once",
    initial="gpt-2",
    only_if_named=True,
)
