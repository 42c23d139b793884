"""The answer after a run: how fast, and whether to believe it, in lines of text."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from epochmark.analysis.machine.sensed import (
    energy_of,
    memory_on_gpu,
    on_battery,
    use_of_gpu,
    why_no_energy,
)
from epochmark.analysis.timing.headline import (
    expected_steps,
    steady_of,
    steps_in,
    steps_per_epoch,
)
from epochmark.analysis.timing.intervals import Interval
from epochmark.analysis.timing.settling import BURST_S, WINDOW_S, settled
from epochmark.analysis.timing.start_up import Clocks, clocks_of
from epochmark.analysis.timing.steady_epoch import (
    NANOSECONDS,
    QUICK_BUDGET_S,
    QUICK_EPOCHS,
    QUICK_PRECISION,
    QUICK_SHARE,
    SteadyEpoch,
    Waiting,
)
from epochmark.analysis.timing.undisturbed import LEAST_SHARE, is_asked, undisturbed_of
from epochmark.records.findings import MEANING, FindingCode
from epochmark.records.machine.tuned_settings import settings_text
from epochmark.records.record import Record
from epochmark.records.wording import counted
from epochmark.report.digits import range_text, significant, value_text
from epochmark.report.figures import (
    NONE,
    accuracy_text,
    arithmetic_text,
    device_id,
    energy_text,
    engine_text,
    findings_text,
    halves_text,
    images_text,
    other_workload,
    proof_text,
    seconds_text,
    short_proof,
    steady_text,
    target_text,
    unit_of,
    validity_text,
)
from epochmark.report.tables.runs import compiles_again

_LABEL_WIDTH = 14
TOLD_TIDYING_S = 0.25
"""Less than that after the training is no news."""


def answer_lines(record: Record, laps: str | None = None, *, brief: bool = False) -> list[str]:
    """The answer to "how fast, and can it be believed", each fact on a line of its own.

    ``laps`` shows the speed of the laps. ``brief``: as after a run, without what a sound run has to
    prove it and without what this machine cannot measure.
    """
    facts = [*_facts(record, brief), *([("laps", laps)] if laps else [])]
    facts.append(("validity", _validity_text(record, brief)))
    lines = [_title(record), ""]
    lines += [f"  {label:<{_LABEL_WIDTH}} {text}" for label, text in facts]
    for finding in record.findings:
        meaning = MEANING[FindingCode(finding.code)]
        lines += [
            "",
            f"  {finding.code}: {meaning.title}",
            f"    {finding.detail}",
            f"    What to do: {meaning.remedy}.",
        ]
    return lines


def short_answer(record: Record) -> str:
    """The same in one line."""
    run = record.workload
    where = f"{engine_text(record)} on {device_id(record)}"
    name = ", ".join([where, *other_workload(run.name), *run.variant])
    steady = record.headline.steady_epoch_s
    speed = "" if steady is None else f"{steady_text(record)} s per epoch, "
    return f"{name}: {speed}{validity_text(record)}"


def _title(record: Record) -> str:
    run, engine = record.workload, record.engine
    variant = f" ({', '.join(run.variant)})" if run.variant else ""
    where = device_id(record)
    settings = [engine.settings[name] for name in ("instruction_set",) if name in engine.settings]
    if "threads" in engine.settings:
        count = engine.settings["threads"]
        settings.insert(0, f"{count} thread{'s' if count != '1' else ''}")
    detail = ", ".join([record.machine.cpu if where == "cpu" else where, *settings])
    return f"{run.name} v{run.version}{variant}: {engine_text(record)} on {where} ({detail})"


def _facts(record: Record, brief: bool) -> list[tuple[str, str]]:
    headline = record.headline
    facts: list[tuple[str, str]] = []
    if headline.steady_epoch_s is not None:
        facts += _steady_facts(record)
    facts += [("settling", text) for text in _settling_text(record)]
    if headline.elapsed_s is not None:
        work = (
            counted(record.workload.max_steps, "step")
            if record.workload.max_steps is not None
            else counted(record.workload.epochs, "epoch")
        )
        facts.append(("elapsed", f"{seconds_text(headline.elapsed_s)} for {work}"))
    if headline.projected_elapsed_s is not None:
        facts.append(("projected", _projected_text(record)))
    if target_text(record) != NONE:
        facts.append(("to target", target_text(record)))
    facts += _clock_facts(clocks_of(record))
    if headline.images_per_s is not None:
        facts.append((f"{unit_of(record.workload.name)}/s", images_text(record)))
        facts.append(("arithmetic", arithmetic_text(record)))
    if headline.test_accuracy is not None:
        facts.append(("test accuracy", accuracy_text(record)))
    if halves_text(record) != NONE:
        facts.append(("loss by half", halves_text(record)))
    if record.peak_memory_bytes is not None:
        facts.append(("peak memory", f"{record.peak_memory_bytes / 2**20:,.0f} MiB"))
    facts += _power_facts(record, brief)
    seen = record.timing.launcher
    if seen is not None and seen.absent_s:
        facts.append(("not watched", f"{seconds_text(seen.absent_s)}: epochmark itself was paused"))
    if record.engine.tuned_settings is not None:
        facts.append(("tuned settings", settings_text(record.engine.tuned_settings)))
    if record.failure is not None:
        facts.append(("versions", _versions_text(record)))
    return facts


def _settling_text(record: Record) -> Iterator[str]:
    """Burst and settled speed of a run that was to settle."""
    if not record.workload.settle:
        return
    found = settled(record.timing.laps, steps_per_epoch(record.workload))
    if found is None:
        yield "it ended before both a burst and a settled speed were seen"
        return
    yield (
        f"after {found.after_s / 60:.0f} min at {found.ratio:.2f} of the burst speed "
        f"({value_text(found.burst.interval)} s per epoch in the first {BURST_S:.0f} s, "
        f"{value_text(found.settled.interval)} s in the last {WINDOW_S:.0f} s)"
    )


def _power_facts(record: Record, brief: bool) -> list[tuple[str, str]]:
    """Energy, from what it was measured, and a battery; of a run whose sensors were asked."""
    if record.sensors is None or record.outcome == "failed":
        return []
    energies = energy_of(record)
    facts = [("energy", energy_text(energy)) for energy in energies]
    if not energies and not brief:
        facts = [("energy", f"not measured: {why_no_energy(record)}")]
    facts += [("GPU use", text) for text in _gpu_use(record)]
    if on_battery(record):
        facts.append(("power", "battery: many machines are slower on it than on mains"))
    return facts


def _gpu_use(record: Record) -> Iterator[str]:
    """How busy its driver saw the GPU that trained, and what the worker held of its memory."""
    for series in use_of_gpu(record):
        text = f"{series.scope}: {statistics.median(series.values):.0f} % busy"
        held = memory_on_gpu(record)
        yield text if held is None else f"{text}, {held / 2**20:,.0f} MiB held by the worker"


def _projected_text(record: Record) -> str:
    """What a whole run would take, from a quick one; and whether that ended before it knew."""
    steady, projected = steady_of(record), _projected(record)
    notes = [
        f"95 % interval: {range_text(projected)} s",
        f"from {steps_in(record.timing.laps):,} of {expected_steps(record.workload):,} steps",
    ]
    if steady is not None and steady.half_width > QUICK_PRECISION and _ran_out(record):
        notes.append(f"it ended with the steady epoch known to {steady.half_width:.1%} only")
    if steady is not None and not steady.epoch_end_seen:
        notes.append("epoch end not seen")
    whole = counted(record.workload.epochs, "epoch")
    return f"{value_text(projected)} s for {whole}, projected ({', '.join(notes)})"


def _projected(record: Record) -> Interval:
    headline = record.headline
    seconds, low, high = (
        headline.projected_elapsed_s or 0.0,
        headline.projected_elapsed_low_s or 0.0,
        headline.projected_elapsed_high_s or 0.0,
    )
    return Interval(seconds, low, high, 1)


def _ran_out(record: Record) -> bool:
    """Whether a quick run ended because its time or its share was over: at another lap it knew
    enough."""
    laps = record.timing.laps
    steps, most = steps_in(laps), QUICK_SHARE * expected_steps(record.workload)
    epochs = steps / steps_per_epoch(record.workload)
    return (
        epochs >= QUICK_EPOCHS
        or steps + laps[-1].steps > most
        or laps[-1].end_ns >= QUICK_BUDGET_S * NANOSECONDS
    )


def _clock_facts(clocks: Clocks) -> list[tuple[str, str]]:
    """What comes before steady speed: start-up, and the first step or the first epoch's excess."""
    facts = []
    if clocks.startup_s is not None:
        facts.append(
            ("start-up", f"{seconds_text(clocks.startup_s)} before the clock: import, data, model")
        )
    if clocks.first_step_s is not None:
        text = f"{seconds_text(clocks.first_step_s)}, compilation included"
        if compiles_again(clocks):
            text += f"; first smaller batch {seconds_text(clocks.smaller_batch_s)} more"
        facts.append(("first step", text))
    elif clocks.first_epoch_excess_s:
        text = f"{seconds_text(clocks.first_epoch_excess_s)} more than at steady speed"
        facts.append(("first epoch", text))
    if clocks.tidying_s is not None and clocks.tidying_s >= TOLD_TIDYING_S:
        text = f"{seconds_text(clocks.tidying_s)} after the last epoch until fit returned"
        facts.append(("tidying up", f"{text}, part of elapsed"))
    return facts


def _steady_facts(record: Record) -> Iterator[tuple[str, str]]:
    steady = steady_of(record)
    if steady is None:
        return
    yield "steady epoch", _steady_text(steady)
    if steady.waiting is not None:
        yield "waiting", _waiting_text(steady.waiting, steady.unit)
    if is_asked(record):
        yield "calm stretches", _undisturbed_text(record)


def _undisturbed_text(record: Record) -> str:
    """The speed of an unsteady run where it was calm, if it was."""
    calm = undisturbed_of(record)
    if calm is None:
        return f"no calm stretch: no speed held for {LEAST_SHARE:.0%} of the time"
    seconds = significant(calm.epoch_s)
    return f"{seconds} s per epoch when undisturbed, {calm.share:.0%} of the time (not ranked)"


def _steady_text(steady: SteadyEpoch) -> str:
    interval, units = steady.interval, f"{steady.unit}s"
    text = f"{value_text(interval)} s per epoch"
    if interval.count == 1:
        return f"{text} (one {steady.unit} only: no spread)"
    meaning = "95 % interval" if steady.knows_its_spread else "all"
    notes = [
        f"{meaning}: {range_text(interval)} s",
        f"{'median' if steady.unit == 'epoch' else 'mean'} of {interval.count} {units}",
    ]
    if steady.outliers and steady.unit == "epoch":
        notes.append(f"{steady.outliers} far from the rest")
    if steady.warm_up_units:
        notes.append(f"{steady.warm_up_s:.1f} s of warm-up left out")
    if not steady.epoch_end_seen:
        notes.append("epoch end not seen")
    return f"{text} ({', '.join(notes)})"


def _waiting_text(waiting: Waiting, unit: str) -> str:
    """How long the framework waited, and how that is kept out of the steady epoch."""
    units = f"{waiting.units} {unit}{'s' if waiting.units != 1 else ''}"
    how = "taken off for" if waiting.taken_off else f"such {unit}s are left out of"
    return (
        f"the framework slept {seconds_text(waiting.seconds)} in {units}: part of elapsed, {how} "
        "the steady epoch"
    )


def _versions_text(record: Record) -> str:
    """What a failure must be looked up with."""
    versions = {**record.engine.versions, "Python": record.engine.python}
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _validity_text(record: Record, brief: bool) -> str:
    headline = record.headline
    if headline.validity != "valid":
        return f"{headline.validity}: {findings_text(record)}"
    proof = short_proof(record) if brief else proof_text(record)
    proven = f"all work was done, on {', '.join(record.device.observed)}; {proof}"
    if record.findings:
        return f"{headline.validity} ({findings_text(record)}): {proven}"
    return f"{headline.validity}: {proven}"
