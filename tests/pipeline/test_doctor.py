"""``epochmark doctor`` as a user runs it, on this machine and on one that is made up."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from epochmark.engines import get_engine
from epochmark.environments.manifest import MANIFEST, Manifest, encode_manifest
from epochmark.environments.requirements import environment_name
from tests.pipeline.program import Program

STAND_IN = Path(__file__).parents[1] / "unit" / "nvml_stand_in.c"


@pytest.fixture
def environments(program: Program, tmp_path: Path) -> Path:
    folder = tmp_path / "environments"
    folder.mkdir()
    program.environment["EPOCHMARK_ENVIRONMENTS"] = str(folder)
    return folder


def make_torch(environments: Path, python: str) -> Path:
    """An environment with PyTorch's build for the CPU, whose interpreter is this shell script;
    returns a file that the script makes when it runs."""
    row = next(row for row in get_engine("torch").info.requirements if row.accelerators == ("cpu",))
    folder = environments / environment_name(row)
    manifest = Manifest(
        name=folder.name, requirements=row.pip, accelerators=("cpu",), python="3.11.7",
        created="2026-11-29T00:00:00Z", epochmark_version="0.1.0", size_bytes=0,
        installed={"torch": "2.13.0+cpu"},
    )  # fmt: skip
    (folder / "lib/python3.11/site-packages/torch-2.13.0+cpu.dist-info").mkdir(parents=True)
    (folder / MANIFEST).write_bytes(encode_manifest(manifest))
    (folder / "bin").mkdir()
    was_run = environments.parent / "was-run"
    (folder / "bin/python").write_text(f"#!/bin/sh\ntouch {was_run}\n{python}\n")
    (folder / "bin/python").chmod(0o755)
    return was_run


def test_each_line_says_how_it_is_and_what_mends_it(program: Program, environments: Path) -> None:
    done = program.run("doctor", "--json")
    assert done.returncode in (0, 1), done.stderr
    found = json.loads(done.stdout)
    states = [line["state"] for line in found["lines"]]
    assert (found["faults"], found["notes"]) == (states.count("fault"), states.count("note"))
    assert (done.returncode == 1) == ("fault" in states)
    assert all(line["remedy"] for line in found["lines"] if line["state"] == "fault")
    checks = [line["check"] for line in found["lines"]]
    assert {"engines", "processor", "memory", "disk", "data"} <= set(checks)
    assert checks == sorted(checks, key=checks.index)


def test_the_text_for_people_ends_in_a_count(program: Program, environments: Path) -> None:
    done = program.run("doctor")
    *_, last = done.stdout.splitlines()
    assert last.endswith(("note.", "notes."))
    assert "processor\n  ok     " in done.stdout


@pytest.mark.skipif(sys.platform == "darwin", reason="PyTorch has other builds for macOS")
def test_frameworks_are_asked_only_with_deep(program: Program, environments: Path) -> None:
    was_run = make_torch(environments, "echo no libtorch >&2; exit 3")
    done = program.run("doctor")
    assert "torch (torch 2.13.0+cpu)" in done.stdout
    assert not was_run.exists()
    deep = program.run("doctor", "--deep")
    assert was_run.exists()
    assert deep.returncode == 1
    assert "fault  torch (torch 2.13.0+cpu): its import ended the process" in deep.stdout


def test_an_environment_whose_python_is_gone_is_a_fault(
    program: Program, environments: Path
) -> None:
    make_torch(environments, "")
    python = next(environments.glob("*/bin/python"))
    python.unlink()
    python.symlink_to("/nowhere/python")
    done = program.run("doctor")
    assert done.returncode == 1
    assert "the Python it was made with is gone (/nowhere/python)" in done.stdout
    assert "epochmark engines install keras-torch --accelerator cpu" in done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="NVIDIA's driver is for Linux")
def test_a_build_for_the_cpu_beside_an_nvidia_gpu(
    program: Program, environments: Path, tmp_path: Path
) -> None:
    """With NVIDIA's own binding, over a library that stands in for the driver."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    pytest.importorskip("pynvml")
    make_torch(environments, "")
    driver = tmp_path / "driver"
    driver.mkdir()
    library = driver / "libnvidia-ml.so.1"
    command = [compiler, "-shared", "-fPIC", f"-Wl,-soname,{library.name}", "-o"]
    subprocess.run([*command, str(library), str(STAND_IN)], check=True)
    (driver / "nvidia-smi").write_text("#!/bin/sh\n")
    (driver / "nvidia-smi").chmod(0o755)
    with_gpu = {"LD_LIBRARY_PATH": str(driver), "PATH": f"{driver}:/usr/bin:/bin"}
    done = program.run("doctor", "--json", environment=with_gpu)
    assert done.returncode == 1, done.stderr
    lines = json.loads(done.stdout)["lines"]
    assert lines[0] == {
        "check": "NVIDIA",
        "state": "ok",
        "text": "Stand-In 3000, 24.0 GiB, compute capability 8.9; driver 580.82.07, "
        "CUDA up to 13.0",
        "remedy": None,
    }
    torch = next(line for line in lines if line["text"].startswith("torch "))
    assert torch["state"] == "fault"
    assert "is the build for the CPU: it cannot use the NVIDIA GPU" in torch["text"]
    assert "engines install torch --accelerator cuda" in torch["remedy"]
    done = program.run("run", "fake", "--json", environment=with_gpu)
    assert json.loads(done.stdout)["machine"]["gpus"] == [
        {
            "name": "Stand-In 3000",
            "driver": "580.82.07",
            "power_limit_w": 300.0,
            "pcie_generation": 4,
            "pcie_width": None,
        }
    ]
