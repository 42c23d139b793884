"""This machine among all others of the same comparability key, measured or published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from epochmark.analysis.comparing.comparability import ComparabilityKey, key_of
from epochmark.report.digits import value_text
from epochmark.report.drawing.bars import Bar, bars_key, bars_panel, key_title
from epochmark.report.drawing.chart import Chart, Drawing
from epochmark.report.drawing.published import published_bar
from epochmark.report.drawing.spec import Spec
from epochmark.report.drawing.theme import Theme
from epochmark.report.subject import MachineFigure, Subject, figures_of, is_timed

MOST_PANELS = 4
MOST_BARS = 20


def draw(subject: Subject, theme: Theme) -> Drawing | None:
    """A panel per key with more than one machine: the focus's first, then those of this machine."""
    panels: list[Spec] = []
    spoken: list[str] = []
    every: list[Bar] = []
    for key in _keys(subject):
        bars = bars_of(subject, key, theme)
        if len(bars) < 2 or len(panels) == MOST_PANELS:
            continue
        shown = around_own(bars, MOST_BARS)
        title, subtitle = key_title(key)
        if len(shown) < len(bars):
            subtitle += f"; {len(shown)} of {len(bars)} shown"
        panels.append(
            bars_panel(shown, theme, title=title, subtitle=subtitle, axis="steady epoch, seconds")
        )
        spoken.append(f"{key}: " + "; ".join(f"{bar.label} {bar.figure}" for bar in shown[:8]))
        every += shown
    if not panels:
        return None
    return Drawing(
        spec={"vconcat": panels, "spacing": 28},
        alt=". ".join(spoken),
        key=tuple(bars_key(every, theme, whisker="interval", hollow="in doubt: not ranked")),
    )


def _keys(subject: Subject) -> list[ComparabilityKey]:
    """All keys with runs to be shown, the most interesting first."""
    timed = [record for record in subject.records if is_timed(record)]
    runs = Counter(key_of(record) for record in timed)
    own = {key_of(record) for record in timed if subject.is_own(record)}
    focus = key_of(subject.focus) if subject.focus else None
    return sorted(runs, key=lambda key: (key != focus, key not in own, -runs[key], key))


def bars_of(subject: Subject, key: ComparabilityKey, theme: Theme) -> list[Bar]:
    """Measured and published machines of one key, fastest first; hollow are those that are not
    ranked."""
    figures = figures_of(subject, key, disturbed=True)
    bars = [_measured_bar(figure, theme) for figure in figures]
    references = [r for r in subject.references if r.key == key and not r.first_epoch_only]
    bars += [published_bar(reference, theme, among_measured=True) for reference in references]
    return sorted(bars, key=lambda bar: (bar.value, bar.label))


def _measured_bar(figure: MachineFigure, theme: Theme) -> Bar:
    machine, device = figure.machine, figure.device
    label = machine if device in machine else f"{machine} · {device}"
    remark = f" ({figure.runs} runs)" if figure.runs > 1 else ""
    remark = " (disturbed)" if figure.disturbed else remark
    return Bar(
        label=f"This machine: {label}{remark}" if figure.own else f"{label}{remark}",
        value=figure.steady_epoch.median,
        low=figure.steady_epoch.low,
        high=figure.steady_epoch.high,
        figure=f"{value_text(figure.steady_epoch)} s",
        colour=theme.own if figure.own else theme.other,
        kind="this machine" if figure.own else "measured elsewhere",
        strong=figure.own,
        doubt=figure.disturbed,
    )


def around_own(bars: Sequence[Bar], most: int) -> list[Bar]:
    """All bars if they are few; otherwise the fastest, the slowest, and this machine with those
    next to it, so that its place can be seen."""
    if len(bars) <= most:
        return list(bars)
    own = [place for place, bar in enumerate(bars) if bar.strong]
    wanted = {0, len(bars) - 1, *own[: most // 2]}
    for distance in range(1, len(bars)):
        for place in own[:1] or [0]:
            for near in (place - distance, place + distance):
                if 0 <= near < len(bars) and len(wanted) < most:
                    wanted.add(near)
    return [bars[place] for place in sorted(wanted)]


CHART = Chart(
    name="machines",
    title="This machine among others",
    reading="Seconds per epoch once warm: shorter is faster. An interval is that of the median, or "
    "what the digits of a published figure stand for. Each panel holds what may be compared: the "
    "same workload, engine, tuning and precision.",
    draw=draw,
)
