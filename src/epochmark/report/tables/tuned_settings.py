"""What a search for tuned settings tried, and what tuned gains over stock."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from epochmark.records.machine.tuned_settings import Tried, Tuned, settings_text
from epochmark.records.record import Record
from epochmark.report.figures import NONE, device_id, seconds_text
from epochmark.workloads import DEFAULT_WORKLOAD

TUNING_COLUMNS = ("setting", "value", "gain", "pairs", "ms/step", "outcome")

REASON_LENGTH = 160


def tuning_rows(tuned: Tuned) -> list[tuple[str, ...]]:
    """One row for each value tried, in ``TUNING_COLUMNS``. ``gain`` is how many times as fast as
    the best settings before it, with the range over the pairs of runs."""
    return [_row(one) for one in tuned.tried]


def _row(one: Tried) -> tuple[str, ...]:
    outcome = f"{one.outcome}: {one.detail}" if one.detail else one.outcome
    if not one.gains:
        return (one.setting, one.value, NONE, NONE, NONE, outcome)
    gain, low, high = statistics.median(one.gains), min(one.gains), max(one.gains)
    spread = f" ({low:.2f} to {high:.2f})" if len(one.gains) > 1 else ""
    step = f"{statistics.median(one.with_s) * 1e3:.1f}"
    return (one.setting, one.value, f"{gain:.2f}{spread}", str(len(one.gains)), step, outcome)


def tuning_lines(tuned: Tuned) -> list[str]:
    """The settings found, in a line, and another one where they are doubtful."""
    where = f"{tuned.engine} on {tuned.device}"
    lines = [f"{where}, tuned {tuned.measured[:10]}: {settings_text(tuned.settings)}"]
    if tuned.disturbed:
        lines.append(
            f"other programs were busy during {tuned.disturbed} of its {tuned.runs} runs; "
            "--retune searches anew"
        )
    return lines


def refused_lines(tuned: Tuned) -> list[str]:
    """The settings that were tried and failed, or computed something else, each with the reason;
    and those for which there was no time."""
    what = {"failed": "failed", "wrong": "is left out, since it computed something else"}
    lines = [
        f"  {one.setting} {one.value} {what[one.outcome]}: {_shortened(one.detail)}"
        for one in tuned.tried
        if one.outcome in what
    ]
    late = [f"{one.setting} {one.value}" for one in tuned.tried if one.outcome == "not tried"]
    return [*lines, *([f"  not tried for lack of time: {', '.join(late)}"] if late else [])]


def _shortened(reason: str) -> str:
    return reason if len(reason) <= REASON_LENGTH else f"{reason[: REASON_LENGTH - 3]}..."


def gain_lines(records: Sequence[Record]) -> list[str]:
    """For each engine, device and workload that ran stock and tuned: how many times as fast tuned
    is, by the medians of the valid runs. A statement about settings, not a rank."""
    steady: dict[tuple[str, ...], dict[str, list[float]]] = {}
    for record in records:
        run = record.workload
        other = [] if run.name == DEFAULT_WORKLOAD else [run.name]
        way = (f"{record.engine.name} on {device_id(record)}", *other, *run.variant)
        figure = record.headline.steady_epoch_s
        if record.headline.validity == "valid" and figure is not None:
            steady.setdefault(way, {}).setdefault(record.engine.tuning, []).append(figure)
    lines = []
    for way, by_tuning in steady.items():
        if by_tuning.keys() == {"stock", "tuned"}:
            stock, tuned = (statistics.median(by_tuning[name]) for name in ("stock", "tuned"))
            lines.append(
                f"{', '.join(way)}: tuned trains "
                f"{stock / tuned:.2f} times as fast as stock "
                f"({seconds_text(tuned)} over {seconds_text(stock)} per epoch)"
            )
    return lines
