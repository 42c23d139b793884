"""What the machine's sensors read over the run in focus: temperature, power, frequency."""

from __future__ import annotations

from epochmark.analysis.machine.sensed import Series, series_of
from epochmark.analysis.timing.steady_epoch import NANOSECONDS
from epochmark.records.fields import Quantity
from epochmark.records.record import Record
from epochmark.report.drawing import series as drawn_series
from epochmark.report.drawing.chart import Chart, Drawing
from epochmark.report.drawing.series import coloured
from epochmark.report.drawing.spec import Spec, heading
from epochmark.report.drawing.theme import Theme
from epochmark.report.drawing.ticks import FORMAT, most_ticks, round_ticks
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
    """A panel for each quantity that was read, each part of the machine with the same colour in
    all of them; None where nothing was read."""
    record = subject.focus
    if record is None or not record.timing.laps:
        return None
    end_s = record.timing.laps[-1].end_ns / NANOSECONDS
    read = {title: _lines(record, quantities) for title, quantities in PANELS.items()}
    read = {title: lines for title, lines in read.items() if lines}
    if not read:
        return None
    scopes = list(dict.fromkeys(line.scope for lines in read.values() for line in lines))
    key = drawn_series.series_of(scopes, theme, "line")
    colours = {entry.text: entry.colour for entry in key}
    spoken = [
        f"{line.scope}: {title} from {min(line.values):,.0f} to {max(line.values):,.0f}"
        for title, lines in read.items()
        for line in lines
    ]
    panels = [_panel(title, lines, colours, end_s, theme) for title, lines in read.items()]
    spec: Spec = {"vconcat": panels, "spacing": 24}
    return Drawing(spec, "; ".join(spoken), run_in_words(record), tuple(key))


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


def _panel(
    title: str, lines: list[Series], colours: dict[str, str], end_s: float, theme: Theme
) -> Spec:
    values: list[Spec] = [
        {"at_s": at, "value": value, "scope": line.scope, "colour": colours[line.scope],
         "says": f"{line.scope}, {at:.1f} s: {value:,.4g} {line.unit}"}
        for line in lines
        for at, value in zip(line.at_s, line.values, strict=True)
    ]  # fmt: skip
    read = [value for line in lines for value in line.values]
    return {
        "width": theme.width,
        "height": HEIGHT,
        "title": heading(title, theme.muted),
        "data": {"values": values},
        "mark": {"type": "line", "strokeWidth": 1.8},
        "encoding": {
            "x": {
                "field": "at_s", "type": "quantitative",
                "scale": {"domain": [0, end_s], "nice": False},
                "axis": {"title": "seconds since training began", "grid": False,
                         "values": round_ticks(0, end_s, most_ticks(theme)), "format": FORMAT},
            },
            "y": {
                "field": "value", "type": "quantitative", "scale": {"zero": False},
                "axis": {"title": None, "values": round_ticks(min(read), max(read), 5),
                         "format": FORMAT},
            },
            "color": coloured(),
            "detail": {"field": "scope", "type": "nominal"},
            "description": {"field": "says"},
        },
    }  # fmt: skip


CHART = Chart(
    name="thermals",
    title="Heat and power over the run",
    reading="Readings of the machine's own sensors, each for the part of the machine it is "
    "named after: power is what that part drew, not the whole machine. Where "
    "temperature rises while speed falls, heat slowed the run down.",
    draw=draw,
)
