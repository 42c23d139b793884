"""A node of a Ray cluster whose Python lacks epochmark, and an epochmark that was installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

import epochmark

NEEDED = ("ray", "pip")


def bare_python(folder: Path) -> Path:
    """A virtual environment with Ray, and with all that epochmark needs but itself, as links."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = folder / "lib" / version / "site-packages"
    for name in {*_closure([*NEEDED, "epochmark"])} - {"epochmark"}:
        for entry in {file.parts[0] for file in distribution(name).files or []} - {"..", ""}:
            link = packages / entry
            if not link.exists():
                link.symlink_to(Path(str(distribution(name).locate_file(entry))))
    python = folder / "bin" / "python"
    pip = folder / "bin" / "pip"  # Ray asks for it by name
    pip.write_text(f'#!/bin/sh\nexec {python} -m pip "$@"\n')
    pip.chmod(0o755)
    return python


def _closure(names: list[str]) -> Iterator[str]:
    """These distributions and all that they need here, extras left out."""
    seen: set[str] = set()
    while names:
        name = names.pop()
        if name in seen:
            continue
        seen.add(name)
        yield name
        for need in map(Requirement, distribution(name).requires or []):
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                names.append(need.name)


def installed_copy(folder: Path) -> Path:
    """The epochmark that runs, as pip installs it: a folder of packages with its metadata."""
    source = Path(epochmark.__file__).parent
    ignored = shutil.ignore_patterns("__pycache__", "*.cpp", "*.h")
    shutil.copytree(source, folder / "epochmark", ignore=ignored)
    metadata = Path(str(distribution("epochmark").locate_file("")))
    (info,) = metadata.glob("epochmark-*.dist-info")
    shutil.copytree(info, folder / info.name)
    files = [file.relative_to(folder) for file in folder.rglob("*") if file.is_file()]
    (folder / info.name / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    return folder


@contextmanager
def joined(python: Path, address: str, name: str, variables: Mapping[str, str]) -> Iterator[None]:
    """A node of this interpreter in the cluster at this address, with one CPU."""
    command = [str(python), "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus=1"]
    path = os.pathsep.join([str(python.parent), os.environ["PATH"]])
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    node = subprocess.Popen(
        [*command, f"--address={address}", f"--node-name={name}"],
        env={**kept, "PATH": path, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert node.stdout is not None
    said = ""
    try:
        for line in node.stdout:
            said += line
            if "--block" in line:
                break
        assert "Ray runtime started" in said, said
        yield
    finally:
        node.terminate()
        node.communicate(timeout=60)
