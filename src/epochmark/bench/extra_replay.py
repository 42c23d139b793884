"""An extra replay with the engine of a record, in a worker as its run had: nothing is timed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from epochmark.bench.interpreters.interpreter import Interpreter, choose_interpreter
from epochmark.bench.plan import planned_in
from epochmark.bench.process.launcher import Recipients, WorkerOutcome, launch
from epochmark.bench.process.messages import MessageError
from epochmark.bench.process.temporary import telling_where, temporary_folder
from epochmark.bench.request import RunRequest, find_workload
from epochmark.bench.scrub import scrubbed
from epochmark.bench.watching.watch import Watch
from epochmark.engines import get_engine
from epochmark.errors import EpochmarkError
from epochmark.records.record import Record
from epochmark.worker.protocol import (
    Failed,
    Finished,
    Hello,
    Message,
    Opened,
    Phase,
    Replayed,
    ReplayJob,
)
from epochmark.workloads._proof.replay_data import Batch

ORDER = (Hello, "starting", Opened, "building", "checking", Replayed, Finished)
"""What such a worker reports, phases by name; ``Failed`` may take the place of anything."""

Weights = Mapping[str, npt.NDArray[Any]]


def replay_of_record(
    record: Record,
    weights: Weights,
    batches: Sequence[Batch],
    python: str | None,
    on_phase: Callable[[str], None],
) -> list[float | None]:
    """Mean loss of each batch before its update, by the engine, device, precision and settings of a
    record; None where one is not finite. ``python`` names the interpreter, as for a run.

    Raises ``EpochmarkError`` where the engine, this version of it or the device is not here any
    more, and where the replay fails; ``KeyboardInterrupt`` where the user stops it.
    """
    interpreter = choose_interpreter(get_engine(record.engine.name).info, python)
    request = planned_in(interpreter, _request_of(record), proves=False).request
    with temporary_folder("replay") as folder:
        job = _written(request, weights, batches, folder)
        outcome = _launched(job, interpreter, on_phase)
    replayed = outcome.last(Replayed)
    if outcome.ending != "finished" or replayed is None:
        raise EpochmarkError(
            f"the extra replay with {request.engine} did not end as it should: "
            f"{scrubbed(outcome.detail)}"
        )
    _check_same(record, outcome)
    return list(replayed.losses)


def _request_of(record: Record) -> RunRequest:
    return RunRequest(
        engine=record.engine.name,
        device=record.device.resolved or record.device.requested,
        precision=record.precision.requested,
        tuning=record.engine.tuning,
        tuned_settings=record.engine.tuned_settings or {},
        batch_size=record.workload.batch_size,
        workload=find_workload(record.workload.name),
    )


def _written(
    request: RunRequest, weights: Weights, batches: Sequence[Batch], folder: Path
) -> ReplayJob:
    inputs, targets = zip(*batches, strict=True)
    with telling_where(folder.parent):
        np.savez(folder / "weights.npz", **weights)  # type: ignore[arg-type]
        np.savez(folder / "batches.npz", inputs=np.stack(inputs), targets=np.stack(targets))
    return ReplayJob(
        request.engine, request.settings, str(folder / "weights.npz"), str(folder / "batches.npz")
    )


def _launched(
    job: ReplayJob, interpreter: Interpreter, on_phase: Callable[[str], None]
) -> WorkerOutcome:
    def tell(report: Message) -> None:
        if isinstance(report, Phase):
            on_phase(report.name)

    recipients = Recipients(_ReplayOrder(), Watch(None, None), tell)
    try:
        with interpreter.in_use():
            python, environment = interpreter.python, interpreter.environment
            outcome = launch(lambda spawned_ns: job, python, environment, recipients)
    except OSError as error:
        raise EpochmarkError(
            f"the interpreter {interpreter.python} cannot be started: {error.strerror or error}"
        ) from error
    outcome.raise_if_interrupted()
    return outcome


class _ReplayOrder:
    """Each report once, in ``ORDER``."""

    def __init__(self) -> None:
        self._due = [*ORDER]

    def take(self, report: Message, running_s: float) -> None:
        if isinstance(report, Failed) and self._due:
            self._due = []
            return
        came = report.name if isinstance(report, Phase) else type(report)
        if not self._due or came != self._due.pop(0):
            raise MessageError(f"{type(report).__name__} may not come now")


def _check_same(record: Record, outcome: WorkerOutcome) -> None:
    """Raise ``EpochmarkError`` where another version of the engine, or another device, replayed."""
    hello, opened = outcome.last(Hello), outcome.last(Opened)
    assert hello is not None
    assert opened is not None
    versions = {**hello.versions, **opened.versions}
    for name, version in record.engine.versions.items():
        if versions.get(name) != version:
            raise EpochmarkError(
                f"the run was made with {name} {version}, and here is "
                f"{versions.get(name, 'none')}: an extra replay needs the same"
            )
    if opened.description != record.device.resolved_description:
        raise EpochmarkError(
            f"the run was made on {record.device.resolved_description}, and this is "
            f"{opened.description}: an extra replay needs the same device"
        )
