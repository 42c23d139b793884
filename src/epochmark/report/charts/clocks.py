"""The three clocks: start-up, warm-up and steady training, stacked."""

from __future__ import annotations

from collections.abc import Sequence

from epochmark.analysis.comparing.comparability import key_of
from epochmark.analysis.timing.headline import steady_of
from epochmark.records.record import Record
from epochmark.report.drawing.chart import Chart, Drawing
from epochmark.report.drawing.key import Entry
from epochmark.report.drawing.rows import down, height_of, label_layers, rows_of
from epochmark.report.drawing.spec import Spec
from epochmark.report.drawing.theme import Theme
from epochmark.report.drawing.ticks import FORMAT, most_ticks, round_ticks
from epochmark.report.figures import bare_seconds, device_id, other_workload
from epochmark.report.subject import Subject

MOST_BARS = 12
PARTS = ("start-up", "warm-up", "steady")
Stack = tuple[str, tuple[float, float, float]]
"""A run in words, and the seconds of its parts."""


def draw(subject: Subject, theme: Theme) -> Drawing | None:
    """One stack for each engine, device, tuning and precision of this machine, shortest first."""
    focus, stacks = subject.focus, _stacks(subject)
    if focus is None or not stacks:
        return None
    labels = [
        f"{name}: {' + '.join(bare_seconds(part) for part in clocks)} s" for name, clocks in stacks
    ]
    colours = dict(zip(PARTS, (theme.series[1], theme.series[3], theme.series[0]), strict=True))
    return Drawing(
        spec=_spec(stacks, labels, colours, theme),
        alt="; ".join(labels),
        about=", ".join([focus.machine.cpu, *other_workload(focus.workload.name)]),
        key=tuple(Entry(part, colours[part], "box") for part in PARTS),
    )


def _stacks(subject: Subject) -> list[Stack]:
    """Of the variant in which most runs came to their end: a quick run does not."""
    found = []
    for group in subject.best_covered():
        measured = [(record, clocks_of(record)) for record in group]
        found.append([(_name(record), clocks) for record, clocks in measured if clocks is not None])
    stacks = max(found, key=len, default=[])
    return sorted(stacks, key=lambda stack: (sum(stack[1]), stack[0]))[:MOST_BARS]


def _name(record: Record) -> str:
    key = key_of(record)
    parts = [f"{record.engine.name} on {device_id(record)}", *key.variant, key.tuning]
    doubt = " (disturbed)" if record.headline.validity == "disturbed" else ""
    return ", ".join([*parts, key.precision]) + doubt


def clocks_of(record: Record) -> tuple[float, float, float] | None:
    """Seconds of start-up (process start to clock start), of warm-up (what it took beyond steady
    speed), and of the rest of the fit. None where the run did not come so far."""
    steady, elapsed = steady_of(record), record.headline.elapsed_s
    startup = record.timing.startup_s
    if steady is None or elapsed is None or startup is None:
        return None
    return startup, steady.warm_up_excess_s, elapsed - steady.warm_up_excess_s


def _spec(
    stacks: Sequence[Stack], labels: Sequence[str], colours: dict[str, str], theme: Theme
) -> Spec:
    rows = rows_of(labels, theme)
    values: list[Spec] = []
    for (name, clocks), row in zip(stacks, rows, strict=True):
        start = 0.0
        for part, seconds in zip(PARTS, clocks, strict=True):
            values.append(
                {"start": start, "end": start + seconds, "colour": colours[part], "top": row.top,
                 "bottom": row.bottom, "says": f"{name}: {part} {bare_seconds(seconds)} s"}
            )  # fmt: skip
            start += seconds
    longest = max(sum(clocks) for _, clocks in stacks)
    x: Spec = {
        "field": "start", "type": "quantitative",
        "scale": {"domain": [0, longest], "nice": False},
        "axis": {"title": "seconds", "grid": False, "format": FORMAT,
                 "values": round_ticks(0.0, longest, most_ticks(theme))},
    }  # fmt: skip
    stack: Spec = {
        "data": {"values": values},
        "mark": {"type": "rect"},
        "encoding": {
            "x": x,
            "x2": {"field": "end"},
            "y": down("top", rows),
            "y2": {"field": "bottom"},
            "fill": {"field": "colour", "type": "nominal", "scale": None},
            "description": {"field": "says"},
        },
    }
    return {
        "width": theme.width,
        "height": height_of(rows),
        "layer": [stack, *label_layers(rows, [False] * len(rows))],
    }


CHART = Chart(
    name="clocks",
    title="The three clocks",
    reading="What a user waits for: start-up (imports, data, building the model), warm-up "
    "(extra time at the beginning: compilation, caches) and steady training.",
    draw=draw,
)
