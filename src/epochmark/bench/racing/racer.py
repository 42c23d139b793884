"""One entry of a race: a training that takes turns, and the proof of its work."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from epochmark.analysis.racing.pieces import Pieces
from epochmark.bench.plan import PlannedRun
from epochmark.bench.process.order import RaceOrder
from epochmark.bench.process.temporary import temporary_folder
from epochmark.bench.recording import record_of
from epochmark.bench.session import Bench, RunFiles, written_files
from epochmark.bench.turns.guard import Guard
from epochmark.bench.turns.taker import TurnTaker, started_worker
from epochmark.records.documents.race import RaceEntry
from epochmark.records.fields import MAX_EPOCHS
from epochmark.records.record import Continuation
from epochmark.worker.protocol import Job


@dataclass(kw_only=True)
class Racer(TurnTaker):
    """An entry whose worker runs, or is suspended, or has ended."""

    planned: PlannedRun
    bench: Bench
    files: RunFiles
    continuation: Continuation | None = None

    def prove(self) -> None:
        """Compute the proof again in float64, which takes some seconds."""
        self.continuation = self.bench.prove(self.planned.request, self.files, self.outcome)

    def as_entry(self) -> RaceEntry:
        """What was raced, as the document has it."""
        record = record_of(
            self.planned, self.outcome, self.bench.machine, self.bench.limits, self.continuation
        )
        return RaceEntry(
            name=self.name, warm_up_laps=self.warm_up_laps, turns=self.turns, record=record
        )


@contextlib.contextmanager
def started(name: str, planned: PlannedRun, bench: Bench, guard: Guard) -> Iterator[Racer]:
    """The entry with its worker starting; nothing of it is left after the block.

    Raises ``EpochmarkError`` when its interpreter cannot be started.
    """
    request = replace(planned.request, epochs=MAX_EPOCHS, quick=True)
    planned = replace(planned, request=request)
    order = RaceOrder(request.run_epochs, request.steps_per_epoch)
    with temporary_folder("weights") as folder:
        files = written_files(request, folder)

        def make_job(spawned_ns: int) -> Job:
            return replace(bench.job_of(request, files, spawned_ns), takes_turns=True)

        with started_worker(make_job, planned.interpreter, order, guard, bench.patience_s) as begun:
            yield Racer(
                name=name,
                guard=guard,
                worker=begun.worker,
                listener=begun.listener,
                outcome=begun.outcome,
                order=order,
                pieces=Pieces(request.run_batch_size, request.workload.train_samples),
                planned=planned,
                bench=bench,
                files=files,
            )
