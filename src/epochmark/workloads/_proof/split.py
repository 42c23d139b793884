"""The replay with plain SGD, which shows the scale of gradients: several devices must average them.

Adam divides the scale out, and does not see a sum passed for a mean.
"""

from __future__ import annotations

from epochmark.workloads._data import Data
from epochmark.workloads._proof import reference
from epochmark.workloads._proof.parity import replay_batches, replay_weights
from epochmark.workloads.spec import SGD, Workload

SGD_STEPS = 3
SGD_RATE = 0.05
"""At which a gradient 1 % too large is seen in float32 (tests/engines/test_defects.py)."""


def right_sgd_losses(workload: Workload, data: Data) -> list[float]:
    """Mean loss (nats) of each of the first batches of the replay before its update, computed in
    float64 on one device."""
    batches = replay_batches(workload, data.inputs, data.targets)[:SGD_STEPS]
    losses, _ = reference.train(
        workload, replay_weights(workload), batches, "algorithm_1", SGD(SGD_RATE)
    )
    return losses
