"""Hardware by the name its owners use: one chip under all the names that systems give it, and
nothing else beside it."""

from __future__ import annotations

import msgspec
import pytest

from epochmark.board.derived import hardware
from epochmark.board.derived.hardware import (
    chip_name,
    chips,
    hardware_name,
    slug_of,
    usual_name,
)
from epochmark.records.record import Gpu
from tests.board.records import native, torch

GPU = Gpu(name="NVIDIA GeForce RTX 4090", power_limit_w=360.0)

REPORTED = {
    "Intel(R) Core(TM) i7-9700K CPU @ 3.60GHz": "Intel Core i7-9700K",
    "12th Gen Intel(R) Core(TM) i9-12900K": "Intel Core i9-12900K",
    "AMD Ryzen 9 5950X 16-Core Processor": "AMD Ryzen 9 5950X",
    "AMD Ryzen 7 5700G with Radeon Graphics": "AMD Ryzen 7 5700G",
    "AMD Ryzen 7 7840U w/ Radeon 780M Graphics": "AMD Ryzen 7 7840U",
    "AMD FX(tm)-8350 Eight-Core Processor": "AMD FX -8350",
    "AMD EPYC 7B12 64-Core Processor": "AMD EPYC 7B12",
    "Raspberry Pi 4 Model B Rev 1.4": "Raspberry Pi 4 Model B",
    "Apple M1 Max": "Apple M1 Max",
    "NVIDIA GeForce RTX 4090": "RTX 4090",
    "GeForce RTX 2080 Ti": "RTX 2080 Ti",
    "NVIDIA RTX A6000": "RTX A6000",
    "Tesla T4": "NVIDIA T4",
    "NVIDIA H200": "NVIDIA H200",
    "TPU v5 lite": "TPU v5e",
}
OTHERS = (
    ("NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 4090 Laptop GPU", "NVIDIA GeForce RTX 4090 D"),
    ("NVIDIA A100-SXM4-40GB", "NVIDIA A100-SXM4-80GB", "NVIDIA A100-PCIE-40GB",
     "NVIDIA A100-SXM4-40GB MIG 3g.20gb", "GRID A100-20C"),
    ("Tesla T4", "GRID T4-16Q"),
    ("NVIDIA H100 80GB HBM3", "NVIDIA H100 PCIe", "NVIDIA H100 NVL"),
    ("Intel(R) Xeon(R) CPU @ 2.20GHz", "Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz"),
    ("Apple M1", "Apple M1 Pro", "Apple M1 Max"),
)  # fmt: skip
"""Names that look alike and are of different hardware."""


def test_hardware_is_called_as_its_owners_call_it() -> None:
    assert {reported: usual_name(reported) for reported in REPORTED} == REPORTED
    assert chip_name(native(1, cpu="Intel(R) Core(TM) i7-9700K CPU @ 3.60GHz")) == (
        "Intel Core i7-9700K"
    )
    assert chip_name(torch(1, gpu="Tesla T4")) == "NVIDIA T4"


@pytest.mark.parametrize("names", OTHERS)
def test_other_hardware_keeps_another_name(names: tuple[str, ...]) -> None:
    assert len({usual_name(name) for name in names}) == len(names)


def test_each_name_of_the_table_is_of_one_chip_and_every_usual_name_stays() -> None:
    table = chips()
    listed = [name.lower() for usual, names in table.items() for name in (usual, *names)]
    assert len({*listed}) == len(listed)
    for usual, names in table.items():
        assert names, usual
        assert {usual_name(name) for name in (usual, usual.upper(), *names)} == {usual}
    assert [*table] == sorted(table)
    slugs = {slug_of(usual) for usual in table}
    assert len(slugs) == len(table)


def test_no_name_is_in_the_table_that_needs_no_alias(monkeypatch: pytest.MonkeyPatch) -> None:
    table = chips()
    monkeypatch.setattr(hardware, "_usual", dict)
    needless = {
        name for usual, names in table.items() for name in names if usual_name(name) == usual
    }
    assert needless == set()


def test_slugs_are_parts_of_addresses() -> None:
    assert slug_of("RTX 4090 / <b>") == "rtx-4090-b"
    assert slug_of("中文") == "unnamed"


def test_fewer_cores_a_virtual_machine_and_limits_of_power_are_other_hardware() -> None:
    record = native(1)
    machine = msgspec.structs.replace(record.machine, usable_cores=1, cpu_quota=0.5)
    confined = msgspec.structs.replace(record, machine=machine)
    assert hardware_name(confined) == (
        "AMD EPYC, 1 usable core, time for 0.5 of them, virtual machine"
    )
    assert hardware_name(confined) != hardware_name(record)
    with_gpu = msgspec.structs.replace(record.machine, gpus=[GPU])
    assert hardware_name(msgspec.structs.replace(record, machine=with_gpu)) == hardware_name(record)
    gpu = torch(1, gpu="NVIDIA GeForce RTX 4090")
    assert hardware_name(gpu) == "RTX 4090, virtual machine"
    for changes, name in (
        ({"virtualized": False}, "RTX 4090"),
        ({"virtualized": None, "power_mode": "15W"}, "RTX 4090, power mode 15W"),
        ({"virtualized": False, "usable_cores": 1}, "RTX 4090"),
        ({"gpus": [GPU]}, "RTX 4090, power limit 360 W, virtual machine"),
        ({"gpus": [GPU, GPU]}, "RTX 4090, power limit 360 W, virtual machine"),
    ):
        machine = msgspec.structs.replace(gpu.machine, **changes)
        assert hardware_name(msgspec.structs.replace(gpu, machine=machine)) == name
