"""What a user or a caller gets wrong is said before it reaches the C++ side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from epochmark import native
from epochmark.errors import EpochmarkError
from epochmark.native import binding
from epochmark.workloads import MNIST_CNN
from epochmark.workloads.initial_weights import draw_weights

from .test_native_gradients import random_batch

IMAGES, LABELS = random_batch(8)


@pytest.mark.parametrize("threads", [0, -1, native.MAX_THREADS + 1, 10_000])
def test_thread_counts_out_of_range(threads: int) -> None:
    with pytest.raises(EpochmarkError, match=f"1 to {native.MAX_THREADS} for threads") as caught:
        native.Network(MNIST_CNN, 8, threads)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("batch", [0, native.describe("mnist-cnn").largest_batch + 1])
def test_batches_out_of_range(batch: int) -> None:
    with pytest.raises(EpochmarkError, match="for batch"):
        native.Network(MNIST_CNN, batch, 1)


def test_a_workload_that_the_library_has_not() -> None:
    with pytest.raises(EpochmarkError, match=r"does not train 'mine', only .*mnist-cnn"):
        native.Network(replace(MNIST_CNN, name="mine"), 8, 1)


def test_another_network_of_a_known_name() -> None:
    with pytest.raises(EpochmarkError, match="another mnist-cnn: parameters"):
        native.Network(replace(MNIST_CNN, layers=MNIST_CNN.layers[:-1]), 8, 1)


def test_an_unknown_instruction_set_lists_those_there_are() -> None:
    with pytest.raises(EpochmarkError, match=r"no instruction set 'mmx'.*portable"):
        native.Network(MNIST_CNN, 8, 1, "mmx")


def test_the_environment_forces_an_instruction_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPOCHMARK_NATIVE_ISA", "portable")
    assert native.Network(MNIST_CNN, 8, 1).instruction_set == "portable"


@pytest.mark.parametrize(
    ("images", "labels", "complaint"),
    [
        (IMAGES.astype(np.float32), LABELS, "contiguous uint8"),
        (IMAGES.reshape(8, 784), LABELS, r"\(n, 28, 28\)"),
        (IMAGES[:, :, ::-1], LABELS, "contiguous"),
        (IMAGES, LABELS.astype(np.int64), "labels must be contiguous uint8"),
        (IMAGES, LABELS[:, np.newaxis], r"\(8, 1\)"),
        (IMAGES, LABELS[:7], "8 images do not match 7 labels"),
        (IMAGES[:0], LABELS[:0], "0 images"),
        (IMAGES, np.full(8, 10, np.uint8), "0 to 9, got 10"),
    ],
)
def test_data_of_the_wrong_kind(
    images: native.Samples, labels: native.Samples, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        native.Network(MNIST_CNN, 8, 1).gradients(images, labels)


def test_more_images_than_the_network_was_made_for() -> None:
    network = native.Network(MNIST_CNN, 4, 1)
    with pytest.raises(ValueError, match="1 to 4 images, got 5"):
        network.train_step(IMAGES, LABELS, np.arange(5, dtype=np.uint32))


def test_samples_that_are_not_there() -> None:
    network = native.Network(MNIST_CNN, 8, 1)
    images, labels = np.zeros((4, 28, 28), np.uint8), np.zeros(4, np.uint8)
    for order in ([4], [0, 2**32 - 1]):
        with pytest.raises(ValueError, match="there is no sample"):
            network.train_step(images, labels, np.array(order, np.uint32))
    with pytest.raises(ValueError, match="there is no sample"):
        network.evaluate_step(images, labels[:2], np.array([2], np.uint32))


def test_weights_of_the_wrong_kind() -> None:
    network = native.Network(MNIST_CNN, 4, 1)
    weights = draw_weights(MNIST_CNN, seed=0)
    with pytest.raises(ValueError, match=r"conv_1.bias must be float32 \(32,\)"):
        network.set_weights({**weights, "conv_1.bias": np.zeros(31, np.float32)})
    with pytest.raises(ValueError, match="weights must be"):
        network.set_weights({"conv_1.bias": weights["conv_1.bias"]})


def test_a_missing_library_says_where_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(binding, "library_path", lambda: tmp_path / "libepochmark_native.so")
    binding.load_library.cache_clear()
    try:
        with pytest.raises(EpochmarkError, match=r"libepochmark_native.so does not exist.*g\+\+"):
            native.instruction_sets()
        (tmp_path / "libepochmark_native.so").write_bytes(b"not a library")
        with pytest.raises(EpochmarkError, match="cannot be loaded"):
            native.instruction_sets()
    finally:
        binding.load_library.cache_clear()
