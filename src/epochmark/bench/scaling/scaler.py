"""One number of devices: its worker, which is the first of their processes, and what it proves."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import msgspec

from epochmark.analysis.scaling.efficiency import new_pieces
from epochmark.bench.process.order import ScaleOrder
from epochmark.bench.process.temporary import temporary_folder
from epochmark.bench.recording import failure_of, laps_of
from epochmark.bench.scaling.nodes.far_worker import far_worker
from epochmark.bench.scaling.request import ScaleRequest
from epochmark.bench.scrub import scrubbed, without_nodes
from epochmark.bench.session import Bench, written_files
from epochmark.bench.turns.guard import Guard
from epochmark.bench.turns.taker import Started, TurnTaker, heard, started_worker
from epochmark.engines._shared.variables import known_variables
from epochmark.errors import EpochmarkError
from epochmark.records.documents.scaling import ScaledDevice, ScalingEntry
from epochmark.records.fields import MAX_EPOCHS
from epochmark.records.record import Failure
from epochmark.worker import protocol
from epochmark.worker.protocol import ScaleJob

ALL_REDUCES = 20
"""Calls of the framework's sum that are timed; the first, which opens connections, is not."""


@dataclass(kw_only=True)
class Scaler(TurnTaker):
    """``count`` devices whose worker runs, or is suspended, or has ended."""

    count: int
    request: ScaleRequest

    @property
    def is_rated(self) -> bool:
        return self.request.rates(self.count)

    def as_entry(self) -> ScalingEntry:
        """What was measured, as the document has it."""
        outcome = self.outcome
        opened = outcome.last(protocol.Opened)
        replayed = outcome.last(protocol.SplitReplayed)
        reduced = outcome.last(protocol.Figure)
        return ScalingEntry(
            devices=self.count,
            batch_size=self.request.batch_size(self.count),
            rated=self.is_rated,
            warm_up_laps=self.warm_up_laps,
            turns=self.turns,
            laps=laps_of(outcome),
            resolved=opened.device if opened else None,
            description=opened.description if opened else None,
            parts=[
                ScaledDevice(
                    device=part.device,
                    sha256=part.sha256,
                    cores=part.cores,
                    forward_s=part.forward_s,
                )
                for part in outcome.every(protocol.DevicePart)
            ],
            adam=replayed.adam if replayed else [],
            sgd=replayed.sgd if replayed else [],
            all_reduce_s=reduced.seconds if reduced else [],
            failure=_kept(failure_of(outcome), self.request),
        )


def unstarted(request: ScaleRequest, count: int, error: EpochmarkError) -> ScalingEntry:
    """The entry of a number of devices that could not be started."""
    failure = Failure(
        kind="failed",
        phase="starting",
        exception=None,
        message=scrubbed(str(error)),
        exit_status=None,
        signal=None,
    )
    return ScalingEntry(
        devices=count,
        batch_size=request.batch_size(count),
        rated=request.rates(count),
        warm_up_laps=0,
        turns=[],
        laps=[],
        resolved=None,
        description=None,
        parts=[],
        adam=[],
        sgd=[],
        all_reduce_s=[],
        failure=_kept(failure, request),
    )


def _kept(failure: Failure | None, request: ScaleRequest) -> Failure | None:
    """The same without what would tell where the nodes are."""
    if failure is None or not request.nodes:
        return failure
    names = [ready.node.name for ready in request.nodes]
    return msgspec.structs.replace(failure, message=without_nodes(failure.message, names))


@contextlib.contextmanager
def started(request: ScaleRequest, count: int, bench: Bench, guard: Guard) -> Iterator[Scaler]:
    """A number of devices with their first process starting; nothing is left after the block.

    Raises ``EpochmarkError`` when its interpreter cannot be started, or a node does not start it.
    """
    run = request.planned.request
    batch_size = request.batch_size(count)
    steps = MAX_EPOCHS * (run.workload.train_samples // batch_size)
    order = ScaleOrder(steps, count)
    begin = _on_nodes if request.nodes else _here
    with begin(request, count, bench, guard, order) as begun:
        yield Scaler(
            name=f"{count} device{'s' if count > 1 else ''}",
            guard=guard,
            worker=begun.worker,
            listener=begun.listener,
            outcome=begun.outcome,
            order=order,
            pieces=new_pieces(batch_size),
            count=count,
            request=request,
        )


@contextlib.contextmanager
def _here(
    request: ScaleRequest, count: int, bench: Bench, guard: Guard, order: ScaleOrder
) -> Iterator[Started]:
    """The first process of those on this machine."""
    with temporary_folder("weights") as folder:
        files = written_files(request.planned.request, folder)

        def make_job(spawned_ns: int) -> ScaleJob:
            return replace(
                _job(request, count, spawned_ns),
                data_folder=str(bench.data_folder.absolute()),
                weights_file=str(files.weights),
                replay_weights_file=str(files.replay_weights),
                meeting=str(folder / "meeting") if request.parallel.processes else None,
            )

        interpreter = request.planned.interpreter
        with started_worker(make_job, interpreter, order, guard, bench.patience_s) as begun:
            yield begun


@contextlib.contextmanager
def _on_nodes(
    request: ScaleRequest, count: int, bench: Bench, guard: Guard, order: ScaleOrder
) -> Iterator[Started]:
    """The first process of those on as many nodes, whose agents guard them."""
    nodes = [ready.node for ready in request.nodes[:count]]
    with far_worker(nodes, lambda spawned_ns: _job(request, count, spawned_ns)) as worker:
        yield heard(worker, order, bench.patience_s, lambda report: nodes[0].check())


def _job(request: ScaleRequest, count: int, spawned_ns: int) -> ScaleJob:
    """What all processes get, without what each machine has elsewhere."""
    run = request.planned.request
    return ScaleJob(
        engine=run.engine,
        settings=replace(run.settings, epochs=MAX_EPOCHS, batch_size=request.batch_size(count)),
        data_folder="",
        weights_file="",
        replay_weights_file="",
        spawned_ns=spawned_ns,
        variables=[*known_variables().recorded],
        devices=count,
        meeting=None,
        cores=request.cores_of(count),
        all_reduces=ALL_REDUCES if request.rates(count) and count > 1 else 0,
    )
