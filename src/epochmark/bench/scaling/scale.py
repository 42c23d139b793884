"""The story of ``epochmark scale``: warm up every number of devices, let them train in turns, then
prove their work."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Sequence

import msgspec

from epochmark._version import __version__
from epochmark.analysis.scaling.efficiency import efficiencies
from epochmark.bench.recording import engine_of, environment_of, workload_of_run
from epochmark.bench.scaling.request import ScaleRequest
from epochmark.bench.scaling.scaler import Scaler, started, unstarted
from epochmark.bench.scrub import scrubbed_parts
from epochmark.bench.session import Bench
from epochmark.bench.turns.guard import Guard
from epochmark.bench.turns.memory import check_room
from epochmark.bench.turns.rounds import Limits, prove_all, stop_all, take_turns, turns_took_s
from epochmark.bench.watching.memory import check_memory
from epochmark.errors import ClusterLostError, EpochmarkError
from epochmark.records import dates
from epochmark.records.documents.race import RaceEnding
from epochmark.records.documents.scaling import (
    SCALING_SCHEMA,
    ScaledNode,
    Scaling,
    ScalingEntry,
    sealed_scaling,
)
from epochmark.workloads._proof.replay_data import REPLAY_VERSION


def scale(request: ScaleRequest, bench: Bench, on_news: Callable[[str], None]) -> Scaling:
    """Measure and return the document; nothing that was started is left then.

    ``on_news`` gets what goes on, in a few words. A number of devices that fails leaves, which the
    document says; Ctrl-C ends all, and what was measured is kept.

    Raises ``EpochmarkError`` when it cannot be started here, or does not fit into memory.
    """
    if not request.nodes:  # theirs is not known here
        check_memory(request.planned.request, proves=False)
    with Guard() as guard, contextlib.ExitStack() as owned:
        scalers: list[Scaler] = []
        failed: list[ScalingEntry] = []
        for count in request.counts:
            if not request.nodes:
                _check_memory(scalers, count)
            on_news(f"warming up {count} of {max(request.counts)} devices")
            try:
                scaler = owned.enter_context(started(request, count, bench, guard))
            except EpochmarkError as error:
                failed.append(_lost(request, count, error))
                continue
            scalers.append(scaler)
            scaler.warm_up()
            scaler.outcome.raise_if_interrupted()
            if not scaler.is_rated and scaler.is_racing:
                on_news(f"proving the work of {scaler.name}")
                scaler.finish()
            if _is_interrupted(scaler):
                break
        ending = _turns(scalers, request, on_news)
        if ending != "interrupted":
            ending = prove_all(scalers, ending, on_news)
        stop_all(scalers)
        entries = [*failed, *(scaler.as_entry() for scaler in scalers)]
        return _document(request, bench, scalers, ending, entries)


def _lost(request: ScaleRequest, count: int, error: EpochmarkError) -> ScalingEntry:
    """A number of devices that a lost node keeps from starting, while others have trained already.
    Raises the error where that is not so."""
    if not request.nodes or count == request.counts[0] or isinstance(error, ClusterLostError):
        raise error
    return unstarted(request, count, error)


def _is_interrupted(scaler: Scaler) -> bool:
    return scaler.outcome.ending == "interrupted"


def _turns(
    scalers: Sequence[Scaler], request: ScaleRequest, on_news: Callable[[str], None]
) -> RaceEnding:
    if any(map(_is_interrupted, scalers)):
        return "interrupted"
    rated = [scaler for scaler in scalers if scaler.is_rated]
    limits = Limits(request.target, request.max_seconds, "measuring")
    return take_turns(rated, limits, time.monotonic(), on_news)


def _check_memory(scalers: Sequence[Scaler], count: int) -> None:
    """Each device takes as much as one of those that are in memory did."""
    each = max((scaler.memory_bytes // scaler.count for scaler in scalers), default=0)
    taken = [scaler.memory_bytes for scaler in scalers if scaler.is_racing]
    check_room(f"a training on {count} devices", taken, each * count)


def _document(
    request: ScaleRequest,
    bench: Bench,
    scalers: Sequence[Scaler],
    ending: RaceEnding,
    entries: Sequence[ScalingEntry],
) -> Scaling:
    run, first = request.planned.request, scalers[0].outcome
    nodes = request.nodes[: max(entry.devices for entry in entries)]
    made = Scaling(
        scaling_schema=SCALING_SCHEMA,
        id=secrets.token_hex(6),
        created=dates.now(),
        epochmark_version=__version__,
        label=run.label,
        mode=request.mode,
        target=request.target,
        max_seconds=request.max_seconds,
        seconds=turns_took_s(scalers),
        ending=ending,
        workload=workload_of_run(run),
        engine=engine_of(request.planned, first),
        device=run.device,
        precision=run.precision,
        replay_version=REPLAY_VERSION,
        machine=bench.machine,
        nodes=[ScaledNode(machine=node.machine, host=node.host) for node in nodes],
        environment=environment_of(request.planned, first),
        entries=sorted(entries, key=lambda entry: entry.devices),
    )
    made = msgspec.structs.replace(scrubbed_parts(made), label=run.label)
    return sealed_scaling(msgspec.structs.replace(made, efficiencies=efficiencies(made)))
