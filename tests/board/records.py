"""Records that recompute, as a session would have written them."""

from __future__ import annotations

import msgspec

from epochmark.analysis.timing.headline import replay_verdict
from epochmark.judge.validity import judge
from epochmark.records.record import Record
from epochmark.workloads import MNIST_CNN
from epochmark.workloads._proof import replay_data
from tests.report.samples import finished, machine, sample


def native(number: int, *, cpu: str = "AMD EPYC", step_s: float = 0.025) -> Record:
    """A valid run of the native engine."""
    return judged(sample(number, step_s=step_s, on=machine(cpu)))


def torch(
    number: int, *, gpu: str | None = None, step_s: float = 0.025, version: str = "2.12.1"
) -> Record:
    """A valid run of this version of PyTorch, on the processor or on this GPU."""
    device, name = ("cpu", "the processor") if gpu is None else ("gpu:0", gpu)
    record = sample(number, engine="torch", device=device, description=name, step_s=step_s)
    replace = msgspec.structs.replace
    assert record.replay is not None, "every sample has one"
    losses = list(replay_data.golden_losses(MNIST_CNN, "algorithm_1"))
    return judged(
        replace(
            record,
            engine=replace(record.engine, adam_form="algorithm_1", versions={"torch": version}),
            replay=replace(record.replay, losses=losses),
        )
    )


def judged(record: Record) -> Record:
    """The record with the precision and the findings that follow from it."""
    verdict = replay_verdict(record)
    precision = msgspec.structs.replace(
        record.precision, observed=verdict.precision if verdict else None
    )
    record = msgspec.structs.replace(record, precision=precision)
    return finished(msgspec.structs.replace(record, findings=judge(record)))
