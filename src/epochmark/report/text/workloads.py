"""The workloads in text: what each is, how long it takes here, and one of them in full."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from epochmark.analysis.machine.arithmetic import direct_gflop_per_s
from epochmark.engines import offering
from epochmark.records.quantities import GIGA
from epochmark.records.record import Record
from epochmark.report.figures import NONE
from epochmark.workloads import Workload
from epochmark.workloads._data import language_of
from epochmark.workloads._proof import continuation_verdict, learning_band, parity
from epochmark.workloads._proof.memory import judge_bytes, state_bytes
from epochmark.workloads.flops import count_flops, run_tflop
from epochmark.workloads.memory_needed import training_memory
from epochmark.workloads.memory_traffic import bytes_per_step
from epochmark.workloads.shapes import layer_shapes, parameter_count
from epochmark.workloads.spec import Images

WORKLOAD_COLUMNS = ("workload", "parameters", "TFLOP", "time here", "engines")
MIB = 2**20
LAYER_COLUMNS = ("layer", "word", "output", "parameters", "MFLOP")


@dataclass(frozen=True)
class TimeHere:
    """Seconds of a whole run on this machine. ``source``: the run they were measured in, or the one
    whose speed they are estimated from."""

    seconds: float
    is_estimate: bool
    source: Record

    @property
    def text(self) -> str:
        """``12 min with torch``; of an estimate ``about``."""
        about = "about " if self.is_estimate else ""
        from_other = f" (estimate from {self.source.workload.name})" if self.is_estimate else ""
        return f"{about}{_duration(self.seconds)} with {self.source.engine.name}{from_other}"


def _duration(seconds: float) -> str:
    """With two digits: more would promise what no run keeps."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def time_here(workload: Workload, records: Sequence[Record]) -> TimeHere | None:
    """A whole run, by the fastest valid one of ``records`` on the CPU; otherwise an estimate from
    the fastest of another workload, as if both were the same kind of arithmetic. None without
    any."""
    valid = [
        record for record in records if record.headline.validity == "valid" and _epoch_s(record)
    ]
    own = [
        record
        for record in valid
        if record.workload.name == workload.name and _is_alike(record, workload)
    ]
    if own:
        fastest = min(own, key=_epoch_s)
        return TimeHere(_epoch_s(fastest) * workload.epochs, False, fastest)
    speeds = [
        (direct_gflop_per_s(record, record.headline.images_per_s), record) for record in valid
    ]
    known = [(speed, record) for speed, record in speeds if speed]
    if not known:
        return None
    speed, source = max(known, key=lambda pair: pair[0])
    return TimeHere(run_tflop(workload) * 1e3 / speed, True, source)


def _epoch_s(record: Record) -> float:
    return record.headline.steady_epoch_s or 0.0


def _is_alike(record: Record, workload: Workload) -> bool:
    run = record.workload
    return run.version == workload.version and run.batch_size == workload.batch_size


def workload_rows(
    workloads: Sequence[Workload], records: Sequence[Record]
) -> list[tuple[str, ...]]:
    """One row for each, in ``WORKLOAD_COLUMNS``; TFLOP are those of a whole run."""
    rows: list[tuple[str, ...]] = []
    for workload in workloads:
        found = time_here(workload, records)
        rows.append(
            (
                workload.name,
                f"{parameter_count(workload):,}",
                f"{run_tflop(workload):,.1f}",
                found.text if found else NONE,
                ", ".join(offering(workload)) or "none yet",
            )
        )
    return rows


def summary_lines(workloads: Sequence[Workload]) -> list[str]:
    """What each of them is."""
    width = max((len(workload.name) for workload in workloads), default=0)
    return [
        f"{workload.name:<{width}}  {workload.summary}"
        f"{' (large: must be named)' if workload.only_if_named else ''}"
        for workload in workloads
    ]


def workload_document(workload: Workload, records: Sequence[Record]) -> dict[str, Any]:
    """For JSON: what ``workload_rows`` shows, and the layers."""
    found = time_here(workload, records)
    flops = {layer.name: layer.training for layer in count_flops(workload).layers}
    return {
        "name": workload.name,
        "version": workload.version,
        "summary": workload.summary,
        "dataset": workload.dataset,
        "train_samples": workload.train_samples,
        "test_samples": workload.test_samples,
        "targets_per_sample": workload.targets_per_sample,
        "unit": workload.unit,
        "batch_size": workload.batch_size,
        "epochs": workload.epochs,
        "parameters": parameter_count(workload),
        "memory_bytes": _memory_document(workload),
        "only_if_named": workload.only_if_named,
        "training_flop_per_sample": count_flops(workload).training,
        "run_tflop": run_tflop(workload),
        "time_here_s": found.seconds if found else None,
        "time_is_estimate": found.is_estimate if found else None,
        "time_from_run": found.source.id if found else None,
        "engines": offering(workload),
        "judged": _judged(workload),
        "target_loss": workload.target.loss if workload.target else None,
        "layers": [
            {
                "name": entry.path,
                "word": type(entry.layer).__name__,
                "output": list(entry.output),
                "parameters": sum(math.prod(parameter.shape) for parameter in entry.parameters),
                "training_flop": flops.get(entry.path, 0),
            }
            for entry in layer_shapes(workload)
        ],
    }


def _memory_document(workload: Workload) -> dict[str, int]:
    size = workload.batch_size
    parts = training_memory(workload, size)._asdict()
    return {**parts, "state_kept": state_bytes(workload), "float64": judge_bytes(workload, size)}


def _memory_text(workload: Workload) -> str:
    """At the workload's own batch."""
    size = workload.batch_size
    memory = training_memory(workload, size)
    parts = ", ".join(
        f"{part / MIB:,.0f} MiB of {name}"
        for name, part in (
            ("parameters", memory.parameters),
            ("gradients", memory.gradients),
            ("Adam's moments", memory.moments),
        )
    )
    return (
        f"to train at batch {size}: {parts}, about {memory.activations / MIB:,.0f} MiB of "
        f"activations; about {judge_bytes(workload, size) / MIB:,.0f} MiB for the proof in "
        "float64 after that"
    )


def _judged(workload: Workload) -> dict[str, Any]:
    return {
        "replay": list(parity.replay_tolerances(workload)),
        "learning": learning_band.load_band(workload) is not None,
    }


def layer_rows(workload: Workload) -> list[tuple[str, ...]]:
    """One row for each layer, in ``LAYER_COLUMNS``; MFLOP are those of training on one sample."""
    flops = {layer.name: layer.training for layer in count_flops(workload).layers}
    return [
        (
            entry.path,
            _word(entry.layer),
            " x ".join(map(str, entry.output)),
            f"{sum(math.prod(parameter.shape) for parameter in entry.parameters):,}",
            f"{flops[entry.path] / 1e6:,.2f}" if entry.path in flops else NONE,
        )
        for entry in layer_shapes(workload)
    ]


def _word(layer: Any) -> str:
    activation = getattr(layer, "activation", None)
    return f"{type(layer).__name__}{f', {activation}' if activation else ''}"


def workload_lines(workload: Workload, records: Sequence[Record]) -> Iterator[str]:
    """Everything about a workload but its layers."""
    adam, batch = workload.optimizer, workload.batch_size
    steps, training = workload.steps_per_epoch(), count_flops(workload).training
    order = {
        "reshuffled": "in another order every epoch",
        "once": "each of them once: every epoch has others",
    }[workload.passes]
    yield f"{workload.name} version {workload.version}: {workload.summary}"
    yield f"data         {_data(workload)}"
    yield f"training     {workload.epochs} epochs of {steps:,} steps at batch {batch}, {order}"
    yield (
        f"optimizer    Adam: learning rate {adam.learning_rate:g}, beta {adam.beta_1:g} and "
        f"{adam.beta_2:g}, epsilon {adam.epsilon:g}"
    )
    yield (
        f"arithmetic   {training * batch / GIGA:,.2f} GFLOP a step, {run_tflop(workload):,.1f} "
        f"TFLOP a run; {training * batch / bytes_per_step(workload, batch):,.0f} for each byte "
        f"that a step moves"
    )
    yield f"parameters   {parameter_count(workload):,}"
    yield f"memory       {_memory_text(workload)}"
    yield f"judged       {_judged_text(workload)}"
    target = workload.target
    loss = f"an epoch's mean training loss of at most {target.loss:g}" if target else "none"
    yield f"target       {loss}"
    found = time_here(workload, records)
    yield f"time here    {found.text if found else 'not known: no valid run on this machine yet'}"
    yield f"engines      {', '.join(offering(workload)) or 'none offers it yet'}"
    if workload.only_if_named:
        yield "asked for    by name: it is large, and '-w all' leaves it out"


def _data(workload: Workload) -> str:
    counts = f"{workload.train_samples:,} training and {workload.test_samples:,} test"
    if isinstance(workload.input, Images):
        shape = " x ".join(map(str, workload.input.shape))
        return f"{workload.dataset}: {counts} images of {shape}, {workload.classes} classes"
    language = language_of(workload)
    used = "out of "
    if language is not None and language.symbols < workload.classes:
        used = f"out of the first {language.symbols} of "
    return (
        f"{workload.dataset}: {counts} sequences of {workload.input.context:,} {used}"
        f"{workload.classes:,} symbols"
    )


def _judged_text(workload: Workload) -> str:
    asked = parity.only_if_requested(workload)
    precisions = [
        f"{name} (if asked for)" if name in asked else name
        for name in parity.replay_tolerances(workload)
    ]
    replay = f"replays in {', '.join(precisions)}" if precisions else "no replay: not measured yet"
    if precisions and continuation_verdict.tolerance_of(workload, None, 1) is None:
        replay += ", but not the steps after a fit"
    copies = ""
    if language_of(workload) is not None:
        copies = "copying and the lowest loss; " if workload.target else "the lowest loss; "
    if learning_band.load_band(workload) is not None:
        return f"{replay}; {copies}loss and accuracy"
    unjudged = "no more of loss and accuracy is" if copies else "loss and accuracy are not"
    return f"{replay}; {copies}{unjudged} judged"
