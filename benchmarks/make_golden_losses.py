"""Compute a workload's golden losses with the float64 reference and store them in its folder.

    python benchmarks/make_golden_losses.py WORKLOAD [--data FOLDER] [--version N] [--seed N]

``--data``: a folder with the four MNIST files, for workloads that train on them. Writes one version
of the replay into ``src/epochmark/workloads/WORKLOAD/golden_losses.json`` and leaves the others as
they are: records made with them are judged by them. Only where the workload's own version is
another one, the file begins again. Needed when the workload changes or there is a new version of
the replay; takes about half a minute for ``mnist-cnn``. ``--seed`` of the weights:
``replay_tolerances.py`` helps to choose one.
"""

from __future__ import annotations

import argparse
import json
import platform
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from epochmark.datasets.mnist import verify_folder
from epochmark.workloads import Workload
from epochmark.workloads._data import FROM_FILES, read_data
from epochmark.workloads._proof import reference, replay_data
from epochmark.workloads.registry import (
    GOLDEN_LOSSES,
    DamagedError,
    evidence_file,
    read_evidence,
    read_workload,
    spec_digest,
)
from epochmark.workloads.spec import SGD

SGD_RATE = 0.1
"""Of the steps that show the scale of gradients: 1 % of it moves a loss of the third step by 1.3e-4
or more in each of our workloads, a hundred times what float32 needs (docs/parity.md)."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workload", help="name of the workload's folder, with hyphens")
    parser.add_argument("--data", type=Path, default=Path(), help="folder with the MNIST files")
    parser.add_argument("--version", type=int, default=replay_data.REPLAY_VERSION)
    parser.add_argument("--seed", type=int, help="seed of the weights; default: as it is now, or 1")
    options = parser.parse_args()
    workload = read_workload(options.workload)
    if workload.dataset in FROM_FILES:
        verify_folder(options.data)
    data = read_data(workload, options.data)
    stored = _stored(workload)
    recipe = _recipe(workload, stored, options.version, options.seed)
    stored["replays"][str(options.version)] = compute_golden(
        workload, recipe, data.inputs, data.targets
    )
    path = evidence_file(workload, GOLDEN_LOSSES)
    path.write_text(json.dumps(stored, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {path}")


def _stored(workload: Workload) -> dict[str, Any]:
    """What there is of this version of the workload, digest renewed."""
    try:
        replays = read_evidence(workload, GOLDEN_LOSSES).get("replays", {})
    except DamagedError:
        replays = {}
    return {
        "workload": workload.name,
        "workload_version": workload.version,
        "spec_sha256": spec_digest(workload),
        "replays": replays,
    }


def _recipe(
    workload: Workload, stored: dict[str, Any], version: int, seed: int | None
) -> replay_data.Recipe:
    """As this version has it; a new one draws pixels and spreads weights as the workload needs."""
    known = stored["replays"].get(str(version), {}).get("recipe")
    if known is None:
        images = workload.unit == "images"
        known = {"weights_seed": 1, "pixels_seed": 7} if images else {"weights_seed": 1}
        if workload.initial == "gpt-2":
            known["spread"] = 5.0
    return replay_data.Recipe(**(known if seed is None else {**known, "weights_seed": seed}))


def compute_golden(
    workload: Workload,
    recipe: replay_data.Recipe,
    inputs: replay_data.Samples,
    targets: replay_data.Samples,
) -> dict[str, Any]:
    """Golden losses of one version of the replay, and where they come from."""
    weights = replay_data.draw_replay_weights(workload, recipe)
    batches = replay_data.take_replay_batches(workload, inputs, targets, recipe)
    sgd = SGD(SGD_RATE)
    samples = f"{replay_data.REPLAY_STEPS} x {workload.proof.replay_samples}"
    seed = recipe.pixels_seed
    drawn = "" if seed is None else f", their lowest four bits drawn (seed {seed})"
    return {
        "recipe": asdict(recipe),
        "weights_sha256": replay_data.sum_of_arrays(weights.values()),
        "batches_sha256": replay_data.sum_of_arrays(array for batch in batches for array in batch),
        "losses": {
            form: reference.train(workload, weights, batches, form)[0]
            for form in reference.ADAM_FORMS
        },
        "sgd": {
            "learning_rate": sgd.learning_rate,
            "losses": reference.train(
                workload, weights, batches[: replay_data.SGD_STEPS], reference.ADAM_FORMS[0], sgd
            )[0],
        },
        "provenance": {
            "script": "benchmarks/make_golden_losses.py",
            "method": "float64 NumPy training steps of epochmark.workloads._proof.reference",
            "weights": f"draw_weights(seed={recipe.weights_seed}, "
            f"bias_range={recipe.bias_range}, spread={recipe.spread})",
            "batches": f"first {samples} training {workload.samples} of {workload.dataset} in file "
            f"order{drawn}",
            "python": platform.python_version(),
            "numpy": np.__version__,
            "architecture": platform.machine(),
            "date": date.today().isoformat(),
        },
    }


if __name__ == "__main__":
    main()
