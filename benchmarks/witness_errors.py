"""How far engines are from float64 in the extra replay that a board witnesses.

Run it in an engine's own interpreter, with the sources on its path:

    PYTHONPATH=src PYTHON benchmarks/witness_errors.py ENGINE WORKLOAD [PRECISION] [NUMBERS]

Over some drawn numbers (default 10): the largest relative error of each loss, how much the right
losses of different numbers differ (standard deviation by median), and the processor time that a
board's float64 took for each. ``workloads/_proof/witness.py`` has the tolerances.
"""

from __future__ import annotations

import resource
import sys

import numpy as np

from epochmark.engines import Settings, get_engine
from epochmark.workloads import WORKLOADS
from epochmark.workloads._proof.witness import (
    Occasion,
    right_losses,
    witness_batches,
    witness_weights,
)


def main(engine_name: str, name: str, precision: str = "stock", numbers: str = "10") -> None:
    """Measure one engine on the CPU, and print a line."""
    workload, engine = WORKLOADS[name], get_engine(engine_name)
    engine.open(
        Settings(
            workload=workload,
            device="cpu",
            precision=precision,
            tuning="stock",
            seed=1,
            epochs=1,
            batch_size=workload.batch_size,
        )
    )
    errors, losses, spent_s = [], [], 0.0
    for number in range(int(numbers)):
        occasion = Occasion("https://board.example", "0" * 64, "0" * 12, f"{number:032x}")
        weights = witness_weights(workload, occasion)
        if number == 0:
            engine.build(weights)
        before_s = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        right = np.array(right_losses(workload, engine.info.adam_form, occasion))
        spent_s += resource.getrusage(resource.RUSAGE_SELF).ru_utime - before_s
        found = np.array(engine.replay(weights, witness_batches(workload, occasion)))
        errors.append(abs(found - right) / right)
        losses.append(right)
    differ = np.std(losses, axis=0) / np.median(losses, axis=0)
    print(
        f"| {name} | {engine_name} | {precision} | {numbers} "
        f"| {', '.join(f'{error:.1e}' for error in np.max(errors, axis=0))} "
        f"| {', '.join(f'{share:.2f}' for share in differ)} | {spent_s / int(numbers):.2f} |"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
