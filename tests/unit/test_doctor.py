"""What the doctor makes of engines, environments, power, memory, disks, data and network."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from epochmark.bench.interpreters.probe import EngineStatus, SeenDevice
from epochmark.datasets.obtain import MnistStatus
from epochmark.doctor import checks
from epochmark.doctor.checks import all_checks
from epochmark.doctor.checks.data import data_line
from epochmark.doctor.checks.disk import folder_line
from epochmark.doctor.checks.engines import EngineHere, engine_line, has_library
from epochmark.doctor.checks.environments import broken_line
from epochmark.doctor.checks.memory import memory_line
from epochmark.doctor.checks.network import index_line
from epochmark.doctor.checks.power import governor_lines, heat_line, power_lines
from epochmark.doctor.checks.processor import WithChildren, cores_lines, thread_lines
from epochmark.doctor.checkup import check_up
from epochmark.doctor.contract import Check, Line, ok
from epochmark.doctor.facts import Facts
from epochmark.engines import all_infos, get_engine
from epochmark.engines._shared.builds import installed_build
from epochmark.engines._shared.requirements import ACCELERATORS
from epochmark.environments.managed import Environment
from epochmark.environments.manifest import Manifest
from epochmark.environments.requirements import environment_name
from epochmark.errors import EpochmarkError
from epochmark.hardware.gpus.amd import Kfd
from epochmark.hardware.gpus.asking import ToolOutput
from epochmark.hardware.gpus.nvidia import NvidiaDriver, NvidiaGpu

GIB = 2**30


def with_nvidia(driver: str, cuda: tuple[int, int], *capabilities: tuple[int, int]) -> Facts:
    gpus = tuple(NvidiaGpu("NVIDIA GPU", capability) for capability in capabilities or [(8, 6)])
    return Facts(accelerators=("cuda", "cpu"), nvidia=NvidiaDriver("works", driver, cuda, gpus))


NEW_DRIVER = with_nvidia("580.82.07", (13, 0))


def line_of(engine: str, packages: dict[str, str], facts: Facts, **more: object) -> Line:
    info = get_engine(engine).info
    build = installed_build(info.builds, packages, facts.system, lambda name: False)
    return engine_line(EngineHere(info, packages, build, **more), facts)  # type: ignore[arg-type]


CPU_BUILDS = [
    ("torch", {"torch": "2.13.0+cpu"}, "the build for the CPU"),
    ("keras-torch", {"torch": "2.13.0+cpu", "keras": "3.15.1"}, "the build for the CPU"),
    ("jax", {"jax": "0.10.2", "jaxlib": "0.10.2"}, "JAX without a plug-in for GPUs"),
    ("keras-tensorflow", {"tensorflow-cpu": "2.21.0"}, "the build for the CPU"),
    ("keras-tensorflow", {"tensorflow": "2.16.1"}, "TensorFlow without NVIDIA's packages"),
    ("mlx", {"mlx": "0.32.4", "mlx-cpu": "0.32.4"}, "the build for the CPU"),
]


@pytest.mark.parametrize(("engine", "packages", "title"), CPU_BUILDS)
def test_a_build_that_cannot_use_the_gpu_says_which_can(
    engine: str, packages: dict[str, str], title: str
) -> None:
    line = line_of(engine, packages, NEW_DRIVER)
    assert line.state == "fault"
    assert line.text.endswith(f"is {title}: it cannot use the NVIDIA GPU")
    command = f"epochmark engines install {engine} --accelerator cuda"
    assert str(line.remedy).startswith(f"{command}    (about ")
    own = line_of(engine, packages, NEW_DRIVER, is_own=True)
    assert str(own.remedy).startswith(
        f"{command}, then: epochmark run {engine} --device gpu --pyth"
    )


@pytest.mark.parametrize(("engine", "packages", "title"), CPU_BUILDS)
def test_the_same_build_is_right_without_a_gpu(
    engine: str, packages: dict[str, str], title: str
) -> None:
    line = line_of(engine, packages, Facts())
    assert line.state == "ok"
    assert line.text.endswith(": the processor")


@pytest.mark.parametrize(
    ("engine", "packages", "cuda"),
    [
        ("torch", {"torch": "2.9.1+cu128"}, "12.8"),
        ("torch", {"torch": "2.13.0", "nvidia-cuda-runtime": "13.0.96"}, "13.0"),
        ("jax", {"jax": "0.6.1", "jax-cuda12-plugin": "0.6.1",
                 "nvidia-cuda-runtime-cu12": "12.9.37"}, "12.9"),
        ("keras-tensorflow", {"tensorflow": "2.21.0", "nvidia-cudnn-cu12": "9.10.1.4",
                              "nvidia-cuda-runtime-cu12": "12.5.82"}, "12.5"),
    ],
)  # fmt: skip
def test_a_build_for_cuda_is_right_where_driver_and_gpu_go_with_it(
    engine: str, packages: dict[str, str], cuda: str
) -> None:
    line = line_of(engine, packages, NEW_DRIVER)
    assert line.state == "ok"
    assert line.text.endswith(f": the NVIDIA GPU, CUDA {cuda}")


@pytest.mark.parametrize(
    ("build", "driver", "cuda", "least"),
    [
        ("2.13.0+cu130", "570.124.06", (12, 8), "580"),
        ("2.0.1+cu117", "418.67", (10, 1), "450"),
        ("2.4.0+cu121", "470.86", (11, 4), "525"),
    ],
)
def test_a_cuda_newer_than_the_driver_serves(
    build: str, driver: str, cuda: tuple[int, int], least: str
) -> None:
    line = line_of("torch", {"torch": build}, with_nvidia(driver, cuda))
    assert line.state == "fault"
    assert f"the NVIDIA driver {driver} serves CUDA up to {cuda[0]}.{cuda[1]}" in line.text
    assert line.remedy == f"update the NVIDIA driver to {least} or newer"


def test_minor_versions_of_cuda_go_together() -> None:
    assert line_of("torch", {"torch": "2.9.1+cu128"}, with_nvidia("550.144", (12, 4))).state == "ok"


def test_a_cuda_that_does_not_know_the_gpu() -> None:
    rtx_5090 = with_nvidia("570.86.15", (12, 8), (12, 0))
    line = line_of("torch", {"torch": "2.6.0+cu124"}, rtx_5090)
    assert line.state == "fault"
    assert "does not know NVIDIA GPU (compute capability 12.0): it needs CUDA 12.8" in line.text
    titan_v = with_nvidia("580.82.07", (13, 0), (7, 0))
    line = line_of("torch", {"torch": "2.13.0+cu130"}, titan_v)
    assert "no longer serves NVIDIA GPU (compute capability 7.0)" in line.text
    assert "a build for CUDA 12" in str(line.remedy)


def test_a_build_that_its_packages_do_not_show_is_a_note() -> None:
    """Such as conda's, or one that somebody compiled."""
    line = line_of("torch", {"torch": "2.7.0a0+git1234"}, NEW_DRIVER)
    assert (line.state, line.remedy) == ("note", "epochmark doctor --deep")


def test_what_an_engine_answered_counts() -> None:
    def status(*ids: str, **more: object) -> EngineStatus:
        devices = [SeenDevice(id=device, description="") for device in ids]
        return EngineStatus(
            engine="torch",
            title="",
            state="ready",
            devices=devices,
            **more,  # type: ignore[arg-type]
        )

    packages = {"torch": "2.9.1+cu128"}
    seen = line_of("torch", packages, NEW_DRIVER, status=status("cpu", "gpu:0"))
    assert seen.text == "torch (torch 2.9.1+cu128): cpu, gpu:0, CUDA 12.8"
    unseen = line_of("torch", packages, NEW_DRIVER, status=status("cpu"))
    assert unseen.state == "fault"
    assert "which works, but lists only: cpu" in unseen.text
    broken = EngineStatus(
        engine="torch", title="", state="broken", problem="OSError: no libtorch", remedy="again"
    )
    line = line_of("torch", packages, Facts(), status=broken)
    assert (line.state, line.text, line.remedy) == (
        "fault",
        "torch (torch 2.9.1+cu128): OSError: no libtorch",
        "again",
    )


def test_one_build_for_all_devices_is_right_everywhere() -> None:
    assert line_of("tinygrad", {"tinygrad": "0.14.0"}, NEW_DRIVER).state == "ok"


def test_an_amd_gpu_wants_a_build_for_rocm() -> None:
    facts = Facts(accelerators=("rocm", "cpu"), kfd=Kfd(True, (), ("gfx1100",)))
    assert line_of("torch", {"torch": "2.9.1+rocm6.4"}, facts).state == "ok"
    line = line_of("torch", {"torch": "2.9.1+cu128"}, facts)
    assert line.text.endswith("is a build for CUDA: it cannot use the AMD GPU")
    assert "--accelerator rocm" in str(line.remedy)


def test_a_library_of_the_system_makes_tensorflow_a_build_for_cuda(tmp_path: Path) -> None:
    facts = Facts(root=tmp_path)
    assert not has_library("libcudnn.so", facts)
    library = tmp_path / "usr/local/cuda-12.4/lib64/libcudnn.so.9"
    library.parent.mkdir(parents=True)
    library.touch()
    assert has_library("libcudnn.so", facts)
    elsewhere = Facts(variables={"LD_LIBRARY_PATH": str(library.parent)}, root=tmp_path / "other")
    assert has_library("libcudnn.so", elsewhere)
    build = installed_build(
        get_engine("keras-tensorflow").info.builds,
        {"tensorflow": "2.16.1"},
        "Linux",
        lambda name: has_library(name, facts),
    )
    assert build is not None
    assert build.build.accelerator == "cuda"


def test_builds_are_of_the_accelerators_that_there_are() -> None:
    for info in all_infos():
        for build in info.builds:
            assert build.accelerator in ACCELERATORS
            assert build.title, f"{info.name}: {build}"


def environment(folder: Path, **installed: str) -> Environment:
    """A folder with an interpreter and these packages, and a manifest that names numpy as well."""
    manifest = Manifest(
        name=folder.name, requirements=(), accelerators=("cpu",), python="3.11.7", size_bytes=0,
        created="2026-11-29T00:00:00Z", epochmark_version="0.1.0",
        installed={"numpy": "2.4.6", "ml_dtypes": "0.6.0"},
    )  # fmt: skip
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/python").symlink_to("/usr/bin/env")
    for name, version in installed.items():
        (folder / f"lib/python3.11/site-packages/{name}-{version}.dist-info").mkdir(parents=True)
    return Environment(folder, manifest)


def test_an_environment_that_is_not_whole_is_a_fault(tmp_path: Path) -> None:
    name = environment_name(get_engine("torch").info.requirements[0])
    whole = environment(tmp_path / name, numpy="2.4.6", ml_dtypes="0.6.0")
    assert broken_line(whole) is None
    lacking = broken_line(environment(tmp_path / "other" / name, numpy="2.4.6"))
    assert lacking is not None
    assert (lacking.state, lacking.text) == (
        "fault",
        f"{name}: packages are missing: ml-dtypes",
    )
    assert str(lacking.remedy).startswith("epochmark engines install keras-torch --accelerator cpu")
    whole.python.unlink()
    whole.python.symlink_to("/opt/python3.9/bin/python")
    gone = broken_line(whole)
    assert gone is not None
    assert "the Python it was made with is gone (/opt/python3.9/bin/python)" in gone.text


@pytest.mark.parametrize(
    ("usable", "there", "quota", "states"),
    [(8, 8, None, ["ok"]), (2, 8, None, ["note"]), (8, 8, 1.5, ["note"]),
     (2, 8, 1.0, ["note", "note"]), (4, 4, 4.0, ["ok"])],
)  # fmt: skip
def test_cores_that_may_not_be_used_are_notes(
    usable: int, there: int, quota: float | None, states: list[str]
) -> None:
    lines = list(cores_lines(usable, there, quota))
    assert [line.state for line in lines] == states
    assert all(line.remedy for line in lines if line.state == "note")


def test_the_tools_that_checks_start_are_not_other_programs() -> None:
    counters = WithChildren(os.getpid())
    before = counters.read()
    burn = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", burn], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        running = counters.read()
        child.communicate(b"\n")
    ended = counters.read()
    counters.close()
    assert running.own_s - before.own_s > 0.25
    assert ended.own_s >= running.own_s


def test_variables_that_limit_threads_are_named() -> None:
    facts = Facts(variables={"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "4096", "OMP_PLACES": "0"})
    lines = list(thread_lines(facts))
    assert [line.remedy for line in lines] in ([], ["unset OMP_NUM_THREADS"])  # [] on one core
    assert all("--python" in line.text for line in lines)


def test_power_and_governor() -> None:
    assert [line.state for line in power_lines("battery", "low-power", "Linux")] == ["note", "note"]
    assert [line.state for line in power_lines("mains", "balanced", "Linux")] == ["ok", "ok"]
    assert list(power_lines(None, None, "Linux")) == []
    (mac,) = power_lines(None, "low power", "Darwin")
    assert mac.remedy == "sudo pmset -a lowpowermode 0"
    assert [line.state for line in governor_lines("powersave", "acpi-cpufreq")] == ["note"]
    assert [line.state for line in governor_lines("powersave", "intel_pstate")] == ["ok"]
    assert [line.state for line in governor_lines("schedutil", None)] == ["ok"]
    assert list(governor_lines(None, None)) == []


def test_heat() -> None:
    assert heat_line("temperature", "CPU", 54.4) == ok("CPU at 54 °C")
    assert heat_line("temperature", "CPU", 91.0).state == "note"
    assert heat_line("throttle_level", "GPU 0", 0.0).state == "ok"
    assert heat_line("throttle_level", "GPU 0", 1.0).text == "GPU 0 is slowed down by heat now"


@pytest.mark.parametrize(
    ("limit", "free", "state"),
    [(None, 8 * GIB, "ok"), (None, GIB, "note"), (None, GIB // 4, "fault"),
     (GIB, 8 * GIB, "note"), (20 * GIB, 8 * GIB, "ok"), (None, None, "note")],
)  # fmt: skip
def test_memory(limit: int | None, free: int | None, state: str) -> None:
    assert memory_line(16 * GIB, limit, free).state == state


def test_disks(tmp_path: Path) -> None:
    line = folder_line("results", tmp_path / "not" / "there", "EPOCHMARK_RESULTS", 1)
    assert (line.state, line.text.endswith(" GB")) == ("ok", True)
    line = folder_line("environments", tmp_path, "EPOCHMARK_ENVIRONMENTS", 10**12)
    assert line.state == "note"
    assert "set EPOCHMARK_ENVIRONMENTS" in str(line.remedy)


def status_of_data(state: str, **more: object) -> MnistStatus:
    known: dict[str, object] = {
        "folder": "", "state": state, "detail": "", "size_bytes": 0, "named": None,
        "local_sources": (), **more,
    }  # fmt: skip
    return MnistStatus(**known)  # type: ignore[arg-type]


def test_data(tmp_path: Path) -> None:
    assert data_line(status_of_data("verified")).state == "ok"
    damaged = data_line(status_of_data("damaged", detail="train-images is missing"))
    assert (damaged.state, damaged.remedy) == ("fault", "epochmark data fetch")
    absent = data_line(status_of_data("absent"))
    assert (absent.state, absent.remedy) == ("note", "epochmark data fetch")
    assert data_line(status_of_data("absent", local_sources=("Keras: mnist.npz",))).state == "ok"
    assert data_line(status_of_data("absent", named=str(tmp_path))).state == "ok"
    nowhere = data_line(status_of_data("verified", named=str(tmp_path / "nowhere")))
    assert (nowhere.state, nowhere.remedy) == ("fault", "unset EPOCHMARK_DATA")


def test_network() -> None:
    found = "numpy (2.4.6)\nAvailable versions: 2.4.6, 2.4.5\n"
    assert index_line(ToolOutput(found, 0), "numpy") == ok("pip reaches its package index")
    refused = "WARNING: Retrying\nERROR: No matching distribution found for numpy\n"
    line = index_line(ToolOutput(refused, 1), "numpy")
    assert line is not None
    assert (line.state, "No matching distribution found" in line.text) == ("note", True)
    late = index_line(ToolOutput("", None), "numpy")
    assert late is not None
    assert (late.state, "had no answer" in late.text) == ("note", True)
    assert index_line(ToolOutput("/usr/bin/python3: No module named pip\n", 1), "numpy") is None


def check(name: str, examine: object) -> Check:
    return Check(name, "", "", "", examine)  # type: ignore[arg-type]


def test_a_check_that_fails_does_not_keep_the_others_from_being_read() -> None:
    def homeless(facts: Facts) -> list[Line]:
        raise EpochmarkError("no home folder is known here\nset HOME")

    def broken(facts: Facts) -> list[Line]:
        return [ok(str(1 // 0))]

    lines = check_up(
        Facts(),
        [check("a", homeless), check("b", broken), check("c", lambda facts: [ok("fine")])],
    )
    assert [(line.check, line.state, line.remedy) for line in lines] == [
        ("a", "note", "set HOME"),
        ("b", "note", None),
        ("c", "ok", None),
    ]
    assert "ZeroDivisionError" in lines[1].text


def test_checks_begin_before_drivers_have_answered_unless_they_need_them() -> None:
    began = threading.Event()

    def start(facts: Facts) -> list[Line]:
        began.set()
        return []

    driverless = replace(check("network", start), needs_drivers=False)
    nvidia = check("NVIDIA", lambda facts: [ok(facts.nvidia.state)])

    def ask(facts: Facts) -> Facts:
        assert began.wait(60)
        return replace(facts, nvidia=replace(facts.nvidia, state="works"))

    lines = check_up(Facts(), [nvidia, driverless], ask)
    assert [(line.check, line.text) for line in lines] == [("NVIDIA", "works")]


def test_every_check_has_a_name_of_its_own() -> None:
    names = [check.name for check in all_checks()]
    assert len(set(names)) == len(names)


def test_a_check_is_added_by_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weather.py").write_text(
        "from epochmark.doctor.contract import Check, ok\n"
        "CHECK = Check('weather', 'the window', 'rain', 'hail', lambda facts: [ok('sunny')])\n"
    )
    monkeypatch.setattr(checks, "__path__", [*checks.__path__, str(tmp_path)])
    found = all_checks()
    assert [check.name for check in found[:2]] == ["NVIDIA", "AMD"]
    assert found[-1].name == "weather"
    assert [line.text for line in check_up(Facts(), found[-1:])] == ["sunny"]
