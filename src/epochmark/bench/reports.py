"""Read a worker's reports off its pipe: bounded, typed, nothing believed unchecked."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from epochmark.worker.protocol import MAX_LINE_BYTES, REPORTS, Report


class ReportError(Exception):
    """A line on the pipe is not a report."""


class ReportReader:
    """Collects bytes, yields reports."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Report]:
        """All reports that ``data`` completes. Raises ``ReportError`` on a line that is none."""
        self._buffer += data
        while (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            yield parse_report(line)
        if len(self._buffer) > MAX_LINE_BYTES:
            raise ReportError(f"a report longer than {MAX_LINE_BYTES} bytes")


def parse_report(line: bytes) -> Report:
    """One line as a report, every field of the declared type."""
    try:
        fields = msgspec.json.decode(line, type=dict[str, object])
        kind = REPORTS[str(fields.pop("report"))]
        report: Report = msgspec.convert(fields, kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError, RecursionError) as error:
        raise ReportError(f"{error}, in {line[:200]!r}") from error
    return report
