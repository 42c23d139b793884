"""What must be installed to use an engine: one row per kind of machine, and the shared rows.

A row lives in the file of its engine. Rows that several engines use stand here, so that those
engines share one managed environment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

PythonVersion = Tuple[int, int]

LINUX, MACOS = "Linux", "Darwin"
X86_64, ARM64 = "x86_64", "arm64"

ACCELERATORS = ("cuda", "rocm", "xpu", "metal", "tpu", "directml", "opencl", "cpu")
"""What a build of a framework can be for; the first that a machine has is what it gets."""


@dataclass(frozen=True)
class SystemNeed:
    """Something pip cannot bring: an executable or a shared library, and how to get it."""

    name: str
    kind: str
    advice: str

    def __post_init__(self) -> None:
        if self.kind not in ("command", "library"):
            raise ValueError(f"{self.kind!r} is neither command nor library")


@dataclass(frozen=True)
class Requirements:
    """One row of the table: what an engine needs on such a machine.

    ``pip`` are requirement specifiers, complete but for numpy, which every worker needs.
    ``systems`` and ``architectures`` are of ``platform.system()`` and ``platform.machine()``, with
    aarch64 named arm64. ``oldest_python`` and ``newest_python`` are both included. Sizes are
    estimates in MB (10**6 bytes). ``indexes`` are public package indexes, and ``find_links`` pages
    with files, to be asked when the user's pip configuration has no such build. A row that is only
    ``on_request`` is not taken by default on a machine it fits. ``tested`` says on what it has run;
    empty where it is only written from the framework's documentation.
    """

    pip: Tuple[str, ...]
    accelerators: Tuple[str, ...] = ("cpu",)
    systems: Tuple[str, ...] = (LINUX,)
    architectures: Tuple[str, ...] = (X86_64,)
    oldest_python: PythonVersion = (3, 10)
    newest_python: PythonVersion = (3, 13)
    download_mb: int = 0
    installed_mb: int = 0
    needs: Tuple[SystemNeed, ...] = ()
    indexes: Tuple[str, ...] = ()
    find_links: Tuple[str, ...] = ()
    on_request: bool = False
    tested: str = ""

    def __post_init__(self) -> None:
        unknown = set(self.accelerators) - set(ACCELERATORS)
        if unknown or not self.accelerators:
            raise ValueError(f"accelerators of {self.pip}: {self.accelerators}")


KERAS = "keras>=3.15,<3.16"
"""For all engines on Keras 3."""

HERE = "Linux x86-64, Python 3.11"
"""What most rows with a test were tested on."""

_PYTORCH_INDEX = "https://download.pytorch.org/whl/"

TORCH: Tuple[Requirements, ...] = (
    # what the ordinary package index has for Linux are CUDA builds
    Requirements(
        pip=("torch>=2.13,<2.14", KERAS),
        indexes=(_PYTORCH_INDEX + "cpu",),
        download_mb=240,
        installed_mb=1050,
        tested=HERE,
    ),
    Requirements(
        pip=("torch>=2.13,<2.14", KERAS),
        architectures=(ARM64,),
        indexes=(_PYTORCH_INDEX + "cpu",),
        download_mb=200,
        installed_mb=900,
    ),
    Requirements(
        pip=("torch>=2.13,<2.14", KERAS),
        accelerators=("metal", "cpu"),
        systems=(MACOS,),
        architectures=(ARM64,),
        download_mb=150,
        installed_mb=500,
    ),
    Requirements(
        pip=("torch>=2.13,<2.14", KERAS),
        accelerators=("cuda",),
        download_mb=3000,
        installed_mb=6500,
    ),
    # a version with its own index; equal to the last one documented for ROCm 6.4
    Requirements(
        pip=("torch==2.9.1", KERAS),
        accelerators=("rocm",),
        indexes=(_PYTORCH_INDEX + "rocm6.4",),
        download_mb=5000,
        installed_mb=16000,
    ),
    Requirements(
        pip=("torch==2.9.1", KERAS),
        accelerators=("xpu",),
        indexes=(_PYTORCH_INDEX + "xpu",),
        download_mb=2000,
        installed_mb=6000,
    ),
    Requirements(
        pip=("torch==2.9.*", "torch_xla[tpu]==2.9.*", KERAS),
        accelerators=("tpu",),
        indexes=(_PYTORCH_INDEX + "cpu",),
        download_mb=600,
        installed_mb=2000,
    ),
)
"""For ``torch`` and ``keras-torch``."""

_OPTAX = "optax>=0.2.8,<0.3"

JAX: Tuple[Requirements, ...] = (
    Requirements(
        pip=("jax>=0.10.2,<0.11", _OPTAX, KERAS),
        oldest_python=(3, 11),
        download_mb=150,
        installed_mb=700,
        tested=HERE,
    ),
    Requirements(
        pip=("jax>=0.10.2,<0.11", _OPTAX, KERAS),
        systems=(LINUX, MACOS),
        architectures=(ARM64,),
        oldest_python=(3, 11),
        download_mb=150,
        installed_mb=700,
    ),
    Requirements(
        pip=("jax[cuda13]>=0.10.2,<0.11", _OPTAX, KERAS),
        accelerators=("cuda",),
        oldest_python=(3, 11),
        download_mb=2500,
        installed_mb=5500,
    ),
    # needs AMD's ROCm 7 installed in the system
    Requirements(
        pip=("jax[rocm7-local]>=0.10.2,<0.11", _OPTAX, KERAS),
        accelerators=("rocm",),
        oldest_python=(3, 11),
        download_mb=400,
        installed_mb=1500,
    ),
    Requirements(
        pip=("jax[tpu]>=0.10.2,<0.11", _OPTAX, KERAS),
        accelerators=("tpu",),
        oldest_python=(3, 11),
        download_mb=400,
        installed_mb=1500,
    ),
    # Apple's plug-in, experimental, made for this release of JAX
    Requirements(
        pip=("jax==0.4.34", "jaxlib==0.4.34", "jax-metal==0.1.1", "optax<0.2.5", KERAS),
        accelerators=("metal",),
        on_request=True,
        systems=(MACOS,),
        architectures=(ARM64,),
        newest_python=(3, 12),
        download_mb=150,
        installed_mb=500,
    ),
)
"""For ``jax`` and ``keras-jax``."""
