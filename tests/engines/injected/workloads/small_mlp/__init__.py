"""``small-mlp``, the workload of docs/adding-a-workload.md: next to nothing to compute."""

from __future__ import annotations

from epochmark.workloads.spec import Adam, Dense, Flatten, Images, Proof, Workload

WORKLOAD = Workload(
    name="small-mlp",
    version=1,
    summary="two dense layers on handwritten digits",
    dataset="mnist",
    train_samples=60_000,
    test_samples=10_000,
    input=Images(shape=(28, 28, 1), scale=255.0, classes=10),
    layers=(
        Flatten("flatten"),
        Dense("hidden", units=16, activation="relu"),
        Dense("scores", units=10, activation="softmax"),
    ),
    loss="sparse_categorical_crossentropy",
    optimizer=Adam(learning_rate=1e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-7),
    batch_size=100,
    epochs=2,
    proof=Proof(replay_samples=100),
)
