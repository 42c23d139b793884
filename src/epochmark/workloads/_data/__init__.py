"""The data a workload trains on, read or generated: in the worker as in the process that judges it.

Runs in foreign interpreters: Python 3.9, standard library and numpy only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, Union

import numpy as np
import numpy.typing as npt

from epochmark.workloads.mnist_files import read_idx_folder
from epochmark.workloads.spec import Workload

Samples = npt.NDArray[np.unsignedinteger[Any]]

FROM_FILES = ("mnist",)
"""Data sets that are fetched and kept as files; others are generated where they are needed."""


class Data(NamedTuple):
    """Training set and test set: bytes of images (n, height, width) and classes (n,), or symbols
    (n, context) and the symbols that follow them (n, context)."""

    inputs: Samples
    targets: Samples
    test_inputs: Samples
    test_targets: Samples


def read_data(workload: Workload, folder: Union[str, Path], verify: bool = False) -> Data:
    """The data set of a workload; one that comes from files lies in ``folder``.

    Raises ``ValueError`` for files that are not the original ones (with ``verify``, byte for byte)
    and for a data set that is not known, ``OSError`` for files that cannot be read.
    """
    if workload.dataset == "mnist":
        return Data(*read_idx_folder(folder, verify))
    raise ValueError(f"the data set {workload.dataset!r} of {workload.name} is not known")
