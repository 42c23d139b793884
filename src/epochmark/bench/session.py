"""Carry out one run: weights and data to files, a worker, and a judged record of what came."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

from epochmark._version import __version__
from epochmark.analysis.timing.headline import headline_of, observed_precision
from epochmark.bench.continuation import judged_continuation
from epochmark.bench.interpreters.interpreter import Interpreter
from epochmark.bench.process.interrupts import interrupts_now
from epochmark.bench.process.last_words import last_words
from epochmark.bench.process.launcher import WorkerOutcome, launch
from epochmark.bench.process.order import RunOrder
from epochmark.bench.process.temporary import telling_where, temporary_folder
from epochmark.bench.quick import QuickStop
from epochmark.bench.request import RunRequest
from epochmark.bench.scrub import scrubbed, scrubbed_record
from epochmark.bench.settle import SettleStop
from epochmark.bench.watching.watch import OpenCounters, Watch
from epochmark.engines import get_engine
from epochmark.engines._shared.variables import known_variables, recorded_environment
from epochmark.errors import EpochmarkError
from epochmark.hardware.sensors import OpenSensor
from epochmark.judge.crashes import CRASHES, signal_name
from epochmark.judge.departures import departures
from epochmark.judge.reading import readable
from epochmark.judge.validity import judge, tells_of_lacking_memory
from epochmark.records import record as parts
from epochmark.records.digest import sealed
from epochmark.records.machine.machine_limits import Limits
from epochmark.records.record import SCHEMA_VERSION, Machine, Record
from epochmark.worker import protocol
from epochmark.worker.protocol import Job, Report
from epochmark.workloads import parity
from epochmark.workloads.initial_weights import draw_weights

LAST_LINES = 30
"""Of what a crashed worker printed, in which the reason may be."""


@dataclass(frozen=True)
class Measured:
    """A run that was carried out, however it ended."""

    record: Record
    stderr: bytes

    @property
    def interrupted(self) -> bool:
        """Whether the user stopped it."""
        return self.record.failure is not None and self.record.failure.kind == "interrupted"


def measure(
    request: RunRequest,
    data_folder: Path,
    machine: Machine,
    on_report: Callable[[Report], None],
    patience_s: float | None = None,
    interpreter: Interpreter | None = None,
    open_counters: OpenCounters | None = None,
    sensors: Mapping[str, OpenSensor] | None = None,
    limits: Limits | None = None,
    trial: Callable[[Report], bool] | None = None,
) -> Measured:
    """Run ``request`` in a fresh worker process and return its record.

    The worker is started by ``interpreter``, by default our own. ``open_counters`` and ``sensors``
    watch the machine meanwhile. ``limits`` are those of the machine; a run on its CPU keeps a few.
    A ``trial`` says itself when to stop, and leaves the test set out.

    Raises ``EpochmarkError`` when the engine says that the request cannot be met here, as with a
    device that does not exist; everything else that goes wrong is a record of a failed run.
    """
    interpreter = interpreter or Interpreter.own()
    with temporary_folder("weights") as folder:
        initial, replay = folder / "initial.npz", folder / "replay.npz"
        states = folder / "states"
        with telling_where(folder.parent):
            np.savez(initial, **draw_weights(request.workload, request.seed))  # type: ignore[arg-type]
            np.savez(replay, **parity.replay_weights(request.workload))  # type: ignore[arg-type]

        def make_job(spawned_ns: int) -> Job:
            return Job(
                engine=request.engine,
                workload=request.workload.name,
                device=request.device,
                precision=request.run_precision,
                tuning=request.tuning,
                seed=request.seed,
                epochs=request.run_epochs,
                batch_size=request.run_batch_size,
                max_steps=request.max_steps,
                threads=request.threads,
                data_folder=str(data_folder.absolute()),
                weights_file=str(initial),
                replay_weights_file=str(replay),
                states_file=str(states),
                spawned_ns=spawned_ns,
                variables=[*known_variables().recorded],
                quick=request.quick or request.settle,
                tuned_settings=dict(request.tuned_settings),
                trial=trial is not None,
            )

        watch = Watch(open_counters, sensors)
        try:
            with interpreter.in_use():
                outcome = launch(
                    make_job,
                    interpreter.python,
                    interpreter.environment,
                    on_report,
                    _order_of(request),
                    patience_s,
                    watch,
                    trial or _stop_of(request, watch),
                )
        except OSError as error:
            raise EpochmarkError(
                f"the interpreter {interpreter.python} cannot be started: {error.strerror or error}"
            ) from error
        continuation = None
        if trial is None and outcome.ending == "finished":
            on_report(protocol.Phase("proving"))
            try:
                with interrupts_now():
                    continuation = judged_continuation(request, outcome, states, data_folder)
            except KeyboardInterrupt:
                outcome.ending, outcome.detail = "interrupted", "interrupted from the keyboard"
    failed = outcome.last(protocol.Failed)
    if outcome.ending == "failed" and failed is not None and failed.usage:
        raise EpochmarkError(failed.message, exit_code=2)
    record = _record_of(request, machine, interpreter, outcome, limits, continuation)
    return Measured(record, outcome.stderr)


def _order_of(request: RunRequest) -> RunOrder:
    """What the reports of such a run are held to."""
    workload = request.workload
    golden = parity.golden_losses(workload, get_engine(request.engine).info.adam_form)
    per_epoch = workload.steps_per_epoch(request.run_batch_size)
    return RunOrder(request.run_epochs, per_epoch, len(golden))


def _stop_of(request: RunRequest, watch: Watch) -> Callable[[Report], bool]:
    """Who says when the run should end before all its epochs."""
    per_epoch = request.workload.steps_per_epoch(request.run_batch_size)
    if request.quick:
        return QuickStop(per_epoch)
    if request.settle:
        return SettleStop(per_epoch, watch.sensor_logs)
    return lambda report: False


def _record_of(
    request: RunRequest,
    machine: Machine,
    interpreter: Interpreter,
    outcome: WorkerOutcome,
    limits: Limits | None,
    continuation: parts.Continuation | None,
) -> Record:
    """What the worker reported as a record, judged."""
    opened = outcome.last(protocol.Opened)
    checked = outcome.last(protocol.Checked)
    fitted = outcome.last(protocol.Fitted)
    finished = outcome.last(protocol.Finished)
    hello = outcome.last(protocol.Hello)
    record = Record(
        schema=SCHEMA_VERSION,
        id=secrets.token_hex(6),
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        epochmark_version=__version__,
        label=request.label,
        outcome="completed" if outcome.ending == "finished" else "failed",
        headline=_NO_HEADLINE,
        findings=[],
        workload=parts.WorkloadRun(
            name=request.workload.name,
            version=request.workload.version,
            epochs=request.run_epochs,
            max_steps=request.max_steps,
            batch_size=request.run_batch_size,
            seed=request.seed,
            variant=[],
            quick=request.quick,
            settle=request.settle,
        ),
        engine=_engine_of(request, interpreter, outcome, checked.settings if checked else {}),
        device=parts.DeviceRun(
            requested=request.device,
            resolved=opened.device if opened else None,
            resolved_description=opened.description if opened else None,
            observed=checked.observed_devices if checked else [],
        ),
        precision=parts.PrecisionRun(requested=request.run_precision, observed=None),
        timing=parts.Timing(
            startup_s=fitted.startup_s if fitted else None,
            fit_ns=fitted.fit_ns if fitted else None,
            trained_ns=fitted.trained_ns if fitted else None,
            laps=[
                parts.Lap(
                    epoch=lap.epoch,
                    steps=lap.steps,
                    end_ns=lap.end_ns,
                    loss=None if lap.loss is None else float(f"{lap.loss:.6g}"),
                )
                for lap in outcome.every(protocol.Lap)
            ],
            launcher=outcome.clock,
        ),
        learning=parts.Learning(
            epochs=[
                parts.Epoch(epoch=end.epoch, loss=end.loss, accuracy=end.accuracy)
                for end in outcome.every(protocol.EpochEnd)
            ],
            test_loss=checked.test_loss if checked else None,
            test_accuracy=checked.test_accuracy if checked else None,
        ),
        replay=_replay_of(outcome),
        continuation=continuation,
        calm=outcome.calm,
        limits=limits.for_run() if limits and opened and opened.device == "cpu" else None,
        sensors=outcome.sensors,
        failure=_failure_of(outcome),
        machine=machine,
        environment=hello.environment
        if hello
        else recorded_environment(
            interpreter.environment,
            (*known_variables().recorded, *get_engine(request.engine).info.variables.own),
        ),
        placement=parts.Placement(threads=fitted.busy_threads, cpus=fitted.their_cpus)
        if fitted and fitted.busy_threads and fitted.their_cpus
        else None,
        peak_memory_bytes=finished.peak_memory_bytes if finished else None,
    )
    record = scrubbed_record(record)
    precision = msgspec.structs.replace(record.precision, observed=observed_precision(record))
    variant = departures(record, request.threads)
    workload = msgspec.structs.replace(record.workload, variant=variant)
    record = msgspec.structs.replace(record, precision=precision, workload=workload)
    record = msgspec.structs.replace(record, findings=judge(record))
    return sealed(readable(msgspec.structs.replace(record, headline=headline_of(record))))


_NO_HEADLINE = parts.Headline(
    elapsed_s=None,
    steady_epoch_s=None,
    steady_epoch_low_s=None,
    steady_epoch_high_s=None,
    images_per_s=None,
    test_accuracy=None,
    validity="invalid",
)


def _engine_of(
    request: RunRequest,
    interpreter: Interpreter,
    outcome: WorkerOutcome,
    settings: dict[str, str],
) -> parts.EngineRun:
    info = get_engine(request.engine).info
    hello = outcome.last(protocol.Hello)
    opened = outcome.last(protocol.Opened)
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
        settings=settings,
        python=hello.python if hello else "unknown",
        interpreter=interpreter.kind,
    )


def _replay_of(outcome: WorkerOutcome) -> parts.Replay | None:
    replayed = outcome.last(protocol.Replayed)
    if replayed is None:
        return None
    return parts.Replay(version=parity.REPLAY_VERSION, losses=replayed.losses)


def _failure_of(outcome: WorkerOutcome) -> parts.Failure | None:
    if outcome.ending == "finished":
        return None
    phase = outcome.last(protocol.Phase)
    failed = outcome.last(protocol.Failed)
    status = outcome.exit_status
    signal = signal_name(status) if status is not None and status < 0 else None
    killed = outcome.ending == "crashed" and signal is not None and signal not in CRASHES
    told = last_words(outcome.stderr) if outcome.ending == "crashed" else ""
    return parts.Failure(
        kind="killed" if killed else outcome.ending,
        phase=phase.name if phase else "starting",
        exception=failed.exception if failed else None,
        message=scrubbed(_detail_of(outcome) + told),
        exit_status=status if status is not None and status >= 0 else None,
        signal=signal,
    )


def _detail_of(outcome: WorkerOutcome) -> str:
    """How it ended; of a crash for lack of memory also what it printed of that."""
    detail = outcome.detail or "ended without a word"
    if outcome.ending != "crashed" or outcome.last(protocol.Finished) is not None:
        return detail
    last = outcome.stderr.decode(errors="replace").splitlines()[-LAST_LINES:]
    told = next((line for line in reversed(last) if tells_of_lacking_memory(line)), None)
    return detail if told is None else f"{detail}; it printed: {told.strip()[:300]}"
