"""What could be explained if it had been measured."""

from __future__ import annotations

from collections.abc import Iterator

from epochmark.analysis.machine.arithmetic import flops_of
from epochmark.records.machine.machine_limits import REPEATED
from epochmark.report.explanations._rule import Evidence, Rule, Sentence
from epochmark.report.figures import other_workload, percent

NAMES = {"product": "matrix product", "convolution": "convolution", "dispatch": "dispatch"}
"""What is measured of an engine, by field."""


def no_limits(evidence: Evidence) -> Iterator[Sentence]:
    """No peak of this machine, or none that can be trusted."""
    limits = evidence.run_limits
    if not evidence.on_cpu or (limits is not None and limits.steady):
        return
    how = "are not measured yet" if limits is None else "were measured while it was busy"
    yield Sentence(
        f"The limits of this machine {how}, so the run's share of the peak is unknown.",
        {},
        "run 'epochmark limits' on it, then explain again",
    )


def no_engine_limits(evidence: Evidence) -> Iterator[Sentence]:
    """No limits of this engine, or of other versions of it, or of a busy machine."""
    engine, device = evidence.record.engine.name, evidence.device
    found = evidence.limits.of_engine(engine, device) if evidence.limits else None
    why, fields = "have not been measured", list(NAMES)
    if not flops_of(evidence.record).training_convolutions:
        fields.remove("convolution")
    if evidence.engine_limits is not None:
        why, believed = "were measured while the machine was busy", evidence.engine_limits
        fields = [part for part in fields if getattr(found, part) != getattr(believed, part)]
    elif found is not None:
        why = "were measured with other versions of it than the run had"
    if not fields:
        return
    yield Sentence(
        f"The limits of {engine} on {device} {why}: {', '.join(NAMES[part] for part in fields)}.",
        {"engine": engine, "device": device},
        f"run 'epochmark limits {engine}', then explain again",
    )


def no_sweep(evidence: Evidence) -> Iterator[Sentence]:
    """Another device than the CPU, and no sweep."""
    if evidence.on_cpu or evidence.sweep is not None:
        return
    engine, run = evidence.record.engine.name, evidence.record.workload
    workload = "".join(f" -w {name}" for name in other_workload(run.name))
    device = evidence.device.split(":")[0]
    yield Sentence(
        f"Whether batch {run.batch_size} fills this device is not known.",
        {"batch": run.batch_size},
        f"run 'epochmark run {engine}{workload} --device {device} --sweep-batch'",
    )


RULES = (
    Rule(
        name="no-limits",
        question="unknown",
        needs="figure",
        says_when="a run on the CPU, and the limits of its machine are unknown, or its peaks "
        "did not repeat when they were measured",
        reason="without the peak its share is unknown",
        apply=no_limits,
    ),
    Rule(
        name="no-engine-limits",
        question="unknown",
        needs="figure",
        says_when="no limits of this engine on this device are known, or only with other versions, "
        f"or their median repetition was below {percent(REPEATED)} of the best",
        reason="another version may have another matrix library; limits measured "
        "on a busy machine are too low",
        apply=no_engine_limits,
    ),
    Rule(
        name="no-sweep",
        question="unknown",
        needs="figure",
        says_when="a run on another device than the CPU, without a batch sweep",
        reason="GPUs and TPUs are easily too large for batch 128 of small images, or a few short "
        "sequences",
        apply=no_sweep,
    ),
)
