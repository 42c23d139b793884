"""Get the files of a data set, verify them, cache them: ``get_data`` is all that others need."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from epochmark.datasets.cache import cache_folder
from epochmark.datasets.obtain import MnistStatus, get_mnist, mnist_status
from epochmark.datasets.progress import Progress
from epochmark.workloads import Workload
from epochmark.workloads._data import FROM_FILES
from epochmark.workloads._data.mnist_files import read_idx_folder

__all__ = ["MnistStatus", "Progress", "get_data", "get_mnist", "mnist_status", "read_idx_folder"]


def get_data(workloads: Iterable[Workload], data: Path | None, progress: Progress) -> Path:
    """The folder with the files that these workloads train on, as ``get_mnist``. Where all of them
    generate their data, nothing is fetched, and the folder may not exist."""
    needs_files = any(workload.dataset in FROM_FILES for workload in workloads)
    return get_mnist(data, progress) if needs_files else cache_folder()
