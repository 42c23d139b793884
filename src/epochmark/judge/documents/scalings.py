"""The scalings on this machine: kept, read, and checked. What follows from laps is not believed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from epochmark._version import __version__
from epochmark.analysis.scaling.efficiency import efficiencies
from epochmark.judge._checks.shape import unprintable_text
from epochmark.judge.check import Checked, name_of
from epochmark.judge.documents.files import DocumentFiles, differing
from epochmark.records.dates import is_credible, moment
from epochmark.records.documents.scaling import (
    Scaling,
    ScalingEntry,
    encode_scaling,
    is_intact_scaling,
    typed_scaling,
)
from epochmark.records.json_text import RecordError, parsed
from epochmark.records.wording import counted


def decode_scaling(document: bytes) -> Scaling:
    """A scaling from JSON, its efficiencies derived again. Raises ``RecordError``.

    The document is not trusted: it is bounded, and every field is checked.
    """
    scaling = typed_scaling(document)
    try:
        moment(scaling.created)
    except ValueError:
        raise RecordError(f"there is no such date: {scaling.created}") from None
    counts = [entry.devices for entry in scaling.entries]
    if counts[0] != 1 or counts != sorted(set(counts)):
        raise RecordError("its numbers of devices do not ascend from 1")
    _check_nodes(scaling, counts[-1])
    for entry in scaling.entries:
        _check_batch(scaling, entry)
        _check_laps(entry)
    try:
        return msgspec.structs.replace(scaling, efficiencies=efficiencies(scaling))
    except (ValueError, OverflowError, ZeroDivisionError) as error:
        raise RecordError(f"nothing can be derived from it: {error}") from error


def _check_nodes(scaling: Scaling, devices: int) -> None:
    """One for each device, ``machine`` the first one's, and machines numbered as they come."""
    if not scaling.nodes:
        return
    if len(scaling.nodes) != devices:
        raise RecordError(f"it has {len(scaling.nodes)} nodes for {devices} devices")
    first = scaling.nodes[0].machine
    if msgspec.structs.replace(scaling.machine, machine_id=first.machine_id) != first:
        raise RecordError("its machine is not that of its first node")
    hosts = [*dict.fromkeys(node.host for node in scaling.nodes)]
    if hosts != [*range(len(hosts))]:
        raise RecordError("the machines of its nodes are not numbered from 0 in their order")


def _check_batch(scaling: Scaling, entry: ScalingEntry) -> None:
    of_one = scaling.workload.batch_size
    right = of_one * entry.devices if scaling.mode == "weak" else of_one
    if entry.batch_size != right or right % entry.devices:
        raise RecordError(
            f"{entry.devices} devices have a batch of {entry.batch_size}, which is not that of "
            f"{scaling.mode} scaling"
        )


def _check_laps(entry: ScalingEntry) -> None:
    taken = entry.warm_up_laps + sum(turn.laps for turn in entry.turns)
    if taken > len(entry.laps):
        raise RecordError(
            f"{entry.devices} devices have turns of {taken} laps, and {len(entry.laps)}"
        )
    ends, starts = [lap.end_ns for lap in entry.laps], [turn.start_s for turn in entry.turns]
    if ends != sorted(set(ends)) or starts != sorted(starts):
        raise RecordError(f"the laps of {entry.devices} devices are not in time order")


def check_scaling(document: bytes) -> Checked:
    """Derive everything in the JSON of a scaling again, and compare."""
    try:
        scaling = decode_scaling(document)
    except RecordError as error:
        return Checked(name_of(document), None, (f"it cannot be read: {error}",))
    stored: dict[str, Any] = parsed(document)
    problems = [*_digest(stored), *_dates(scaling), *unprintable_text(scaling)]
    names = [counted(entry.devices, "device") for entry in scaling.entries]
    differences = [*differing(stored, "efficiencies", scaling, names)]
    if scaling.epochmark_version == __version__:
        problems, differences = [*problems, *differences], []
    return Checked(scaling.id, None, tuple(problems), tuple(differences), scaling=scaling)


def _digest(stored: dict[str, Any]) -> Iterator[str]:
    if not is_intact_scaling(stored):
        yield "its content was changed after it was written: the digest does not match"


def _dates(scaling: Scaling) -> Iterator[str]:
    if not is_credible(scaling.created):
        yield f"it cannot have been measured at {scaling.created}"


class ScalingFiles(DocumentFiles[Scaling]):
    """The folder of scalings, beside the records of runs."""

    folder_name = "scalings"
    noun = "scaling"

    def encode(self, document: Scaling) -> bytes:
        return encode_scaling(document)

    def decode(self, document: bytes) -> Scaling:
        return decode_scaling(document)
