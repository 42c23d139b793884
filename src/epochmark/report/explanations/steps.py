"""What a step costs besides arithmetic: dispatch, input, memory, and work that does not grow with
the batch."""

from __future__ import annotations

from collections.abc import Iterator

from epochmark.analysis.comparing.batch_sizes import BatchPoint
from epochmark.analysis.timing.headline import workload_of
from epochmark.records.quantities import GIGA
from epochmark.report.explanations._rule import SAME_RATE, Evidence, Rule, Sentence, milliseconds
from epochmark.report.figures import percent, samples_of, unit_of
from epochmark.workloads import DEFAULT_WORKLOAD, WORKLOADS
from epochmark.workloads.memory_traffic import (
    ACTIVATION_PASSES,
    PARAMETER_PASSES,
    bytes_per_step,
    operations_per_step,
)

DISPATCH_SHARE = 0.1
DOES_NOT_RANK = 0.5
"""From this share on the time is that of dispatch or input, whatever the device can do."""
INPUT_SHARE = 0.1
MEMORY_SHARE = 0.3
FIXED_SHARE = 0.3
LIMITS_OF = DEFAULT_WORKLOAD
"""The workload whose batches ``epochmark limits`` gathers."""
FULLER = 1.5
OF_DEFAULT = operations_per_step(WORKLOADS[DEFAULT_WORKLOAD])
"""Operations of a step that the rules name as an example."""


def dispatch(evidence: Evidence) -> Iterator[Sentence]:
    """Operations given to the device one by one."""
    limits = evidence.stock_limits
    if limits is None or limits.dispatch is None:
        return
    latency_s, step_s = limits.dispatch.call_s.median, evidence.step_s
    workload = workload_of(evidence.record.workload)
    count = operations_per_step(workload) if evidence.is_eager else 1
    share = count * latency_s / step_s
    if share < DISPATCH_SHARE:
        return
    what = f"{count} operations one by one" if evidence.is_eager else "a step as a whole"
    yield Sentence(
        f"Dispatch takes about {percent(min(share, 1.0))} of a step: one call takes "
        f"{milliseconds(latency_s)} until its result is there, a step {milliseconds(step_s)}, "
        f"and this engine hands over {what}"
        f"{_does_not_rank(share)}.",
        {"dispatch_s": latency_s, "operations": count, "step_s": step_s},
        "larger batches give each call more to do: --sweep-batch shows how many it takes",
    )


def input_(evidence: Evidence) -> Iterator[Sentence]:
    """Images that must come to the device before it can compute."""
    limits, workload = evidence.stock_limits, workload_of(evidence.record.workload)
    if limits is None or limits.input is None:
        return
    if workload.name != LIMITS_OF or evidence.record.workload.batch_size != workload.batch_size:
        return
    input_s, step_s = limits.input.call_s.median, evidence.step_s
    share = input_s / step_s
    if share < INPUT_SHARE:
        return
    where = "" if evidence.on_cpu else ", unless the device computes at the same time"
    yield Sentence(
        f"Input takes about {percent(min(share, 1.0))} of a step{where}: to gather a batch of "
        f"{workload.batch_size} {workload.samples} and bring it to the device takes "
        f"{milliseconds(input_s)}, a step {milliseconds(step_s)}{_does_not_rank(share)}.",
        {"input_s": input_s, "batch": workload.batch_size, "step_s": step_s},
        None
        if evidence.on_cpu
        else "--tuning tuned keeps all images on the device where the engine offers that",
    )


def _does_not_rank(share: float) -> str:
    ranks = share < DOES_NOT_RANK
    return "" if ranks else ": this figure does not rank the arithmetic of the device"


def memory(evidence: Evidence) -> Iterator[Sentence]:
    """Activations and weights that move through memory."""
    bandwidth = _bandwidth(evidence)
    if bandwidth is None or not evidence.on_cpu:
        return
    workload = workload_of(evidence.record.workload)
    moved = bytes_per_step(workload, evidence.record.workload.batch_size)
    moving_s, step_s = moved / (bandwidth * GIGA), evidence.step_s
    if moving_s < MEMORY_SHARE * step_s:
        return
    yield Sentence(
        "Memory may hold it back: where nothing stays in caches and nothing is fused, a step "
        f"moves {moved / 1e6:,.0f} MB, {milliseconds(moving_s)} at this memory's {bandwidth:.3g} "
        f"GB/s; a step takes {milliseconds(step_s)}.",
        {"moved_bytes": moved, "bandwidth_gb_per_s": bandwidth, "step_s": step_s},
    )


def fixed_cost(evidence: Evidence) -> Iterator[Sentence]:
    """What a step costs however small its batch is, from a sweep."""
    point = _in_sweep(evidence)
    if evidence.sweep is None or point is None:
        return
    smallest = evidence.sweep.points[0]
    if not smallest.is_valid or 2 * smallest.batch_size > point.batch_size:
        return
    small_ms, ms = smallest.step_ms, point.step_ms
    fixed_ms = (small_ms * point.batch_size - ms * smallest.batch_size) / (
        point.batch_size - smallest.batch_size
    )
    share = fixed_ms / ms
    if share < FIXED_SHARE:
        return
    samples = samples_of(evidence.record.workload.name)
    yield Sentence(
        f"About {percent(min(share, 1.0))} of a step does not depend on the batch: at batch "
        f"{smallest.batch_size} a step takes {milliseconds(small_ms / 1e3)}, at "
        f"{point.batch_size} {milliseconds(ms / 1e3)}. Dispatch, the optimizer and the like take "
        f"that time, not the {samples}.",
        {"smallest_batch": smallest.batch_size, "smallest_step_ms": small_ms,
         "batch": point.batch_size, "step_ms": ms},
        f"larger batches spread it over more {samples} (a variant: it learns something else)",
    )  # fmt: skip


def fuller_batch(evidence: Evidence) -> Iterator[Sentence]:
    """A batch size at which the device does far more, from a sweep."""
    point = _in_sweep(evidence)
    if evidence.sweep is None or point is None:
        return
    valid = [point for point in evidence.sweep.points if point.is_valid]
    best = max(valid, key=lambda point: point.targets_per_s.median)
    here, most = point.targets_per_s.median, best.targets_per_s.median
    if most < FULLER * here:
        return
    unit = unit_of(evidence.record.workload.name)
    yield Sentence(
        f"Batch {point.batch_size} does not fill the device: at {best.batch_size} it trains "
        f"{most:,.0f} {unit} a second, here {here:,.0f}.",
        {"batch": point.batch_size, f"{unit}_per_s": here, "best_batch": best.batch_size,
         f"best_{unit}_per_s": most},
        "this workload at this batch size measures how fast a device starts small work, not how "
        "much it can do",
    )  # fmt: skip


def _in_sweep(evidence: Evidence) -> BatchPoint | None:
    """This run, where the sweep's valid run at its batch size was as fast, as far as the intervals
    show: otherwise the sweep shows another state of the machine."""
    if evidence.sweep is None or evidence.steady is None:
        return None
    here = BatchPoint(evidence.record, evidence.steady.interval, None)
    for point in evidence.sweep.points:
        if point.batch_size == here.batch_size and point.is_valid:
            own, other = here.steady_epoch, point.steady_epoch
            agree = max(own.low, other.low) <= SAME_RATE * min(own.high, other.high)
            return here if agree else None
    return None


def _bandwidth(evidence: Evidence) -> float | None:
    """Of the memory in GB/s, as the record has it, else as it is known now."""
    kept = evidence.record.limits
    if kept is not None and kept.triad_gb_per_s is not None:
        return kept.triad_gb_per_s
    now = evidence.limits.bandwidth() if evidence.limits else None
    return now.high if now else None


RULES = (
    Rule(
        name="dispatch",
        question="limit",
        needs="time",
        says_when=(
            f"dispatch takes at least {percent(DISPATCH_SHARE)} of a step: the engine's latency (a "
            f"scalar addition, and waiting for it) once, or for eager engines "
            f"{OF_DEFAULT} times for {DEFAULT_WORKLOAD}; from {percent(DOES_NOT_RANK)} on the "
            "sentence says that the device is not ranked; stock runs only"
        ),
        reason=(
            "that is the fewest operations of a step when bias, "
            "activation and optimizer are fused; real eager steps have several times that, but do "
            "not wait for each, so this is an estimate"
        ),
        apply=dispatch,
    ),
    Rule(
        name="input",
        question="limit",
        needs="time",
        says_when=(
            "gathering a batch and bringing it to the device takes at least "
            f"{percent(INPUT_SHARE)} of a step; from {percent(DOES_NOT_RANK)} on the sentence says "
            "that the device is not ranked; stock runs with the workload's batch size, of engines "
            "that do that apart from the step"
        ),
        reason=(
            "measured alone, one batch after the other; in a run a device that computes on its own "
            "may hide it, hence 'unless' where that is not the CPU"
        ),
        apply=input_,
    ),
    Rule(
        name="memory",
        question="limit",
        needs="time",
        says_when=(
            "on the CPU, moving everything through memory would take at least "
            f"{percent(MEMORY_SHARE)} of a step at the triad's bandwidth"
        ),
        reason=(
            f"activations {ACTIVATION_PASSES} times and weights {PARAMETER_PASSES} times (forward, "
            "backward, Adam), as without caches and fusing: an upper bound, hence 'may'"
        ),
        apply=memory,
    ),
    Rule(
        name="fixed-cost",
        question="limit",
        needs="time",
        says_when=(
            f"in a batch sweep, at least {percent(FIXED_SHARE)} of this step remains when the line "
            "through the smallest batch (valid, at most half of this one) and this one is drawn to "
            "batch 0; the sweep's run at this batch was as fast as this run"
        ),
        reason="a step whose time does not grow with its batch is not bound by arithmetic",
        apply=fixed_cost,
    ),
    Rule(
        name="fuller-batch",
        question="limit",
        needs="time",
        says_when=(
            f"in a batch sweep, another batch size trains {FULLER} times as many images or tokens "
            "a second; the sweep's run at this batch was as fast as this run"
        ),
        reason="less is within reach of a better schedule; more shows a device that waits for work",
        apply=fuller_batch,
    ),
)
