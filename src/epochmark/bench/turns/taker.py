"""One training that takes turns: its worker, from the start through its turns to the end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from epochmark.analysis.racing.pieces import Pieces
from epochmark.bench.interpreters.interpreter import Interpreter
from epochmark.bench.process.launcher import Listener, Recipients, WorkerOutcome
from epochmark.bench.process.order import RaceOrder
from epochmark.bench.process.temporary import temporary_folder
from epochmark.bench.process.worker import Worker
from epochmark.bench.process.worker_process import WorkerProcess, spawned
from epochmark.bench.turns.guard import Guard
from epochmark.bench.watching.watch import Watch
from epochmark.errors import EpochmarkError
from epochmark.records.documents.race import RaceTurn
from epochmark.worker import protocol
from epochmark.worker.protocol import AnyJob, LapEnd, Message, Parked


@dataclass
class TurnTaker:
    """A training whose worker runs, or is suspended, or has ended."""

    name: str
    guard: Guard
    worker: Worker
    listener: Listener
    outcome: WorkerOutcome
    order: RaceOrder
    pieces: Pieces
    warm_up_laps: int = 0
    turns: list[RaceTurn] = field(default_factory=list)
    laps: int = 0
    is_racing: bool = False
    memory_bytes: int = 0

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

    def take_turn(self, began_s: float) -> None:
        """Train for a turn; it leaves where it ends in that. ``began_s`` is when the first turn of
        all began."""
        turn_began_s = time.monotonic()
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
            RaceTurn(start_s=turn_began_s - began_s, wall_s=ended_s - turn_began_s, laps=len(laps))
        )

    def finish(self) -> None:
        """End the training; the worker then does what is left for the proof."""
        self.order.take_turn()
        self.worker.ask_to_stop()
        self.worker.resume()
        self.listener.hear()
        self.leave()

    def prove(self) -> None:
        """What is left to compute of the proof when its worker has ended; nothing by default."""

    def interrupt(self, detail: str) -> None:
        """The user ended it."""
        self.leave()
        self.outcome.ending, self.outcome.detail = "interrupted", detail

    def leave(self) -> None:
        """End its processes."""
        self.is_racing = False
        self.worker.resume()
        finished = self.outcome.ending == "finished"
        self.outcome.exit_status = self.worker.end(at_once=finished)
        if self.worker.pid is not None:
            self.guard.forget(self.worker.pid)
        self.outcome.stderr = self.worker.read_rest_of_stderr(self.outcome.stderr)
        self.outcome.clock = None  # it counts the time in which the training was parked

    def _new_laps(self) -> list[LapEnd]:
        """The laps that came since this was asked last."""
        all_laps = self.outcome.every(LapEnd)
        new, self.laps = all_laps[self.laps :], len(all_laps)
        return new

    def _refuse_usage(self) -> None:
        failed = self.outcome.last(protocol.Failed)
        if self.outcome.ending == "failed" and failed is not None and failed.usage:
            raise EpochmarkError(f"{self.name}: {failed.message}", exit_code=2)


@dataclass
class Started:
    """A worker that is starting, and who hears it."""

    worker: Worker
    listener: Listener
    outcome: WorkerOutcome


@contextlib.contextmanager
def started_worker(
    make_job: Callable[[int], AnyJob],
    interpreter: Interpreter,
    order: RaceOrder,
    guard: Guard,
    patience_s: float | None,
) -> Iterator[Started]:
    """A worker that takes turns, starting; nothing of it is left after the block.

    Raises ``EpochmarkError`` when its interpreter cannot be started.
    """
    with contextlib.ExitStack() as ended, contextlib.ExitStack() as owned:
        worker = _spawned(make_job, interpreter, owned)
        guard.watch(worker.pid)
        ended.callback(guard.forget, worker.pid)
        yield heard(worker, order, patience_s)


def heard(
    worker: Worker,
    order: RaceOrder,
    patience_s: float | None,
    on_report: Callable[[Message], None] = lambda report: None,
) -> Started:
    """The worker with who hears it."""
    recipients = Recipients(order, Watch(None, None), on_report)
    outcome = WorkerOutcome()
    return Started(worker, Listener(worker, outcome, recipients, patience_s), outcome)


def _spawned(
    make_job: Callable[[int], AnyJob], interpreter: Interpreter, owned: contextlib.ExitStack
) -> WorkerProcess:
    """Its worker, which ends with the stack."""
    owned.enter_context(interpreter.in_use())
    folder = owned.enter_context(temporary_folder("worker"))
    try:
        return owned.enter_context(
            spawned(make_job, interpreter.python, interpreter.environment, folder)
        )
    except OSError as error:
        raise EpochmarkError(
            f"the interpreter {interpreter.python} cannot be started: {error.strerror or error}"
        ) from error
