"""How the kernels were compiled is known, and not for a user's CXXFLAGS to change."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from epochmark import native

SOURCES = Path(__file__).parents[2] / "src/epochmark/native"
"""A wheel has only what was built of them."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("cmake") is None or shutil.which("c++") is None,
        reason="compiling the kernels needs cmake and a C++ compiler",
    ),
]


def configure(folder: Path, *options: str, flags: str = "") -> str:
    """Configure a build as pip does; what CMake said."""
    done = subprocess.run(
        ["cmake", "-S", str(SOURCES), "-B", str(folder), "-DSKBUILD=ON", *options],
        env={**os.environ, "CXXFLAGS": flags},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    return done.stdout


def build(folder: Path, target: str) -> str:
    """The command lines of what was compiled."""
    jobs = str(os.cpu_count() or 1)
    command = ["cmake", "--build", str(folder), "--target", target, "--verbose", "-j", jobs]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def said_by(folder: Path) -> str:
    """``em_build`` of the library in that folder."""
    (file,) = [*folder.glob("libepochmark_native.so"), *folder.glob("libepochmark_native.dylib")]
    library = ctypes.CDLL(str(file))
    library.em_build.restype = ctypes.c_char_p
    return str(library.em_build().decode())


def test_flags_of_a_users_do_not_change_the_kernels(tmp_path: Path) -> None:
    flags = "-Ofast -march=native -ffast-math -fsanitize=address -g -isystem /usr/include/none"
    printed = " ".join(configure(tmp_path, flags=flags).split())
    assert "without these flags of yours: -Ofast -march=native -ffast-math" in printed
    commands = build(tmp_path, "kernels_portable")
    assert "-isystem /usr/include/none" in commands
    for flag in ("-Ofast", "-march=native", "-ffast-math", "-fsanitize"):
        assert f" {flag}" not in commands
    if platform.machine() == "x86_64" and shutil.which("objdump"):
        objects = [*tmp_path.glob("CMakeFiles/kernels_portable.dir/**/*.o")]
        assert objects
        code = subprocess.run(
            ["objdump", "-d", *map(str, objects)], stdout=subprocess.PIPE, text=True, check=True
        ).stdout
        assert re.search(r"%xmm", code)
        assert not re.search(r"%[yz]mm|\tv[a-z]+ps\b", code), "AVX in the portable kernels"


def test_a_debug_build_says_so(tmp_path: Path) -> None:
    assert native.build() == "Release"
    configure(tmp_path, "-DCMAKE_BUILD_TYPE=Debug")
    build(tmp_path, "epochmark_native")
    assert said_by(tmp_path) == "Debug, not optimised"
