"""The embedded kernels: a thin, checking binding to ``libepochmark_native`` (see ``api.h``)."""

from __future__ import annotations

from epochmark.native.binding import (
    MAX_THREADS,
    Order,
    build,
    compiler,
    describe,
    instruction_sets,
    missing,
    shuffled_order,
    usable_cores,
    workloads,
)
from epochmark.native.network import Network, Samples, StepResult, check_data

__all__ = [
    "MAX_THREADS",
    "Network",
    "Order",
    "Samples",
    "StepResult",
    "build",
    "check_data",
    "compiler",
    "describe",
    "instruction_sets",
    "missing",
    "shuffled_order",
    "usable_cores",
    "workloads",
]
