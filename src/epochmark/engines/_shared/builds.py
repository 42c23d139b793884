"""What an installed build of a framework was made for, as its packages show without an import.

A framework's builds for the CPU and for GPUs often have the same name: what differs is the end of
the version, or a package that comes along.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Callable, Mapping, Optional, Sequence, Tuple

CudaVersion = Tuple[int, int]

_CUDA_RUNTIME = "nvidia-cuda-runtime*"


@dataclass(frozen=True)
class Build:
    """A build, and what shows it.

    ``accelerator`` is of ``requirements.ACCELERATORS``. ``package`` is a name in lower case with
    hyphens; ``*`` at its end stands for any ending. ``version`` is a regular expression that must
    be found in the package's version, ``system`` the only one this holds on (``Linux``),
    ``needs_library`` a library that the system itself must have. ``title`` is what it is, in a
    sentence.
    """

    accelerator: str
    package: str
    version: str = ""
    system: str = ""
    needs_library: str = ""
    title: str = ""


@dataclass(frozen=True)
class InstalledBuild:
    """The build that is installed; ``cuda``: the CUDA it was made with, where packages say it."""

    build: Build
    cuda: Optional[CudaVersion] = None


def installed_build(
    builds: Sequence[Build],
    packages: Mapping[str, str],
    system: str,
    has_library: Callable[[str], bool],
) -> Optional[InstalledBuild]:
    """The first of ``builds`` that the packages (names in lower case with hyphens, and versions)
    and the system show; None where none does."""
    for build in builds:
        version = _version_of(build.package, packages)
        if version is None or not re.search(build.version, version):
            continue
        if build.system not in ("", system) or (
            build.needs_library and not has_library(build.needs_library)
        ):
            continue
        is_cuda = build.accelerator == "cuda"
        return InstalledBuild(build, _cuda_of(version, packages) if is_cuda else None)
    return None


def _version_of(package: str, packages: Mapping[str, str]) -> Optional[str]:
    if not package.endswith("*"):
        return packages.get(package)
    fitting = sorted(name for name in packages if name.startswith(package[:-1]))
    return packages[fitting[0]] if fitting else None


def _cuda_of(version: str, packages: Mapping[str, str]) -> Optional[CudaVersion]:
    """CUDA as PyTorch ends its version (``+cu128``), else that of NVIDIA's own package."""
    ending = re.search(r"\+cu(\d+)(\d)\b", version)
    runtime = re.match(r"(\d+)\.(\d+)", _version_of(_CUDA_RUNTIME, packages) or "")
    found = ending or runtime
    return (int(found[1]), int(found[2])) if found else None


TORCH_BUILDS = (
    Build("tpu", "torch-xla", title="the build for TPUs"),
    Build("cpu", "torch", r"\+cpu", title="the build for the CPU"),
    Build("cuda", "torch", r"\+cu\d", title="a build for CUDA"),
    Build("rocm", "torch", r"\+rocm", title="a build for ROCm"),
    Build("xpu", "torch", r"\+xpu", title="a build for Intel's GPUs"),
    # the ordinary package index has builds for CUDA without an ending, NVIDIA's packages beside it
    Build("cuda", "nvidia-cuda-runtime*", title="a build for CUDA"),
    Build("metal", "torch", system="Darwin", title="the build for macOS"),
)
"""For ``torch`` and ``keras-torch``."""

JAX_BUILDS = (
    Build("cuda", "jax-cuda*", title="a build for CUDA"),
    Build("rocm", "jax-rocm*", title="a build for ROCm"),
    Build("metal", "jax-metal", title="a build for Metal"),
    Build("tpu", "libtpu", title="the build for TPUs"),
    Build("cpu", "jax", title="JAX without a plug-in for GPUs"),
)
"""For ``jax`` and ``keras-jax``."""
