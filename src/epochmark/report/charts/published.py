"""Published machines whose keys nobody measured here: for orientation, ranked with nothing."""

from __future__ import annotations

from epochmark.analysis.comparing.comparability import ComparabilityKey, key_of
from epochmark.analysis.comparing.references import Reference
from epochmark.report.drawing.bars import Bar, bars_panel, key_title
from epochmark.report.drawing.chart import Chart, Drawing
from epochmark.report.drawing.published import published_bar
from epochmark.report.drawing.theme import Theme
from epochmark.report.figures import bare_seconds
from epochmark.report.subject import Subject

FEWEST_BARS = 3
"""A key with fewer figures is left to the table."""


def draw(subject: Subject, theme: Theme) -> Drawing | None:
    """The figures of one key without valid records: of those with the fewest departures from the
    workload the one with most figures. The table has the others."""
    measured = {key_of(r) for r in subject.records if r.headline.validity == "valid"}
    by_key: dict[ComparabilityKey, list[Reference]] = {}
    for reference in subject.references:
        if reference.key not in measured and not reference.first_epoch_only:
            by_key.setdefault(reference.key, []).append(reference)
    keys = [key for key in by_key if len(by_key[key]) >= FEWEST_BARS]
    if not keys:
        return None
    key = min(keys, key=lambda key: (len(key.variant), -len(by_key[key]), key))
    ordered = sorted(by_key[key], key=lambda reference: reference.seconds_per_epoch)
    bars = [*_own(subject, key, theme), *(published_bar(reference, theme) for reference in ordered)]
    title, subtitle = key_title(key)
    spoken = f"{key}: " + "; ".join(f"{bar.label} {bar.figure}" for bar in bars[:8])
    return Drawing(bars_panel(bars, theme, title=title, subtitle=subtitle, axis="s/epoch"), spoken)


def _own(subject: Subject, key: ComparabilityKey, theme: Theme) -> list[Bar]:
    """The run in focus, above the others, where the amount of work was the same."""
    focus = subject.focus
    if focus is None or focus.headline.validity != "valid":
        return []
    steady, ours = focus.headline.steady_epoch_s, key_of(focus)
    if steady is None or (ours.workload, ours.variant) != (key.workload, key.variant):
        return []
    return [
        Bar(
            label=f"This machine, with {ours.engine_family}: for orientation",
            value=steady,
            low=focus.headline.steady_epoch_low_s,
            high=focus.headline.steady_epoch_high_s,
            figure=f"{bare_seconds(steady)} s",
            colour=theme.own,
            strong=True,
        )
    ]


CHART = Chart(
    name="published",
    title="Beside published machines",
    reading="Measured by others with other engines, versions or settings: for orientation, not a "
    "ranking. Hollow and with a question mark: the source leaves a doubt. Whiskers are what the "
    "printed digits stand for.",
    draw=draw,
)
