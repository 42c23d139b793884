"""The headline of a record, and the workload figures it rests on, derived from raw data."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from operator import is_

from epochmark.analysis.timing.beside import beside
from epochmark.analysis.timing.settling import window
from epochmark.analysis.timing.steady_epoch import NANOSECONDS, SteadyEpoch, steady_epoch
from epochmark.analysis.timing.time_to_target import time_to_target_s
from epochmark.records.findings import FindingCode, worst_validity
from epochmark.records.record import Headline, Lap, Record, WorkloadRun
from epochmark.workloads import DEFAULT_WORKLOAD, WORKLOADS, Workload
from epochmark.workloads._proof import parity
from epochmark.workloads._proof.learning_band import load_band
from epochmark.workloads.spec import Flatten, Images, Proof


def is_known(run: WorkloadRun) -> bool:
    """Whether this version of epochmark has the workload, in the version that was trained."""
    known = WORKLOADS.get(run.name)
    return known is not None and known.version == run.version


def workload_of(run: WorkloadRun) -> Workload:
    """The workload of a run. Of one that is not known (``is_known``) a stand-in that fits the run,
    so that what does not depend on the workload can still be shown."""
    if is_known(run):
        return WORKLOADS[run.name]
    return Workload(
        name=run.name,
        version=run.version,
        summary="not known to this version of epochmark",
        dataset="unknown",
        train_samples=run.batch_size,
        test_samples=1,
        input=Images((1, 1, 1), 1.0, 2),
        layers=(Flatten("unknown"),),
        loss="unknown",
        optimizer=WORKLOADS[DEFAULT_WORKLOAD].optimizer,
        batch_size=run.batch_size,
        epochs=run.epochs,
        proof=Proof(1),
    )


def steps_per_epoch(run: WorkloadRun) -> int:
    """Optimizer steps of one epoch at this run's batch size."""
    return workload_of(run).steps_per_epoch(run.batch_size)


def expected_steps(run: WorkloadRun) -> int:
    """Optimizer steps the whole run has; one that ends by itself may end after fewer."""
    steps = steps_per_epoch(run) * run.epochs
    return steps if run.max_steps is None else min(steps, run.max_steps)


def ends_by_itself(run: WorkloadRun) -> bool:
    """Whether the run was to end as soon as it knew what it was made for."""
    return run.quick or run.settle


def steps_in(laps: Sequence[Lap]) -> int:
    """Optimizer steps that these laps report."""
    return sum(lap.steps for lap in laps)


def images_of_each(laps: Sequence[Lap], run: WorkloadRun) -> list[int]:
    """Training samples that each of a run's first laps processed; an epoch's last batch may be
    smaller."""
    per_epoch = steps_per_epoch(run)
    short_by = per_epoch * run.batch_size - workload_of(run).train_samples
    steps_of: dict[int, int] = {}
    images = []
    for lap in laps:
        steps_of[lap.epoch] = steps_of.get(lap.epoch, 0) + lap.steps
        ends_epoch = steps_of[lap.epoch] == per_epoch
        images.append(lap.steps * run.batch_size - (short_by if ends_epoch else 0))
    return images


def headline_of(record: Record) -> Headline:
    """All figures of a record from its raw laps; None where the run did not come far enough.

    Images per second are those of the steady epoch; of a run without a whole epoch, those of all
    laps but the first, which holds the compilation. Of a workload that is not known only what does
    not depend on it.
    """
    run, timing = record.workload, record.timing
    if not is_known(run):
        return _bare_headline(record)
    steady = steady_of(record)
    images_per_s = None
    if steady is not None:
        images_per_s = workload_of(run).train_samples / steady.interval.median
    elif len(timing.laps) > 1:
        laps = timing.laps
        lasted_s = (laps[-1].end_ns - laps[0].end_ns) / NANOSECONDS
        images_per_s = sum(images_of_each(laps, run)[1:]) / lasted_s if lasted_s > 0 else None
    stopped_early = ends_by_itself(run) and steps_in(timing.laps) < expected_steps(run)
    projected = steady.projected_s(run.epochs) if steady and stopped_early and run.quick else None
    whole_ns = None if stopped_early else timing.fit_ns
    return Headline(
        elapsed_s=None if whole_ns is None else whole_ns / NANOSECONDS,
        projected_elapsed_s=projected.median if projected else None,
        projected_elapsed_low_s=projected.low if projected else None,
        projected_elapsed_high_s=projected.high if projected else None,
        steady_epoch_s=steady.interval.median if steady else None,
        steady_epoch_low_s=steady.interval.low if steady else None,
        steady_epoch_high_s=steady.interval.high if steady else None,
        time_to_target_s=time_to_target_s(
            timing.laps, steps_per_epoch(run), workload_of(run).target
        ),
        images_per_s=images_per_s,
        test_accuracy=record.learning.test_accuracy,
        validity=worst_validity([FindingCode(finding.code) for finding in record.findings]),
    )


def _bare_headline(record: Record) -> Headline:
    """Never valid, so never ranked."""
    validity = worst_validity([FindingCode(finding.code) for finding in record.findings])
    fit_ns = record.timing.fit_ns
    return Headline(
        elapsed_s=None if fit_ns is None else fit_ns / NANOSECONDS,
        steady_epoch_s=None,
        steady_epoch_low_s=None,
        steady_epoch_high_s=None,
        images_per_s=None,
        test_accuracy=record.learning.test_accuracy,
        validity="invalid" if validity == "invalid" else "partial",
    )


def steady_of(record: Record) -> SteadyEpoch | None:
    """The record's steady epoch and how it was found; None where the run did not come so far, or
    its workload is not known.

    That of a run that was to settle is the one it settled at: all before it was warm-up.
    """
    return _steady_of(_Parts(record)) if is_known(record.workload) else None


class _Parts:
    """What a steady epoch is found from; only that of the very same parts is equal to it, so that
    all who ask about a record have it found once."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self._parts = (record.workload, record.timing, record.calm, record.device)

    def __hash__(self) -> int:
        return hash((*map(id, self._parts),))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Parts) and all(map(is_, self._parts, other._parts))


@functools.lru_cache(maxsize=16)
def _steady_of(parts: _Parts) -> SteadyEpoch | None:
    record = parts.record
    run, laps, seen = record.workload, record.timing.laps, beside(record)
    if not run.settle:
        return steady_epoch(laps, steps_per_epoch(run), seen)
    recent, start_ns = window(laps)
    start_s = start_ns / NANOSECONDS
    steady = steady_epoch(recent, steps_per_epoch(run), seen.since(start_s))
    if steady is None:
        return None
    return replace(steady, warm_up_s=steady.warm_up_s + start_s, warm_up_excess_s=0.0)


def replay_verdict(record: Record) -> parity.Verdict | None:
    """The record's replayed losses against the golden losses of that replay and form of Adam."""
    replay = record.replay
    if replay is None or not is_known(record.workload):
        return None
    workload = workload_of(record.workload)
    return parity.judge_replay(
        workload,
        record.engine.adam_form,
        replay.version,
        replay.losses,
        replay.sgd_losses,
        record.precision.requested,
    )


def observed_precision(record: Record) -> str | None:
    """The tightest class whose tolerance the replay met. float64 meets that of float32, and is no
    float32: the engine says what its weights and outputs are in."""
    verdict = replay_verdict(record)
    if verdict is None:
        return None
    in_float64 = record.engine.settings.get("compute_type") == "float64"
    return "float64" if in_float64 and verdict.precision == "float32" else verdict.precision


def half_losses(record: Record) -> tuple[float, float] | None:
    """Test losses of the trained weights over the first and the second half of the context, by our
    float64 code; None where the data set has no halves, or the run did not come so far."""
    found = record.continuation.right_half_losses if record.continuation else None
    first, second = found or (None, None)
    return None if first is None or second is None else (first, second)


def copying_is_judged(record: Record) -> bool:
    """Whether the second half of sequences must have been learned to repeat the first: after as
    many steps as the workload has, where it is known what these teach (``target``)."""
    workload = workload_of(record.workload)
    whole = workload.epochs * workload.steps_per_epoch()
    made = steps_in(record.timing.laps)
    return workload.target is not None and half_losses(record) is not None and made >= whole


def learning_is_judged(record: Record) -> bool:
    """Whether loss and accuracy can be held against those of correct training: the learning band,
    where one was measured, is one of float32 at the workload's own batch, of whole epochs."""
    workload = workload_of(record.workload)
    return (
        record.precision.observed == "float32"
        and record.workload.batch_size == workload.batch_size
        and load_band(workload) is not None
        and bool(record.learning.epochs)
        and all(epoch.loss is not None for epoch in record.learning.epochs)
    )
