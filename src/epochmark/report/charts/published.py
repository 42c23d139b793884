"""Published machines whose keys were not measured here: for orientation, ranked with nothing."""

from __future__ import annotations

from epochmark.analysis.comparing.comparability import ComparabilityKey, key_of
from epochmark.analysis.comparing.references import Reference
from epochmark.records.record import Record
from epochmark.report.drawing.bars import Bar, bars_key, bars_panel, key_title
from epochmark.report.drawing.chart import Chart, Drawing
from epochmark.report.drawing.published import published_bar
from epochmark.report.drawing.theme import Theme
from epochmark.report.figures import steady_text
from epochmark.report.subject import Subject, is_timed

FEWEST_BARS = 3
"""A key with fewer figures is left to the table."""


def draw(subject: Subject, theme: Theme) -> Drawing | None:
    """The published machines of one key, and this one beside them."""
    found = bars_beside(subject, theme)
    if found is None:
        return None
    key, bars = found
    title, subtitle = key_title(key)
    panel = bars_panel(bars, theme, title=title, subtitle=subtitle, axis="seconds per epoch")
    return Drawing(
        spec=panel,
        alt=f"{key}: " + "; ".join(f"{bar.label} {bar.figure}" for bar in bars[:8]),
        key=tuple(bars_key(bars, theme, whisker="interval", hollow="in doubt")),
    )


def bars_beside(subject: Subject, theme: Theme) -> tuple[ComparabilityKey, list[Bar]] | None:
    """The figures of one key that ``machines`` does not show, fastest first: of those with the
    fewest departures from the workload the one with most figures. The table has the others."""
    measured = {key_of(record) for record in subject.records if is_timed(record)}
    by_key: dict[ComparabilityKey, list[Reference]] = {}
    for reference in subject.references:
        if reference.key not in measured and not reference.first_epoch_only:
            by_key.setdefault(reference.key, []).append(reference)
    keys = [key for key in by_key if len(by_key[key]) >= FEWEST_BARS]
    if not keys:
        return None
    key = min(keys, key=lambda key: (len(key.variant), -len(by_key[key]), key))
    bars = [published_bar(reference, theme, among_measured=False) for reference in by_key[key]]
    own = subject.beside(key)
    if own is not None:
        bars.append(_own_bar(own, key, theme))
    return key, sorted(bars, key=lambda bar: (bar.value, bar.label))


def _own_bar(record: Record, key: ComparabilityKey, theme: Theme) -> Bar:
    """A run of this machine, hollow unless it is valid; its label says what else is different."""
    headline, ours = record.headline, key_of(record)
    assert headline.steady_epoch_s is not None, "runs without the figure are not shown"
    parts = [f"This machine, with {ours.engine_family} {ours.tuning}"]
    if ours.variant != key.variant:
        parts.append(", ".join(ours.variant) or "the workload as specified")
    doubt = "" if headline.validity == "valid" else f" ({headline.validity})"
    return Bar(
        label=f"{', '.join(parts)}{doubt}",
        value=headline.steady_epoch_s,
        low=headline.steady_epoch_low_s,
        high=headline.steady_epoch_high_s,
        figure=f"{steady_text(record)} s",
        colour=theme.own,
        kind="this machine",
        strong=True,
        doubt=headline.validity != "valid",
    )


CHART = Chart(
    name="published",
    title="Beside published machines",
    reading="Measured by others with other engines, versions or settings: for orientation, not a "
    "ranking; shorter is faster. Hollow: this machine's run is not valid, or the source leaves a "
    "doubt (with a question mark). An interval is that of the run, or what the printed digits "
    "stand for.",
    draw=draw,
)
