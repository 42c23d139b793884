"""Where a machine stands among the published ones, in words."""

from __future__ import annotations

from collections.abc import Sequence

from epochmark.analysis.comparing.comparability import key_of
from epochmark.analysis.comparing.references import Reference
from epochmark.analysis.comparing.standing import Standing, comparable_with, standing_of
from epochmark.records.record import Record
from epochmark.report.digits import printed
from epochmark.report.figures import findings_text, steady_interval, steady_text


def standing_text(
    record: Record, references: Sequence[Reference], *, earlier: bool = False
) -> str | None:
    """The place of a run among the published machines that did the same, in one sentence, and which
    are next to it; None where none did the same, or the run has no figure.

    A disturbed run has no rank; it is said where it would stand. ``earlier``: it was made before,
    and is named.
    """
    comparable = comparable_with(key_of(record), references)
    steady = steady_interval(record)
    if not comparable or steady is None or record.headline.validity not in ("valid", "disturbed"):
        return None
    standing = standing_of(steady, comparable)
    place = f"{_place(standing)} of {standing.of} with {record.engine.name}"
    figure = f"{steady_text(record)} s per epoch{f', record {record.id[:8]}' if earlier else ''}"
    if record.headline.validity == "disturbed":
        return (
            f"Among the published machines this one would be {place} ({figure}), but it is not "
            f"ranked: the run was disturbed ({findings_text(record)})."
        )
    beside = _neighbours(standing)
    return f"Among the published machines this one is {place} ({figure}){beside}."


def _place(standing: Standing) -> str:
    best, worst = _ordinal(standing.best), _ordinal(standing.worst)
    return best if best == worst else f"{best} to {worst}"


def _ordinal(number: int) -> str:
    endings = {1: "st", 2: "nd", 3: "rd"}
    ending = "th" if number % 100 in (11, 12, 13) else endings.get(number % 10, "th")
    return f"{number}{ending}"


def _neighbours(standing: Standing) -> str:
    """The nearest machines that are surely faster and surely slower."""
    parts = [
        f"{word} {_named(reference)}"
        for word, reference in (("slower than", standing.faster), ("faster than", standing.slower))
        if reference is not None
    ]
    return f": {', '.join(parts)}" if parts else ""


def _named(reference: Reference) -> str:
    figure = f"{printed(reference.seconds_per_epoch)} s"
    return f"{reference.machine} on its {reference.device_kind.upper()} ({figure})"
