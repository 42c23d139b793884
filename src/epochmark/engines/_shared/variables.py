"""Environment variables that can change what is measured, and what of them a record may keep.

One vocabulary for both ends: the launcher decides what an interpreter of ours gets, and the worker
reports what it really has. What belongs to one framework is in the file of its engine. Workers load
one engine only: the launcher hands them the variables of the others.
"""

from __future__ import annotations

import functools
import itertools
import re
from pathlib import Path
from typing import Collection, Dict, Iterable, Mapping, Tuple, TypeVar

from epochmark.engines import Variables, all_infos

T = TypeVar("T")

COMMON = Variables(
    places=(
        "CC", "CUDA_DEVICE_ORDER", "CUDA_VISIBLE_DEVICES", "CXX", "HIP_VISIBLE_DEVICES",
        "HSA_OVERRIDE_GFX_VERSION", "LD_LIBRARY_PATH", "MKL_INTERFACE_LAYER",
        "ROCR_VISIBLE_DEVICES", "TPU_VISIBLE_CHIPS",
    ),
    threads=(
        "BLIS_NUM_THREADS", "GOMP_CPU_AFFINITY", "KMP_AFFINITY", "KMP_HW_SUBSET", "MKL_DYNAMIC",
        "MKL_NUM_THREADS", "NUMEXPR_MAX_THREADS", "NUMEXPR_NUM_THREADS", "OMP_DYNAMIC",
        "OMP_NUM_THREADS", "OMP_PLACES", "OMP_PROC_BIND", "OMP_THREAD_LIMIT",
        "OPENBLAS_NUM_THREADS", "PYTHON_CPU_COUNT", "VECLIB_MAXIMUM_THREADS",
    ),
    switches=(
        "DYLD_INSERT_LIBRARIES", "GLIBC_TUNABLES", "LD_PRELOAD", "NVIDIA_TF32_OVERRIDE",
        "PYTHONASYNCIODEBUG", "PYTHONDEVMODE", "PYTHONMALLOC", "PYTHONMALLOCSTATS",
        "PYTHONOPTIMIZE", "PYTHONPERFSUPPORT", "PYTHONPROFILEIMPORTTIME", "PYTHONTRACEMALLOC",
        "PYTHONVERBOSE", "PYTHON_GIL", "PYTHON_JIT", "PYTHON_PERF_JIT_SUPPORT",
        "BLIS_*", "CUBLAS_*", "CUDA_*", "CUDNN_*", "DNNL_*", "GOMP_*", "HIP_*", "HSA_*",
        "JEMALLOC_*", "KMP_*", "LIBTPU_*", "MALLOC_*", "MIMALLOC_*", "MIOPEN_*", "MKL_*", "MTL_*",
        "NUMEXPR_*", "OMP_*", "ONEDNN_*", "OPENBLAS_*", "POCL_*", "ROCBLAS_*", "ROCR_*",
        "TCMALLOC_*", "TPU_*", "TRITON_*", "VECLIB_*", "XLA_*", "XNNPACK_*", "ZE_*",
    ),
)  # fmt: skip
"""Of Python, drivers, compilers and allocators, and of libraries that several frameworks use."""

_OF_OTHER_PROGRAMS = re.compile(
    r"TOKEN|SECRET|PASS|CREDENTIAL|AUTH|API|KEY|USER|HOST|ADDRESS|NAME|PROXY|PROJECT|ZONE|BUILD"
    r"|ARCH_LIST|^TF_(VAR|CLI|DATA_DIR|WORKSPACE|IN_|LOG|REGISTRY)|_(VERSION|HOME|PATH|ROOT)$"
)
"""Names that may hold a secret or say who somebody is, Terraform's, and those of containers that
say where or which something is: never recorded."""

_LOCATION = re.compile(r"(DIR|FILE|FOLDER|CONFIG)S?$")
_PATH = re.compile(r"[^\s,;:='\"]*/[^\s,;='\"]*")
MAX_NAME, MAX_VALUE = 100, 200


def known_variables() -> Variables:
    """Those of all engines and of what they share; the engines' ``own`` ones stay with them."""
    return _together(COMMON, *(info.variables for info in all_infos()))


@functools.cache
def _together(*brought: Variables) -> Variables:
    return Variables(
        places=_all_of(info.places for info in brought),
        threads=_all_of(info.threads for info in brought),
        switches=_all_of(info.switches for info in brought),
        folders=_all_of(info.folders for info in brought),
        handed=_all_of(info.handed for info in brought),
        fixed=_all_of(info.fixed for info in brought),
    )


def _all_of(parts: Iterable[Tuple[T, ...]]) -> Tuple[T, ...]:
    return tuple(itertools.chain.from_iterable(parts))


def recorded_environment(
    environment: Mapping[str, str], counted: Collection[str]
) -> Dict[str, str]:
    """The variables that are among ``counted`` (``Variables.recorded``), fit for a record: no path
    ever. Of a library that is loaded before all others the name is kept."""
    families = tuple(name[:-1] for name in counted if name.endswith("*"))

    def counts(name: str) -> bool:
        return name in counted or (
            name.startswith(families) and not _OF_OTHER_PROGRAMS.search(name)
        )

    return {
        name: _without_paths(name, environment[name])
        for name in sorted(environment)
        if len(name) <= MAX_NAME and counts(name)
    }


def _without_paths(name: str, value: str) -> str:
    if name in ("LD_PRELOAD", "DYLD_INSERT_LIBRARIES"):
        value = " ".join(Path(library).name for library in re.split(r"[\s:]+", value) if library)
    elif _LOCATION.search(name):
        return "set"
    value = "".join(c if c.isprintable() else " " for c in _PATH.sub("…", value))
    return value[:MAX_VALUE] if any(map(str.isalnum, value)) or not value else "set"
