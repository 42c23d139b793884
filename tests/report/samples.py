"""Records for tests: one real run, and others made from it through the real structures."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from epochmark.analysis.racing.standings import standings
from epochmark.analysis.timing.headline import headline_of
from epochmark.engines.fake import TYPICAL_LOSSES
from epochmark.judge.reading import decode_record
from epochmark.records.digest import sealed
from epochmark.records.documents.race import Race, RaceEntry, RaceTurn, sealed_race
from epochmark.records.findings import FindingCode
from epochmark.records.machine.machine_limits import (
    EngineLimits,
    Limits,
    MultiplyAdds,
    ProcessorLimits,
    Timed,
    Triad,
)
from epochmark.records.record import Epoch, Failure, Finding, Lap, Machine, Record, Replay
from epochmark.workloads import MNIST_CNN
from epochmark.workloads._proof import replay_data

REAL = Path(__file__).parents[1] / "records" / "native-2-epochs.json"
"""Two epochs of the native engine on a two-core machine, as ``epochmark run`` saved them."""


def real_record() -> Record:
    """The record of a real run."""
    return decode_record(REAL.read_bytes())


def finished(record: Record) -> Record:
    """The record with headline and digest that fit the rest of it."""
    return sealed(msgspec.structs.replace(record, headline=headline_of(record)))


def machine(cpu: str = "AMD EPYC", machine_id: str | None = None) -> Machine:
    """The real run's machine with another processor, and an id that goes with its name."""
    real = real_record().machine
    own = "0" * 16 if cpu == "AMD EPYC" else hashlib.sha256(cpu.encode()).hexdigest()[:16]
    return msgspec.structs.replace(real, cpu=cpu, machine_id=machine_id or own)


def timed(per_s: float) -> Timed:
    """Work of 1e9 at ``per_s`` a second."""
    return Timed(work=1e9, seconds=[1 / per_s])


def machine_limits(
    on: Machine,
    *engines: EngineLimits,
    peak: float = 490.0,
    bfloat16: float | None = None,
    bandwidth: float | None = 30.0,
) -> Limits:
    """What 'epochmark limits' might have measured on a machine."""
    rates: list[tuple[str, Literal["float32", "bfloat16"], float]] = [
        ("avx512", "float32", peak),
        ("avx2", "float32", peak / 2),
        ("portable", "float32", peak / 20),
    ]
    if bfloat16 is not None:
        rates.append(("avx512_bf16", "bfloat16", bfloat16))
    processor = ProcessorLimits(
        measured="2026-11-24T12:00:00Z",
        epochmark_version="0",
        multiply_adds=[
            MultiplyAdds(instruction_set=name, precision=precision, threads=2, timed=timed(rate))
            for name, precision, rate in rates
        ],
        triads=[
            Triad(threads=2, array_bytes=1 << 28, cache_bytes=None, timed=timed(per_s))
            for per_s in [bandwidth]
            if per_s is not None
        ],
    )
    return Limits(format=1, machine=on, processor=processor, engines=list(engines))


def sample_race(*steps_s: float) -> Race:
    """A race of entries that take about so long for a step, turns of two laps each."""
    entries = []
    for number, step_s in enumerate(steps_s):
        record = sample(number, step_s=step_s, engine="torch", epochs=2)
        laps = record.timing.laps[10:50]
        turns = [
            RaceTurn(
                start_s=len(steps_s) * before.end_ns / 1e9,
                wall_s=(after.end_ns - before.end_ns) / 1e9,
                laps=2,
            )
            for before, after in zip(record.timing.laps[9:47:2], laps[1::2], strict=False)
        ]
        entries.append(RaceEntry(name="torch", warm_up_laps=10, turns=turns, record=record))
    made = Race(
        race_schema=1,
        id="0" * 12,
        created="2026-11-28T10:00:00Z",
        epochmark_version="0",
        label=None,
        target=0.01,
        max_seconds=300.0,
        seconds=20.0,
        ending="time",
        gate=None,
        entries=entries,
    )
    return sealed_race(msgspec.structs.replace(made, standings=standings(made)))


def sample(
    number: int = 0,
    *,
    step_s: float = 0.025,
    epochs: int = 10,
    batch_size: int = 128,
    engine: str = "native",
    tuning: str = "stock",
    device: str = "cpu",
    description: str = "the processor",
    label: str | None = None,
    findings: Sequence[FindingCode] = (),
    on: Machine | None = None,
    variant: Sequence[str] = (),
    kernels: str = "1",
) -> Record:
    """A run that took about ``step_s`` a step, a lap every quarter of a second; ``number`` seeds
    its noise and makes its id."""
    real = real_record()
    noise = random.Random(number)
    laps = make_laps(noise, step_s, epochs, batch_size)
    losses = [loss * noise.uniform(0.99, 1.01) for loss in TYPICAL_LOSSES[:epochs]]
    replace = msgspec.structs.replace
    departures = list(variant)
    if epochs != MNIST_CNN.epochs:
        departures.append(f"{epochs} epochs")
    if batch_size != MNIST_CNN.batch_size:
        departures.append(f"batch {batch_size}")
    record = replace(
        real,
        id=f"{number:04x}00000000",
        created=f"2026-11-{1 + number % 28:02d}T10:{number % 60:02d}:00Z",
        label=label,
        findings=[
            Finding(code=code.value, detail=f"made up for {code.value}") for code in findings
        ],
        workload=replace(
            real.workload, epochs=epochs, batch_size=batch_size, variant=sorted(departures)
        ),
        engine=replace(
            real.engine,
            name=engine,
            family=engine,
            tuning=tuning,
            tuned_settings={} if tuning == "tuned" else None,
            settings={"threads": "2", "kernel_version": kernels} if engine == "native" else {},
        ),
        device=replace(
            real.device,
            requested=device,
            resolved=device,
            resolved_description=description,
            observed=[device],
        ),
        precision=replace(
            real.precision,
            requested="float32" if tuning == "tuned" else real.precision.requested,
            observed="float32",
        ),
        timing=replace(
            real.timing,
            startup_s=noise.uniform(0.3, 3.0),
            fit_ns=laps[-1].end_ns + 1_000_000,
            laps=with_losses(laps, losses),
        ),
        learning=replace(
            real.learning,
            epochs=[
                Epoch(epoch=number, loss=loss, accuracy=1 - loss / 4)
                for number, loss in enumerate(losses, start=1)
            ],
            test_accuracy=round(noise.uniform(0.986, 0.991), 4),
        ),
        replay=Replay(
            version=replay_data.REPLAY_VERSION,
            losses=list(replay_data.golden_losses(MNIST_CNN, real.engine.adam_form)),
            sgd_losses=list(replay_data.golden_sgd_losses(MNIST_CNN)),
        ),
        machine=on or machine(),
    )
    return finished(record)


def make_laps(noise: random.Random, step_s: float, epochs: int, batch_size: int) -> list[Lap]:
    """Laps of a run with a slow start and a few percent of noise."""
    per_epoch, laps, now = MNIST_CNN.steps_per_epoch(batch_size), [], 0.4
    steps_a_lap = max(1, int(0.25 / step_s))
    for epoch in range(1, epochs + 1):
        pace = step_s * noise.uniform(0.98, 1.04)
        left = per_epoch
        while left:
            steps = min(left, steps_a_lap)
            now += steps * pace * noise.uniform(0.97, 1.08)
            laps.append(Lap(epoch=epoch, steps=steps, end_ns=int(now * 1e9)))
            left -= steps
    return laps


def with_losses(laps: Sequence[Lap], losses: Sequence[float]) -> list[Lap]:
    """The laps with running losses that fall towards each epoch's mean, which is the last."""
    steps = Counter[int]()
    for lap in laps:
        steps[lap.epoch] += lap.steps
    given, done = [], Counter[int]()
    for lap in laps:
        done[lap.epoch] += lap.steps
        loss = losses[lap.epoch - 1] * (1.5 - 0.5 * done[lap.epoch] / steps[lap.epoch])
        given.append(msgspec.structs.replace(lap, loss=float(f"{loss:.6g}")))
    return given


def failed(number: int, **fields: Any) -> Record:
    """A run that crashed in its third epoch."""
    record = sample(number, findings=[FindingCode.WORKER_KILLED], **fields)
    replace = msgspec.structs.replace
    laps = [lap for lap in record.timing.laps if lap.epoch < 3]
    return finished(
        replace(
            record,
            outcome="failed",
            failure=Failure(
                kind="killed",
                phase="training",
                exception=None,
                message="killed by SIGKILL",
                exit_status=None,
                signal="SIGKILL",
            ),
            timing=replace(record.timing, fit_ns=None, startup_s=None, laps=laps),
            learning=replace(
                record.learning,
                epochs=record.learning.epochs[:2],
                test_loss=None,
                test_accuracy=None,
            ),
            replay=None,
            precision=replace(record.precision, observed=None),
            peak_memory_bytes=None,
        )
    )


def mixed_records(count: int) -> list[Record]:
    """Runs of many machines and engines, with failed, partial, disturbed and invalid ones."""
    troubles: list[list[FindingCode]] = [
        [], [], [], [], [FindingCode.LAPS_UNSYNCHRONISED], [FindingCode.STEPS_LIMITED],
        [FindingCode.PARITY_FAILED, FindingCode.LEARNING_OUT_OF_BAND],
    ]  # fmt: skip
    engines = ["native", "torch", "jax", "keras-tensorflow"]
    records = []
    for number in range(count):
        there = machine() if number % 5 == 0 else machine(f"Processor {number % 37}")
        if number % 11 == 10:
            records.append(failed(number, on=there))
            continue
        records.append(
            sample(
                number,
                step_s=0.012 * (1 + number % 37 / 6),
                engine=engines[number % len(engines)],
                tuning="tuned" if number % 9 == 3 else "stock",
                findings=troubles[number % len(troubles)],
                on=there,
            )
        )
    return records
