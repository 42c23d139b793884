"""The data a workload trains on, read or generated: in the worker as in the process that judges it.

Runs in foreign interpreters: Python 3.9, standard library and numpy only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

import numpy as np
import numpy.typing as npt

from epochmark.workloads._data.copy_markov import MOST_SYMBOLS, Language, Sequences
from epochmark.workloads._data.mnist_files import read_idx_folder
from epochmark.workloads.spec import Tokens, Workload

Samples = npt.NDArray[np.unsignedinteger[Any]]

FROM_FILES = ("mnist",)
"""Data sets that are fetched and kept as files; others are generated where they are needed."""

COPY_MARKOV = "copy-markov"
LANGUAGE_SEED, TRAINING_SEED, TEST_SEED = 1, 2, 3
"""Of ``copy-markov``: its permutations, and the sequences to train on and to test with."""


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
    language = language_of(workload)
    if language is not None:
        return _sequences(workload, language)
    raise ValueError(f"the data set {workload.dataset!r} of {workload.name} is not known")


def language_of(workload: Workload) -> Optional[Language]:
    """The language of a workload that trains on ``copy-markov``, None for another. It has as many
    symbols as the vocabulary, at most 256: symbols are bytes."""
    if workload.dataset != COPY_MARKOV:
        return None
    assert isinstance(workload.input, Tokens)
    symbols = min(workload.input.vocabulary, MOST_SYMBOLS)
    return Language(symbols, workload.input.context, LANGUAGE_SEED)


def _sequences(workload: Workload, language: Language) -> Data:
    """As many as a whole run takes, where none comes twice."""
    epochs = workload.epochs if workload.passes == "once" else 1
    training = language.draw(epochs * workload.train_samples, TRAINING_SEED)
    test = language.draw(workload.test_samples, TEST_SEED)
    return Data(*_shifted(training), *_shifted(test))


def _shifted(sequences: Sequences) -> tuple[Samples, Samples]:
    """Symbols, and those that follow them."""
    return sequences[:, :-1], sequences[:, 1:]
