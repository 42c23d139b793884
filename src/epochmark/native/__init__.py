"""The embedded kernels: a thin, checking binding to ``libepochmark_native`` (see ``api.h``)."""

from __future__ import annotations

from epochmark.native.binding import (
    MAX_THREADS,
    Order,
    build,
    compiler,
    instruction_sets,
    kernel_version,
    shuffled_order,
    usable_cores,
)
from epochmark.native.network import MAX_BATCH, Network, Pixels, StepResult, check_data

__all__ = [
    "MAX_BATCH",
    "MAX_THREADS",
    "Network",
    "Order",
    "Pixels",
    "StepResult",
    "build",
    "check_data",
    "compiler",
    "instruction_sets",
    "kernel_version",
    "shuffled_order",
    "usable_cores",
]
