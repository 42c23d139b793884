"""A published figure as a bar."""

from __future__ import annotations

from epochmark.analysis.comparing.references import Reference
from epochmark.report.drawing.bars import Bar
from epochmark.report.drawing.theme import Theme


def published_bar(reference: Reference, theme: Theme) -> Bar:
    """The figure with the interval its printed digits stand for; a doubtful one is hollow."""
    machine, device = reference.machine, reference.device
    label = machine if device in machine else f"{machine} · {device}"
    doubt = "?" if reference.doubt else ""
    return Bar(
        label=f"{label} (published)",
        value=reference.seconds_per_epoch,
        low=reference.low_s,
        high=reference.high_s,
        figure=f"{reference.seconds_per_epoch:g} s{doubt}",
        colour=theme.published,
        doubt=reference.doubt is not None,
    )
