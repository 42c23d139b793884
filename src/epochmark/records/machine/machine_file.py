"""JSON files beside the results that hold what was found out about one machine.

Each is replaced whole at every change, and nothing in it is believed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from epochmark.errors import EpochmarkError
from epochmark.records.fields import PositiveCount
from epochmark.records.files import read_regular, write_atomically
from epochmark.records.machine.identity import same_machine
from epochmark.records.record import Machine

MAX_BYTES = 4 << 20


class MachineFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole of such a file; ``format`` is the number of its own format."""

    format: PositiveCount
    machine: Machine

    def fits(self, machine: Machine) -> bool:
        """Whether this is about this machine as it is now."""
        return same_machine(self.machine, machine)


AnyMachineFile = TypeVar("AnyMachineFile", bound=MachineFile)


def read_document(
    file: Path, decode: Callable[[bytes], AnyMachineFile], what: str, remedy: str
) -> AnyMachineFile | None:
    """The file's content; None where there is no such file. Raises ``EpochmarkError``, which calls
    it ``what`` and ends in the ``remedy``, when it cannot be read."""
    try:
        return decode(read_regular(file, MAX_BYTES + 1))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise EpochmarkError(f"{what} {file} cannot be read: {why}.\n{remedy}") from error


def decode_document(document: bytes, kind: type[AnyMachineFile], known: int) -> AnyMachineFile:
    """The file's content from JSON in the ``known`` format; ``ValueError`` says why it is none."""
    if len(document) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES >> 20} MiB")
    try:
        found = msgspec.json.decode(document, type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if found.format != known:
        raise ValueError(f"it has format {found.format}, this version of epochmark reads {known}")
    return found


def save_document(file: Path, content: MachineFile, what: str) -> Path:
    """Replace the file, by one that can be read again. Raises ``EpochmarkError``, which calls it
    ``what``, when that fails."""
    try:
        document = msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"
        decode_document(document, type(content), content.format)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, document)
    except ValueError as error:
        raise EpochmarkError(
            f"{what} cannot be saved, since it could not be read again: {error}"
        ) from error
    except OSError as error:
        raise EpochmarkError(
            f"{what} cannot be saved in {file.parent}: {error.strerror or error}"
        ) from error
    return file
