"""Read a worker's reports off its pipe: bounded, typed, nothing believed unchecked.

A report is held to the bounds of what it goes into, a record or the file of limits, so that what
is kept can be read again. Which report may come when is in ``bench.process.order``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Annotated, Any, Union

import msgspec
from msgspec import Meta

from epochmark.records.documents.scaling import Losses
from epochmark.records.fields import (
    Count,
    Digest,
    EpochNumber,
    LongText,
    Nanoseconds,
    PositiveCount,
    ReplayLosses,
    Seconds,
    ShortList,
    ShortMap,
    ShortText,
)
from epochmark.records.machine.machine_limits import PositiveSeconds, Work
from epochmark.worker.protocol import (
    MAX_LINE_BYTES,
    MESSAGES,
    Continued,
    DevicePart,
    EpochEnd,
    Failed,
    Figure,
    Finished,
    Fitted,
    Hello,
    LapEnd,
    Message,
    Observed,
    Opened,
    Parked,
    Phase,
    Replayed,
    SplitReplayed,
    Trouble,
    UsedSettings,
)

MAX_TOTAL_BYTES = 64 << 20
"""Of all reports of a worker: three times what the most laps of a record take."""

Loss = Annotated[float, Meta(ge=0.0)]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Cores = Annotated[list[Count], Meta(max_length=4096)]

BOUNDS: dict[type[Message], dict[str, Any]] = {
    Hello: {"python": ShortText, "versions": ShortMap, "environment": ShortMap},
    Phase: {"name": ShortText},
    Opened: {"device": ShortText, "description": ShortText, "versions": ShortMap},
    LapEnd: {
        "epoch": EpochNumber,
        "steps": PositiveCount,
        "end_ns": Nanoseconds,
        "loss": Loss | None,
        "accuracy": Share | None,
    },
    EpochEnd: {"epoch": EpochNumber, "loss": Loss | None, "accuracy": Share | None},
    Parked: {},
    Fitted: {
        "startup_s": Seconds,
        "fit_ns": Nanoseconds,
        "trained_ns": Nanoseconds | None,
        "cpu_s": Seconds | None,
        "involuntary_switches": Count | None,
        "reporting_cpu_s": Seconds,
        "busy_threads": PositiveCount | None,
        "their_cpus": PositiveCount | None,
    },
    Observed: {
        "observed_devices": ShortList,
        "settings": ShortMap,
        "test_loss": Loss | None,
        "test_accuracy": Share | None,
    },
    Continued: {
        "losses": Annotated[list[Loss | None], Meta(max_length=100)],
        "repeated_loss": Loss | None,
        "steps": Count | None,
        "steps_after": Count | None,
        "test_loss": Loss | None,
        "test_accuracy": Share | None,
        "problem": LongText | None,
    },
    Replayed: {"losses": ReplayLosses, "sgd_losses": ReplayLosses},
    SplitReplayed: {
        "adam": Losses,
        "sgd": Losses,
    },
    DevicePart: {
        "device": ShortText,
        "sha256": Digest,
        "cores": Cores,
        "forward_s": Seconds | None,
    },
    Figure: {
        "what": ShortText,
        "facts": Annotated[dict[ShortText, ShortText | Count], Meta(max_length=10)],
        "work": Work,
        "seconds": Annotated[list[PositiveSeconds], Meta(min_length=1, max_length=1000)],
    },
    UsedSettings: {"settings": ShortMap},
    Trouble: {"message": LongText},
    Failed: {"phase": ShortText, "exception": ShortText, "message": LongText, "usage": bool},
    Finished: {"peak_memory_bytes": Count | None},
}
"""What every field of a report is held to."""


class MessageError(Exception):
    """What came on the pipe is no report, or not one that may come now."""


class ReportReader:
    """Collects bytes, yields reports."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._total = 0

    def feed(self, data: bytes) -> Iterator[Message]:
        """All reports that ``data`` completes. Raises ``MessageError`` on a line that is none, and
        when there are too many bytes."""
        self._total += len(data)
        if self._total > MAX_TOTAL_BYTES:
            raise MessageError(f"more than {MAX_TOTAL_BYTES >> 20} MiB of reports")
        *lines, rest = (self._buffer + data).split(b"\n")
        self._buffer = bytearray(rest)
        for line in lines:
            yield parse_report(bytes(line))
        if len(self._buffer) > MAX_LINE_BYTES:
            raise MessageError(f"a report longer than {MAX_LINE_BYTES} bytes")


def parse_report(line: bytes) -> Message:
    """One line as a report, every field within its bounds. Raises ``MessageError``."""
    try:
        fields = _DECODER.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"{error}, in {line[:200]!r}") from error
    return MESSAGES[type(fields).__name__](**msgspec.structs.asdict(fields))


def _bounded(kind: type[Message]) -> type[msgspec.Struct]:
    """The structure that a report's JSON is decoded as."""
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for field in dataclasses.fields(kind):
        bound = BOUNDS[kind][field.name]
        if field.default_factory is not dataclasses.MISSING:
            fields.append((field.name, bound, field.default_factory()))
        elif field.default is not dataclasses.MISSING:
            fields.append((field.name, bound, field.default))
        else:
            fields.append((field.name, bound))
    return msgspec.defstruct(
        kind.__name__, fields, tag_field="report", tag=kind.__name__, forbid_unknown_fields=True
    )


_DECODER = msgspec.json.Decoder(Union[tuple(_bounded(kind) for kind in MESSAGES.values())])
