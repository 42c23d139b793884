"""Every engine on this machine, stock beside tuned."""

from __future__ import annotations

from collections.abc import Sequence

from epochmark.analysis.comparing.comparability import key_of
from epochmark.records.record import Record
from epochmark.report.drawing.bars import Bar, bars_key, bars_panel
from epochmark.report.drawing.chart import Chart, Drawing
from epochmark.report.drawing.theme import Theme
from epochmark.report.figures import device_id, other_workload, steady_text
from epochmark.report.subject import Subject, is_timed

MOST_BARS = 24


def draw(subject: Subject, theme: Theme) -> Drawing | None:
    """One bar for each engine, device, tuning and precision; a panel for the variant of the focus,
    and for one that more engines were run with. None below two bars."""
    groups = [_bars(group, theme) for group in subject.best_covered()]
    shown = [(variant, bars) for variant, bars in groups if len(bars) > 1]
    focus = subject.focus
    if focus is None or not shown:
        return None
    title = ", ".join([focus.machine.cpu, *other_workload(focus.workload.name)])
    panels = [
        bars_panel(bars, theme, title=title, subtitle=variant, axis="steady epoch, seconds")
        for variant, bars in shown
    ]
    every = [bar for _, bars in shown for bar in bars]
    return Drawing(
        spec={"vconcat": panels, "spacing": 28},
        alt="; ".join(f"{bar.label}: {bar.figure}" for bar in every),
        key=tuple(bars_key(every, theme, whisker="95 % interval", hollow="disturbed")),
    )


def _bars(records: Sequence[Record], theme: Theme) -> tuple[str | None, list[Bar]]:
    """The variant in words, None without one; and the bars, fastest first."""
    variant = ", ".join(key_of(records[0]).variant)
    bars = [_bar(record, theme) for record in records if is_timed(record)]
    bars.sort(key=lambda bar: (bar.value, bar.label))
    return f"variant: {variant}" if variant else None, bars[:MOST_BARS]


def _bar(record: Record, theme: Theme) -> Bar:
    headline, key = record.headline, key_of(record)
    assert headline.steady_epoch_s is not None, "records without the figure were left out"
    disturbed = headline.validity == "disturbed"
    label = f"{record.engine.name} on {device_id(record)}, {key.tuning}, {key.precision}"
    return Bar(
        label=f"{label} (disturbed)" if disturbed else label,
        value=headline.steady_epoch_s,
        low=headline.steady_epoch_low_s,
        high=headline.steady_epoch_high_s,
        figure=f"{steady_text(record)} s",
        colour=theme.series[0] if key.tuning == "stock" else theme.series[2],
        kind=key.tuning,
        doubt=disturbed,
    )


CHART = Chart(
    name="engines",
    title="Engines on this machine",
    reading="Seconds per epoch once warm of the newest run of each engine on this machine: shorter "
    "is faster. Engines do the same mathematics, but they are different programs: side by side, "
    "not ranked.",
    draw=draw,
)
