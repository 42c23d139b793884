"""Measure how far reduced precision moves a workload's replay: what its tolerances must allow.

    python benchmarks/replay_tolerances.py WORKLOAD [--data FOLDER] [--seeds 1 2 3]

Trains the ten batches of the replay in float64 with the operands of every dense layer and
convolution rounded, forwards and backwards, as tensor cores and TPUs do; and with noise of 1e-6 on
every product and gradient, about ten times the rounding of float32. Prints the relative error of
each step's loss, of both forms of Adam the larger. ``--seeds``: from the weights of other seeds
than the replay's, to choose one.

These are no measurements of such hardware. What engines need in float32 is in the records of their
runs (``replay.losses``); docs/workloads.md has both.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from epochmark.workloads import Workload
from epochmark.workloads._data import read_data
from epochmark.workloads._layers import images, scores
from epochmark.workloads._proof import parity, reference, replay_data
from epochmark.workloads.registry import read_workload

Array = npt.NDArray[np.float64]
Rounding = Callable[[Array], Array]

NOISE = 1e-6


def to_bits(kept: int) -> Rounding:
    """To float32 with ``kept`` bits of its mantissa, ties to even."""
    dropped = 23 - kept
    half, mask = (1 << (dropped - 1)) - 1, ~((1 << dropped) - 1)

    def rounded(values: Array) -> Array:
        bits = np.ascontiguousarray(values, np.float32).view(np.int32).astype(np.int64)
        even = (bits >> dropped) & 1
        kept_bits = ((bits + half + even) & mask).astype(np.int32)
        return kept_bits.view(np.float32).astype(np.float64)

    return rounded


def noisy(seed: int) -> Rounding:
    """Every value with a relative error of ``NOISE``."""
    random = np.random.default_rng(seed)
    return lambda values: values * (1 + NOISE * random.standard_normal(values.shape))


KINDS: Mapping[str, Rounding] = {
    "noise 1e-6, draw 1": noisy(1),
    "noise 1e-6, draw 2": noisy(2),
    "tf32 operands": to_bits(10),
    "bfloat16 operands": to_bits(7),
}


@contextmanager
def rounding(rounded: Rounding) -> Iterator[None]:
    """The reference's products with rounded operands."""
    places: list[tuple[Any, str]] = [(scores, "dense"), (images, "convolve")]
    kept = {(module, name): getattr(module, name) for module, name in places}
    kept |= {(module, f"{name}_backward"): getattr(module, f"{name}_backward")
             for module, name in places}  # fmt: skip

    def forward(apply: Callable[..., Any]) -> Callable[..., Any]:
        return lambda inputs, kernel, bias: apply(rounded(inputs), rounded(kernel), bias)

    def backward(apply: Callable[..., Any]) -> Callable[..., Any]:
        return lambda inputs, kernel, gradient: apply(
            rounded(inputs), rounded(kernel), rounded(gradient)
        )

    try:
        for (module, name), apply in kept.items():
            wrap = backward if name.endswith("_backward") else forward
            setattr(module, name, wrap(apply))
        yield
    finally:
        for (module, name), apply in kept.items():
            setattr(module, name, apply)


def errors_of(
    workload: Workload,
    recipe: replay_data.Recipe,
    batches: list[replay_data.Batch],
    rounded: Rounding,
) -> list[float]:
    """Relative error of each step's loss, of both forms the larger."""
    weights = replay_data.draw_replay_weights(workload, recipe)
    largest = [0.0] * len(batches)
    for form in reference.ADAM_FORMS:
        exact, _ = reference.train(workload, weights, batches, form)
        with rounding(rounded):
            losses, _ = reference.train(workload, weights, batches, form)
        errors = parity.judge(losses, exact, {}).errors
        largest = [max(pair) for pair in zip(largest, errors, strict=True)]
    return largest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workload", help="name of the workload's folder, with hyphens")
    parser.add_argument("--data", type=Path, default=Path(), help="folder with the MNIST files")
    parser.add_argument("--seeds", type=int, nargs="*", help="weights of these seeds instead")
    options = parser.parse_args()
    workload = read_workload(options.workload)
    data = read_data(workload, options.data)
    recipe = replay_data.recipe_of(workload)
    batches = replay_data.take_replay_batches(workload, data.inputs, data.targets, recipe)
    for seed in options.seeds or [recipe.weights_seed]:
        for kind, rounded in KINDS.items():
            if options.seeds and not kind.startswith("noise"):
                continue
            found = errors_of(workload, replace(recipe, weights_seed=seed), batches, rounded)
            print(f"seed {seed}, {kind}: {' '.join(f'{error:.1e}' for error in found)}", flush=True)


if __name__ == "__main__":
    main()
