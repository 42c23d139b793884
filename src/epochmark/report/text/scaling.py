"""What several devices give, in sentences: rate, efficiency, what communication costs, and why
somebody is not rated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from epochmark.analysis.scaling.efficiency import efficiency_interval
from epochmark.analysis.timing.headline import workload_of
from epochmark.records.dates import local_time
from epochmark.records.documents.scaling import Efficiency, ScaledNode, Scaling, ScalingEntry
from epochmark.records.wording import counted
from epochmark.report.digits import range_text, significant, value_text
from epochmark.report.tables.section import Section
from epochmark.report.text.turns import ending_text

STRAGGLES_FROM = 1.1
"""Forward passes that take this many times as long as the fastest device's make a straggler."""
MODES = {
    "weak": "weak scaling: every device has the whole batch of one, so a step has more samples",
    "strong": "strong scaling: the devices share the batch of one, so the mathematics is the same",
}


def scaling_lines(scaling: Scaling) -> list[str]:
    """What was asked, a few lines for each number of devices, and how the turns ended."""
    lines = [*_head(scaling), ""]
    for entry, found in zip(scaling.entries, scaling.efficiencies, strict=True):
        lines += _entry_lines(scaling, entry, found)
    rated = sum(entry.rated for entry in scaling.entries)
    return [*lines, "", ending_text(scaling) if rated > 1 else NOTHING_RATED]


NOTHING_RATED = "Only one device was timed: there is no efficiency to give."


def rate_text(scaling: Scaling, found: Efficiency) -> str:
    """Images or tokens a second, in all."""
    workload = workload_of(scaling.workload)
    rate = (found.samples_per_s or 0.0) * workload.targets_per_sample
    return f"{significant(rate, 4)} {workload.unit}/s"


def _head(scaling: Scaling) -> Iterator[str]:
    engine, run = scaling.engine, scaling.workload
    versions = ", ".join(f"{name} {version}" for name, version in engine.versions.items())
    yield f"{run.name} with {engine.name} ({versions}) on {scaling.device}, {MODES[scaling.mode]}."
    cores = {len(part.cores) for entry in scaling.entries if entry.rated for part in entry.parts}
    batch = f"The batch of one device is {run.batch_size}."
    if cores and cores != {0}:
        batch += f" A device is {counted(max(cores), 'core')}."
    yield batch
    if scaling.nodes:
        yield _nodes_text(scaling)


def _nodes_text(scaling: Scaling) -> str:
    """Where the devices were, and what was between them."""
    processors = Counter(node.machine.cpu for node in scaling.nodes)
    kinds = "; ".join(f"{count} with {cpu}" for cpu, count in processors.items())
    text = f"Each device is on a node of its own: {counted(len(scaling.nodes), 'node')}, {kinds}."
    if len({_model(scaling, node) for node in scaling.nodes}) > 1:
        what = "processors" if scaling.device == "cpu" else "GPUs"
        text += f" Their {what} differ: what the slower ones take longer counts as communication."
    hosts = len({node.host for node in scaling.nodes})
    if hosts == len(scaling.nodes):
        return text
    where = "one machine, and what is" if hosts == 1 else f"{hosts} machines, and part of what is"
    return f"{text} They are on {where} between them is no network."


def _model(scaling: Scaling, node: ScaledNode) -> str | None:
    """What its device is of: of the machine's GPUs the first."""
    if scaling.device == "cpu":
        return node.machine.cpu
    return node.machine.gpus[0].name if node.machine.gpus else None


def _entry_lines(scaling: Scaling, entry: ScalingEntry, found: Efficiency) -> Iterator[str]:
    name = counted(entry.devices, "device")
    if found.place == "out":
        yield f"{name}: not rated: {found.reason}"
        return
    if found.place == "mathematics":
        yield (
            f"{name}: mathematics only: {_proof_text(found)}. The devices share threads or cores, "
            "so no rate is given."
        )
        return
    if found.place == "base":
        rate = f"{rate_text(scaling, found)}{_unproven(found)}"
        yield f"{name}: {rate}: the others are compared with it"
        return
    interval = efficiency_interval(found)
    if interval is None:
        yield f"{name}: {_why_not_compared(scaling, entry)} ({_proof_text(found)})"
        return
    speedup = interval.median / 100 * entry.devices
    yield (
        f"{name}: {rate_text(scaling, found)}, {scaling.mode} efficiency {value_text(interval, 1)} "
        f"% (95 % interval {range_text(interval, 1)} %, {counted(found.pairs, 'pair')} of turns): "
        f"{speedup:.2f} times one device"
    )
    yield from (f"  {line}" for line in _why(found))


def _why_not_compared(scaling: Scaling, entry: ScalingEntry) -> str:
    if entry.devices == 1:
        return "not compared with others"
    if scaling.efficiencies[0].place == "out":
        return "one device is out, so there is nothing to compare it with"
    return "too few turns to compare it with one device"


def _unproven(found: Efficiency) -> str:
    return " (not proven)" if found.precision is None else ""


def _proof_text(found: Efficiency) -> str:
    if found.precision is None:
        return "not proven"
    return f"the split replay met {found.precision}, and all devices ended with the same parameters"


def _why(found: Efficiency) -> Iterator[str]:
    yield _proof_text(found)
    if None not in (found.exposed_s, found.exposed_low_s, found.exposed_high_s):
        yield _cost_text(
            found.exposed_s or 0.0, found.exposed_low_s or 0.0, found.exposed_high_s or 0.0
        )
    if found.all_reduce_s and found.bus_bytes_per_s and found.predicted:
        yield (
            f"{found.gradient_bytes / 1e6:.1f} MB of gradients a step; their sum alone takes "
            f"{1e3 * found.all_reduce_s:.2f} ms (busbw {found.bus_bytes_per_s / 1e9:.2f} GB/s), so "
            f"{100 * found.predicted:.1f} % is predicted where nothing of it is hidden behind "
            "computing"
        )
    if found.slowest is not None and found.slowest_by is not None:
        straggler = "a straggler: " if found.slowest_by >= STRAGGLES_FROM else ""
        yield (
            f"{straggler}the forward passes of device {found.slowest} take {found.slowest_by:.2f} "
            "times as long as those of the fastest"
        )


def _cost_text(middle_s: float, low_s: float, high_s: float) -> str:
    """It is negative where several devices gain, as from more cache."""
    word, sign = ("longer", 1e3) if middle_s >= 0 else ("shorter", -1e3)
    low, high = sorted((sign * low_s, sign * high_s))
    return (
        f"a step takes {sign * middle_s:.2f} ms {word} than one without communication "
        f"({low:.2f} to {high:.2f} ms)"
    )


def scalings_section(scalings: Sequence[Scaling]) -> Section:
    """All scalings, in the order given."""
    header = ("id", "measured", "engine", "workload", "mode", "efficiency", "label")
    return Section("", header, tuple(map(_row, scalings)))


def _row(scaling: Scaling) -> tuple[str, ...]:
    pairs = zip(scaling.entries, scaling.efficiencies, strict=True)
    return (
        scaling.id[:8],
        local_time(scaling.created),
        scaling.engine.name,
        scaling.workload.name,
        scaling.mode,
        "; ".join(_short(entry, found) for entry, found in pairs if entry.devices > 1),
        scaling.label or "",
    )


def _short(entry: ScalingEntry, found: Efficiency) -> str:
    interval = efficiency_interval(found)
    if interval is not None:
        return f"{entry.devices}: {value_text(interval, 1)} %{_unproven(found)}"
    proven = "not proven" if found.precision is None else "proven"
    word = {"out": "not rated", "mathematics": proven}.get(found.place, "unknown")
    return f"{entry.devices}: {word}"
