"""The shared library ``libepochmark_native`` (see ``api.h``), loaded once; what it is built for."""

from __future__ import annotations

import ctypes
import functools
import sys
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Tuple

import numpy as np
import numpy.typing as npt

from epochmark import system
from epochmark.errors import EpochmarkError

Order = npt.NDArray[np.uint32]

MAX_THREADS = 256
"""Each thread holds about 2 MB of its own; more threads than a batch has images cannot help."""


class Description(NamedTuple):
    """What the library says of a workload that it trains.

    ``parameters`` counts floats. A sample has ``inputs`` unsigned numbers of ``input_bytes`` each
    and ``targets`` of ``target_bytes``, each smaller than ``classes``. ``kernel_version`` is raised
    with every change of the kernels; part of the comparability key.
    """

    parameters: int
    inputs: int
    input_bytes: int
    targets: int
    target_bytes: int
    classes: int
    largest_batch: int
    kernel_version: int


def library_path() -> Path:
    """Where the shared library must be: beside this file."""
    suffix = "dylib" if sys.platform == "darwin" else "so"
    return Path(__file__).with_name(f"libepochmark_native.{suffix}")


@functools.cache
def load_library() -> ctypes.CDLL:
    path = library_path()
    if not path.is_file():
        raise EpochmarkError(
            f"The native engine's library is missing: {path} does not exist. Install epochmark "
            "again, from a wheel or in a clone with pip install --force-reinstall --no-deps . and "
            "a C++ compiler (Debian, Ubuntu: sudo apt install g++; macOS: xcode-select --install)."
        )
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise EpochmarkError(
            f"The native engine's library cannot be loaded: {error}. It was probably built for "
            "another system or processor; build it here, in a clone: "
            "pip install --force-reinstall --no-deps ."
        ) from error
    _declare_api(library)
    return library


Signatures = Dict[str, Tuple[Any, List[Any]]]
"""Result and arguments of functions by name."""


def declare(library: ctypes.CDLL, signatures: Signatures) -> None:
    """Give these functions of the library their types. Raises EpochmarkError where it lacks one."""
    for name, (result, arguments) in signatures.items():
        try:
            function = getattr(library, name)
        except AttributeError as error:
            raise EpochmarkError(
                f"The native engine's library is older than this epochmark: it lacks {name}. "
                "Build it again, in a clone: pip install --force-reinstall --no-deps ."
            ) from error
        function.restype, function.argtypes = result, arguments


class _Description(ctypes.Structure):
    """``em_description``."""

    _fields_ = [(name, ctypes.c_int64) for name in Description._fields]


def _declare_api(library: ctypes.CDLL) -> None:
    """Argument types of ``api.h``."""
    network, text = ctypes.c_void_p, ctypes.c_char_p
    samples = np.ctypeslib.ndpointer(flags="C_CONTIGUOUS")
    order_in = np.ctypeslib.ndpointer(np.uint32, ndim=1, flags="C_CONTIGUOUS")
    order_out = np.ctypeslib.ndpointer(np.uint32, ndim=1, flags=("C_CONTIGUOUS", "WRITEABLE"))
    floats = np.ctypeslib.ndpointer(np.float32, ndim=1, flags="C_CONTIGUOUS")
    floats_out = np.ctypeslib.ndpointer(np.float32, ndim=1, flags=("C_CONTIGUOUS", "WRITEABLE"))
    real, whole = ctypes.c_double, ctypes.c_int
    batch = [network, samples, samples, order_in, whole]
    results = [ctypes.POINTER(ctypes.c_double), ctypes.POINTER(ctypes.c_int64)]
    signatures: Signatures = {
        "em_build": (text, []),
        "em_compiler": (text, []),
        "em_instruction_sets": (text, [text]),
        "em_missing": (text, [text]),
        "em_workloads": (text, [text]),
        "em_describe": (whole, [text, ctypes.POINTER(_Description)]),
        "em_create": (
            network,
            [text, text, text, *[whole] * 3, *[real] * 4, text, ctypes.c_size_t],
        ),
        "em_destroy": (None, [network]),
        "em_instruction_set": (text, [network]),
        "em_set_parameters": (None, [network, floats]),
        "em_get_parameters": (None, [network, floats_out]),
        "em_get_moments": (ctypes.c_int64, [network, floats_out, floats_out]),
        "em_train_step": (None, batch + results),
        "em_gradients": (None, [*batch, *results, floats_out, floats_out]),
        "em_evaluate": (None, batch + results),
        "em_shuffle": (None, [ctypes.c_uint64, ctypes.c_uint64, order_out, ctypes.c_int64]),
    }
    declare(library, signatures)


def workloads(precision: str = "float32") -> list[str]:
    """Names of the workloads that the library trains in a precision (``float32``, ``bfloat16``), on
    whichever machine."""
    return _names(load_library().em_workloads(precision.encode()))


def describe(workload: str) -> Description:
    """What the library says of a workload. Raises EpochmarkError for one it does not train."""
    found = _Description()
    if not load_library().em_describe(workload.encode(), ctypes.byref(found)):
        raise EpochmarkError(
            f"The native engine's library does not train {workload!r}, only "
            f"{', '.join(workloads())}."
        )
    return Description(*(getattr(found, name) for name in Description._fields))


def build() -> str:
    """``Release``, or how the kernels were compiled otherwise than they are released."""
    return str(load_library().em_build().decode())


def compiler() -> str:
    """Who compiled the kernels, and its version."""
    return str(load_library().em_compiler().decode())


def instruction_sets(precision: str = "float32") -> list[str]:
    """Instruction sets this machine can run the kernels of a precision (``float32``, ``bfloat16``)
    with, best first; of bfloat16 there may be none."""
    return _names(load_library().em_instruction_sets(precision.encode()))


def missing(precision: str) -> str:
    """Why this machine has none of them, at the end of a sentence; empty where it has."""
    return str(load_library().em_missing(precision.encode()).decode())


def _names(text: bytes) -> list[str]:
    """Of a list separated by commas."""
    return text.decode().split(",") if text else []


def usable_cores() -> int:
    """Cores this process may use, at most ``MAX_THREADS``."""
    return min(system.usable_cores(), MAX_THREADS)


def shuffled_order(seed: int, epoch: int, count: int) -> Order:
    """A uniformly random permutation of 0..count-1; a function of its arguments alone."""
    order = np.empty(count, np.uint32)
    load_library().em_shuffle(seed % 2**64, epoch % 2**64, order, count)
    return order
