"""Carry out one run: weights and data to files, a worker, and a judged record of what came."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from epochmark.bench.continuation import judged_continuation
from epochmark.bench.interpreters.interpreter import Interpreter
from epochmark.bench.plan import PlannedRun
from epochmark.bench.process.interrupts import interrupts_now
from epochmark.bench.process.launcher import launch
from epochmark.bench.process.order import RunOrder
from epochmark.bench.process.temporary import telling_where, temporary_folder
from epochmark.bench.quick import QuickStop
from epochmark.bench.recording import record_of
from epochmark.bench.request import RunRequest
from epochmark.bench.settle import SettleStop
from epochmark.bench.watching.watch import OpenCounters, Watch
from epochmark.engines import get_engine
from epochmark.errors import EpochmarkError
from epochmark.hardware.sensors import OpenSensor
from epochmark.records.machine.machine_limits import Limits
from epochmark.records.record import Machine, Record
from epochmark.worker import protocol
from epochmark.worker.protocol import Job, Report
from epochmark.workloads import parity
from epochmark.workloads.initial_weights import draw_weights


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
    planned = PlannedRun(request, interpreter)
    record = record_of(planned, outcome, machine, limits, continuation)
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
