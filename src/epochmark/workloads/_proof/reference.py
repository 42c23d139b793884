"""The judge: a workload's training step in plain float64 NumPy, clear rather than fast.

It shares no code with any engine. Layers are in ``_layers``; activations NHWC or (n, context,
units), kernels as in ``workloads.spec``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Optional, Union

import numpy as np
import numpy.typing as npt

from epochmark.workloads._data.known_losses import Halves, halves_of
from epochmark.workloads._layers.images import (
    convolve,
    convolve_backward,
    max_pool,
    max_pool_backward,
)
from epochmark.workloads._layers.network import Weights, as_float64, forward_all
from epochmark.workloads._layers.scores import (
    dense,
    dense_backward,
    log_softmax,
    relu,
    relu_backward,
    softmax_cross_entropy,
)
from epochmark.workloads.shapes import layer_shapes, parameter_shapes
from epochmark.workloads.spec import (
    SGD,
    Adam,
    Conv2D,
    Dense,
    Images,
    TiedHead,
    Workload,
    all_layers,
)

__all__ = [
    "ADAM_FORMS", "AdamOptimizer", "SgdOptimizer", "Worth", "compute_logits", "convolve",
    "convolve_backward", "dense", "dense_backward", "evaluate", "loss_and_gradients", "max_pool",
    "max_pool_backward", "prepare", "relu", "relu_backward", "samples_at_once",
    "softmax_cross_entropy", "train",
]  # fmt: skip

Array = npt.NDArray[np.float64]
Inputs = npt.NDArray[np.integer[Any]]
"""Samples as the data set has them: bytes of images, symbols."""
Batch = tuple[Inputs, Inputs]

ADAM_FORMS = ("epsilon_hat", "algorithm_1")

ACTIVATION_BYTES = 60 << 20
"""Held at one time; more leaves the caches, and on small machines the memory."""


# The network.


def prepare(workload: Workload, inputs: Inputs) -> Any:
    """What comes to the first layer: pixels uint8 (n, height, width) or (n, *shape) as float64 (n,
    *shape) in 0..1; symbols (n, context) as they are."""
    if not isinstance(workload.input, Images):
        return inputs.astype(np.intp)
    scaled: Array = inputs.astype(np.float64) / workload.input.scale
    return scaled.reshape(len(inputs), *workload.input.shape)


def compute_logits(workload: Workload, weights: Weights, prepared: Any) -> Array:
    """Scores before the softmax, float64 (n, classes) or (n, context, vocabulary)."""
    _check_activations(workload)
    return forward_all(workload.layers, weights, prepared, "")[0]


def loss_and_gradients(
    workload: Workload,
    weights: Weights,
    inputs: Inputs,
    targets: Inputs,
    shares: Optional[Array] = None,
) -> tuple[float, dict[str, Array]]:
    """Mean loss of one batch and its gradients by parameter name, float64, in layer order.

    ``inputs`` (n, height, width) or (n, context), ``targets`` (n,) or (n, context), ``weights`` of
    any float type. ``shares`` (n,), which add up to 1, weigh the samples: those of a batch with
    repetitions. Raises ValueError for a loss or an activation this module does not know.
    """
    if workload.loss != "sparse_categorical_crossentropy":
        raise ValueError(f"unknown loss {workload.loss!r}")
    _check_activations(workload)
    logits, backward = forward_all(workload.layers, weights, prepare(workload, inputs), "")
    if shares is not None:
        each = targets.size // len(targets)
        shares = np.repeat(shares / each, each)
    rows = logits.reshape(-1, logits.shape[-1])
    loss, gradient = softmax_cross_entropy(rows, targets.reshape(-1), shares)
    gradients: dict[str, Array] = {}
    backward(gradient.reshape(logits.shape), gradients)
    return loss, {name: gradients[name] for name in parameter_shapes(workload)}


class Worth(NamedTuple):
    """What weights are worth on a test set: mean loss (nats) and accuracy by target, and the mean
    loss of each half, where samples have halves (``halves_of``)."""

    loss: float
    accuracy: float
    halves: Optional[Halves] = None


def evaluate(workload: Workload, weights: Weights, inputs: Inputs, targets: Inputs) -> Worth:
    """What these weights are worth; arguments as ``loss_and_gradients``."""
    judged = list(_judged(workload, weights, inputs, targets))
    losses = np.concatenate([part for part, _ in judged])
    right = np.concatenate([part for _, part in judged])
    return Worth(float(losses.mean()), float(right.mean()), halves_of(workload, losses))


def _judged(
    workload: Workload, weights: Weights, inputs: Inputs, targets: Inputs
) -> Iterator[tuple[Array, npt.NDArray[np.bool_]]]:
    """Losses of targets and which are right, in the targets' shape, part by part."""
    size = samples_at_once(workload)
    for start in range(0, len(targets), size):
        part = slice(start, start + size)
        logits = compute_logits(workload, weights, prepare(workload, inputs[part]))
        wanted = targets[part].astype(np.intp)
        losses = -np.take_along_axis(log_softmax(logits), wanted[..., np.newaxis], axis=-1)
        yield losses[..., 0], logits.argmax(axis=-1) == wanted


def samples_at_once(workload: Workload, held: int = ACTIVATION_BYTES) -> int:
    """Samples whose activations take ``held`` bytes, at least one."""
    activations = sum(math.prod(entry.output) for entry in layer_shapes(workload))
    return max(1, held // (8 * activations))


def _check_activations(workload: Workload) -> None:
    """Softmax at the end, where it is one with the loss, or a tied head; nothing unknown inside."""
    *inner, last = workload.layers
    found = [getattr(layer, "activation", None) for layer in all_layers(tuple(inner))]
    ends = isinstance(last, TiedHead) or (isinstance(last, Dense) and last.activation == "softmax")
    if not ends or not set(found) <= {"relu", "gelu_tanh", None}:
        named = [layer.activation for layer in all_layers(workload.layers)
                 if isinstance(layer, (Conv2D, Dense))]  # fmt: skip
        raise ValueError(f"cannot compute activations {named}")


# The optimizers.


class AdamOptimizer:
    """Adam (Kingma and Ba, 2015) in one of its two published forms, both with bias correction.

    ``algorithm_1``: their Algorithm 1, epsilon added to the corrected ``sqrt(v_hat)`` (PyTorch,
    optax, tinygrad, MLX). ``epsilon_hat``: the reordering at the end of their section 2, epsilon
    added to the uncorrected ``sqrt(v)`` (Keras). Raises ValueError for any other form.

    It starts after ``steps`` steps with these moments, by default before the first.
    """

    def __init__(
        self,
        constants: Adam,
        form: str,
        first: Optional[Weights] = None,
        second: Optional[Weights] = None,
        steps: int = 0,
    ) -> None:
        if form not in ADAM_FORMS:
            raise ValueError(f"Adam's form is one of {', '.join(ADAM_FORMS)}, not {form!r}")
        self._constants = constants
        self._form = form
        self._steps = steps
        self._first = {name: as_float64(array) for name, array in (first or {}).items()}
        self._second = {name: as_float64(array) for name, array in (second or {}).items()}

    def update(self, weights: Weights, gradients: Mapping[str, Array]) -> dict[str, Array]:
        """Weights after the next step, float64; neither argument is changed."""
        self._steps += 1
        return {
            name: as_float64(array) - self._step(name, gradients[name])
            for name, array in weights.items()
        }

    def _step(self, name: str, gradient: Array) -> Array:
        adam, t = self._constants, self._steps
        first = adam.beta_1 * self._first.get(name, 0.0) + (1 - adam.beta_1) * gradient
        second = adam.beta_2 * self._second.get(name, 0.0) + (1 - adam.beta_2) * gradient**2
        self._first[name], self._second[name] = first, second
        first_correction, second_correction = 1 - adam.beta_1**t, 1 - adam.beta_2**t
        if self._form == "algorithm_1":
            root = np.sqrt(second / second_correction)
            return adam.learning_rate * (first / first_correction) / (root + adam.epsilon)
        rate = adam.learning_rate * np.sqrt(second_correction) / first_correction
        step: Array = rate * first / (np.sqrt(second) + adam.epsilon)
        return step


class SgdOptimizer:
    """``weight - learning_rate * gradient``: a step is as large as the gradient is."""

    def __init__(self, constants: SGD) -> None:
        self._constants = constants

    def update(self, weights: Weights, gradients: Mapping[str, Array]) -> dict[str, Array]:
        """Weights after the next step, float64; neither argument is changed."""
        rate = self._constants.learning_rate
        return {
            name: as_float64(weight) - rate * gradients[name] for name, weight in weights.items()
        }


def train(
    workload: Workload,
    weights: Weights,
    batches: Iterable[Batch],
    form: str,
    optimizer: Optional[SGD] = None,
) -> tuple[list[float], dict[str, Array]]:
    """Train on these batches in this order with the workload's Adam in ``form``, or with another
    ``optimizer``.

    Returns the mean loss of each batch before its update, and the trained weights (float64).
    """
    updating: Union[AdamOptimizer, SgdOptimizer] = (
        AdamOptimizer(workload.optimizer, form) if optimizer is None else SgdOptimizer(optimizer)
    )
    trained: Weights = weights
    losses: list[float] = []
    for inputs, targets in batches:
        loss, gradients = loss_and_gradients(workload, trained, inputs, targets)
        losses.append(loss)
        trained = updating.update(trained, gradients)
    return losses, {name: as_float64(array) for name, array in trained.items()}
