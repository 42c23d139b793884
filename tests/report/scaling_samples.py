"""Scalings for tests, made through the real structures from one real run."""

from __future__ import annotations

import random
from collections.abc import Mapping

import msgspec

from epochmark.analysis.scaling.efficiency import efficiencies
from epochmark.records.documents.race import RaceTurn
from epochmark.records.documents.scaling import (
    Mode,
    ScaledDevice,
    Scaling,
    ScalingEntry,
    sealed_scaling,
)
from epochmark.records.record import Lap
from epochmark.workloads import MNIST_CNN
from epochmark.workloads._proof import replay_data
from tests.report.samples import machine, sample

GOLDEN = list(replay_data.golden_losses(MNIST_CNN, "algorithm_1"))
RIGHT_SGD: list[float | None] = [*replay_data.golden_sgd_losses(MNIST_CNN)]
TURNS, STEPS = 24, 10


def sample_entry(
    devices: int, step_s: float, *, mode: Mode = "weak", rated: bool = True
) -> ScalingEntry:
    """So many devices that take about so long for a step, in turns of two laps, and did the work
    of one. A device has core ``n``."""
    noise, now, laps = random.Random(devices), 0.5, [Lap(epoch=1, steps=1, end_ns=500_000_000)]
    turns: list[RaceTurn] = []
    for _ in range(TURNS if rated else 0):
        began = now
        for steps in (1, STEPS - 1):
            now += steps * step_s * noise.uniform(0.995, 1.005)
            laps.append(Lap(epoch=1, steps=steps, end_ns=round(now * 1e9)))
        turns.append(RaceTurn(start_s=2 * began, wall_s=(now - began) * 1.01, laps=2))
    return ScalingEntry(
        devices=devices,
        batch_size=128 * devices if mode == "weak" else 128,
        rated=rated,
        warm_up_laps=1,
        turns=turns,
        laps=laps,
        resolved="cpu",
        description="the processor",
        parts=[
            ScaledDevice(
                device="cpu",
                sha256="0" * 64,
                cores=[number] if rated else [],
                forward_s=0.010 * (1.2 if number == 1 else 1.0),
            )
            for number in range(devices)
        ],
        adam=[*GOLDEN],
        sgd=[*RIGHT_SGD],
        all_reduce_s=[0.004] * 20 if rated and devices > 1 else [],
    )


def sample_scaling(
    steps_s: Mapping[int, float], mode: Mode = "weak", proven_only: int | None = None
) -> Scaling:
    """One whose numbers of devices take so long for a step; one of them may be proven only."""
    run = sample(1, engine="torch")
    entries = [
        sample_entry(devices, step_s, mode=mode, rated=devices != proven_only)
        for devices, step_s in steps_s.items()
    ]
    return with_entries(
        Scaling(
            scaling_schema=1,
            id="1" * 12,
            created="2026-11-28T10:00:00Z",
            epochmark_version="0",
            label=None,
            mode=mode,
            target=0.01,
            max_seconds=300.0,
            seconds=20.0,
            ending="time",
            workload=run.workload,
            engine=msgspec.structs.replace(run.engine, adam_form="algorithm_1"),
            device="cpu",
            precision="stock",
            replay_version=replay_data.REPLAY_VERSION,
            machine=machine(),
            environment={},
            entries=entries,
        ),
        entries,
    )


def with_entries(scaling: Scaling, entries: list[ScalingEntry]) -> Scaling:
    """The scaling with other entries, derived and sealed again."""
    changed = msgspec.structs.replace(scaling, entries=entries)
    return sealed_scaling(msgspec.structs.replace(changed, efficiencies=efficiencies(changed)))
