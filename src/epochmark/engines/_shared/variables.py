"""Environment variables that can change what is measured, and what of them a record may keep.

One vocabulary for both ends: the worker reports what it really has, the launcher decides what an
interpreter of ours gets. Standard library only, Python 3.9.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, Mapping, Sequence

PLACES = (
    "CC",
    "CUDA_DEVICE_ORDER",
    "CUDA_VISIBLE_DEVICES",
    "CXX",
    "DEV",
    "HIP_VISIBLE_DEVICES",
    "HSA_OVERRIDE_GFX_VERSION",
    "JAX_PLATFORMS",
    "KERAS_BACKEND",
    "LD_LIBRARY_PATH",
    "MKL_INTERFACE_LAYER",
    "PJRT_DEVICE",
    "PLAIDML_DEVICE_IDS",
    "PLAIDML_EXPERIMENTAL",
    "ROCR_VISIBLE_DEVICES",
    "TF_CPP_MAX_VLOG_LEVEL",
    "TF_CPP_MIN_LOG_LEVEL",
    "TF_FORCE_GPU_ALLOW_GROWTH",
    "TPU_VISIBLE_CHIPS",
    "XLA_PYTHON_CLIENT_ALLOCATOR",
    "XLA_PYTHON_CLIENT_MEM_FRACTION",
    "XLA_PYTHON_CLIENT_PREALLOCATE",
)
"""Which device, compiler or library, how much is told: recorded, and the work is the same."""

THREADS = (
    "BLIS_NUM_THREADS",
    "GOMP_CPU_AFFINITY",
    "KMP_AFFINITY",
    "KMP_HW_SUBSET",
    "MKL_DYNAMIC",
    "MKL_NUM_THREADS",
    "NPROC",
    "NUMEXPR_MAX_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUM_CPU_THREADS",
    "OMP_DYNAMIC",
    "OMP_NUM_THREADS",
    "OMP_PLACES",
    "OMP_PROC_BIND",
    "OMP_THREAD_LIMIT",
    "OPENBLAS_NUM_THREADS",
    "PYTHON_CPU_COUNT",
    "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
"""How many threads, and where: what came of it is seen in the threads themselves."""

_OTHERS = (
    "DYLD_INSERT_LIBRARIES",
    "EPOCHMARK_NATIVE_ISA",
    "GLIBC_TUNABLES",
    "LD_PRELOAD",
    "NVIDIA_TF32_OVERRIDE",
    "PYTHONASYNCIODEBUG",
    "PYTHONDEVMODE",
    "PYTHONMALLOC",
    "PYTHONMALLOCSTATS",
    "PYTHONOPTIMIZE",
    "PYTHONPERFSUPPORT",
    "PYTHONPROFILEIMPORTTIME",
    "PYTHONTRACEMALLOC",
    "PYTHONVERBOSE",
    "PYTHON_GIL",
    "PYTHON_JIT",
    "PYTHON_PERF_JIT_SUPPORT",
)
_FAMILIES = (
    "ATEN_", "BLIS_", "CUBLAS_", "CUDA_", "CUDNN_", "DNNL_", "GOMP_", "HIP_", "HSA_", "ITEX_",
    "JAX_", "JEMALLOC_", "KERAS_", "KMP_", "LIBTPU_", "MALLOC_", "MIMALLOC_", "MIOPEN_", "MKL_",
    "MLX_", "MTL_", "NUMEXPR_", "OMP_", "ONEDNN_", "OPENBLAS_", "PLAIDML_", "POCL_", "PYTORCH_",
    "ROCBLAS_", "ROCR_", "TCMALLOC_", "TF_", "TORCH_", "TORCHINDUCTOR_", "TPU_", "TRITON_",
    "VECLIB_", "XLA_", "XNNPACK_", "ZE_",
)  # fmt: skip
"""Of frameworks, their libraries and allocators."""

_OF_OTHER_PROGRAMS = re.compile(
    r"TOKEN|SECRET|PASS|CREDENTIAL|AUTH|API|KEY|USER|HOST|ADDRESS|NAME|PROXY|PROJECT|ZONE|BUILD"
    r"|ARCH_LIST|^TF_(VAR|CLI|DATA_DIR|WORKSPACE|IN_|LOG|REGISTRY)|_(VERSION|HOME|PATH|ROOT)$"
)
"""Names that may hold a secret or say who somebody is, Terraform's, and those of containers that
say where or which something is: never recorded."""

_LOCATION = re.compile(r"(DIR|FILE|FOLDER|CONFIG)S?$")
_PATH = re.compile(r"[^\s,;:='\"]*/[^\s,;='\"]*")
MAX_NAME, MAX_VALUE = 100, 200


def influences(name: str, of_engine: Sequence[str] = ()) -> bool:
    """Whether a variable of this name can change what is measured."""
    if name in PLACES or name in THREADS or name in _OTHERS or name in of_engine:
        return True
    return name.startswith(_FAMILIES) and not _OF_OTHER_PROGRAMS.search(name)


def recorded_environment(
    environment: Mapping[str, str], of_engine: Sequence[str] = ()
) -> Dict[str, str]:
    """The variables that can change what is measured, fit for a record: no path ever.

    ``of_engine`` are those that only this engine's framework looks at. Of a library that is loaded
    before all others the name is kept.
    """
    return {
        name: _without_paths(name, environment[name])
        for name in sorted(environment)
        if influences(name, of_engine) and len(name) <= MAX_NAME
    }


def _without_paths(name: str, value: str) -> str:
    if name in ("LD_PRELOAD", "DYLD_INSERT_LIBRARIES"):
        value = " ".join(Path(library).name for library in re.split(r"[\s:]+", value) if library)
    elif _LOCATION.search(name):
        return "set"
    value = "".join(c if c.isprintable() else " " for c in _PATH.sub("…", value))
    return value[:MAX_VALUE] if any(map(str.isalnum, value)) or not value else "set"
