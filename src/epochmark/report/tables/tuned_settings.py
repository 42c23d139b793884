"""What a search for tuned settings tried, and what tuned gains over stock."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from epochmark.analysis.comparing.comparison import ratio_interval
from epochmark.analysis.timing.intervals import Interval
from epochmark.records.machine.tuned_settings import Tried, Tuned, settings_text
from epochmark.records.record import Record
from epochmark.records.wording import counted
from epochmark.report.digits import MAX_DECIMALS, range_text, ratio_text, value_text
from epochmark.report.figures import NONE, device_id, other_workload, steady_interval

TUNING_COLUMNS = ("setting", "value", "gain", "pairs", "ms/step", "outcome")

REASON_LENGTH = 160


def tuning_rows(tuned: Tuned) -> list[tuple[str, ...]]:
    """One row for each value tried, in ``TUNING_COLUMNS``. ``gain`` is how many times as fast as
    the best settings before it, with the range over the pairs of runs."""
    return [_row(trial) for trial in tuned.tried]


def _row(trial: Tried) -> tuple[str, ...]:
    outcome = f"{trial.outcome}: {trial.detail}" if trial.detail else trial.outcome
    if not trial.gains:
        return (trial.setting, trial.value, NONE, NONE, NONE, outcome)
    gain = _range_of(trial.gains)
    spread = f" ({range_text(gain, MAX_DECIMALS)})" if len(trial.gains) > 1 else ""
    step = value_text(_range_of([seconds * 1e3 for seconds in trial.with_s]))
    return (
        trial.setting,
        trial.value,
        f"{ratio_text(gain)}{spread}",
        str(len(trial.gains)),
        step,
        outcome,
    )


def _range_of(values: Sequence[float]) -> Interval:
    """Their median, and how far they lie apart."""
    return Interval(statistics.median(values), min(values), max(values), len(values))


def _together(runs: Sequence[Interval]) -> Interval:
    """The interval of a single run, else how far the medians of several lie apart."""
    return runs[0] if len(runs) == 1 else _range_of([run.median for run in runs])


def tuning_lines(tuned: Tuned) -> list[str]:
    """The settings found, in a line, and another one where they are doubtful."""
    where = f"{tuned.engine} on {tuned.device}"
    lines = [f"{where}, tuned {tuned.measured[:10]}: {settings_text(tuned.settings)}"]
    if tuned.disturbed:
        lines.append(
            f"other programs were busy during {tuned.disturbed} of its "
            f"{counted(tuned.runs, 'run')}; "
            "--retune searches again"
        )
    return lines


def refused_lines(tuned: Tuned) -> list[str]:
    """The settings that were tried and failed, or computed something else, each with the reason;
    and those for which there was no time."""
    what = {"failed": "failed", "wrong": "was dropped, since it computed something else"}
    lines = [
        f"  {trial.setting} {trial.value} {what[trial.outcome]}: {_shortened(trial.detail)}"
        for trial in tuned.tried
        if trial.outcome in what
    ]
    late = [
        f"{trial.setting} {trial.value}" for trial in tuned.tried if trial.outcome == "not tried"
    ]
    return [*lines, *([f"  not tried for lack of time: {', '.join(late)}"] if late else [])]


def _shortened(reason: str) -> str:
    return reason if len(reason) <= REASON_LENGTH else f"{reason[: REASON_LENGTH - 3]}..."


def gain_lines(records: Sequence[Record]) -> list[str]:
    """For each engine, device and workload that ran stock and tuned: how many times as fast tuned
    is, by the medians of the valid runs. A statement about settings, not a rank."""
    steady: dict[tuple[str, ...], dict[str, list[Interval]]] = {}
    for record in records:
        run, where = record.workload, f"{record.engine.name} on {device_id(record)}"
        setup = (where, *other_workload(run.name), *run.variant)
        figure = steady_interval(record)
        if record.headline.validity == "valid" and figure is not None:
            steady.setdefault(setup, {}).setdefault(record.engine.tuning, []).append(figure)
    lines = []
    for setup, by_tuning in steady.items():
        if by_tuning.keys() == {"stock", "tuned"}:
            stock, tuned = (_together(by_tuning[name]) for name in ("stock", "tuned"))
            gain = ratio_interval(stock, tuned, exact_bounds=False)
            lines.append(
                f"{', '.join(setup)}: tuned trains "
                f"{ratio_text(gain)} times as fast as stock "
                f"({value_text(tuned)} s over {value_text(stock)} s per epoch)"
            )
    return lines
