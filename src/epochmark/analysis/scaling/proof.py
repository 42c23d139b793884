"""Whether several devices did the work of one: the split replay, equal parameters, where they
were."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from epochmark.analysis.timing.headline import is_known, workload_of
from epochmark.records.documents.scaling import ScaledDevice, Scaling, ScalingEntry
from epochmark.workloads._proof import parity, replay_data


class Proven(NamedTuple):
    """The tightest class of precision that the split replay met; or why the work is not right."""

    precision: str | None
    reason: str | None


def proven(scaling: Scaling, entry: ScalingEntry) -> Proven:
    """What an entry's proof shows. What the user ended before its replay is not proven, no more."""
    if not is_known(scaling.workload):
        return Proven(None, f"its workload {scaling.workload.name} is not known here")
    failure, interrupted = entry.failure, scaling.ending == "interrupted"
    if failure is not None and not (interrupted and failure.kind == "interrupted"):
        return Proven(None, f"{failure.kind} while {failure.phase}: {failure.message}"[:2000])
    if interrupted and not entry.adam:
        return Proven(None, None)
    verdict = _verdict(scaling, entry)
    reason = next(_wrong(scaling, entry, verdict), None)
    return Proven(verdict.precision, reason)


def _verdict(scaling: Scaling, entry: ScalingEntry) -> parity.Verdict:
    return parity.judge_replay(
        workload_of(scaling.workload),
        scaling.engine.adam_form,
        scaling.replay_version,
        entry.adam,
        entry.sgd,
        scaling.precision,
    )


def _replay_text(verdict: parity.Verdict) -> str:
    if verdict.unjudged:
        return "its split replay fits no precision whose tolerance was measured for this workload"
    return (
        "its split replay is not that of one device: a loss is off by "
        f"{verdict.max_error:.1e} of the golden one"
    )


def _wrong(scaling: Scaling, entry: ScalingEntry, verdict: parity.Verdict) -> Iterator[str]:
    """What is wrong, the scale of gradients first: it says most."""
    yield from _sgd(scaling, entry, verdict)
    asked = scaling.precision
    if verdict.precision is None:
        yield _replay_text(verdict)
    elif asked not in ("stock", verdict.precision):
        yield f"its split replay met {verdict.precision}, not {asked}, which was asked for"
    yield from _devices(scaling, entry)


def _sgd(scaling: Scaling, entry: ScalingEntry, verdict: parity.Verdict) -> Iterator[str]:
    """Adam divides most of the scale of gradients out; a sum passed for a mean shows here. Where
    Adam's losses met no precision, the coarsest tolerance counts."""
    workload, version = workload_of(scaling.workload), scaling.replay_version
    if not replay_data.golden_sgd_losses(workload, version):
        yield "its replay has no steps with plain SGD"
    tolerances = {} if verdict.met else parity.sgd_tolerances(workload, version)
    sgd = parity.judge(entry.sgd, replay_data.golden_sgd_losses(workload, version), tolerances)
    if tolerances and (verdict.wrong_scale or not sgd.met):
        yield (
            f"with plain SGD a loss of its split replay is off by {sgd.max_error:.1e} of what one "
            "device gives: gradients are not the mean over all devices"
        )


def _devices(scaling: Scaling, entry: ScalingEntry) -> Iterator[str]:
    parts = entry.parts
    if len(parts) != entry.devices:
        yield f"{len(parts)} devices reported their parameters, not {entry.devices}"
    if len({part.sha256 for part in parts}) > 1:
        yield "its devices ended with different parameters"
    kind = scaling.device.partition(":")[0]
    strays = [part.device for part in parts if part.device.partition(":")[0] != kind]
    if strays:
        yield f"parameters were seen on {strays[0]}, not on {kind}"
    if entry.rated and entry.devices > 1:
        yield from _apart(parts, _hosts(scaling, entry))
        numbers = {len(part.cores) for part in (*scaling.entries[0].parts, *parts)}
        if len(numbers) > 1:
            yield "its devices do not all have as many cores as one device alone"


def _hosts(scaling: Scaling, entry: ScalingEntry) -> list[int]:
    """The machine that each of its devices was on, by number."""
    if not scaling.nodes:
        return [0] * len(entry.parts)
    return [node.host for node in scaling.nodes[: len(entry.parts)]]


def _apart(parts: Sequence[ScaledDevice], hosts: Sequence[int]) -> Iterator[str]:
    """Each device is another one of its machine, or has cores there that no other has."""
    placed = [*zip(hosts, parts, strict=False)]
    all_cores = [(host, core) for host, part in placed for core in part.cores]
    devices = {(host, part.device) for host, part in placed}
    bound = all(part.cores for part in parts) and len(set(all_cores)) == len(all_cores)
    if not bound and len(devices) < len(parts):
        yield "its devices shared cores, or were one and the same"
