"""The requirements table: which row fits which machine, and what pip's answers mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from epochmark.bench.request import public_engines
from epochmark.engines import Requirements, get_engine
from epochmark.environments.install import planned_text, size_text
from epochmark.environments.pip import PipError, Planned, explain, is_for_cuda
from epochmark.environments.requirements import (
    Platform,
    check_python,
    choose_row,
    engines_sharing,
    environment_name,
    fitting_rows,
)
from epochmark.errors import EpochmarkError
from epochmark.hardware.accelerators import accelerators

LINUX_CPU = Platform("Linux", "x86_64", ("cpu",))
LINUX_CUDA = Platform("Linux", "x86_64", ("cuda", "cpu"))
MAC = Platform("Darwin", "arm64", ("metal", "cpu"))

INSTALLABLE = [name for name in public_engines() if name != "native"]


def first_requirement(engine: str, machine: Platform) -> str:
    return choose_row(get_engine(engine).info, machine, None).pip[0]


@pytest.mark.parametrize(
    ("engine", "machine", "requirement"),
    [
        ("keras-tensorflow", LINUX_CPU, "tensorflow-cpu>=2.21,<2.22"),
        ("keras-tensorflow", LINUX_CUDA, "tensorflow[and-cuda]>=2.21,<2.22"),
        ("keras-tensorflow", MAC, "tensorflow>=2.18,<2.19"),
        ("torch", LINUX_CPU, "torch>=2.13,<2.14"),
        ("torch", MAC, "torch>=2.13,<2.14"),
        ("torch", Platform("Linux", "x86_64", ("rocm", "cpu")), "torch==2.9.1"),
    ],
)
def test_the_row_fits_the_machine(engine: str, machine: Platform, requirement: str) -> None:
    assert first_requirement(engine, machine) == requirement


@pytest.mark.parametrize("engine", INSTALLABLE)
def test_every_engine_can_be_installed_on_linux_without_a_gpu(engine: str) -> None:
    row = choose_row(get_engine(engine).info, LINUX_CPU, None)
    assert row.tested, "CI installs it, so it is tested"
    assert row.download_mb > 0
    assert row.installed_mb >= row.download_mb


@pytest.mark.parametrize("engine", INSTALLABLE)
def test_rows_are_pinned(engine: str) -> None:
    """A range that was tested, so that tomorrow's release changes nothing unseen."""
    for row in get_engine(engine).info.requirements:
        assert all(set("<=") & set(requirement) for requirement in row.pip)


def test_an_experimental_plug_in_must_be_asked_for() -> None:
    assert first_requirement("jax", MAC).startswith("jax>=")
    metal = choose_row(get_engine("jax").info, MAC, "metal")
    assert "jax-metal==0.1.1" in metal.pip


def test_a_machine_without_packages_reads_what_there_is() -> None:
    with pytest.raises(EpochmarkError, match="--python PATH") as raised:
        choose_row(get_engine("torch").info, Platform("Linux", "riscv64", ("cpu",)), None)
    assert raised.value.exit_code == 2
    assert "Linux x86_64 with cuda" in str(raised.value)


@pytest.mark.parametrize("version", [(3, 9), (3, 14)])
def test_a_python_without_packages_is_refused(version: tuple[int, int]) -> None:
    row = Requirements(pip=("x==1",), oldest_python=(3, 10), newest_python=(3, 13))
    with pytest.raises(EpochmarkError, match=r"--python python3\.13"):
        check_python(row, "X", version)
    for good in ((3, 10), (3, 13)):
        check_python(row, "X", good)


def test_engines_with_equal_requirements_share_an_environment() -> None:
    row = choose_row(get_engine("torch").info, LINUX_CPU, None)
    assert engines_sharing(row) == ["keras-torch", "torch"]
    row = choose_row(get_engine("jax").info, LINUX_CPU, None)
    assert engines_sharing(row) == ["jax", "keras-jax"]


def test_a_build_for_another_accelerator_is_another_environment() -> None:
    info = get_engine("torch").info
    names = {environment_name(choose_row(info, LINUX_CUDA, name)) for name in ("cuda", "cpu")}
    assert len(names) == 2


def test_the_best_accelerator_comes_first() -> None:
    rows = fitting_rows(get_engine("torch").info, LINUX_CUDA)
    assert [row.accelerators for row in rows] == [("cuda",), ("cpu",)]


@pytest.mark.parametrize(
    ("nodes", "found"),
    [
        ([], ["cpu"]),
        (["dev/nvidia0"], ["cuda", "cpu"]),
        (["dev/nvidiactl"], ["cpu"]),
        (["usr/lib/wsl/lib/libcuda.so.1", "dev/dxg"], ["cuda", "directml", "cpu"]),
        (["dev/kfd", "dev/dri/renderD128"], ["rocm", "cpu"]),
        (["dev/dri/renderD128"], ["cpu"]),
        (["etc/OpenCL/vendors/pocl.icd"], ["opencl", "cpu"]),
        (["sys/class/drm/card0/device/tile0/vram_size"], ["xpu", "cpu"]),
    ],
)
def test_accelerators_are_found_by_their_drivers(
    tmp_path: Path, nodes: list[str], found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    for node in [*nodes, "sys/class/drm/card0/device/vendor"]:
        (tmp_path / node).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / node).write_text("0x8086\n")
    assert accelerators(tmp_path) == found


def test_packages_for_cuda_are_recognised() -> None:
    assert is_for_cuda("nvidia-cublas")
    assert is_for_cuda("NVIDIA_cudnn_cu13")
    assert is_for_cuda("jax-cuda13-plugin")
    assert is_for_cuda("mlx_cuda_13")
    assert not is_for_cuda("torch")


def test_a_plan_names_what_was_asked_for() -> None:
    planned = [Planned("torch", "2.13.0"), Planned("ml_dtypes", "0.5"), Planned("sympy", "1")]
    text = planned_text(planned, ["torch>=2.13,<2.14", "ml-dtypes"])
    assert text == "torch 2.13.0, ml_dtypes 0.5 and 1 more packages"


def test_sizes_are_in_units_people_read() -> None:
    row = Requirements(pip=("x",), download_mb=240, installed_mb=1050)
    assert size_text(row) == "about 240 MB to download, 1.1 GB on disk"


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left", "full"),
        ("WARNING: Max retries exceeded\nERROR: No matching distribution found for x", "reached"),
        ("ERROR: No matching distribution found for x\n", "No matching distribution found for x"),
        ("", "pip said nothing"),
    ],
)
def test_a_failure_of_pip_is_explained(output: str, said: str) -> None:
    assert said in str(explain(PipError(output), "X"))
