"""Memory that the proof of a run needs: states that the worker keeps, and float64 after its end."""

from __future__ import annotations

from epochmark.workloads._proof.float64 import PART_BYTES
from epochmark.workloads._proof.reference import samples_at_once
from epochmark.workloads.memory_needed import activations_kept
from epochmark.workloads.memory_traffic import FLOAT_BYTES
from epochmark.workloads.shapes import parameter_count
from epochmark.workloads.spec import Workload

STATE_ARRAYS = 3
"""Of each parameter: weights and Adam's two moments, float32."""
DOUBLE_BYTES = 8
DOUBLE_ARRAYS = 5
"""Of each parameter in float64: weights, both moments, gradients, and the weights as layers take
them, or as they are after the step."""


def state_bytes(workload: Workload) -> int:
    """A training state in float32: the worker keeps that of the fit's end."""
    return STATE_ARRAYS * FLOAT_BYTES * parameter_count(workload)


def judge_least_bytes(workload: Workload) -> int:
    """What the continuation takes in float64 (``float64.Float64``) without any activations: a
    state, and the arrays of a step, all of which are there when the optimizer makes its step."""
    return state_bytes(workload) + DOUBLE_BYTES * DOUBLE_ARRAYS * parameter_count(workload)


def judge_bytes(workload: Workload, batch_size: int) -> int:
    """About what the continuation takes: also the activations of as many samples as are computed
    at one time."""
    distinct = min(batch_size, workload.proof.distinct_samples)
    samples = min(distinct, samples_at_once(workload, PART_BYTES))
    activations = DOUBLE_BYTES * samples * activations_kept(workload)
    return judge_least_bytes(workload) + activations
