"""What is trained: the vocabulary of a workload, what follows from it, and a folder for each."""

from __future__ import annotations

from collections.abc import Mapping

from epochmark.workloads.mnist_cnn import WORKLOAD as MNIST_CNN
from epochmark.workloads.registry import Damaged, Workloads, damaged_workloads
from epochmark.workloads.spec import Workload

DEFAULT_WORKLOAD = "mnist-cnn"

WORKLOADS: Mapping[str, Workload] = Workloads()
"""By name; the folders of ``epochmark.workloads.__path__`` are looked at when first asked."""

__all__ = [
    "DEFAULT_WORKLOAD",
    "MNIST_CNN",
    "WORKLOADS",
    "Damaged",
    "Workload",
    "damaged_workloads",
]
