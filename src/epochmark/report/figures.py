"""The cells of a record that more than one table shows, with no more digits than they carry."""

from __future__ import annotations

from collections.abc import Iterator

from epochmark.analysis.machine.arithmetic import (
    ceiling_of,
    direct_gflop_per_s,
    has_known_bound,
    share_of_peak,
)
from epochmark.analysis.machine.sensed import Energy
from epochmark.analysis.timing.headline import (
    copying_is_judged,
    half_losses,
    learning_is_judged,
    replay_verdict,
    workload_of,
)
from epochmark.analysis.timing.intervals import Interval
from epochmark.records.record import Record
from epochmark.report.digits import range_text, scaled, significant, value_text
from epochmark.workloads import DEFAULT_WORKLOAD, WORKLOADS
from epochmark.workloads._proof import continuation_verdict, learning_band

NONE = "-"
"""Stands where a run did not come so far."""

LONGEST_NAME = 40
"""Characters of a label or a machine's name in tables of text."""

_FIGURES = (
    "s/epoch", "interval", "elapsed", "images/s", "accuracy", "ratio", "rank", "CPU", "GPU", "TPU",
    "batch", "ms/step", "GFLOP/s", "TFLOP", "MFLOP", "parameters", "GB/s", "of peak", "threads",
    "dispatch", "input", "start-up", "first", "memory", "measured", "to target",
    "loss by half", "vs",
)  # fmt: skip


def is_figure(column: str) -> bool:
    """Whether the column under this heading holds figures: aligned right, never broken."""
    return column.startswith(_FIGURES)


def seconds_text(seconds: float | None) -> str:
    """Seconds with three or four significant digits and the unit; a dash for None."""
    return NONE if seconds is None else f"{bare_seconds(seconds)} s"


def bare_seconds(seconds: float | None) -> str:
    """The same without the unit, for a column that names it."""
    if seconds is None:
        return NONE
    if seconds >= 1000:
        return f"{seconds:,.0f}"
    if seconds < 0.01:
        return significant(seconds) if seconds > 1e-6 else "0"
    decimals = 1 if seconds >= 100 else 2 if seconds >= 1 else 3
    return f"{seconds:.{decimals}f}"


def steady_interval(record: Record) -> Interval | None:
    """The steady epoch in seconds with its interval; None where the run did not come so far."""
    headline = record.headline
    steady, low, high = (
        headline.steady_epoch_s,
        headline.steady_epoch_low_s,
        headline.steady_epoch_high_s,
    )
    if steady is None:
        return None
    return Interval(steady, steady if low is None else low, steady if high is None else high, 1)


def steady_text(record: Record) -> str:
    """The steady epoch in seconds, with the digits its interval leaves it (``8.2``)."""
    interval = steady_interval(record)
    return NONE if interval is None else value_text(interval)


def interval_text(record: Record) -> str:
    """The steady epoch's interval in seconds (``11.8 to 12.3``)."""
    interval = steady_interval(record)
    return NONE if interval is None else range_text(interval)


def images_text(record: Record) -> str:
    """Images or tokens per second (``12,300``), known as well as the steady epoch is."""
    samples = record.headline.images_per_s
    if samples is None:
        return NONE
    return speed_text(samples * targets_of(record.workload.name), steady_interval(record))


def under_images(speed: str, workload: str) -> str:
    """A speed under the heading ``images/s``, where any other unit is named: ``704 tokens``."""
    unit = unit_of(workload)
    return speed if unit == "images" or speed == NONE else f"{speed} {unit}"


def unit_of(workload: str) -> str:
    """What this workload's speed counts by the second: ``images`` or ``tokens``."""
    known = WORKLOADS.get(workload)
    return "images" if known is None else known.unit


def other_workload(name: str) -> list[str]:
    """The workload's name, unless it is the default, which goes without saying."""
    return [] if name == DEFAULT_WORKLOAD else [name]


def samples_of(workload: str) -> str:
    """What its batches are counted in: ``images`` or ``sequences``."""
    return "images" if unit_of(workload) == "images" else "sequences"


def targets_of(workload: str) -> int:
    """Of these in one of its samples."""
    known = WORKLOADS.get(workload)
    return 1 if known is None else known.targets_per_sample


def speed_text(speed: float, steady: Interval | None) -> str:
    """What a run does in a second, known as well as its steady epoch is."""
    return significant(speed) if steady is None else value_text(scaled(speed, steady))


def energy_text(energy: Energy) -> str:
    """Joules per epoch with what they cover and who measured them; three digits, sensors carry no
    more."""
    joules = float(f"{energy.joules_per_epoch:.3g}")
    return (
        f"{joules:,.10g} J per epoch: {energy.scope}, {energy.watts:.3g} W "
        f"({energy.source}, {energy.lasted_s:.0f} s)"
    )


def percent(share: float) -> str:
    """``84%``; below one percent with a digit more."""
    return f"{share:.0%}" if share >= 0.01 or not share else f"{share:.1%}"


def rate(gflop_per_s: float) -> str:
    """GFLOP/s with two or three digits, without the unit."""
    return f"{gflop_per_s:,.0f}" if gflop_per_s >= 10 else significant(gflop_per_s, 2)


def arithmetic_text(record: Record) -> str:
    """The speed as direct arithmetic, and its share of the processor's peak where that is known;
    empty without a speed."""
    reached = direct_gflop_per_s(record, record.headline.images_per_s)
    if reached is None:
        return ""
    speed = speed_text(reached, steady_interval(record))
    text = f"{speed} GFLOP/s, counted as direct arithmetic"
    ceiling, share = ceiling_of(record), share_of_peak(record)
    if ceiling is None or share is None:
        return text
    over = " (direct-arithmetic equivalent)" if share > 1 else ""
    busy = "" if record.limits is None or record.limits.steady else "; measured while it was busy"
    return (
        f"{text}: {percent(share)} of the peak{over}, {rate(ceiling.gflop_per_s)} GFLOP/s "
        f"({ceiling.source}{busy})"
    )


def accuracy_text(record: Record) -> str:
    """Test accuracy in percent (``99.03%``)."""
    accuracy = record.headline.test_accuracy
    return NONE if accuracy is None else f"{accuracy:.2%}"


def target_text(record: Record) -> str:
    """When the workload's target was reached, or that it was not; a dash where there is none, or
    no epoch ended."""
    target, seconds = workload_of(record.workload).target, record.headline.time_to_target_s
    if target is None or not record.learning.epochs:
        return NONE
    reached = "not reached" if seconds is None else seconds_text(seconds)
    return f"{reached} (an epoch's mean training loss of at most {target.loss:g})"


def halves_text(record: Record) -> str:
    """Test loss over both halves of the context (``1.3316 in the first half of ...``); a dash
    where the data set has no halves."""
    halves = half_losses(record)
    if halves is None:
        return NONE
    first, second = halves
    return f"{first:.4f} in the first half of the context, {second:.4f} in its copy, the second"


def findings_text(record: Record) -> str:
    """Codes of all findings (``loss-flat, parity-failed``), empty for none."""
    return ", ".join(finding.code for finding in record.findings)


def validity_text(record: Record) -> str:
    """Validity with the findings behind it: ``invalid (loss-flat)``."""
    findings = findings_text(record)
    validity = record.headline.validity
    return f"{validity} ({findings})" if findings else validity


def proof_text(record: Record) -> str:
    """What was held against what in a run whose work is right, and what was not."""
    verdict = replay_verdict(record)
    error = f"{verdict.max_error:.1e}" if verdict else "?"
    parts = [
        f"{replayed_text(record)} agree with the float64 losses to {error} "
        f"({record.precision.observed})"
    ]
    found = record.continuation
    if found is not None and found.single is not None and found.repeated is not None:
        steps = len(found.single.losses) + (found.repeated_steps or 0)
        errors = [*found.single.update_errors.values(), *found.repeated.update_errors.values()]
        worst = max((error for error in errors if error is not None), default=0.0)
        further = f"{steps} further steps of the timed code"
        if _continuation_is_judged(record):
            parts.append(f"{further} to {worst:.1e} of each update")
        else:
            parts.append(f"{further} were not judged: no tolerance has been measured for them")
    else:
        parts.append("whether the timed code makes the same steps was not checked")
    parts += _learning_proof(record)
    if not has_known_bound(record):
        parts.append(f"how fast {device_id(record)} can be at most is unknown")
    return "; ".join(parts)


def _continuation_is_judged(record: Record) -> bool:
    """Whether it is known how far the steps after the fit may be from those of float64."""
    workload = workload_of(record.workload)
    return continuation_verdict.tolerance_of(workload, record.precision.observed, 1) is not None


def replayed_text(record: Record) -> str:
    """How many steps were replayed, and how."""
    sgd = record.replay is not None and record.replay.sgd_losses
    return "thirteen replayed steps (three of plain SGD)" if sgd else "ten replayed steps"


def _learning_proof(record: Record) -> Iterator[str]:
    """What of loss and accuracy was judged, and what not."""
    has_halves = half_losses(record) is not None
    if has_halves:
        yield "the test loss is not below what the sequences allow"
        if workload_of(record.workload).target is None:
            yield "when copying is learned has not been measured"
        elif copying_is_judged(record):
            yield "copying was learned"
        else:
            yield "whether copying was learned is judged after a whole run only"
    if learning_is_judged(record):
        yield "loss and accuracy are what correct training gives"
        return
    unjudged = "no more of loss and accuracy was" if has_halves else "loss and accuracy were not"
    if learning_band.load_band(workload_of(record.workload)) is None:
        yield (
            f"{unjudged} judged: no band of correct training has been measured for "
            f"{record.workload.name}"
        )
    else:
        yield (
            f"{unjudged} judged: their range is known only for whole epochs in float32 at the "
            "workload's batch"
        )


def short_proof(record: Record) -> str:
    """The same in half a line, for a reader who can look the rest up."""
    found = record.continuation
    replay = record.replay
    steps = 0 if replay is None else len(replay.losses) + len(replay.sgd_losses or [])
    if found is not None and found.single is not None and _continuation_is_judged(record):
        steps += len(found.single.losses) + (found.repeated_steps or 0)
    if learning_is_judged(record):
        learning = "loss and accuracy are right"
    elif copying_is_judged(record):
        learning = "copying was learned; no more of loss and accuracy was judged"
    else:
        learning = "loss and accuracy were not judged"
    return f"{steps} steps agree with float64 ({record.precision.observed}); {learning}"


def machine_name(record: Record) -> str:
    """The machine's model, else its processor."""
    return record.machine.model or record.machine.cpu


def labelled_machine(record: Record) -> str:
    """The machine, and the user's remark about the run where there is one."""
    name = machine_name(record)
    return f"{name} ({record.label})" if record.label else name


def run_in_words(record: Record) -> str:
    """Which run, by what sets it apart (``torch on cpu, tuned, AMD EPYC``), and whether it is to be
    doubted."""
    tuning = [record.engine.tuning] if record.engine.tuning != "stock" else []
    run = record.workload
    parts = [
        f"{record.engine.name} on {device_id(record)}",
        *other_workload(run.name), *tuning, *run.variant,
    ]  # fmt: skip
    doubt = [validity_text(record)] if record.headline.validity != "valid" else []
    return ", ".join([*parts, device_name(record), *doubt])


def device_name(record: Record) -> str:
    """The device that trained: the processor's name for ``cpu``, otherwise as the engine reports
    it."""
    device = record.device
    if device_id(record) == "cpu":
        return record.machine.cpu
    return device.resolved_description or device_id(record)


def engine_text(record: Record) -> str:
    """The engine, and whether it was tuned."""
    name = record.engine.name
    return name if record.engine.tuning == "stock" else f"{name} {record.engine.tuning}"


def device_id(record: Record) -> str:
    """The resolved device, or the requested one where the run did not come so far."""
    return record.device.resolved or record.device.requested


def shortened(name: str) -> str:
    """A name in a table that people read, cut where it would break the table; records, CSV and JSON
    have it whole."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
