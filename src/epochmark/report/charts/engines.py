"""Every engine on this machine, stock beside tuned."""

from __future__ import annotations

from epochmark.analysis.comparing.comparability import key_of
from epochmark.records.record import Record
from epochmark.report.drawing.bars import Bar, bars_panel
from epochmark.report.drawing.chart import Chart, Drawing
from epochmark.report.drawing.theme import Theme
from epochmark.report.figures import bare_seconds, device_id
from epochmark.report.subject import Subject

MOST_BARS = 24


def draw(subject: Subject, theme: Theme) -> Drawing | None:
    """One bar for each engine, device, tuning and precision; None below two of them."""
    records = [r for r in subject.newest_own() if r.headline.steady_epoch_s is not None]
    if len(records) < 2:
        return None
    bars = [_bar(record, theme) for record in records[:MOST_BARS]]
    variant = ", ".join(key_of(records[0]).variant)
    panel = bars_panel(
        bars,
        theme,
        title=records[0].machine.cpu,
        subtitle=f"variant: {variant}" if variant else None,
        axis="steady epoch, seconds",
    )
    return Drawing(panel, "; ".join(f"{bar.label}: {bar.figure}" for bar in bars))


def _bar(record: Record, theme: Theme) -> Bar:
    headline, key = record.headline, key_of(record)
    assert headline.steady_epoch_s is not None, "records without the figure were left out"
    disturbed = headline.validity == "disturbed"
    label = f"{record.engine.name} on {device_id(record)}, {key.tuning}, {key.precision}"
    colour = theme.series[0] if key.tuning == "stock" else theme.series[2]
    return Bar(
        label=f"{label} (disturbed)" if disturbed else label,
        value=headline.steady_epoch_s,
        low=headline.steady_epoch_low_s,
        high=headline.steady_epoch_high_s,
        figure=f"{bare_seconds(headline.steady_epoch_s)} s",
        colour=colour,
        doubt=disturbed,
    )


CHART = Chart(
    name="engines",
    title="Engines on this machine",
    reading="The newest run of each engine on this machine, stock (blue) beside tuned (green). "
    "Engines do the same mathematics, but they are different programs: side by side, not ranked. "
    "A hollow bar was disturbed.",
    draw=draw,
)
