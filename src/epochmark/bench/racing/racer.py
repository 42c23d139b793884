"""One entry of a race: its worker, from the start through its turns to the proof of its work."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from epochmark.analysis.racing.pieces import Pieces
from epochmark.bench.plan import PlannedRun
from epochmark.bench.process.launcher import Listener, Recipients, WorkerOutcome
from epochmark.bench.process.order import RaceOrder
from epochmark.bench.process.temporary import temporary_folder
from epochmark.bench.process.worker_process import WorkerProcess, spawned
from epochmark.bench.racing.guard import Guard
from epochmark.bench.recording import record_of
from epochmark.bench.session import Bench, RunFiles, written_files
from epochmark.bench.watching.watch import Watch
from epochmark.errors import EpochmarkError
from epochmark.records.race import RaceEntry, RaceTurn
from epochmark.records.record import MAX_EPOCHS, Continuation
from epochmark.worker import protocol
from epochmark.worker.protocol import Job, LapEnd, Parked


@dataclass
class Racer:
    """An entry whose worker runs, or is suspended, or has ended."""

    name: str
    planned: PlannedRun
    bench: Bench
    guard: Guard
    files: RunFiles
    worker: WorkerProcess
    listener: Listener
    outcome: WorkerOutcome
    order: RaceOrder
    pieces: Pieces
    warm_up_laps: int = 0
    turns: list[RaceTurn] = field(default_factory=list)
    laps: int = 0
    is_racing: bool = False
    memory_bytes: int = 0
    continuation: Continuation | None = None

    def warm_up(self) -> None:
        """Train until it is warm and parked; it is not racing where it ended before that.

        Raises ``EpochmarkError`` (exit code 2) when the engine says that the request cannot be met.
        """
        self.is_racing = self.listener.hear(until=Parked)
        self.memory_bytes = self.worker.memory_bytes()
        if not self.is_racing:
            self.leave()
            self._refuse_usage()
            return
        self.worker.suspend()
        self.pieces.warm_up(self._new_laps())
        self.warm_up_laps = self.laps

    def take_turn(self, race_began_s: float) -> None:
        """Train for a turn; the entry leaves the race where it ends in it."""
        began_s = time.monotonic()
        self.order.take_turn()
        self.worker.take_turn()
        if not self.listener.hear(until=Parked):
            self.leave()
            return
        ended_s = time.monotonic()
        self.worker.suspend()
        laps = self._new_laps()
        self.pieces.turn(laps)
        self.turns.append(
            RaceTurn(start_s=began_s - race_began_s, wall_s=ended_s - began_s, laps=len(laps))
        )

    def finish(self) -> None:
        """End the training; the worker then replays and goes on for the proof."""
        self.order.take_turn()
        self.worker.ask_to_stop()
        self.worker.resume()
        self.listener.hear()
        self.leave()

    def prove(self) -> None:
        """Compute the proof again in float64, which takes some seconds."""
        self.continuation = self.bench.prove(self.planned.request, self.files, self.outcome)

    def interrupt(self, detail: str) -> None:
        """The user ended the race."""
        self.leave()
        self.outcome.ending, self.outcome.detail = "interrupted", detail

    def leave(self) -> None:
        """End its processes."""
        self.is_racing = False
        self.worker.resume()
        finished = self.outcome.ending == "finished"
        self.outcome.exit_status = self.worker.end(at_once=finished)
        self.guard.forget(self.worker.process.pid)
        self.outcome.stderr = self.worker.read_rest_of_stderr(self.outcome.stderr)
        self.outcome.clock = None  # it counts the time in which the entry was parked

    def as_entry(self) -> RaceEntry:
        """What was raced, as the document has it."""
        record = record_of(
            self.planned, self.outcome, self.bench.machine, self.bench.limits, self.continuation
        )
        return RaceEntry(
            name=self.name, warm_up_laps=self.warm_up_laps, turns=self.turns, record=record
        )

    def _new_laps(self) -> list[LapEnd]:
        """The laps that came since this was asked last."""
        all_laps = self.outcome.every(LapEnd)
        new, self.laps = all_laps[self.laps :], len(all_laps)
        return new

    def _refuse_usage(self) -> None:
        failed = self.outcome.last(protocol.Failed)
        if self.outcome.ending == "failed" and failed is not None and failed.usage:
            raise EpochmarkError(f"{self.name}: {failed.message}", exit_code=2)


@contextlib.contextmanager
def started(name: str, planned: PlannedRun, bench: Bench, guard: Guard) -> Iterator[Racer]:
    """The entry with its worker starting; nothing of it is left after the block.

    Raises ``EpochmarkError`` when its interpreter cannot be started.
    """
    request = replace(planned.request, epochs=MAX_EPOCHS, quick=True)
    planned = replace(planned, request=request)
    order = RaceOrder(request.run_epochs, request.steps_per_epoch)
    recipients = Recipients(order, Watch(None, None), lambda report: None)
    outcome = WorkerOutcome()
    with contextlib.ExitStack() as ended, contextlib.ExitStack() as owned:
        files = written_files(request, owned.enter_context(temporary_folder("weights")))
        worker = _spawned(planned, bench, files, owned)
        guard.watch(worker.process.pid)
        ended.callback(guard.forget, worker.process.pid)
        yield Racer(
            name=name,
            planned=planned,
            bench=bench,
            guard=guard,
            files=files,
            worker=worker,
            listener=Listener(worker, outcome, recipients, bench.patience_s),
            outcome=outcome,
            order=order,
            pieces=Pieces(request.run_batch_size, request.workload.train_samples),
        )


def _spawned(
    planned: PlannedRun, bench: Bench, files: RunFiles, owned: contextlib.ExitStack
) -> WorkerProcess:
    """Its worker, which ends with the stack."""
    interpreter = planned.interpreter
    owned.enter_context(interpreter.in_use())
    folder = owned.enter_context(temporary_folder("worker"))

    def make_job(spawned_ns: int) -> Job:
        return replace(bench.job_of(planned.request, files, spawned_ns), takes_turns=True)

    try:
        return owned.enter_context(
            spawned(make_job, interpreter.python, interpreter.environment, folder)
        )
    except OSError as error:
        raise EpochmarkError(
            f"the interpreter {interpreter.python} cannot be started: {error.strerror or error}"
        ) from error
