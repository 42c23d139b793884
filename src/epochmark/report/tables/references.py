"""Published reference machines as tables of text, in the layout of the original post."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from epochmark.analysis.comparing.references import DeviceKind, Reference

COLUMNS: tuple[DeviceKind, ...] = ("cpu", "gpu", "tpu")
HEADER = ("machine", "CPU (s/epoch)", "GPU (s/epoch)", "TPU (s/epoch)")

COARSE = 0.2
"""A printed figure that stands for a wider interval, relative to itself, gets a footnote."""

_MEASURED = "measured here"
_POST_NOTE = (
    "published without a unit; seconds per epoch is inferred (docs/references.md explains how)"
)


@dataclass(frozen=True)
class OwnResult:
    """A measured result to show above the references: ``engine`` says what measured it."""

    machine: str
    device_kind: DeviceKind
    seconds_per_epoch: float
    engine: str


@dataclass(frozen=True)
class Row:
    """One machine. Cells are text, empty where there is no figure, with marks such as ``[a]``."""

    machine: str
    cpu: str
    gpu: str
    tpu: str
    measured: bool


@dataclass(frozen=True)
class Table:
    """A table of text; ``footnotes`` are (mark, text), with an empty mark for the whole table."""

    header: tuple[str, ...]
    rows: tuple[Row, ...]
    footnotes: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class FurtherRow:
    """One published result outside the post's table."""

    machine: str
    device: str
    framework: str
    seconds: str
    footnotes: tuple[str, ...]
    source: str


class _Marks:
    """Hands out ``[a]``, ``[b]`` ... in order of first use, one per text."""

    def __init__(self) -> None:
        self._marks: dict[str, str] = {}

    def add(self, texts: Iterable[str]) -> str:
        marks = []
        for text in texts:
            letter = chr(ord("a") + len(self._marks))
            marks.append(self._marks.setdefault(text, f"[{letter}]"))
        return "".join(marks)

    def footnotes(self) -> list[tuple[str, str]]:
        return [(mark, text) for text, mark in self._marks.items()]


def post_table(references: Sequence[Reference], own: Sequence[OwnResult] = ()) -> Table:
    """The post's machines by row with columns CPU, GPU, TPU, below what was measured here.

    Doubtful cells keep their question mark. Nothing is sorted by speed: the figures come from
    different engines.
    """
    marks = _Marks()
    rows = [_own_row(result, marks) for result in own]
    cells = [(reference.post, reference) for reference in references if reference.post]
    for number in sorted({cell.row for cell, _ in cells}):
        of_row = [(cell, reference) for cell, reference in cells if cell.row == number]
        texts = dict.fromkeys(COLUMNS, "")
        for cell, reference in sorted(of_row, key=lambda pair: pair[0].column):
            texts[cell.column] = _with_mark(cell.text, marks.add(footnotes(reference)))
        rows.append(Row(of_row[0][0].machine, **texts, measured=False))
    general = [("", f"references: {_POST_NOTE}")] if cells else []
    if own and cells:
        general.append(
            ("", f"{_MEASURED} or published: side by side, not ranked (other engine or settings)")
        )
    return Table(HEADER, tuple(rows), (*marks.footnotes(), *general))


def further_rows(references: Sequence[Reference]) -> tuple[FurtherRow, ...]:
    """Every reference outside the post, in the order given, each with its footnotes."""
    return tuple(
        FurtherRow(
            machine=reference.machine,
            device=reference.device,
            framework=_framework(reference),
            seconds=seconds_range(reference) + ("?" if reference.doubt else ""),
            footnotes=footnotes(reference),
            source=reference.source.url or reference.source.title,
        )
        for reference in references
        if reference.post is None
    )


def footnotes(reference: Reference) -> tuple[str, ...]:
    """What a reader must know beside the figure, derived from the reference's fields."""
    notes = []
    if reference.doubt:
        notes.append(f"doubtful: {reference.doubt}")
    if reference.validation_in_clock:
        notes.append("validation on the 10,000 test images inside the clock (+5.6 % arithmetic)")
    if reference.dropout:
        notes.append("with two Dropout layers")
    if reference.batch_size != 128:
        notes.append(f"batch {reference.batch_size} instead of 128")
    if reference.first_epoch_only:
        notes.append("first epoch, start-up included")
    if reference.post:
        notes.append(_framework(reference))
        if reference.high_s - reference.low_s > COARSE * reference.seconds_per_epoch:
            notes.append(
                f"so few digits that it stands for {reference.low_s:g} to {reference.high_s:g} s"
            )
    return tuple(notes)


def seconds_range(reference: Reference) -> str:
    """Seconds with the uncertainty of the printed figure: ``2 (1.5 to 2.5)``."""
    low, high = reference.low_s, reference.high_s
    return f"{reference.seconds_per_epoch:g} ({low:g} to {high:g})"


def _framework(reference: Reference) -> str:
    version = f" {reference.framework_version}" if reference.framework_version else ""
    mode = f", {reference.execution_mode} mode" if reference.execution_mode else ""
    return f"{reference.framework}{version}{mode}"


def _own_row(result: OwnResult, marks: _Marks) -> Row:
    decimals = 1 if result.seconds_per_epoch >= 100 else 2
    texts = dict.fromkeys(COLUMNS, "")
    text = f"{result.seconds_per_epoch:.{decimals}f}"
    texts[result.device_kind] = _with_mark(text, marks.add([f"{_MEASURED}: {result.engine}"]))
    return Row(result.machine, **texts, measured=True)


def _with_mark(text: str, mark: str) -> str:
    return f"{text} {mark}" if mark else text
