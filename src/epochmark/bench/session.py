"""Carry out runs: weights and data to files, a worker, and a judged record of what came."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from epochmark.bench.continuation import judged_continuation
from epochmark.bench.plan import PlannedRun
from epochmark.bench.process.interrupts import interrupts_now
from epochmark.bench.process.launcher import Recipients, WorkerOutcome, launch
from epochmark.bench.process.order import RunOrder
from epochmark.bench.process.temporary import telling_where, temporary_folder, temporary_root
from epochmark.bench.quick import QuickStop
from epochmark.bench.recording import record_of
from epochmark.bench.request import RunRequest
from epochmark.bench.settle import SettleStop
from epochmark.bench.watching.memory import check_memory
from epochmark.bench.watching.space import check_space
from epochmark.bench.watching.watch import OpenCounters, Watch
from epochmark.engines._shared.variables import known_variables
from epochmark.errors import EpochmarkError
from epochmark.hardware.counters import open_counters
from epochmark.hardware.sensors import OpenSensor, all_sensors
from epochmark.judge.failures import shows_something
from epochmark.records.machine.machine_limits import Limits
from epochmark.records.record import Continuation, Machine, Record
from epochmark.worker import protocol
from epochmark.worker.protocol import Job, Message
from epochmark.workloads._proof import replay_data
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

    @property
    def is_worth_keeping(self) -> bool:
        """All are but one that was interrupted before an epoch or six laps were done."""
        return not self.interrupted or shows_something(self.record)


@dataclass(frozen=True)
class Bench:
    """What all runs of a session have in common; ``measure`` carries out one of them.

    ``limits`` are those of the machine. ``open_counters`` and ``sensors`` watch it during each fit;
    without them nothing is seen. A worker that is silent for ``patience_s`` counts as hung; by
    default its own progress says how long that is.
    """

    data_folder: Path
    machine: Machine
    limits: Limits | None = None
    open_counters: OpenCounters | None = None
    sensors: Mapping[str, OpenSensor] | None = None
    patience_s: float | None = None

    def watching(self) -> Bench:
        """This bench with all the counters and sensors of this machine."""
        return replace(self, open_counters=open_counters, sensors=all_sensors())

    def measure(
        self,
        planned: PlannedRun,
        on_report: Callable[[Message], None] = lambda report: None,
        trial: Callable[[Message], bool] | None = None,
    ) -> Measured:
        """Carry out one run in a fresh worker process and return its record.

        ``on_report`` gets every report of the worker. A ``trial`` of tuned settings says itself
        when to stop, and leaves the test set and the proof out; whether there is memory for it
        is looked at before the first of them (``check_memory``).

        Raises ``EpochmarkError`` when there is not enough free memory or disk, and when the engine
        says that the request cannot be met here, as with a device that does not exist; everything
        else that goes wrong is a record of a failed run.
        """
        if trial is None:
            check_memory(planned.request)
            check_space(planned.request, temporary_root())
        with temporary_folder("weights") as folder:
            files = written_files(planned.request, folder)
            outcome = self._train(planned, files, on_report, trial)
            continuation = None
            if trial is None and outcome.ending == "finished":
                on_report(protocol.Phase("proving"))
                continuation = self.prove(planned.request, files, outcome)
        failed = outcome.last(protocol.Failed)
        if outcome.ending == "failed" and failed is not None and failed.usage:
            raise EpochmarkError(failed.message, exit_code=2)
        record = record_of(planned, outcome, self.machine, self.limits, continuation)
        return Measured(record, outcome.stderr)

    def job_of(self, request: RunRequest, files: RunFiles, spawned_ns: int) -> Job:
        """What the worker of a run gets."""
        return Job(
            engine=request.engine,
            settings=request.settings,
            data_folder=str(self.data_folder.absolute()),
            weights_file=str(files.weights),
            replay_weights_file=str(files.replay_weights),
            states_file=str(files.states),
            spawned_ns=spawned_ns,
            variables=[*known_variables().recorded],
        )

    def _train(
        self,
        planned: PlannedRun,
        files: RunFiles,
        on_report: Callable[[Message], None],
        trial: Callable[[Message], bool] | None,
    ) -> WorkerOutcome:
        """What the worker reported, and how it ended."""
        request, interpreter = planned.request, planned.interpreter

        def make_job(spawned_ns: int) -> Job:
            job = self.job_of(request, files, spawned_ns)
            return replace(job, trial=trial is not None)

        watch = Watch(self.open_counters, self.sensors)
        wants_stop = trial or _stop_of(request, watch)
        order = RunOrder(request.run_epochs, request.steps_per_epoch)
        recipients = Recipients(order, watch, on_report, wants_stop)
        python, environment = interpreter.python, interpreter.environment
        try:
            with interpreter.in_use():
                return launch(make_job, python, environment, recipients, self.patience_s)
        except OSError as error:
            raise EpochmarkError(
                f"the interpreter {interpreter.python} cannot be started: {error.strerror or error}"
            ) from error

    def prove(
        self, request: RunRequest, files: RunFiles, outcome: WorkerOutcome
    ) -> Continuation | None:
        """The continuation, computed again; none where the user stops that, which is the run's
        ending then."""
        try:
            with interrupts_now():
                return judged_continuation(request, outcome, files.states, self.data_folder)
        except KeyboardInterrupt:
            outcome.ending, outcome.detail = "interrupted", "interrupted from the keyboard"
            return None


@dataclass(frozen=True)
class RunFiles:
    """What a worker reads besides the data, and its training states, which it writes."""

    weights: Path
    replay_weights: Path
    states: Path


def written_files(request: RunRequest, folder: Path) -> RunFiles:
    """The files of a run in ``folder``, those with weights written."""
    files = RunFiles(folder / "initial.npz", folder / "replay.npz", folder / "states")
    with telling_where(folder.parent):
        np.savez(files.weights, **draw_weights(request.workload, request.seed))  # type: ignore[arg-type]
        np.savez(files.replay_weights, **replay_data.replay_weights(request.workload))  # type: ignore[arg-type]
    return files


def _stop_of(request: RunRequest, watch: Watch) -> Callable[[Message], bool]:
    """Who says when the run should end before all its epochs."""
    if request.quick:
        return QuickStop(request.steps_per_epoch, request.run_epochs)
    if request.settle:
        return SettleStop(request.steps_per_epoch, watch.sensor_logs)
    return lambda report: False
