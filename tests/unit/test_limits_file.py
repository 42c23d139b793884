"""The stored limits: what is derived from them, whose they are, and that nothing is believed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from epochmark.errors import EpochmarkError
from epochmark.records.machine.limits_file import (
    decode_limits,
    limits_file,
    read_limits,
    save_limits,
)
from epochmark.records.machine.machine_limits import (
    EngineLimits,
    Limits,
    MultiplyAdds,
    ProcessorLimits,
    Product,
    Timed,
    Triad,
)
from epochmark.records.record import Machine
from tests.unit.samples import record

MACHINE = msgspec.structs.replace(record().machine, machine_id="0" * 16)
WHEN = "2026-11-24T12:00:00Z"


def timed(per_s: float, *others: float) -> Timed:
    """Repetitions of work of 1e9, each at that many a second."""
    return Timed(work=1e9, seconds=[1 / rate for rate in (per_s, *others)])


def multiply_adds(name: str, threads: int, per_s: float, precision: Any = "float32") -> Any:
    return MultiplyAdds(
        instruction_set=name, precision=precision, threads=threads, timed=timed(per_s)
    )


def engine(name: str, device: str, per_s: float) -> EngineLimits:
    product = Product(size=1024, timed=timed(per_s))
    return EngineLimits(
        measured=WHEN, epochmark_version="0", engine=name, device=device, product=product
    )


def limits(*engines: EngineLimits, machine: Machine = MACHINE) -> Limits:
    processor = ProcessorLimits(
        measured=WHEN,
        epochmark_version="0",
        multiply_adds=[
            multiply_adds("avx2", 1, 80.0),
            multiply_adds("avx2", 2, 160.0),
            multiply_adds("portable", 2, 20.0),
        ],
        triads=[
            Triad(threads=threads, array_bytes=1 << 28, cache_bytes=None, timed=timed(per_s))
            for threads, per_s in ((1, 20.0), (2, 30.0))
        ],
    )
    return Limits(format=1, machine=machine, processor=processor, engines=list(engines))


def test_a_spread_is_of_the_repetitions() -> None:
    spread = timed(10.0, 8.0, 9.0).per_s
    assert (spread.median, spread.low, spread.high) == pytest.approx((9.0, 8.0, 10.0))
    assert spread.count == 3


def test_the_peak_is_that_of_the_best_instruction_set() -> None:
    peak = limits().peak()
    assert peak is not None
    assert peak.gflop_per_s.median == pytest.approx(160.0)
    assert peak.source == "avx2 multiply-adds, 2 threads"
    assert limits().peak("bfloat16") is None


def test_the_fastest_repetition_counts_since_other_load_only_slows_one_down() -> None:
    disturbed = MultiplyAdds(
        instruction_set="avx512", precision="float32", threads=2, timed=timed(300.0, 40.0, 50.0)
    )
    processor = ProcessorLimits(
        measured=WHEN,
        epochmark_version="0",
        multiply_adds=[multiply_adds("avx2", 2, 160.0), disturbed],
    )
    kept = Limits(format=1, machine=MACHINE, processor=processor).for_run()
    assert kept is not None
    assert kept.float32_gflop_per_s == pytest.approx(300.0)
    assert kept.float32_source == "avx512 multiply-adds, 2 threads"
    assert not kept.steady
    calm = limits().for_run()
    assert calm is not None
    assert calm.steady


def test_a_matrix_product_beyond_it_is_the_peak_but_not_one_of_another_device() -> None:
    peak = limits(engine("torch", "cpu", 900.0), engine("torch", "gpu:0", 9000.0)).peak()
    assert peak is not None
    assert peak.source == "matrix product of torch"


def test_a_run_keeps_the_few_figures_it_needs() -> None:
    kept = limits().for_run()
    assert kept is not None
    assert kept.float32_gflop_per_s == pytest.approx(160.0)
    assert kept.triad_gb_per_s == pytest.approx(30.0)
    assert kept.bfloat16_gflop_per_s is None
    assert Limits(format=1, machine=MACHINE).for_run() is None


@pytest.mark.parametrize(
    ("change", "fits"),
    [
        ({}, True),
        ({"machine_id": None}, True),
        ({"machine_id": "1" * 16}, False),
        ({"cpu": "another"}, False),
        ({"usable_cores": MACHINE.usable_cores + 1}, False),
        ({"architecture": "another"}, False),
        ({"microarchitecture": "another"}, False),
        ({"memory_bytes": 4 * (MACHINE.memory_bytes or 0)}, False),
        ({"cpu_quota": 0.5}, False),
        ({"kernel": "newer"}, True),
    ],
)
def test_limits_belong_to_a_machine_as_it_is(change: dict[str, Any], fits: bool) -> None:
    assert limits().fits(msgspec.structs.replace(MACHINE, **change)) is fits


def test_what_is_saved_is_read_again_for_this_machine_only(tmp_path: Path) -> None:
    assert read_limits(tmp_path) is None
    stored = limits(engine("torch", "cpu", 100.0))
    save_limits(tmp_path / "new", stored)
    assert read_limits(tmp_path / "new") == stored
    assert read_limits(tmp_path / "new", MACHINE) == stored
    other = msgspec.structs.replace(MACHINE, cpu="another")
    assert read_limits(tmp_path / "new", other) is None
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["machine-limits"]


def hostile(path: str, value: Any) -> bytes:
    """The file with another value at a path such as ``processor.triads.0.threads``."""
    document = json.loads(msgspec.json.encode(limits()))
    part = document
    *parents, last = path.split(".")
    for name in parents:
        part = part[int(name) if name.isdecimal() else name]
    part[last] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (b"", "truncated"),
        (b"\xff", "malformed"),
        (b"[" * 100_000, "Expected `object`"),
        (b" " * (5 << 20), "larger than"),
        (hostile("format", 2), "format 2"),
        (hostile("news", 1), "unknown field"),
        (hostile("processor.triads.0.threads", 0), ">= 1"),
        (hostile("processor.triads.0.timed.seconds", []), ">= 1"),
        (hostile("processor.triads.0.timed.seconds", [0.0]), "> 0"),
        (hostile("processor.triads.0.timed.seconds", [1e300]), "< 1000000"),
        (hostile("processor.triads.0.timed.seconds", [1e-320]), "no machine reaches"),
        (hostile("processor.triads.0.timed", {"work": 5e-324, "seconds": [9e5]}), "lower than any"),
        (hostile("processor.multiply_adds.0.timed.work", -1), "> 0"),
        (hostile("processor.measured", "yesterday"), "regex"),
        (hostile("engines", [{}]), "missing required field"),
    ],
)
def test_a_hostile_file_is_refused_with_the_command_that_helps(
    tmp_path: Path, document: bytes, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        decode_limits(document)
    limits_file(tmp_path).write_bytes(document)
    with pytest.raises(EpochmarkError, match=r"(?s)machine-limits.*epochmark limits"):
        read_limits(tmp_path)


def of_processor(*peaks: MultiplyAdds, **circumstances: Any) -> Limits:
    processor = ProcessorLimits(
        measured=WHEN, epochmark_version="0", multiply_adds=list(peaks), **circumstances
    )
    machine = msgspec.structs.replace(MACHINE, physical_cores=2)
    return Limits(format=1, machine=machine, processor=processor)


def is_steady(limits: Limits) -> bool:
    kept = limits.for_run()
    assert kept is not None
    return kept.steady


def test_a_peak_that_more_threads_did_not_raise_was_taken_on_a_busy_machine() -> None:
    """As it happened: 226 GFLOP/s on two threads and 237 on one, while others used a CPU or two."""
    busy = (multiply_adds("avx512", 1, 237.0), multiply_adds("avx512", 2, 226.0))
    assert not is_steady(of_processor(*busy))
    calm = (multiply_adds("avx512", 1, 237.0), multiply_adds("avx512", 2, 460.0))
    assert is_steady(of_processor(*calm))
    # another instruction set's, or of threads that share cores
    assert is_steady(of_processor(*calm, multiply_adds("avx2", 2, 200.0)))
    assert is_steady(of_processor(*calm, multiply_adds("avx512", 4, 450.0)))


def test_a_peak_taken_under_load_bounds_nothing() -> None:
    peaks = (multiply_adds("avx512", 1, 237.0), multiply_adds("avx512", 2, 460.0))
    assert not is_steady(of_processor(*peaks, foreign_cpus=0.8))
    assert is_steady(of_processor(*peaks, foreign_cpus=0.02))
    beside = msgspec.structs.replace(engine("torch", "cpu", 900.0), foreign_cpus=1.0)
    assert not is_steady(of_processor(*peaks).with_engine(beside))


def test_a_run_keeps_what_its_limits_were_measured_with(tmp_path: Path) -> None:
    known = {"foreign_cpus": 0.02, "power_source": "battery", "cpu_quota": 1.5}
    limits = of_processor(multiply_adds("avx512", 2, 460.0), **known)
    save_limits(tmp_path, limits)
    assert read_limits(tmp_path) == limits
    kept = limits.for_run()
    assert kept is not None
    assert {name: getattr(kept, name) for name in known} == known
