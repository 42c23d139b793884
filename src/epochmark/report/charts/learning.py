"""Training loss and accuracy by epoch, against what correct training gives."""

from __future__ import annotations

from collections.abc import Sequence

from epochmark.analysis.timing.headline import workload_of
from epochmark.records.record import Record
from epochmark.report.drawing.bars import log_ticks
from epochmark.report.drawing.chart import Chart, Drawing, Spec, legend
from epochmark.report.drawing.theme import Theme
from epochmark.report.figures import device_id, shortened
from epochmark.report.subject import Subject
from epochmark.workloads import learning_band

MOST_LINES = 6


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
    losses, accuracies = _values(records, names)
    colours = {"domain": names, "range": list(theme.series[: len(names)])}
    band = _band(records)
    panels = [
        _panel(losses, "mean training loss", theme, colours, band),
        _panel(accuracies, "training accuracy", theme, colours),
    ]
    spoken = [_said(name, record) for name, record in zip(names, records, strict=True)]
    about = shortened(subject.focus.machine.cpu)
    return Drawing({"vconcat": panels, "spacing": 24}, "; ".join(spoken), about)


def _said(name: str, record: Record) -> str:
    first, last = record.learning.epochs[0].loss, record.learning.epochs[-1].loss
    if first is None or last is None:
        return f"{name}: loss not finite"
    return f"{name}: loss from {first:.4f} to {last:.4f}"


def _values(records: Sequence[Record], names: Sequence[str]) -> tuple[list[Spec], list[Spec]]:
    losses, accuracies = [], []
    for name, record in zip(names, records, strict=True):
        for epoch in record.learning.epochs:
            point = {"run": name, "epoch": epoch.epoch}
            if epoch.loss is not None and epoch.loss > 0:
                says = f"{name}, epoch {epoch.epoch}: loss {epoch.loss:.4g}"
                losses.append({**point, "value": epoch.loss, "says": says})
            if epoch.accuracy is not None:
                says = f"{name}, epoch {epoch.epoch}: accuracy {epoch.accuracy:.2%}"
                accuracies.append({**point, "value": epoch.accuracy, "says": says})
    return losses, accuracies


def _band(records: Sequence[Record]) -> list[Spec]:
    """Where the loss of correct training lies, as far as the records go; empty if not measured."""
    workload = workload_of(records[0].workload)
    band = learning_band.load_band(workload)
    if band is None or any(one.workload.batch_size != workload.batch_size for one in records):
        return []
    last = max(len(record.learning.epochs) for record in records)
    return [
        {"epoch": epoch, "low": interval.low, "high": interval.high}
        for epoch, interval in enumerate(band.epoch_losses[:last], start=1)
    ]


def _band_layer(band: list[Spec], theme: Theme) -> Spec:
    return {
        "data": {"values": band},
        "mark": {"type": "area", "color": theme.other, "opacity": 0.25,
                 "description": "expected band"},
        "encoding": {
            "x": {"field": "epoch", "type": "quantitative"},
            "y": {"field": "low", "type": "quantitative"},
            "y2": {"field": "high"},
        },
    }  # fmt: skip


def _panel(
    values: list[Spec], title: str, theme: Theme, colours: Spec, band: list[Spec] | None = None
) -> Spec:
    """Lines over epochs; with a band (of losses, possibly empty) the axis is logarithmic."""
    logarithmic = band is not None
    scale: Spec = {"type": "log", "nice": False} if logarithmic else {"zero": False}
    epochs = sorted({value["epoch"] for value in values})
    ends = [value["value"] for value in values]
    ends += [edge for interval in band or [] for edge in (interval["low"], interval["high"])]
    ticks = {"values": log_ticks(min(ends), max(ends))} if logarithmic and ends else {}
    encoding: Spec = {
        "x": {
            "field": "epoch", "type": "quantitative",
            "scale": {"zero": False, "nice": False, "padding": 6},
            "axis": {"title": "epoch", "format": "d", "grid": False,
                     "values": epochs if len(epochs) <= 20 else None},
        },
        "y": {
            "field": "value", "type": "quantitative", "scale": scale,
            "axis": {"title": title, "tickCount": 5, "format": "~g" if logarithmic else ".1%",
                     **ticks},
        },
        "color": {"field": "run", "type": "nominal", "scale": colours,
                  "legend": legend(colours["domain"], theme)},
    }  # fmt: skip
    return {
        "width": theme.width,
        "height": 170,
        "data": {"values": values},
        "layer": [
            *([_band_layer(band, theme)] if band else []),
            {"mark": {"type": "line", "strokeWidth": 2, "aria": False}, "encoding": encoding},
            {
                "mark": {"type": "point", "filled": True, "size": 45, "opacity": 1},
                "encoding": {
                    **encoding,
                    "shape": {"field": "run", "type": "nominal",
                              "scale": {"domain": colours["domain"]},
                              "legend": legend(colours["domain"], theme)},
                    "description": {"field": "says"},
                },
            },
        ],
    }  # fmt: skip


CHART = Chart(
    name="learning",
    title="What was learned",
    reading="Mean training loss (logarithmic) and accuracy of each epoch. Correct training falls "
    "along one curve whatever the engine; a run that leaves the expected band is invalid.",
    draw=draw,
)
