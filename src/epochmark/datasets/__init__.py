"""Get MNIST, verify it, cache it: ``get_mnist`` is all that others need."""

from __future__ import annotations

from epochmark.datasets.obtain import MnistStatus, get_mnist, mnist_status
from epochmark.datasets.progress import Progress
from epochmark.workloads.mnist_files import read_idx_folder

__all__ = ["MnistStatus", "Progress", "get_mnist", "mnist_status", "read_idx_folder"]
