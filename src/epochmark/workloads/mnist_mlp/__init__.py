"""``mnist-mlp`` version 1: wide dense layers, where memory and optimizer count, not arithmetic.

About 11 FLOP for each byte that a step moves, ``mnist-cnn`` has 43.
"""

from __future__ import annotations

from epochmark.workloads.spec import Adam, Dense, Flatten, Images, Proof, Workload

WORKLOAD = Workload(
    name="mnist-mlp",
    version=1,
    summary="wide dense layers on handwritten digits, limited by memory",
    dataset="mnist",
    train_samples=60_000,
    test_samples=10_000,
    input=Images(shape=(28, 28, 1), scale=255.0, classes=10),
    layers=(
        Flatten("flatten"),
        Dense("dense_1", units=2048, activation="relu"),
        Dense("dense_2", units=2048, activation="relu"),
        Dense("dense_3", units=10, activation="softmax"),
    ),
    loss="sparse_categorical_crossentropy",
    optimizer=Adam(learning_rate=1e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-7),
    batch_size=64,
    epochs=10,
    proof=Proof(replay_samples=64),
)
