"""``mnist-cnn`` version 1: the small convolutional network of the 2021 blog post, exactly."""

from __future__ import annotations

from epochmark.workloads.spec import (
    Adam,
    Conv2D,
    Dense,
    Flatten,
    Images,
    MaxPool2D,
    Proof,
    Workload,
)

WORKLOAD = Workload(
    name="mnist-cnn",
    version=1,
    summary="a small convolutional network on handwritten digits",
    dataset="mnist",
    train_samples=60_000,
    test_samples=10_000,
    input=Images(shape=(28, 28, 1), scale=255.0, classes=10),
    layers=(
        Conv2D("conv_1", filters=32, kernel_size=3, activation="relu"),
        Conv2D("conv_2", filters=64, kernel_size=3, activation="relu"),
        MaxPool2D("pool", size=2),
        Flatten("flatten"),
        Dense("dense_1", units=128, activation="relu"),
        Dense("dense_2", units=10, activation="softmax"),
    ),
    loss="sparse_categorical_crossentropy",
    optimizer=Adam(learning_rate=1e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-7),
    batch_size=128,
    epochs=10,
    proof=Proof(replay_samples=128),
)
