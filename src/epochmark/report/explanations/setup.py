"""How the run was set up: threads, instruction set, power."""

from __future__ import annotations

from collections.abc import Iterator

from epochmark.analysis.comparing.batch_sizes import CPU, crossovers
from epochmark.analysis.timing.beside import own_samples
from epochmark.records.record import Calm
from epochmark.records.wording import counted
from epochmark.report.explanations._rule import Evidence, Rule, Sentence
from epochmark.report.figures import rate
from epochmark.report.tables.batch_sweep import crossover_lines

IDLE_SHARE = 0.6
"""Of the cores that an engine could use: less than this kept busy is worth a word."""
FEWEST_SAMPLES = 3
"""Fewer do not show what steps keep busy."""
FASTER_SET = 1.2
SLOW_GOVERNORS = ("powersave", "conservative")


def few_threads(evidence: Evidence) -> Iterator[Sentence]:
    """Fewer threads than cores."""
    threads, cores = _threads(evidence), _cores(evidence)
    if not evidence.on_cpu or threads is None or threads >= cores:
        return
    yield Sentence(
        f"It used {counted(threads, 'thread')} of {cores} cores.",
        {"threads": threads, "cores": cores},
        f"run it with --threads {cores}, or without --threads and OMP_NUM_THREADS",
    )


def few_busy(evidence: Evidence) -> tuple[float, int] | None:
    """CPUs kept busy and cores it could use, where the former are far fewer."""
    calm, steady, threads = evidence.record.calm, evidence.steady, _threads(evidence)
    if calm is None or steady is None or not evidence.on_cpu:
        return None
    usable = min(_cores(evidence), threads or _cores(evidence))
    busy = _busy_cpus(calm, steady.warm_up_s)
    return (busy, usable) if busy is not None and busy < IDLE_SHARE * usable else None


def idle_cores(evidence: Evidence) -> Iterator[Sentence]:
    """Threads that wait for each other."""
    found = few_busy(evidence)
    if found is None or found[1] < 2:
        return
    busy, usable = found
    yield Sentence(
        f"It kept {busy:.1f} of {usable} cores busy while it computed: parts of its steps are not "
        "spread over threads.",
        {"busy_cpus": busy, "cores": usable},
        "larger batches give threads more to share; a tuned run may find better settings",
    )


def crossover(evidence: Evidence) -> Iterator[Sentence]:
    """The processor against another device: in all, and at this run's batch size."""
    batch_size = evidence.record.workload.batch_size
    for found in crossovers(evidence.beside):
        device = found.device
        if not evidence.on_cpu and device != evidence.device:
            continue
        both = [sweep for sweep in evidence.beside if sweep.device in (CPU, device)]
        summary, *lines = crossover_lines(both)
        here = [
            f" At {line.strip()}."
            for verdict, line in zip(found.verdicts, lines, strict=True)
            if verdict.batch_size == batch_size
        ]
        yield Sentence(
            "".join([summary, *here]),
            {"device": device, "batch": batch_size, "faster_from": found.from_batch or "no batch"},
        )


def lesser_instruction_set(evidence: Evidence) -> Iterator[Sentence]:
    """Native kernels of a lesser instruction set than the processor has."""
    used = evidence.record.engine.settings.get("instruction_set")
    processor = evidence.limits.processor if evidence.limits else None
    if used is None or processor is None:
        return
    peaks = {
        measured.instruction_set: measured.timed.per_s.high
        for measured in sorted(
            processor.multiply_adds, key=lambda measured: measured.timed.per_s.high
        )
        if measured.precision == "float32"
    }
    if used not in peaks:
        return
    best = max(peaks, key=peaks.__getitem__)
    if peaks[best] < FASTER_SET * peaks[used]:
        return
    yield Sentence(
        f"It ran kernels for {used}, whose multiply-adds reach {rate(peaks[used])} GFLOP/s here; "
        f"{best} reaches {rate(peaks[best])}.",
        {"used": used, "used_gflop_per_s": peaks[used], "best": best,
         "best_gflop_per_s": peaks[best]},
        "leave EPOCHMARK_NATIVE_ISA unset",
    )  # fmt: skip


def battery(evidence: Evidence) -> Iterator[Sentence]:
    """On battery."""
    if evidence.record.machine.power_source == "battery":
        yield Sentence(
            "The machine ran on battery, where most laptops limit their power.",
            {"power_source": "battery"},
            "run it again on mains power",
        )


def governor(evidence: Evidence) -> Iterator[Sentence]:
    """A governor that may hold the clock back."""
    name = evidence.record.machine.cpu_governor
    if name in SLOW_GOVERNORS:
        yield Sentence(
            f"The CPU governor was {name}, which on some processors holds the clock back.",
            {"cpu_governor": name},
            "run it again with the governor 'performance'",
        )


def _busy_cpus(calm: Calm, warm_s: float) -> float | None:
    """CPUs kept busy in the samples after the warm-up in which it computed; None of too few."""
    samples = [
        sample
        for sample in own_samples(calm)
        if sample.span.start_s >= warm_s and not sample.stood_still
    ]
    if len(samples) < FEWEST_SAMPLES:
        return None
    return sum(sample.used_s for sample in samples) / sum(
        sample.span.lasted_s for sample in samples
    )


def _threads(evidence: Evidence) -> int | None:
    """As the engine reports them; None where it has its framework's default."""
    text = evidence.record.engine.settings.get("threads", "")
    return int(text) if text.isascii() and text.isdecimal() and 0 < len(text) < 6 else None


def _cores(evidence: Evidence) -> int:
    """Physical cores as far as they are usable: a second thread on one core rarely helps here."""
    machine = evidence.record.machine
    return min(machine.usable_cores, machine.physical_cores or machine.usable_cores)


RULES = (
    Rule(
        name="few-threads",
        question="setting",
        needs="right work",
        says_when="on the CPU, the engine reports fewer threads than usable physical cores",
        reason="arithmetic scales with cores; a second thread on one core shares its arithmetic",
        apply=few_threads,
    ),
    Rule(
        name="idle-cores",
        question="limit",
        needs="time",
        says_when=(
            f"on the CPU, less than {IDLE_SHARE:.0%} of the cores it could use were kept busy "
            f"while it computed after the warm-up, seen in at least {FEWEST_SAMPLES} samples"
        ),
        reason=(
            "an engine that waits half of the time for one thread cannot be faster than that thread"
        ),
        apply=idle_cores,
    ),
    Rule(
        name="crossover",
        question="setting",
        needs="right work",
        says_when=(
            "batch sweeps of this engine on the CPU and on another device (that of the run, unless "
            "it is the CPU) differ in nothing else and have a batch size in common"
        ),
        reason="the device is a choice: which one is faster depends on the batch size",
        apply=crossover,
    ),
    Rule(
        name="lesser-instruction-set",
        question="setting",
        needs="right work",
        says_when=(
            "the native kernels used an instruction set, and another one's multiply-adds are "
            f"{FASTER_SET} times as fast on this machine"
        ),
        reason="the native engine picks the best by itself, so another one was asked for",
        apply=lesser_instruction_set,
    ),
    Rule(
        name="battery",
        question="setting",
        needs="right work",
        says_when="the machine ran on battery",
        reason="firmware limits power and clock there",
        apply=battery,
    ),
    Rule(
        name="governor",
        question="setting",
        needs="right work",
        says_when=f"the CPU governor is one of: {', '.join(SLOW_GOVERNORS)}",
        reason=(
            "with intel_pstate 'powersave' is harmless, with other drivers it keeps the clock low, "
            "hence 'on some processors'"
        ),
        apply=governor,
    ),
)
