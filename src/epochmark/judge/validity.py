"""Can the number be believed? Findings of a record, derived from nothing but the record."""

from __future__ import annotations

import math
from collections.abc import Iterator

from epochmark.analysis.timing.headline import (
    ends_by_itself,
    expected_steps,
    is_known,
    replay_verdict,
    steps_in,
    steps_per_epoch,
    workload_of,
)
from epochmark.judge._checks.place import same_device
from epochmark.judge._checks.speed import clocks_agree, laps_account_for_the_fit, plausible
from epochmark.judge.consistency import contradictions
from epochmark.judge.departures import influences_text
from epochmark.judge.disturbances import disturbances
from epochmark.judge.failures import failure_finding
from epochmark.judge.learning import (
    copying_learned,
    loss_fell,
    not_below_entropy,
    within_band,
)
from epochmark.records.findings import MEANING, FindingCode, make_finding
from epochmark.records.record import Failure, Finding, Record
from epochmark.records.wording import counted
from epochmark.workloads import WORKLOADS
from epochmark.workloads._proof import continuation, continuation_verdict, parity

SCALER_LEAVES_OUT = 20
"""Steps until float16's gradients are scaled so that none is infinite: 65536 halves to 1 in 16."""


def judge(record: Record) -> list[Finding]:
    """All findings of a record, worst things first; those it already carries are ignored."""
    if record.failure is not None:
        return _judge_failed(record, record.failure)
    if not is_known(record.workload):
        return [*_contradictions(record), *_unknown(record)]
    checks = (
        _contradictions, same_device, _work, loss_fell, _parity, _continuation, _weights,
        _precision, not_below_entropy, copying_learned, within_band, plausible,
        laps_account_for_the_fit, clocks_agree, disturbances, _limited,
    )  # fmt: skip
    found = [finding for check in checks for finding in check(record)]
    return [_with_influences(finding, record) for finding in found]


def _unknown(record: Record) -> Iterator[Finding]:
    """Nothing that depends on the workload can be said."""
    run = record.workload
    if not is_known(run):
        there = ", ".join(f"{workload.name} v{workload.version}" for workload in WORKLOADS.values())
        yield make_finding(
            FindingCode.WORKLOAD_UNKNOWN, f"{run.name} v{run.version}; known here: {there}"
        )


def _judge_failed(record: Record, failure: Failure) -> list[Finding]:
    """How it failed. What an interrupted run did before that is judged as far as it can be."""
    found = [failure_finding(record, failure), *_contradictions(record)]
    if not is_known(record.workload):
        return [*found, *_unknown(record)]
    if FindingCode(found[0].code) is not FindingCode.CUT_SHORT:
        return found
    checks = (same_device, loss_fell, plausible, disturbances)
    judged = [finding for check in checks for finding in check(record)]
    return [*found, *(_with_influences(finding, record) for finding in judged)]


def _with_influences(finding: Finding, record: Record) -> Finding:
    """Wrong work may be that of a variable or a file of the user's: name those that are there."""
    code = FindingCode(finding.code)
    if MEANING[code].validity != "invalid":
        return finding
    return make_finding(code, finding.detail + influences_text(record))


def _contradictions(record: Record) -> Iterator[Finding]:
    """What in it cannot be true of one and the same run."""
    problems = list(contradictions(record))
    if problems:
        yield make_finding(FindingCode.CONTRADICTORY, "; ".join(problems))


def _work(record: Record) -> Iterator[Finding]:
    """The laps must add up to the steps asked for, epoch by epoch; in a run that ends by itself to
    those made."""
    run = record.workload
    per_epoch, expected = steps_per_epoch(run), expected_steps(run)
    if ends_by_itself(run):
        expected = min(expected, steps_in(record.timing.laps))
    reported: dict[int, int] = {}
    for lap in record.timing.laps:
        reported[lap.epoch] = reported.get(lap.epoch, 0) + lap.steps
    wanted = {
        epoch: min(per_epoch, expected - per_epoch * (epoch - 1))
        for epoch in range(1, math.ceil(expected / per_epoch) + 1)
    }
    # a last epoch that was cut short has laps, but no end
    whole_epochs = expected // per_epoch
    if reported != wanted:
        yield make_finding(
            FindingCode.WORK_INCOMPLETE,
            f"{counted(sum(reported.values()), 'step')} in "
            f"{counted(len(reported), 'epoch')} were reported, "
            f"{expected} in {len(wanted)} are the work",
        )
    elif [epoch.epoch for epoch in record.learning.epochs] != list(range(1, whole_epochs + 1)):
        yield make_finding(
            FindingCode.WORK_INCOMPLETE,
            f"the ends of {counted(len(record.learning.epochs), 'epoch')} were reported, "
            f"not {whole_epochs}",
        )
    else:
        yield from _counted_steps(record)


def _counted_steps(record: Record) -> Iterator[Finding]:
    """The optimizer's own count of steps, where the framework has one, is that of the laps."""
    made, found = steps_in(record.timing.laps), record.continuation
    if found is None or found.single is None or found.repeated is None or found.steps is None:
        return
    if _miscounted(found.steps, made, record):
        yield make_finding(
            FindingCode.WORK_INCOMPLETE,
            f"{counted(made, 'step')} reported, the optimizer counted {found.steps}",
        )


def _parity(record: Record) -> Iterator[Finding]:
    """The replay must agree with the float64 computation within some precision's tolerance."""
    verdict = replay_verdict(record)
    if verdict is None:
        yield make_finding(FindingCode.PARITY_MISSING, "no replay was reported")
    elif _is_unjudged(record):
        yield make_finding(
            FindingCode.NOT_JUDGED,
            f"the largest relative error of a replayed loss is {verdict.max_error:.1e}",
        )
    elif verdict.precision is None:
        yield make_finding(FindingCode.PARITY_FAILED, verdict.in_words())


def _is_unjudged(record: Record) -> bool:
    """Whether the replay met no tolerance, and none was measured for what may have been computed:
    that of the precision asked for, or of any, where the engine chose."""
    verdict = replay_verdict(record)
    if verdict is None or record.replay is None or not verdict.unjudged:
        return False
    requested = record.precision.requested
    measured = parity.replay_tolerances(workload_of(record.workload), record.replay.version)
    return requested == "stock" or requested not in measured


def _continuation(record: Record) -> Iterator[Finding]:
    """What was timed must go on as the float64 computation does, from the state it ended in."""
    if record.before_continuation:
        return
    found = record.continuation
    if found is None or found.single is None or found.repeated is None:
        why = found.problem if found else None
        yield make_finding(FindingCode.CONTINUATION_MISSING, why or "none were reported")
        return
    further = continuation.SINGLE_STEPS + (found.repeated_steps or 0)
    counted = further
    if found.steps is not None and found.steps_after is not None:
        counted = found.steps_after - found.steps
    if counted != further:
        if not _miscounted(counted, further, record):
            return  # which steps float16's gradient scaler left out is not known
        yield make_finding(
            FindingCode.CONTINUATION_FAILED,
            f"the optimizer counted {counted} of {further} further steps",
        )
    made = steps_in(record.timing.laps)
    workload = workload_of(record.workload)
    tolerance = continuation_verdict.tolerance_of(workload, record.precision.observed, made)
    if _is_unjudged(record):
        return
    if tolerance is None:
        yield make_finding(
            FindingCode.NOT_JUDGED,
            "no tolerance has been measured for the steps after the fit",
        )
        return
    # one sentence is enough: after the first wrong step everything differs
    for stretch, count in ((found.single, continuation.SINGLE_STEPS), (found.repeated, 1)):
        losses, right_losses = stretch.losses, stretch.right_losses
        for problem in (
            *continuation_verdict.judge_losses(losses, right_losses, count, tolerance),
            *continuation_verdict.judge_updates(stretch.update_errors, workload, tolerance),
        ):
            yield make_finding(FindingCode.CONTINUATION_FAILED, problem)
            return


def _miscounted(counted: int, made: int, record: Record) -> bool:
    """Whether an optimizer's count differs from the steps made. Frameworks scale float16's
    gradients up and leave a step out where that was too much: about once in 2,000 steps, and until
    they have found the scale."""
    if record.precision.requested != "float16":
        return counted != made
    return not made - SCALER_LEAVES_OUT - made // 500 <= counted <= made


def _weights(record: Record) -> Iterator[Finding]:
    """The trained weights must be worth what the engine says."""
    found = record.continuation
    if found is None or found.single is None:
        return
    workload, made = workload_of(record.workload), steps_in(record.timing.laps)
    tolerance = continuation_verdict.tolerance_of(workload, record.precision.observed, made)
    if tolerance is None or _is_unjudged(record):
        return
    for problem in continuation_verdict.judge_weights(
        workload,
        (found.right_test_loss, found.test_loss),
        (found.right_test_accuracy, found.test_accuracy),
        record.learning.test_accuracy,
        tolerance,
    ):
        yield make_finding(FindingCode.WEIGHTS_MISMATCH, problem)
        return


def _precision(record: Record) -> Iterator[Finding]:
    """A precision asked for by name must be the one observed.

    float16 is observed as tf32: both keep ten bits, which is all a replay can see (docs/parity.md).
    """
    requested, observed = record.precision.requested, record.precision.observed
    met = observed == ("tf32" if requested == "float16" else requested)
    if requested != "stock" and observed is not None and not met:
        yield make_finding(
            FindingCode.PRECISION_MISMATCH, f"{requested} was requested, {observed} was observed"
        )


def _limited(record: Record) -> Iterator[Finding]:
    if record.workload.max_steps is not None:
        yield make_finding(
            FindingCode.STEPS_LIMITED,
            f"{counted(expected_steps(record.workload), 'step')} requested with --steps",
        )
