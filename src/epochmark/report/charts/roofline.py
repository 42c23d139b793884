"""What this machine's processor can do at most, and how near to it each engine comes.

After Williams, Waterman and Patterson, Roofline, Communications of the ACM 52 (2009). How bytes and
operations are counted: ``workloads.memory_traffic`` and ``workloads.flops``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from epochmark.analysis.machine.arithmetic import ceiling_of, direct_gflop_per_s
from epochmark.analysis.timing.headline import workload_of
from epochmark.records.machine.machine_limits import Limits
from epochmark.records.record import Record, RunLimits
from epochmark.report.drawing.chart import Chart, Drawing
from epochmark.report.drawing.key import Entry
from epochmark.report.drawing.lines import lines_of
from epochmark.report.drawing.series import filled, outlined, series_of
from epochmark.report.drawing.spec import Spec, heading
from epochmark.report.drawing.theme import Theme
from epochmark.report.drawing.ticks import FORMAT, log_ticks, most_ticks
from epochmark.report.figures import device_id, other_workload, percent, rate
from epochmark.report.subject import Subject
from epochmark.workloads.memory_traffic import arithmetic_intensity

MOST_POINTS = 12
HEIGHT = 320
COVERED = 1.2
SHIFTS = (0, 14, -14, 28, -28)
"""Points nearer than this cover each other; they stand side by side, in pixels."""
SAME_LINE = 1.25
"""Names of lines nearer than this go one above its line, one below."""


@dataclass(frozen=True)
class _Roof:
    """A rate of arithmetic that the processor cannot exceed, in GFLOP/s, and what reached it."""

    name: str
    gflop_per_s: float


@dataclass(frozen=True)
class _Machine:
    """Highest roof first; ``limits`` are what a record of a run on it would keep."""

    roofs: tuple[_Roof, ...]
    limits: RunLimits

    @property
    def bandwidth(self) -> float | None:
        """Of the memory in GB/s, None where it was not measured."""
        return self.limits.triad_gb_per_s


@dataclass(frozen=True)
class _Point:
    """An engine's run. ``shift`` moves it aside, in pixels, from one that it would cover."""

    name: str
    intensity: float
    gflop_per_s: float
    is_valid: bool
    shift: int = 0


def draw(subject: Subject, theme: Theme) -> Drawing | None:
    """A point for each engine that trained on the processor; None without any, or without limits
    of this machine."""
    machine = _machine(subject)
    points = _points(subject, machine.limits) if machine else []
    if machine is None or not points:
        return None
    said = [f"{roof.name}: at most {rate(roof.gflop_per_s)} GFLOP/s" for roof in machine.roofs]
    if machine.bandwidth is not None:
        said.append(f"memory: {machine.bandwidth:.3g} GB/s")
    said += [point.name for point in points]
    run = _shown(subject)[0].workload
    about = ", ".join([subject.own[0].machine.cpu, *other_workload(run.name), *run.variant])
    if not machine.limits.steady:
        about = f"{about} (its limits were measured while it was busy)"
    key = series_of([point.name for point in points], theme, "point")
    spec = _spec(machine, points, key, theme)
    if any(not point.is_valid for point in points):
        key.append(Entry("disturbed", theme.muted, "point", opacity=0.0))
    return Drawing(spec, "; ".join(said), about, tuple(key))


def _machine(subject: Subject) -> _Machine | None:
    """From the stored limits if they are this machine's, else as its newest record has them."""
    focus, limits = subject.focus, subject.limits
    if focus is not None and limits is not None and limits.fits(focus.machine):
        now = limits.for_run()
        if now is not None:
            return _Machine(_stored_roofs(limits), now)
    kept = [record.limits for record in subject.own if record.limits is not None]
    return _Machine(_kept_roofs(kept[-1]), kept[-1]) if kept else None


def _stored_roofs(limits: Limits) -> tuple[_Roof, ...]:
    """The best of each instruction set; and what exceeds them all, such as a matrix unit."""
    best: dict[str, float] = {}
    for measured in limits.processor.multiply_adds if limits.processor else []:
        reached = measured.timed.per_s.high
        best[measured.instruction_set] = max(best.get(measured.instruction_set, 0.0), reached)
    peak = limits.peak()
    if peak is not None and peak.gflop_per_s.high > max(best.values(), default=0.0):
        best[peak.source] = peak.gflop_per_s.high
    return _highest_first(best)


def _kept_roofs(limits: RunLimits) -> tuple[_Roof, ...]:
    best = {limits.float32_source.split(" multiply-adds")[0]: limits.float32_gflop_per_s}
    if limits.bfloat16_gflop_per_s is not None:
        best["bfloat16"] = limits.bfloat16_gflop_per_s
    return _highest_first(best)


def _highest_first(best: dict[str, float]) -> tuple[_Roof, ...]:
    roofs = (_Roof(name, reached) for name, reached in best.items())
    return tuple(sorted(roofs, key=lambda roof: -roof.gflop_per_s))


def _shown(subject: Subject) -> list[Record]:
    """Of the variant that most engines trained."""
    groups = subject.best_covered()
    return groups[-1] if groups else []


def _points(subject: Subject, limits: RunLimits) -> list[_Point]:
    """Of the newest comparable run of each engine, the fastest first."""
    points = []
    for record in _shown(subject):
        reached = direct_gflop_per_s(record, record.headline.images_per_s)
        if reached is not None and device_id(record) == "cpu":
            points.append(_point(msgspec.structs.replace(record, limits=limits), reached))
    points.sort(key=lambda point: -point.gflop_per_s)
    return _apart(points[:MOST_POINTS])


def _point(record: Record, reached: float) -> _Point:
    run, ceiling = record.workload, ceiling_of(record)
    share = f" ({percent(reached / ceiling.gflop_per_s)})" if ceiling else ""
    is_valid = record.headline.validity == "valid"
    name = f"{record.engine.name} {record.engine.tuning}"
    if record.precision.observed != "float32":
        name += f" {record.precision.observed}"
    return _Point(
        name=f"{name}: {rate(reached)}{share}{'' if is_valid else ', disturbed'}",
        intensity=arithmetic_intensity(workload_of(run), run.batch_size),
        gflop_per_s=reached,
        is_valid=is_valid,
    )


def _apart(points: Sequence[_Point]) -> list[_Point]:
    """The points, fastest first, with names and places of their own."""
    placed: list[_Point] = []
    for point in points:
        near = [earlier for earlier in placed if earlier.gflop_per_s < COVERED * point.gflop_per_s]
        name = point.name
        if any(name == other.name for other in placed):
            name = f"{name} [{len(placed) + 1}]"
        placed.append(replace(point, name=name, shift=SHIFTS[len(near) % len(SHIFTS)]))
    return placed


def _spec(machine: _Machine, points: Sequence[_Point], key: Sequence[Entry], theme: Theme) -> Spec:
    rates = [
        *(point.gflop_per_s for point in points), *(roof.gflop_per_s for roof in machine.roofs)
    ]  # fmt: skip
    intensities = [point.intensity for point in points]
    low_y, high_y = min(rates) / 3, 1.6 * max(rates)
    low_x, high_x = min(intensities) / 8, 8 * max(intensities)
    if machine.bandwidth is not None:
        low_x = min(low_x, low_y / machine.bandwidth)
        high_x = max(high_x, 3 * machine.roofs[0].gflop_per_s / machine.bandwidth)
    x = _log_axis("x", (low_x, high_x), most_ticks(theme))
    title = "FLOP of direct arithmetic per byte moved, logarithmic"
    x["axis"]["title"] = lines_of(title, theme.width)
    return {
        "width": theme.width,
        "height": HEIGHT,
        "title": heading("GFLOP/s, logarithmic", theme.muted),
        "encoding": {"x": x, "y": _log_axis("y", (low_y, high_y), 8)},
        "layer": [
            _lines(machine, (low_x, low_y), high_x, theme),
            *_line_names(machine, low_y, high_x, theme),
            _marks(points, key, (high_x / low_x) ** (1 / theme.width)),
        ],
    }


def _log_axis(field: str, domain: tuple[float, float], most: int) -> Spec:
    return {
        "field": field, "type": "quantitative",
        "scale": {"type": "log", "domain": list(domain), "nice": False},
        "axis": {"title": None, "values": log_ticks(*domain, most), "format": FORMAT,
                 "grid": False},
    }  # fmt: skip


def _lines(machine: _Machine, low: tuple[float, float], high_x: float, theme: Theme) -> Spec:
    """The slope of the memory and a level for each roof, from the slope on; ``low`` is the corner
    of the chart."""
    bandwidth, highest = machine.bandwidth, machine.roofs[0].gflop_per_s
    lines = [
        {
            "x": low[0] if bandwidth is None else roof.gflop_per_s / bandwidth,
            "y": roof.gflop_per_s,
            "x_end": high_x,
            "y_end": roof.gflop_per_s,
        }
        for roof in machine.roofs
    ]
    if bandwidth is not None:
        ridge = highest / bandwidth
        slope = {"x": low[1] / bandwidth, "y": low[1], "x_end": ridge, "y_end": highest}
        lines.insert(0, slope)
    return {
        "data": {"values": lines},
        "mark": {"type": "rule", "strokeWidth": 1.6, "color": theme.muted, "aria": False},
        "encoding": {"x2": {"field": "x_end"}, "y2": {"field": "y_end"}},
    }


def _line_names(machine: _Machine, low_y: float, high_x: float, theme: Theme) -> list[Spec]:
    """Roofs at the right end of their lines, the memory at the lower end of its slope."""
    names: dict[int, list[Spec]] = {-7: [], 9: []}
    above = float("inf")
    for roof in machine.roofs:
        offset = -7 if above > SAME_LINE * roof.gflop_per_s else 9
        text = f"{roof.name}: {rate(roof.gflop_per_s)}"
        names[offset].append({"x": high_x, "y": roof.gflop_per_s, "text": text})
        above = roof.gflop_per_s
    layers = [
        _names(values, theme, align="right", dy=offset)
        for offset, values in names.items()
        if values
    ]
    if machine.bandwidth is not None:
        foot = 1.25 * low_y
        text = f"memory: {machine.bandwidth:.3g} GB/s"
        values = [{"x": foot / machine.bandwidth, "y": foot, "text": text}]
        layers.append(_names(values, theme, align="left", dx=9))
    return layers


def _names(values: list[Spec], theme: Theme, **place: object) -> Spec:
    mark = {
        "type": "text", "baseline": "middle", "color": theme.muted, "limit": 0.6 * theme.width,
        "aria": False, **place,
    }  # fmt: skip
    return {"data": {"values": values}, "mark": mark, "encoding": {"text": {"field": "text"}}}


def _marks(points: Sequence[_Point], key: Sequence[Entry], pixel: float) -> Spec:
    """``pixel``: by what factor x grows from one to the next."""
    values: list[Spec] = [
        {
            **outlined(entry, hollow=not point.is_valid),
            "run": point.name,
            "x": point.intensity * pixel**point.shift,
            "y": point.gflop_per_s,
        }
        for entry, point in zip(key, points, strict=True)
    ]
    return {
        "data": {"values": values},
        "mark": {"type": "point", "size": 80, "strokeWidth": 2, "opacity": 1},
        "encoding": {**filled(), "description": {"field": "run"}},
    }


CHART = Chart(
    name="roofline",
    title="Roofline of this processor",
    reading="A level line is the most that one instruction set can do in GFLOP/s, the slope what "
    "memory can feed; percentages are of the peak of the run's precision. Direct arithmetic is "
    "counted, so an engine that saves multiplications may stand above a line. Bytes are counted as "
    "if nothing were fused or stayed in caches. Points that would cover each other stand side by "
    "side.",
    draw=draw,
    needs="it needs a run on the CPU, and the limits of this machine: 'epochmark limits'",
)
