"""What the native kernels measure a machine's limits with: checked calls of ``measuring/meter.h``.

Every method does a piece of work once, on all threads of the meter, and returns how much it was;
the caller holds the clock.
"""

from __future__ import annotations

import ctypes
import functools
from typing import List, Optional

import numpy as np

from epochmark.errors import EpochmarkError
from epochmark.native.binding import MAX_THREADS, Signatures, declare, load_library
from epochmark.native.network import Floats, check_range

__all__ = ["Meter", "bfloat16_instruction_sets", "product_size"]

ROUNDS = 1 << 14
"""Of the multiply-add loops in one call: half a millisecond to some milliseconds."""

TRIAD_FACTOR = 3.0
IMAGE_SHAPE = (26, 26, 32)
"""Of what the second layer of ``mnist-cnn`` takes."""
POOLED_SHAPE = (12, 12, 64)


@functools.cache
def _meter_library() -> ctypes.CDLL:
    library = load_library()
    meter, text, whole = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    real, single, long = ctypes.c_double, ctypes.c_float, ctypes.c_int64
    floats = np.ctypeslib.ndpointer(np.float32, flags="C_CONTIGUOUS")
    floats_out = np.ctypeslib.ndpointer(np.float32, flags=("C_CONTIGUOUS", "WRITEABLE"))
    signatures: Signatures = {
        "em_bfloat16_instruction_sets": (text, []),
        "em_meter_create": (meter, [text, whole, text, ctypes.c_size_t]),
        "em_meter_destroy": (None, [meter]),
        "em_meter_multiply_adds": (real, [meter, long]),
        "em_meter_bfloat16": (real, [meter, whole, long]),
        "em_product_size": (whole, []),
        "em_meter_product": (whole, [meter, floats, floats, floats_out]),
        "em_meter_triad_allocate": (whole, [meter, long]),
        "em_meter_triad": (None, [meter, single]),
        "em_meter_triad_error": (single, [meter, single]),
        "em_meter_convolution": (whole, [meter, floats, floats, floats, whole, floats_out]),
        "em_meter_dispatch": (None, [meter]),
    }
    declare(library, signatures)
    return library


def bfloat16_instruction_sets() -> List[str]:
    """Instruction sets of this machine that multiply bfloat16, best first; ``amx_bf16``,
    ``avx512_bf16`` or ``bfmmla``."""
    names = str(_meter_library().em_bfloat16_instruction_sets().decode())
    return names.split(",") if names else []


def product_size() -> int:
    """Rows of the square matrices of ``Meter.product``."""
    return int(_meter_library().em_product_size())


class Meter:
    """Work for ``threads`` threads by the kernels of ``instruction_set`` ("": the best).

    Raises ``EpochmarkError`` when the library, the instruction set, threads or memory cannot be
    had.
    """

    def __init__(self, instruction_set: str, threads: int) -> None:
        check_range("threads", threads, MAX_THREADS)
        self.threads = threads
        self._library = _meter_library()
        message = ctypes.create_string_buffer(512)
        self._handle: Optional[int] = self._library.em_meter_create(
            instruction_set.encode(), threads, message, len(message)
        )
        if not self._handle:
            raise EpochmarkError(f"The native kernels cannot start: {message.value.decode()}.")

    def __del__(self) -> None:
        if getattr(self, "_handle", None):  # not if __init__ failed
            self._library.em_meter_destroy(self._handle)

    def multiply_adds(self, rounds: int = ROUNDS) -> float:
        """Independent float32 multiply-adds in registers; the floating-point operations done."""
        return float(self._library.em_meter_multiply_adds(self._handle, rounds))

    def bfloat16_multiply_adds(self, instruction_set: str, rounds: int = ROUNDS) -> float:
        """The same of bfloat16 factors, summed in float32."""
        which = bfloat16_instruction_sets().index(instruction_set)
        return float(self._library.em_meter_bfloat16(self._handle, which, rounds))

    def product(self, a: Floats, b: Floats, c: Floats) -> None:
        """``c = a @ b``, float32 matrices of ``product_size()`` rows and columns."""
        size = product_size()
        if not a.shape == b.shape == c.shape == (size, size):
            raise ValueError(f"matrices must be {(size, size)}, got {a.shape} {b.shape} {c.shape}")
        self._need(self._library.em_meter_product(self._handle, a, b, c))

    def allocate_triad(self, array_bytes: int) -> None:
        """Make ready three float32 arrays of ``array_bytes`` each, in place of any earlier ones."""
        self._need(self._library.em_meter_triad_allocate(self._handle, array_bytes // 4))

    def triad(self) -> None:
        """STREAM's triad over the arrays, ``a = b + factor * c``."""
        self._library.em_meter_triad(self._handle, TRIAD_FACTOR)

    def triad_error(self) -> float:
        """The largest error in ``a``: 0 after a triad."""
        return float(self._library.em_meter_triad_error(self._handle, TRIAD_FACTOR))

    def convolution(self, images: Floats, kernel: Floats, bias: Floats, pooled: Floats) -> None:
        """The second layer of ``mnist-cnn`` forward, with bias, ReLU and 2 x 2 maximum pooling.

        ``images`` (n, 26, 26, 32), ``kernel`` (3, 3, 32, 64), ``bias`` (64,), ``pooled``
        (n, 12, 12, 64), all float32.
        """
        count = len(images)
        given = (images.shape, kernel.shape, bias.shape, pooled.shape)
        wanted = ((count, *IMAGE_SHAPE), (3, 3, 32, 64), (64,), (count, *POOLED_SHAPE))
        if given != wanted:
            raise ValueError(f"shapes must be {wanted}, got {given}")
        arguments = (images, kernel, bias, count, pooled)
        self._need(self._library.em_meter_convolution(self._handle, *arguments))

    def dispatch(self) -> None:
        """Hand nothing to all threads and wait for them."""
        self._library.em_meter_dispatch(self._handle)

    def _need(self, done: int) -> None:
        if not done:
            raise EpochmarkError("There is not enough memory for what the native kernels measure.")
