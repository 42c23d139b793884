"""What is trained: the vocabulary of a workload, its FLOP counts, and the workloads themselves."""

from __future__ import annotations

from epochmark.workloads.mnist_cnn import WORKLOAD as MNIST_CNN
from epochmark.workloads.spec import Workload

WORKLOADS: dict[str, Workload] = {MNIST_CNN.name: MNIST_CNN}

__all__ = ["MNIST_CNN", "WORKLOADS", "Workload"]
