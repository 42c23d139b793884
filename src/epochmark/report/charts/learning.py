"""Training loss and accuracy by epoch, against what correct training gives."""

from __future__ import annotations

from collections.abc import Sequence

from epochmark.analysis.timing.headline import workload_of
from epochmark.records.record import Record
from epochmark.report.drawing.chart import Chart, Drawing
from epochmark.report.drawing.key import Entry
from epochmark.report.drawing.series import coloured, outlined, series_of, shaped
from epochmark.report.drawing.spec import Spec, heading
from epochmark.report.drawing.theme import Theme
from epochmark.report.drawing.ticks import FORMAT, log_ticks, most_ticks, round_ticks
from epochmark.report.figures import device_id, other_workload
from epochmark.report.subject import Subject
from epochmark.workloads._proof import learning_band

MOST_LINES = 6
BAND = 0.25
"""How much of its colour the band has."""


def draw(subject: Subject, theme: Theme) -> Drawing | None:
    """Loss above, accuracy below; a line for each engine of this machine, the focus first."""
    if subject.focus is None:
        return None
    work = subject.focus.workload.name
    others = [
        record
        for record in subject.newest_own()
        if record.id != subject.focus.id and record.workload.name == work
    ]
    records = [r for r in (subject.focus, *others) if len(r.learning.epochs) > 1][:MOST_LINES]
    if not records:
        return None
    names = [f"{record.engine.name} on {device_id(record)}" for record in records]
    names = [f"{n} ({r.id[:4]})" if names.count(n) > 1 else n
             for n, r in zip(names, records, strict=True)]  # fmt: skip
    series = series_of(names, theme)
    losses, accuracies = _values(records, series)
    band = _band(records)
    panels = [
        _panel(losses, "mean training loss, logarithmic", theme, band),
        _panel(accuracies, "training accuracy", theme),
    ]
    key = list(series)
    if band:
        key.append(Entry("correct training", theme.other, "box", opacity=BAND, outlined=False))
    return Drawing(
        spec={"vconcat": panels, "spacing": 24},
        alt="; ".join(_said(name, record) for name, record in zip(names, records, strict=True)),
        about=", ".join([subject.focus.machine.cpu, *other_workload(work)]),
        key=tuple(key),
    )


def _said(name: str, record: Record) -> str:
    first, last = record.learning.epochs[0].loss, record.learning.epochs[-1].loss
    if first is None or last is None:
        return f"{name}: loss not finite"
    return f"{name}: loss from {first:.4f} to {last:.4f}"


def _values(records: Sequence[Record], series: Sequence[Entry]) -> tuple[list[Spec], list[Spec]]:
    losses, accuracies = [], []
    for line, record in zip(series, records, strict=True):
        for epoch in record.learning.epochs:
            point = {"epoch": epoch.epoch, **outlined(line)}
            if epoch.loss is not None and epoch.loss > 0:
                says = f"{line.text}, epoch {epoch.epoch}: loss {epoch.loss:.4g}"
                losses.append({**point, "value": epoch.loss, "says": says})
            if epoch.accuracy is not None:
                says = f"{line.text}, epoch {epoch.epoch}: accuracy {epoch.accuracy:.2%}"
                accuracies.append({**point, "value": epoch.accuracy, "says": says})
    return losses, accuracies


def _band(records: Sequence[Record]) -> list[Spec]:
    """Where the loss of correct training lies, as far as the records go; empty if not measured."""
    workload = workload_of(records[0].workload)
    band = learning_band.load_band(workload)
    if band is None or any(record.workload.batch_size != workload.batch_size for record in records):
        return []
    last = max(len(record.learning.epochs) for record in records)
    return [
        {"epoch": epoch, "low": interval.low, "high": interval.high}
        for epoch, interval in enumerate(band.epoch_losses[:last], start=1)
    ]


def _band_layer(band: list[Spec], theme: Theme) -> Spec:
    return {
        "data": {"values": band},
        "mark": {"type": "area", "color": theme.other, "opacity": BAND,
                 "description": "expected band"},
        "encoding": {
            "x": {"field": "epoch", "type": "quantitative"},
            "y": {"field": "low", "type": "quantitative"},
            "y2": {"field": "high"},
        },
    }  # fmt: skip


def _panel(values: list[Spec], title: str, theme: Theme, band: list[Spec] | None = None) -> Spec:
    """Lines over epochs; with a band (of losses, possibly empty) the axis is logarithmic."""
    logarithmic = band is not None
    epochs = [value["epoch"] for value in values] or [1]
    ends = [value["value"] for value in values]
    ends += [edge for interval in band or [] for edge in (interval["low"], interval["high"])]
    ticks = (log_ticks if logarithmic else round_ticks)(min(ends), max(ends), 6) if ends else []
    encoding: Spec = {
        "x": {
            "field": "epoch", "type": "quantitative",
            "scale": {"zero": False, "nice": False, "padding": 6},
            "axis": {"title": "epoch", "format": "d", "grid": False,
                     "values": _epoch_ticks(max(epochs), most_ticks(theme))},
        },
        "y": {
            "field": "value", "type": "quantitative",
            "scale": {"type": "log", "nice": False} if logarithmic else {"zero": False},
            "axis": {"title": None, "values": ticks, "format": FORMAT if logarithmic else "~%"},
        },
        "color": coloured(),
    }  # fmt: skip
    line = {"type": "line", "strokeWidth": 2, "aria": False}
    point = {"type": "point", "filled": True, "size": 45, "opacity": 1}
    return {
        "width": theme.width,
        "height": 170,
        "title": heading(title, theme.muted),
        "data": {"values": values},
        "layer": [
            *([_band_layer(band, theme)] if band else []),
            {"mark": line, "encoding": encoding},
            {
                "mark": point,
                "encoding": {**encoding, "shape": shaped(), "description": {"field": "says"}},
            },
        ],
    }


def _epoch_ticks(last: int, most: int) -> list[float]:
    """Whole epochs, the first among them."""
    ticks = round_ticks(1.0, float(max(2, last)), most - 1)
    return sorted({1.0, *(tick for tick in ticks if tick % 1 == 0)})


CHART = Chart(
    name="learning",
    title="What was learned",
    reading="Mean training loss (logarithmic) and accuracy of each epoch. Correct training falls "
    "along one curve whatever the engine; a run that leaves the expected band is invalid.",
    draw=draw,
)
