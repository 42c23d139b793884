"""What a worker reported, and how it ended, as a judged record."""

from __future__ import annotations

import secrets

import msgspec

from epochmark._version import __version__
from epochmark.analysis.timing.headline import headline_of, observed_precision
from epochmark.bench.plan import PlannedRun
from epochmark.bench.process.last_words import last_words
from epochmark.bench.process.launcher import WorkerOutcome
from epochmark.bench.request import RunRequest
from epochmark.bench.scrub import scrubbed, scrubbed_record
from epochmark.engines import get_engine
from epochmark.engines._shared.variables import known_variables, recorded_environment
from epochmark.judge.crashes import CRASHES, signal_name
from epochmark.judge.departures import departures
from epochmark.judge.failures import shows_lack_of_memory
from epochmark.judge.reading import readable
from epochmark.judge.validity import judge
from epochmark.records import dates
from epochmark.records import record as parts
from epochmark.records.digest import sealed
from epochmark.records.machine.machine_limits import Limits
from epochmark.records.record import SCHEMA_VERSION, Machine, Record
from epochmark.worker import protocol
from epochmark.workloads._proof import replay_data

LAST_LINES = 30
"""Of what a crashed worker printed, in which the reason may be."""


def record_of(
    planned: PlannedRun,
    outcome: WorkerOutcome,
    machine: Machine,
    limits: Limits | None,
    continuation: parts.Continuation | None,
) -> Record:
    """The judged record of a run on ``machine``, of which one on its CPU keeps a few ``limits``."""
    opened = outcome.last(protocol.Opened)
    finished = outcome.last(protocol.Finished)
    record = Record(
        schema=SCHEMA_VERSION,
        id=secrets.token_hex(6),
        created=dates.now(),
        epochmark_version=__version__,
        label=planned.request.label,
        outcome="completed" if outcome.ending == "finished" else "failed",
        headline=_NO_HEADLINE,
        findings=[],
        workload=workload_of_run(planned.request),
        engine=engine_of(planned, outcome),
        device=_device_of(planned.request, outcome),
        precision=parts.PrecisionRun(requested=planned.request.run_precision, observed=None),
        timing=_timing_of(outcome),
        learning=_learning_of(outcome),
        replay=_replay_of(outcome),
        continuation=continuation,
        calm=outcome.calm,
        limits=limits.for_run() if limits and opened and opened.device == "cpu" else None,
        sensors=outcome.sensors,
        failure=failure_of(outcome),
        machine=machine,
        environment=environment_of(planned, outcome),
        placement=_placement_of(outcome),
        peak_memory_bytes=finished.peak_memory_bytes if finished else None,
    )
    return _judged(scrubbed_record(record), planned.request.threads)


_NO_HEADLINE = parts.Headline(
    elapsed_s=None,
    steady_epoch_s=None,
    steady_epoch_low_s=None,
    steady_epoch_high_s=None,
    images_per_s=None,
    test_accuracy=None,
    validity="invalid",
)


def _judged(record: Record, asked_threads: int | None) -> Record:
    """The record with all that is derived from its raw data; each step needs the ones before."""
    precision = msgspec.structs.replace(record.precision, observed=observed_precision(record))
    variant = departures(record, asked_threads)
    workload = msgspec.structs.replace(record.workload, variant=variant)
    record = msgspec.structs.replace(record, precision=precision, workload=workload)
    record = msgspec.structs.replace(record, findings=judge(record))
    return sealed(readable(msgspec.structs.replace(record, headline=headline_of(record))))


def workload_of_run(request: RunRequest) -> parts.WorkloadRun:
    """What was asked to be trained."""
    return parts.WorkloadRun(
        name=request.workload.name,
        version=request.workload.version,
        epochs=request.run_epochs,
        max_steps=request.max_steps,
        batch_size=request.run_batch_size,
        seed=request.seed,
        variant=[],
        quick=request.quick,
        settle=request.settle,
    )


def engine_of(planned: PlannedRun, outcome: WorkerOutcome) -> parts.EngineRun:
    """Who trained, as far as the worker came."""
    request = planned.request
    info = get_engine(request.engine).info
    hello = outcome.last(protocol.Hello)
    opened = outcome.last(protocol.Opened)
    checked = outcome.last(protocol.Observed) or outcome.last(protocol.UsedSettings)
    return parts.EngineRun(
        name=info.name,
        family=info.family,
        title=info.title,
        adam_form=info.adam_form,
        tuning=request.tuning,
        tuned_settings=dict(request.tuned_settings) if request.tuning == "tuned" else None,
        versions={
            **(hello.versions if hello else {}),
            **(opened.versions if opened else {}),
        },
        settings=checked.settings if checked else {},
        python=hello.python if hello else "unknown",
        interpreter=planned.interpreter.kind,
    )


def _device_of(request: RunRequest, outcome: WorkerOutcome) -> parts.DeviceRun:
    opened = outcome.last(protocol.Opened)
    checked = outcome.last(protocol.Observed)
    return parts.DeviceRun(
        requested=request.device,
        resolved=opened.device if opened else None,
        resolved_description=opened.description if opened else None,
        observed=checked.observed_devices if checked else [],
    )


def laps_of(outcome: WorkerOutcome) -> list[parts.Lap]:
    """Every lap that was reported."""
    return [
        parts.Lap(
            epoch=lap.epoch,
            steps=lap.steps,
            end_ns=lap.end_ns,
            loss=None if lap.loss is None else float(f"{lap.loss:.6g}"),
        )
        for lap in outcome.every(protocol.LapEnd)
    ]


def _timing_of(outcome: WorkerOutcome) -> parts.Timing:
    fitted = outcome.last(protocol.Fitted)
    return parts.Timing(
        startup_s=fitted.startup_s if fitted else None,
        fit_ns=fitted.fit_ns if fitted else None,
        trained_ns=fitted.trained_ns if fitted else None,
        laps=laps_of(outcome),
        launcher=outcome.clock,
    )


def _learning_of(outcome: WorkerOutcome) -> parts.Learning:
    checked = outcome.last(protocol.Observed)
    return parts.Learning(
        epochs=[
            parts.Epoch(epoch=end.epoch, loss=end.loss, accuracy=end.accuracy)
            for end in outcome.every(protocol.EpochEnd)
        ],
        test_loss=checked.test_loss if checked else None,
        test_accuracy=checked.test_accuracy if checked else None,
    )


def environment_of(planned: PlannedRun, outcome: WorkerOutcome) -> dict[str, str]:
    """What surrounded the worker, by its own word; of one that said nothing, what it was given."""
    hello = outcome.last(protocol.Hello)
    if hello is not None:
        return hello.environment
    own = get_engine(planned.request.engine).info.variables.own
    return recorded_environment(
        planned.interpreter.environment, (*known_variables().recorded, *own)
    )


def _placement_of(outcome: WorkerOutcome) -> parts.Placement | None:
    fitted = outcome.last(protocol.Fitted)
    if fitted is None or not fitted.busy_threads or not fitted.their_cpus:
        return None
    return parts.Placement(threads=fitted.busy_threads, cpus=fitted.their_cpus)


def _replay_of(outcome: WorkerOutcome) -> parts.Replay | None:
    replayed = outcome.last(protocol.Replayed)
    if replayed is None:
        return None
    return parts.Replay(
        version=replay_data.REPLAY_VERSION, losses=replayed.losses, sgd_losses=replayed.sgd_losses
    )


def failure_of(outcome: WorkerOutcome) -> parts.Failure | None:
    """How it ended, where that is before its end."""
    if outcome.ending == "finished":
        return None
    phase = outcome.last(protocol.Phase)
    failed = outcome.last(protocol.Failed)
    status = outcome.exit_status
    signal = signal_name(status) if status is not None and status < 0 else None
    killed = outcome.ending == "crashed" and signal is not None and signal not in CRASHES
    printed = last_words(outcome.stderr) if outcome.ending == "crashed" else ""
    return parts.Failure(
        kind="killed" if killed else outcome.ending,
        phase=phase.name if phase else "starting",
        exception=failed.exception if failed else None,
        message=scrubbed(_detail_of(outcome) + printed),
        exit_status=status if status is not None and status >= 0 else None,
        signal=signal,
    )


def _detail_of(outcome: WorkerOutcome) -> str:
    """How it ended; of a crash for lack of memory also what it printed of that."""
    detail = outcome.detail or "ended without a message"
    if outcome.ending != "crashed" or outcome.last(protocol.Finished) is not None:
        return detail
    last = outcome.stderr.decode(errors="replace").splitlines()[-LAST_LINES:]
    about_memory = next((line for line in reversed(last) if shows_lack_of_memory(line)), None)
    return detail if about_memory is None else f"{detail}; it printed: {about_memory.strip()[:300]}"
