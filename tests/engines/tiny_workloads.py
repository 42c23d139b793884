"""Workloads with every word that there is, so small that float64 and the slowest framework train
them at once. Imported by tests and by what they run in an engine's interpreter: Python 3.9."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, Iterator, Tuple

import numpy as np
import numpy.typing as npt

from epochmark.workloads import MNIST_CNN, Workload
from epochmark.workloads.shapes import parameter_shapes
from epochmark.workloads.spec import (
    Adam,
    CausalAttention,
    Conv2D,
    Dense,
    Embed,
    Flatten,
    Images,
    LayerNorm,
    MaxPool2D,
    Positions,
    Residual,
    TiedHead,
    Tokens,
)

BATCH = 8
SAMPLES = 2 * BATCH + 4
"""Three steps an epoch, the last one of fewer samples; the others have two of one size."""

COMMON = replace(
    MNIST_CNN,
    version=1,
    train_samples=SAMPLES,
    test_samples=SAMPLES,
    optimizer=Adam(learning_rate=1e-3, beta_1=0.9, beta_2=0.99, epsilon=1e-7),
    batch_size=BATCH,
    epochs=2,
)

CNN = replace(
    COMMON,
    name="tiny-cnn",
    input=Images(shape=(9, 11, 3), scale=255.0, classes=5),
    layers=(
        Conv2D("first", filters=4, kernel_size=3, activation="relu"),
        Conv2D("second", filters=6, kernel_size=2),
        MaxPool2D("pool", size=2),
        Flatten("flatten"),
        Dense("scores", units=5, activation="softmax"),
    ),
)

MLP = replace(
    COMMON,
    name="tiny-mlp",
    train_samples=2 * BATCH,
    input=Images(shape=(6, 6, 1), scale=255.0, classes=10),
    layers=(
        Flatten("flatten"),
        Dense("dense_1", units=16, activation="relu"),
        Dense("dense_2", units=12),
        Dense("dense_3", units=10, activation="softmax"),
    ),
)


GPT = replace(  # each epoch has samples of its own; one block: tinygrad compiles for 20 s
    COMMON,
    name="tiny-gpt",
    dataset="copy-markov",
    train_samples=2 * BATCH,
    passes="once",
    input=Tokens(context=16, vocabulary=24),
    layers=(
        Embed("embed", units=32),
        Positions("positions"),
        Residual("attention_1", (LayerNorm("norm"), CausalAttention("heads", heads=4))),
        Residual(
            "feed_forward_1",
            (
                LayerNorm("norm"),
                Dense("hidden", units=64, activation="gelu_tanh"),
                Dense("output", units=32),
            ),
        ),
        LayerNorm("norm"),
        TiedHead("scores", table="embed"),
    ),
)

TINY: Dict[str, Workload] = {workload.name: workload for workload in (CNN, MLP, GPT)}

Batch = Tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]


def draw_samples(workload: Workload, count: int) -> Batch:
    """Random samples and targets, always the same."""
    random = np.random.default_rng(5)
    if isinstance(workload.input, Images):
        inputs = random.integers(0, 256, (count, *workload.input_shape), np.uint8)
        return inputs, random.integers(0, workload.classes, count, np.uint8)
    symbols = random.integers(0, workload.classes, (count, workload.input_shape[0] + 1), np.uint8)
    return symbols[:, :-1], symbols[:, 1:]


def draw_parameters(workload: Workload) -> Dict[str, npt.NDArray[np.float32]]:
    """Random values of every parameter, none of which is what a framework begins with."""
    random = np.random.default_rng(7)
    return {
        name: (float(name.endswith("scale")) + 0.3 * random.uniform(-1, 1, shape)).astype(
            np.float32
        )
        for name, shape in parameter_shapes(workload).items()
    }


def batches_of(data: Batch) -> Iterator[Batch]:
    """In their order."""
    inputs, targets = data
    for start in range(0, len(targets), BATCH):
        yield inputs[start : start + BATCH], targets[start : start + BATCH]
