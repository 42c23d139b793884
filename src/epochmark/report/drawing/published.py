"""A published figure as a bar."""

from __future__ import annotations

from epochmark.analysis.comparing.references import Reference
from epochmark.report.digits import printed
from epochmark.report.drawing.bars import Bar
from epochmark.report.drawing.theme import Theme

KIND = "published by others"


def published_bar(reference: Reference, theme: Theme, *, among_measured: bool) -> Bar:
    """The figure with the interval its printed digits stand for; a doubtful one is hollow. Its
    label says that it was published where it stands ``among_measured`` ones."""
    machine, device = reference.machine, reference.device
    label = machine if device in machine else f"{machine} · {device}"
    doubt = "?" if reference.doubt else ""
    return Bar(
        label=f"{label} (published)" if among_measured else label,
        value=reference.seconds_per_epoch,
        low=reference.low_s,
        high=reference.high_s,
        figure=f"{printed(reference.seconds_per_epoch)} s{doubt}",
        colour=theme.published,
        kind=KIND,
        doubt=reference.doubt is not None,
    )
