"""The file of a machine's limits: one beside the results, replaced whole at every measurement."""

from __future__ import annotations

from pathlib import Path

from epochmark.records.machine.machine_file import decode_document, read_document, save_document
from epochmark.records.machine.machine_limits import Limits
from epochmark.records.record import Machine

FORMAT = 1
FILE_NAME = "machine-limits"
"""JSON, beside ``machine-id`` in the results' folder; without an ending it is no result file."""
REPLACED_NAME = "machine-limits-replaced"
"""The last ones of another machine, or of other cores: to go back to them, rename the file."""


def limits_file(folder: Path) -> Path:
    """Where the limits of this machine are kept; ``folder`` is that of the result files."""
    return folder / FILE_NAME


def read_limits(folder: Path, machine: Machine | None = None) -> Limits | None:
    """The limits stored beside the results; None without any, and with ``machine`` for those of
    another one.

    Nothing in the file is believed. Raises ``EpochmarkError`` when it cannot be read.
    """
    limits = read_document(
        limits_file(folder),
        decode_limits,
        "the stored limits",
        "Run 'epochmark limits' to measure them again and replace that file.",
    )
    return limits if limits is None or machine is None or limits.fits(machine) else None


def decode_limits(document: bytes) -> Limits:
    """Limits from JSON; ``ValueError`` says why it is none."""
    return decode_document(document, Limits, FORMAT)


def save_limits(folder: Path, limits: Limits, name: str = FILE_NAME) -> Path:
    """Replace the stored limits. Raises ``EpochmarkError`` when they cannot be written."""
    return save_document(folder / name, limits, "the limits")
