"""What the machine's sensors read over the run in focus: temperature, power, frequency."""

from __future__ import annotations

from epochmark.analysis.machine.sensed import Series, series_of
from epochmark.analysis.timing.steady_epoch import NANOSECONDS
from epochmark.records.record import Quantity, Record
from epochmark.report.drawing.chart import Chart, Drawing, Spec, legend
from epochmark.report.drawing.theme import Theme
from epochmark.report.figures import run_in_words
from epochmark.report.subject import Subject

HEIGHT = 110
MOST_LINES = 4
"""In one panel; machines with more GPUs than that have more lines than colours."""
PANELS: dict[str, tuple[Quantity, ...]] = {
    "temperature (°C)": ("temperature",),
    "power (W)": ("energy", "power"),
    "frequency (MHz)": ("frequency",),
}


def draw(subject: Subject, theme: Theme) -> Drawing | None:
    """A panel for each quantity that was read; None where none was."""
    record = subject.focus
    if record is None or not record.timing.laps:
        return None
    end_s = record.timing.laps[-1].end_ns / NANOSECONDS
    panels, spoken = [], []
    for title, quantities in PANELS.items():
        lines = _lines(record, quantities)
        if lines:
            panels.append(_panel(title, lines, end_s, theme))
            spoken += [
                f"{line.scope}: {title} from {min(line.values):,.0f} to {max(line.values):,.0f}"
                for line in lines
            ]
    if not panels:
        return None
    spec: Spec = {
        "vconcat": panels,
        "spacing": 24,
        "resolve": {"scale": {"color": "independent"}},
    }
    return Drawing(spec, "; ".join(spoken), run_in_words(record))


def _lines(record: Record, quantities: tuple[Quantity, ...]) -> list[Series]:
    """One line for each part of the machine; of an energy counter its slope, which is power."""
    found: dict[str, Series] = {}
    for quantity in quantities:
        for series in series_of(record, quantity):
            line = power_of(series) if quantity == "energy" else series
            if len(line.values) >= 2:
                found.setdefault(line.scope, line)
    return list(found.values())[:MOST_LINES]


def power_of(energy: Series) -> Series:
    """Mean power in watts between each two readings of an energy counter, at the later one."""
    at_s, joules = energy.at_s, energy.values
    watts = [(joules[n] - joules[n - 1]) / (at_s[n] - at_s[n - 1]) for n in range(1, len(joules))]
    return Series("power", "W", energy.scope, energy.source, at_s[1:], tuple(watts))


def _panel(title: str, lines: list[Series], end_s: float, theme: Theme) -> Spec:
    values: list[Spec] = [
        {"at_s": at, "value": value, "scope": line.scope,
         "says": f"{line.scope}, {at:.1f} s: {value:,.4g} {line.unit}"}
        for line in lines
        for at, value in zip(line.at_s, line.values, strict=True)
    ]  # fmt: skip
    scopes = [line.scope for line in lines]
    return {
        "width": theme.width,
        "height": HEIGHT,
        "data": {"values": values},
        "mark": {"type": "line", "strokeWidth": 1.8},
        "encoding": {
            "x": {
                "field": "at_s", "type": "quantitative",
                "scale": {"domain": [0, end_s], "nice": False},
                "axis": {"title": "seconds since training began", "grid": False},
            },
            "y": {
                "field": "value", "type": "quantitative", "scale": {"zero": False},
                "axis": {"title": title, "tickCount": 4, "format": ",.0f"},
            },
            "color": {
                "field": "scope", "type": "nominal",
                "scale": {"domain": scopes, "range": list(theme.series[: len(scopes)])},
                "legend": legend(scopes, theme),
            },
            "description": {"field": "says"},
        },
    }  # fmt: skip


CHART = Chart(
    name="thermals",
    title="Heat and power over the run",
    reading="What the machine's own sensors said, each of the part of the machine it is named "
    "after: power is what that part drew, not the whole machine. Where it gets hot while the chart "
    "of the speed falls, heat slowed the run down.",
    draw=draw,
)
