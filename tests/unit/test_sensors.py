"""Each sensor on a file system made for it, or on the real library over a driver that stands in.

The files are written after the kernel's documentation: none of these sensors has run on hardware
that has it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from epochmark.hardware.machine import core_kinds
from epochmark.hardware.sensors import (
    ABSENT,
    Sensor,
    UnreadableError,
    all_sensors,
    apple_energy,
    cpu_temperature,
    nvidia_gpu,
    package_energy,
    power_supply,
)
from epochmark.records.quantities import QUANTITIES


def put(folder: Path, files: dict[str, object]) -> None:
    """Files below a folder, each with one line."""
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{content}\n")


def opened(name: str, root: Path, worker: int = 1) -> Sensor:
    return all_sensors(root)[name](worker)


def channels(sensor: Sensor) -> list[tuple[str, str]]:
    return [(channel.quantity, channel.scope) for channel in sensor.channels]


@pytest.mark.parametrize("name", all_sensors())
def test_a_sensor_that_is_not_here_is_absent_and_says_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "sensors_temperatures", dict, raising=False)
    monkeypatch.setattr(psutil, "sensors_battery", lambda: None, raising=False)
    if sys.platform == "darwin" and name.startswith("apple"):
        pytest.skip("it is here")
    sensor = opened(name, tmp_path)
    assert sensor is ABSENT
    assert (list(sensor.channels), list(sensor.read())) == ([], [])
    sensor.close()


def test_those_that_are_here_read_a_value_for_each_channel() -> None:
    """Whatever this machine has; on most virtual machines that is nothing."""
    for name, open_sensor in all_sensors().items():
        try:
            sensor = open_sensor(os.getpid())
        except UnreadableError as error:
            print(name, error)  # a sensor that may not be read says so
            continue
        assert len(sensor.read()) == len(sensor.channels), name
        assert {channel.quantity for channel in sensor.channels} <= set(QUANTITIES)
        sensor.close()


POWERCAP = "sys/class/powercap"


def zone(name: str, energy_uj: int, range_uj: int = 262_143_328_850) -> dict[str, object]:
    return {"name": name, "energy_uj": energy_uj, "max_energy_range_uj": range_uj}


def test_package_energy_adds_packages_and_keeps_memory_and_board_apart(tmp_path: Path) -> None:
    zones = {
        "intel-rapl:0": zone("package-0", 5_000_000),
        "intel-rapl:0:0": zone("core", 1_000_000),
        "intel-rapl:0:1": zone("dram", 2_000_000),
        "intel-rapl:1": zone("package-1", 900_000_000),
        "intel-rapl:2": zone("psys", 0),
    }
    for folder, files in zones.items():
        put(tmp_path / POWERCAP / folder, files)
    sensor = opened("package-energy", tmp_path)
    scopes = [scope for _, scope in channels(sensor)]
    assert scopes[:2] == ["CPU packages", "DRAM"]
    assert "board" in scopes[2]
    assert sensor.read() == [0, 0, 0]
    put(tmp_path / POWERCAP / "intel-rapl:0", {"energy_uj": 65_000_000})
    put(tmp_path / POWERCAP / "intel-rapl:0:1", {"energy_uj": 5_500_000})
    put(tmp_path / POWERCAP / "intel-rapl:1", {"energy_uj": 940_000_000})
    assert sensor.read() == [100.0, 3.5, 0]


def test_a_counter_that_begins_again_loses_nothing(tmp_path: Path) -> None:
    put(tmp_path / POWERCAP / "intel-rapl:0", zone("package-0", 262_000_000_000))
    sensor = opened("package-energy", tmp_path)
    put(tmp_path / POWERCAP / "intel-rapl:0", {"energy_uj": 856_671_150})
    assert list(sensor.read()) == pytest.approx([1000.0])


def test_energy_that_only_root_may_read_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / POWERCAP / "intel-rapl:0", zone("package-0", 5))

    def refuse(file: Path) -> float:
        raise PermissionError(13, "Permission denied", str(file))

    monkeypatch.setattr(package_energy, "number_in", refuse)
    with pytest.raises(UnreadableError, match="only root"):
        opened("package-energy", tmp_path)


def test_throttling_is_counted_once_a_package(tmp_path: Path) -> None:
    for core in range(4):
        put(
            tmp_path / f"sys/devices/system/cpu/cpu{core}",
            {
                "thermal_throttle/core_throttle_count": core,
                "thermal_throttle/package_throttle_count": 10 * (1 + core // 2),
                "topology/physical_package_id": core // 2,
            },
        )
    assert opened("cpu-throttling", tmp_path).read() == [30]


def test_without_counts_of_packages_those_of_cores_are_taken(tmp_path: Path) -> None:
    for core in range(2):
        name = f"sys/devices/system/cpu/cpu{core}/thermal_throttle/core_throttle_count"
        put(tmp_path, {name: 3 + core})
    assert opened("cpu-throttling", tmp_path).read() == [7]


def test_frequency_needs_a_driver_that_scales_it(tmp_path: Path) -> None:
    put(tmp_path, {"sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq": 3_400_000})
    assert channels(opened("cpu-frequency", tmp_path)) == [("frequency", "CPU")]


def test_the_hottest_of_the_processors_own_sensors_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {
        "nvme": [SimpleNamespace(current=88.0)],
        "coretemp": [SimpleNamespace(current=61.0), SimpleNamespace(current=64.0)],
    }
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: found, raising=False)
    sensor = cpu_temperature.open_sensor(1, Path("/"))
    assert sensor.source == "psutil, coretemp"
    assert sensor.read() == [64.0]
    found.pop("coretemp")
    with pytest.raises(KeyError):
        sensor.read()


@pytest.mark.parametrize(("plugged", "value"), [(True, 1.0), (False, 0.0), (None, None)])
def test_a_battery_says_whether_it_is_used(
    monkeypatch: pytest.MonkeyPatch, plugged: bool | None, value: float | None
) -> None:
    battery = SimpleNamespace(power_plugged=plugged)
    monkeypatch.setattr(psutil, "sensors_battery", lambda: battery, raising=False)
    assert power_supply.open_sensor(1, Path("/")).read() == [value]


def test_an_amd_card_and_what_the_worker_holds_of_it(tmp_path: Path) -> None:
    card = tmp_path / "sys/class/drm/card1/device"
    put(
        card,
        {
            "vendor": "0x1002",
            "gpu_busy_percent": 97,
            "hwmon/hwmon4/power1_average": 180_000_000,
            "hwmon/hwmon4/temp1_input": 60_000,
            "hwmon/hwmon4/temp2_input": 71_000,
            "hwmon/hwmon4/freq1_input": 2_300_000_000,
        },
    )
    put(tmp_path / "sys/class/drm/card1-DP-1/device", {"vendor": "0x1002"})
    put(tmp_path / "sys/class/drm/card0/device", {"vendor": "0x8086"})
    put(tmp_path / "sys/class/kfd/kfd/proc/77", {"vram_4711": 1 << 20, "vram_815": 2 << 20})
    sensor = opened("amd-gpu", tmp_path, worker=77)
    read = dict(zip([quantity for quantity, _ in channels(sensor)], sensor.read(), strict=True))
    assert read == {
        "power": pytest.approx(180),
        "temperature": 71,
        "frequency": pytest.approx(2300),
        "utilisation": 97,
        "memory": 3 << 20,
    }
    other = opened("amd-gpu", tmp_path, worker=78)
    assert other.read()[-1] is None
    shutil.rmtree(card / "hwmon")
    assert sensor.read() == [None, None, None, 97, 3 << 20]
    shutil.rmtree(card)
    shutil.rmtree(tmp_path / "sys/class/kfd/kfd/proc/77")
    with pytest.raises(OSError, match="No such file"):
        sensor.read()


def test_an_amd_card_is_read_from_the_files_that_can_be(tmp_path: Path) -> None:
    files = {"power1_average": "", "power1_input": 90_000_000, "temp1_input": "", "freq1_input": 5}
    device = tmp_path / "sys/class/drm/card0/device"
    put(device, {"vendor": "0x1002", **{f"hwmon/hwmon1/{name}": files[name] for name in files}})
    sensor = opened("amd-gpu", tmp_path)
    assert [quantity for quantity, _ in channels(sensor)] == ["power", "temperature", "frequency"]
    assert sensor.read()[:2] == [90, None]
    put(device, {"hwmon/hwmon1/temp1_input": 61_000})  # it has woken up
    assert sensor.read()[:2] == [90, 61]


def test_apple_energy_takes_what_the_chip_reports() -> None:
    energy = SimpleNamespace(cpu_total_mj=9_000, gpu_mj=None, dram_mj=500)
    sensor = apple_energy.AppleEnergy(SimpleNamespace(get_cumulative_energy=lambda: energy))
    assert channels(sensor) == [("energy", "CPU"), ("energy", "DRAM")]
    energy.cpu_total_mj = 21_000
    assert sensor.read() == [21.0, 0.5]


@pytest.fixture(scope="module")
def nvml(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The stand-in, loaded under the name that the binding will ask for."""
    compiler = shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        pytest.skip("needs Linux and a C compiler")
    pytest.importorskip("pynvml")
    with contextlib.suppress(OSError):
        ctypes.CDLL(nvidia_gpu.LIBRARY)
        pytest.skip("the real driver is here")
    library = tmp_path_factory.mktemp("nvml") / "libnvidia-ml.so.1"
    source = Path(__file__).with_name("nvml_stand_in.c")
    command = [compiler, "-shared", "-fPIC", f"-Wl,-soname,{library.name}", "-o"]
    subprocess.run([*command, str(library), str(source)], check=True)
    return ctypes.CDLL(str(library))


@pytest.fixture
def stranger() -> Iterator[int]:
    """A living process of another session than ours."""
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        yield process.pid
        process.kill()


def test_an_nvidia_gpu_through_nvidias_own_binding(nvml: ctypes.CDLL, stranger: int) -> None:
    nvml.let_compute(stranger)
    sensor = opened("nvidia-gpu", Path("/"), worker=os.getsid(0))
    assert sensor.source == "NVML, driver 580.82.07"
    assert {scope for _, scope in channels(sensor)} == {"GPU 0 Stand-In 3000"}
    quantities = [quantity for quantity, _ in channels(sensor)]
    first, second = (dict(zip(quantities, sensor.read(), strict=True)) for _ in range(2))
    energies = [reading.pop("energy") or 0.0 for reading in (first, second)]
    assert energies[1] - energies[0] == 50
    assert second == {
        "power": 215.5,
        "temperature": 71,
        "utilisation": 93,
        "throttle_level": 1,
        "memory": 512 << 20,
    }
    assert opened("nvidia-gpu", Path("/"), worker=2**22).read()[-1] is None
    nvml.lose_energy()
    energy, *others = sensor.read()
    assert energy is None
    assert others == list(second.values())
    nvml.lose_gpu()
    with pytest.raises(Exception, match="GPU is lost"):
        sensor.read()
    sensor.close()


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's files")
@pytest.mark.parametrize(
    ("files", "kinds"),
    [
        ({}, None),
        ({f"system/cpu/cpu{n}/cpu_capacity": 1024 for n in range(4)}, None),
        (
            {f"system/cpu/cpu{n}/cpu_capacity": 1024 if n > 3 else 446 for n in range(8)},
            "4 of capacity 1024, 4 of capacity 446",
        ),
        ({"cpu_core/cpus": "0-15", "cpu_atom/cpus": "16-23"}, "16 performance, 8 efficient"),
        (
            {f"system/cpu/cpu{n}/topology/thread_siblings_list": f"{n % 2},{n % 2 + 2}"
             for n in range(4)},
            "up to 2 threads a core",
        ),
        ({"system/cpu/cpu0/topology/thread_siblings_list": "0"}, None),
    ],
)  # fmt: skip
def test_kinds_of_cores(tmp_path: Path, files: dict[str, object], kinds: str | None) -> None:
    put(tmp_path / "sys/devices", files)
    assert core_kinds(tmp_path) == kinds
