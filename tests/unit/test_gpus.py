"""GPUs and drivers as their tools and files show them, on what those really printed elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from epochmark.hardware.gpus.amd import NO_KFD, Kfd, Rocm, from_rocminfo, look_at_kfd, target_of
from epochmark.hardware.gpus.asking import ToolOutput
from epochmark.hardware.gpus.bus import Card, cards
from epochmark.hardware.gpus.described import gpus_here
from epochmark.hardware.gpus.nvidia import (
    DriverState,
    NvidiaDriver,
    NvidiaGpu,
    from_nvidia_smi,
    from_nvml,
)
from epochmark.hardware.host import container, wsl_version
from epochmark.records.record import Gpu
from epochmark.report.text.machine import gpu_text
from tests.unit.recordings import RECORDINGS, files, recorded


def test_every_recording_is_read_by_a_test_and_names_its_source() -> None:
    names = sorted(file.name for file in RECORDINGS.glob("*.txt"))
    table = (RECORDINGS / "README.md").read_text("utf-8")
    assert [name for name in names if f"| {name} |" not in table] == []
    tests = "".join(file.read_text("utf-8") for file in Path(__file__).parent.glob("test_*gpus.py"))
    assert [name for name in names if f'"{name.removesuffix(".txt")}"' not in tests] == []


@pytest.mark.parametrize(
    ("name", "driver", "cuda", "gpus"),
    [
        ("smi-wsl-rtx4070", "555.99", (12, 5), [("NVIDIA GeForce RTX 4070", 12282, 220)]),
        ("smi-two-h20", "570.124.06", (12, 8), 2 * [("NVIDIA H20-3e", 143771, 500)]),
        ("smi-windows-two-gpus", "517.48", (11, 7), 2 * [("NVIDIA GeForce", 11264, 250)]),
    ],
)
def test_what_nvidia_smi_prints_where_all_is_well(
    name: str, driver: str, cuda: tuple[int, int], gpus: list[tuple[str, int, float]]
) -> None:
    found = from_nvidia_smi(recorded(name))
    expected = tuple(
        NvidiaGpu(title, memory_bytes=mib << 20, power_limit_w=watts) for title, mib, watts in gpus
    )
    assert found == NvidiaDriver("works", driver, cuda, expected)


@pytest.mark.parametrize(
    ("name", "state", "said"),
    [
        ("smi-mismatch", "mismatch", "NVML library version: 550.144"),
        ("smi-not-loaded", "not loaded", "that the latest NVIDIA driver is installed and running."),
        (
            "smi-wsl-not-loaded",
            "not loaded",
            "Failed to properly shut down NVML: Driver Not Loaded",
        ),
        ("smi-container-lost-rights", "refused", "Failed to initialize NVML: Unknown Error"),
        ("smi-lost", "lost", "Reboot the system to recover this GPU"),
        ("smi-handle-unknown", "lost", "Unknown Error"),
        ("smi-no-devices", "no device", "No devices were found"),
        ("smi-wsl-cuda-err", "no CUDA", ""),
        ("smi-without-cuda", "no CUDA", ""),
    ],
)
def test_what_nvidia_smi_prints_where_it_is_not(name: str, state: str, said: str) -> None:
    found = from_nvidia_smi(recorded(name, status=1))
    assert found.state == state
    assert found.said.endswith(said)


def test_a_tool_that_hangs_or_prints_nonsense_is_no_crash() -> None:
    assert from_nvidia_smi(ToolOutput("", None)).state == "silent"
    assert from_nvidia_smi(ToolOutput("Segmentation fault\n", -11)).state == "failed"
    assert from_nvml(ToolOutput("", None)).state == "silent"
    assert (
        from_nvml(ToolOutput("ModuleNotFoundError: No module named 'pynvml'\n", 1)).state
        == "failed"
    )
    assert from_nvml(None).state == "no library"
    assert from_rocminfo(ToolOutput("", None)).state == "silent"
    assert from_rocminfo(ToolOutput("\x00\xff" * 500, 139)).state == "failed"


@pytest.mark.parametrize(
    ("code", "message", "state"),
    [
        (18, "RM has detected an NVML/RM version mismatch.", "mismatch"),
        (9, "Driver Not Loaded", "not loaded"),
        (12, "NVML Shared Library Not Found", "no library"),
        (15, "GPU is lost", "lost"),
        (999, "Unknown Error", "refused"),
        (4, "Insufficient Permissions", "refused"),
        (3, "Not Supported", "failed"),
    ],
)
def test_nvmls_codes(code: int, message: str, state: str) -> None:
    answer = json.dumps({"code": code, "message": message})
    assert from_nvml(ToolOutput(answer, 0)) == NvidiaDriver(state, said=message)  # type: ignore[arg-type]


def test_what_nvml_answers_where_all_is_well() -> None:
    gpus = [
        {"name": "NVIDIA TITAN V", "capability": [7, 0], "memory_bytes": 12 << 30},
        {"name": "NVIDIA RTX 5880 Ada Generation", "capability": [8, 9], "memory_bytes": 48 << 30},
    ]
    answer = json.dumps({"driver": "570.86.15", "cuda": 12080, "gpus": gpus})
    found = from_nvml(ToolOutput(answer, 0))
    assert (found.state, found.driver, found.cuda) == ("works", "570.86.15", (12, 8))
    assert [gpu.capability for gpu in found.gpus] == [(7, 0), (8, 9)]


def test_a_gpu_is_described_as_far_as_its_driver_says(tmp_path: Path) -> None:
    h200 = {
        "name": "NVIDIA H200", "capability": [9, 0], "memory_bytes": 141 << 30,
        "power_limit_mw": 699_500, "pcie_generation": 5, "pcie_width": 16,
    }  # fmt: skip
    virtual = {**h200, "power_limit_mw": None, "pcie_generation": 0, "pcie_width": 255}
    answer = json.dumps({"driver": "595.57", "cuda": 13000, "gpus": [h200, virtual]})
    files(tmp_path, "dev/nvidia0")
    found = gpus_here(tmp_path, lambda: from_nvml(ToolOutput(answer, 0)))
    assert found == [
        Gpu(
            name="NVIDIA H200",
            driver="595.57",
            power_limit_w=699.5,
            pcie_generation=5,
            pcie_width=16,
        ),
        Gpu(name="NVIDIA H200", driver="595.57"),
    ]
    assert gpu_text(found[0]).endswith("power limit 700 W, PCIe generation 5 with 16 lanes")


@pytest.mark.parametrize("state", ["mismatch", "silent"])
def test_a_driver_that_does_not_work_describes_no_gpu(tmp_path: Path, state: DriverState) -> None:
    files(tmp_path, "dev/nvidia0")
    assert gpus_here(tmp_path, lambda: NvidiaDriver(state)) == []


def test_an_amd_gpu_has_the_link_of_its_slot_and_not_that_inside_its_card(tmp_path: Path) -> None:
    way = tmp_path / "sys/devices/pci0000:00/0000:00:01.1"
    port, gpu = way / "0000:01:00.0", way / "0000:01:00.0/0000:02:00.0/0000:03:00.0"
    for device, width in ((port, "8"), (gpu, "16")):
        files(device, "current_link_width", content=f"{width}\n")
    files(gpu, "vendor", content="0x1002\n")
    files(gpu, "class", content="0x030000\n")
    files(gpu, "pp_dpm_pcie", content=recorded("pp-dpm-pcie-x8").text)
    files(gpu, "hwmon/hwmon4/power1_cap", content="212000000\n")
    files(gpu, "product_name", content="Radeon RX 9060 XT\n")
    drivers = files(tmp_path, "sys/bus/pci/drivers/amdgpu/bind") / "sys/bus/pci/drivers"
    (gpu / "driver").symlink_to(drivers / "amdgpu")
    (tmp_path / "sys/bus/pci/devices").mkdir()
    (tmp_path / "sys/bus/pci/devices/0000:03:00.0").symlink_to(gpu)
    assert gpus_here(tmp_path) == [
        Gpu(name="AMD Radeon RX 9060 XT", power_limit_w=212.0, pcie_generation=4, pcie_width=8)
    ]


def test_what_rocminfo_prints() -> None:
    assert from_rocminfo(recorded("rocminfo-rx7900xtx")) == Rocm(
        "works", (("gfx1100", "Radeon RX 7900 XTX"),)
    )
    assert from_rocminfo(recorded("rocminfo-wsl-no-gpu")).state == "no GPU"
    assert from_rocminfo(recorded("rocminfo-not-loaded")).state == "not loaded"
    for name, said in {
        "rocminfo-permission-denied": "Permission denied",
        "rocminfo-no-such-file": "No such file or directory",
        "rocminfo-invalid-argument": "Invalid argument",
        "rocminfo-out-of-resources": "Cannot allocate memory",
    }.items():
        found = from_rocminfo(recorded(name, status=1))
        assert (found.state, found.said) == ("closed", f"/dev/kfd read-write: {said}")


def test_kfds_targets_have_the_names_that_builds_have() -> None:
    assert target_of(recorded("kfd-rx7900xtx").text) == "gfx1100"
    assert target_of("gfx_target_version 90402\n") == "gfx942"
    assert target_of("gfx_target_version 90010\n") == "gfx90a"
    assert target_of("cpu_cores_count 16\ngfx_target_version 0\n") is None
    assert target_of("") is None


def test_the_cards_on_the_bus_and_who_holds_them(tmp_path: Path) -> None:
    devices = tmp_path / "sys/bus/pci/devices"
    driver = files(tmp_path, "sys/bus/pci/drivers/nouveau/bind") / "sys/bus/pci/drivers/nouveau"
    for slot, vendor, kind in (
        ("0000:00:02.0", "0x8086", "0x030000"),
        ("0000:01:00.0", "0x10de", "0x030200"),
        ("0000:01:00.1", "0x10de", "0x040300"),  # its sound
        ("0000:02:00.0", "0x1a03", "0x030000"),  # a server's own graphics
    ):
        files(devices, f"{slot}/vendor", content=f"{vendor}\n")
        files(devices, f"{slot}/class", content=f"{kind}\n")
    (devices / "0000:01:00.0/driver").symlink_to(driver)
    assert cards(tmp_path) == [
        Card("Intel", None, "0000:00:02.0"),
        Card("NVIDIA", "nouveau", "0000:01:00.0"),
    ]
    assert cards(tmp_path / "nowhere") == []


def test_kfd_is_read_from_its_files(tmp_path: Path) -> None:
    assert look_at_kfd(tmp_path) == NO_KFD
    files(tmp_path, "dev/kfd", "dev/dri/renderD128")
    nodes = "sys/class/kfd/kfd/topology/nodes"
    files(tmp_path, f"{nodes}/0/properties", content="cpu_cores_count 16\n")
    files(tmp_path, f"{nodes}/1/properties", content=recorded("kfd-rx7900xtx").text)
    assert look_at_kfd(tmp_path) == Kfd(there=True, targets=("gfx1100",))


def test_whose_linux_it_is(tmp_path: Path) -> None:
    assert container(tmp_path, {}) is None
    assert container(tmp_path, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}) == "Kubernetes"
    files(tmp_path, "run/systemd/container", content="lxc\n")
    assert container(tmp_path, {}) == "lxc"
    files(tmp_path, ".dockerenv")
    assert container(tmp_path, {}) == "Docker"
    release = "proc/sys/kernel/osrelease"
    assert wsl_version(tmp_path) is None
    files(tmp_path, release, content="5.15.146.1-microsoft-standard-WSL2\n")
    assert wsl_version(tmp_path) == 2
    files(tmp_path, release, content="4.4.0-19041-Microsoft\n")
    assert wsl_version(tmp_path) == 1
    files(tmp_path, release, content="6.8.0-40-generic\n")
    assert wsl_version(tmp_path) is None
