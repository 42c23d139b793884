"""The shared library ``libepochmark_native`` (see ``api.h``), loaded once; what it is built for."""

from __future__ import annotations

import ctypes
import functools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from epochmark import system
from epochmark.errors import EpochmarkError

Order = npt.NDArray[np.uint32]

MAX_THREADS = 256
"""Each thread holds about 2 MB of its own; more threads than a batch has images cannot help."""


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
    _declare(library)
    return library


def _declare(library: ctypes.CDLL) -> None:
    """Argument types of ``api.h``."""
    network, text = ctypes.c_void_p, ctypes.c_char_p
    bytes_in = np.ctypeslib.ndpointer(np.uint8, flags="C_CONTIGUOUS")
    order_in = np.ctypeslib.ndpointer(np.uint32, ndim=1, flags="C_CONTIGUOUS")
    order_out = np.ctypeslib.ndpointer(np.uint32, ndim=1, flags=("C_CONTIGUOUS", "WRITEABLE"))
    floats = np.ctypeslib.ndpointer(np.float32, ndim=1, flags="C_CONTIGUOUS")
    floats_out = np.ctypeslib.ndpointer(np.float32, ndim=1, flags=("C_CONTIGUOUS", "WRITEABLE"))
    real, whole = ctypes.c_double, ctypes.c_int
    batch = [network, bytes_in, bytes_in, order_in, whole]
    results = [ctypes.POINTER(ctypes.c_double), ctypes.POINTER(ctypes.c_int64)]
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "em_kernel_version": (whole, []),
        "em_build": (text, []),
        "em_compiler": (text, []),
        "em_instruction_sets": (text, []),
        "em_parameter_count": (ctypes.c_int64, []),
        "em_create": (
            network,
            [text, whole, whole, real, real, real, real, text, ctypes.c_size_t],
        ),
        "em_destroy": (None, [network]),
        "em_instruction_set": (text, [network]),
        "em_set_parameters": (None, [network, floats]),
        "em_get_parameters": (None, [network, floats_out]),
        "em_get_moments": (ctypes.c_int64, [network, floats_out, floats_out]),
        "em_train_step": (None, batch + results),
        "em_gradients": (None, [*batch, *results, floats_out]),
        "em_evaluate": (None, batch + results),
        "em_shuffle": (None, [ctypes.c_uint64, ctypes.c_uint64, order_out, ctypes.c_int64]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments


def kernel_version() -> int:
    """Raised with every change of the kernels; part of the comparability key."""
    return int(load_library().em_kernel_version())


def build() -> str:
    """``Release``, or how the kernels were compiled otherwise than they are released."""
    return str(load_library().em_build().decode())


def compiler() -> str:
    """Who compiled the kernels, and its version."""
    return str(load_library().em_compiler().decode())


def instruction_sets() -> list[str]:
    """Instruction sets this machine can run the kernels with, best first."""
    return str(load_library().em_instruction_sets().decode()).split(",")


def usable_cores() -> int:
    """Cores this process may use, at most ``MAX_THREADS``."""
    return min(system.usable_cores(), MAX_THREADS)


def shuffled_order(seed: int, epoch: int, count: int) -> Order:
    """A uniformly random permutation of 0..count-1; a function of its arguments alone."""
    order = np.empty(count, np.uint32)
    load_library().em_shuffle(seed % 2**64, epoch % 2**64, order, count)
    return order
