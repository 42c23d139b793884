"""The three clocks: start-up, warm-up and steady training, stacked."""

from __future__ import annotations

from epochmark.analysis.comparing.comparability import key_of
from epochmark.analysis.timing.headline import steady_of
from epochmark.records.record import Record
from epochmark.report.drawing.bars import ROW_HEIGHT
from epochmark.report.drawing.chart import Chart, Drawing, Spec
from epochmark.report.drawing.theme import Theme
from epochmark.report.figures import bare_seconds, device_id, shortened
from epochmark.report.subject import Subject

MOST_BARS = 12
PARTS = ("start-up", "warm-up", "steady")


def draw(subject: Subject, theme: Theme) -> Drawing | None:
    """One stack for each engine, device, tuning and precision of this machine."""
    measured = [(record, clocks_of(record)) for record in subject.newest_own()]
    stacks = [(record, clocks) for record, clocks in measured if clocks is not None][:MOST_BARS]
    if not stacks:
        return None
    values: list[Spec] = []
    spoken = []
    for row, (record, clocks) in enumerate(stacks):
        key = key_of(record)
        label = f"{record.engine.name} on {device_id(record)}, {key.tuning}, {key.precision}"
        figure = " + ".join(bare_seconds(part) for part in clocks) + " s"
        start = 0.0
        for name, part in zip(PARTS, clocks, strict=True):
            values.append(
                {"part": name, "start": start, "end": start + part, "label": label,
                 "figure": figure, "text_y": row + 0.26, "top": row + 0.5, "bottom": row + 0.84,
                 "says": f"{label}: {name} {bare_seconds(part)} s"}
            )  # fmt: skip
            start += part
        spoken.append(f"{label}: {figure}")
    about = shortened(stacks[0][0].machine.cpu)
    return Drawing(_spec(values, len(stacks), theme), "; ".join(spoken), about)


def clocks_of(record: Record) -> tuple[float, float, float] | None:
    """Seconds of start-up (process start to clock start), of warm-up (what it took beyond steady
    speed), and of the rest of the fit. None where the run did not come so far."""
    steady, elapsed = steady_of(record), record.headline.elapsed_s
    startup = record.timing.startup_s
    if steady is None or elapsed is None or startup is None:
        return None
    return startup, steady.warm_up_excess_s, elapsed - steady.warm_up_excess_s


def _spec(values: list[Spec], rows: int, theme: Theme) -> Spec:
    scale = {"domain": [0, rows], "reverse": True, "nice": False}
    colours = [theme.series[1], theme.series[3], theme.series[0]]
    return {
        "width": theme.width,
        "height": ROW_HEIGHT * rows,
        "data": {"values": values},
        "layer": [
            {
                "mark": {"type": "rect"},
                "encoding": {
                    "x": {
                        "field": "start", "type": "quantitative",
                        "axis": {"title": "seconds", "domain": False,
                                 "tickCount": 4 if theme.width < 400 else 8},
                    },
                    "x2": {"field": "end"},
                    "y": {"field": "top", "type": "quantitative", "axis": None},
                    "y2": {"field": "bottom"},
                    "color": {"field": "part", "type": "nominal",
                              "scale": {"domain": list(PARTS), "range": colours}},
                    "description": {"field": "says"},
                },
            },
            *(
                {
                    "transform": [{"filter": "datum.part === 'steady'"}],
                    "mark": {"type": "text", "align": align, "baseline": "middle",
                             "limit": 0.5 * theme.width, "aria": False},
                    "encoding": {
                        "x": {"value": x},
                        "y": {"field": "text_y", "type": "quantitative", "axis": None,
                              "scale": scale},
                        "text": {"field": field},
                    },
                }
                for field, align, x in (("label", "left", 0), ("figure", "right", theme.width))
            ),
        ],
    }  # fmt: skip


CHART = Chart(
    name="clocks",
    title="The three clocks",
    reading="What a user waits for: start-up (imports, data, building the model), warm-up (what "
    "the beginning took beyond steady speed: compilation, caches) and steady training.",
    draw=draw,
)
