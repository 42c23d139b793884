"""What the doctor makes of GPUs and their drivers, on recordings from elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from epochmark.doctor.checks import amd, no_gpu, nvidia, wsl
from epochmark.doctor.contract import Line
from epochmark.doctor.facts import Facts
from epochmark.hardware.gpus.amd import Kfd, from_rocminfo
from epochmark.hardware.gpus.bus import Card
from epochmark.hardware.gpus.nvidia import NvidiaDriver, NvidiaGpu, from_nvidia_smi
from tests.unit.recordings import files, recorded

GEFORCE = Card("NVIDIA", "nvidia", "0000:01:00.0")
RADEON = Card("AMD", "amdgpu", "0000:03:00.0")


def only(lines: list[Line]) -> Line:
    (line,) = lines
    return line


def test_each_nvidia_gpu_is_named_with_what_matters() -> None:
    gpus = (
        NvidiaGpu("NVIDIA TITAN V", (7, 0), 12 << 30),
        NvidiaGpu("NVIDIA RTX 5880 Ada Generation", (8, 9), 48 << 30),
    )
    driver = NvidiaDriver("works", "570.86.15", (12, 8), gpus)
    lines = list(nvidia.examine(Facts(nvidia=driver)))
    assert [line.text for line in lines] == [
        "NVIDIA TITAN V, 12.0 GiB, compute capability 7.0; driver 570.86.15, CUDA up to 12.8",
        "NVIDIA RTX 5880 Ada Generation, 48.0 GiB, compute capability 8.9; driver 570.86.15, "
        "CUDA up to 12.8",
    ]


def nvidia_line(**facts: object) -> Line:
    return only(list(nvidia.examine(Facts(cards=(GEFORCE,), **facts))))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "text", "remedy"),
    [
        ("smi-mismatch", "was updated while its old version", "sudo reboot"),
        ("smi-not-loaded", "the kernel has not loaded it", "sudo modprobe nvidia"),
        ("smi-lost", "has lost a GPU", "sudo reboot"),
        ("smi-no-devices", "finds no GPU", "sudo reboot"),
        ("smi-without-cuda", "offers no CUDA", "newest driver"),
    ],
)
def test_a_driver_that_does_not_work_is_a_fault_with_a_command(
    name: str, text: str, remedy: str
) -> None:
    line = nvidia_line(nvidia=from_nvidia_smi(recorded(name)))
    assert line.state == "fault"
    assert text in line.text
    assert remedy in str(line.remedy)


@pytest.mark.parametrize(
    ("distribution", "command"),
    [
        (("linuxmint", "ubuntu", "debian"), "sudo ubuntu-drivers install"),
        (("fedora",), "akmod-nvidia"),
        ((), "https://www.nvidia.com/drivers"),
    ],
)
def test_a_card_without_a_driver_says_how_this_system_installs_it(
    distribution: tuple[str, ...], command: str
) -> None:
    nouveau = Card("NVIDIA", "nouveau", "0000:01:00.0")
    facts = Facts(cards=(nouveau,), distribution=distribution)
    line = only(list(nvidia.examine(facts)))
    assert line.state == "fault"
    assert "only nouveau" in line.text
    assert command in str(line.remedy)


def test_a_container_without_the_device_says_how_to_start_it() -> None:
    line = nvidia_line(container="Docker")
    assert (line.state, line.text) == (
        "fault",
        "an NVIDIA GPU is in this machine, but not in this container",
    )
    assert "docker run --gpus all" in str(line.remedy)
    assert "apptainer run --nv" in str(nvidia_line(container="Apptainer").remedy)
    assert "/dev/nvidia*" in str(nvidia_line(container="lxc").remedy)


def test_a_container_that_lost_its_rights_is_restarted() -> None:
    lost = from_nvidia_smi(recorded("smi-container-lost-rights"))
    line = nvidia_line(container="Docker", nvidia=lost)
    assert "lost its right" in line.text
    assert line.remedy == "restart the container"


def test_a_card_kept_for_virtual_machines_is_no_fault() -> None:
    line = only(list(nvidia.examine(Facts(cards=(Card("NVIDIA", "vfio-pci", "1"),)))))
    assert line.state == "note"


WORKS = from_nvidia_smi(recorded("smi-two-h20"))


@pytest.mark.parametrize(
    ("value", "state", "remedy"),
    [("", "note", "unset CUDA_VISIBLE_DEVICES"), ("-1", "note", "unset CUDA_VISIBLE_DEVICES"),
     ("1", "note", None), ("0,1", None, None)],
)  # fmt: skip
def test_a_variable_that_hides_gpus_is_named(
    value: str, state: str | None, remedy: str | None
) -> None:
    facts = Facts(nvidia=WORKS, variables={"CUDA_VISIBLE_DEVICES": value})
    others = [line for line in nvidia.examine(facts) if line.state != "ok"]
    assert [(line.state, line.remedy) for line in others] == ([(state, remedy)] if state else [])
    assert ("cuda" in facts.usable) == (value not in ("", "-1"))


def test_no_gpu_is_a_note() -> None:
    line = only(list(no_gpu.examine(Facts())))
    assert (line.state, line.remedy) == ("note", None)
    assert "no GPU found" in line.text
    inside = only(list(no_gpu.examine(Facts(cards=(Card("Intel", "i915", "0000:00:02.0"),)))))
    assert "the processor's own graphics do not count" in inside.text
    for silent in (nvidia, amd, wsl):
        assert list(silent.examine(Facts())) == []


def test_a_gpu_of_another_maker_is_named() -> None:
    line = only(list(no_gpu.examine(Facts(system="Darwin", accelerators=("metal", "cpu")))))
    assert (line.state, line.text) == ("ok", "Apple's GPU (Metal)")
    assert list(no_gpu.examine(Facts(cards=(GEFORCE,)))) == []


OPEN = Kfd(there=True, targets=("gfx1100",))


def amd_lines(**facts: object) -> list[Line]:
    return list(amd.examine(Facts(cards=(RADEON,), **facts)))  # type: ignore[arg-type]


def test_an_amd_gpu_that_can_be_used_is_named() -> None:
    rocm = from_rocminfo(recorded("rocminfo-rx7900xtx"))
    line = only(amd_lines(kfd=OPEN, rocm=rocm))
    assert (line.state, line.text) == (
        "ok",
        "Radeon RX 7900 XTX, gfx1100; kernel driver amdgpu",
    )
    assert only(amd_lines(kfd=OPEN)).text.startswith("AMD GPU, gfx1100")
    assert Facts(kfd=OPEN).usable == ("cpu", "rocm")


def test_a_user_outside_of_the_group_reads_which() -> None:
    closed = Kfd(True, (("/dev/kfd", "render"), ("/dev/dri/renderD128", "render")), ("gfx1100",))
    line = only(amd_lines(kfd=closed, variables={"USER": "ada"}))
    assert line.state == "fault"
    assert "you may not open /dev/kfd, /dev/dri/renderD128" in line.text
    assert str(line.remedy).startswith("sudo usermod -a -G render ada ")
    in_container = only(amd_lines(kfd=closed, container="Docker"))
    assert "--device /dev/kfd --device /dev/dri" in str(in_container.remedy)
    assert "rocm" not in Facts(kfd=closed).usable


def test_what_keeps_an_amd_gpu_from_being_used() -> None:
    without_driver = list(amd.examine(Facts(cards=(Card("AMD", None, "0000:03:00.0"),))))
    assert only(without_driver).remedy == "sudo modprobe amdgpu"
    assert "not in this container" in only(amd_lines(container="Docker")).text
    assert only(amd_lines()).state == "note"  # an old card, whose driver offers no computing
    unfit = only(amd_lines(kfd=OPEN, rocm=from_rocminfo(recorded("rocminfo-invalid-argument"))))
    assert "do not match" in unfit.text
    broken = only(amd_lines(kfd=OPEN, rocm=from_rocminfo(recorded("rocminfo-out-of-resources"))))
    assert "Cannot allocate memory" in broken.text
    refused = only(amd_lines(kfd=OPEN, rocm=from_rocminfo(recorded("rocminfo-permission-denied"))))
    assert "usermod -a -G render" in str(refused.remedy)
    assert {unfit.state, broken.state} == {"fault"}


def test_graphics_that_pytorch_is_not_built_for_are_no_fault() -> None:
    """The small GPU inside of most Ryzen processors."""
    inside = Kfd(there=True, targets=("gfx1036",))
    assert only(amd_lines(kfd=inside)).state == "note"
    assert "rocm" not in Facts(kfd=inside).usable


def test_a_variable_that_hides_an_amd_gpu_is_named() -> None:
    lines = amd_lines(kfd=OPEN, variables={"HIP_VISIBLE_DEVICES": "-1"})
    assert [line.remedy for line in lines] == [None, "unset HIP_VISIBLE_DEVICES"]


def test_wsl_says_what_windows_lacks(tmp_path: Path) -> None:
    assert only(list(wsl.examine(Facts(wsl=1)))).state == "note"
    assert "wsl --update" in str(only(list(wsl.examine(Facts(wsl=2, root=tmp_path)))).remedy)
    files(tmp_path, "dev/dxg")
    assert "no NVIDIA driver" in only(list(wsl.examine(Facts(wsl=2, root=tmp_path)))).text
    files(tmp_path, "usr/lib/wsl/lib/libcuda.so.1")
    broken = from_nvidia_smi(recorded("smi-wsl-not-loaded"))
    facts = Facts(wsl=2, root=tmp_path, nvidia=broken, accelerators=("cuda", "cpu"))
    assert "does not work in WSL (NVIDIA-SMI has failed" in only(list(wsl.examine(facts))).text
    assert list(nvidia.examine(facts)) == []
    files(tmp_path, "usr/lib/x86_64-linux-gnu/libcuda.so.1")
    hidden = only(list(wsl.examine(facts)))
    assert (hidden.state, hidden.remedy) == (
        "fault",
        "sudo apt purge 'nvidia-driver-*' 'libnvidia-compute-*'",
    )
    works = from_nvidia_smi(recorded("smi-wsl-rtx4070"))
    assert only(list(wsl.examine(Facts(wsl=2, nvidia=works)))).state == "ok"
    err = from_nvidia_smi(recorded("smi-wsl-cuda-err"))
    assert only(list(wsl.examine(Facts(wsl=2, root=tmp_path, nvidia=err)))).state == "fault"
