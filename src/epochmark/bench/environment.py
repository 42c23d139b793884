"""The environment a worker starts from, and the variables of it that a record names."""

from __future__ import annotations

import os
from collections.abc import Mapping

INFLUENCES_PERFORMANCE = (
    "BLIS_NUM_THREADS",
    "CC",
    "CUDA_DEVICE_ORDER",
    "CUDA_VISIBLE_DEVICES",
    "CXX",
    "DEV",
    "GOMP_CPU_AFFINITY",
    "HIP_VISIBLE_DEVICES",
    "HSA_OVERRIDE_GFX_VERSION",
    "JAX_PLATFORMS",
    "KERAS_BACKEND",
    "KMP_AFFINITY",
    "KMP_BLOCKTIME",
    "MALLOC_ARENA_MAX",
    "MKL_NUM_THREADS",
    "MLX_ENABLE_TF32",
    "NUMEXPR_NUM_THREADS",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_DYNAMIC",
    "OMP_NUM_THREADS",
    "OMP_PLACES",
    "OMP_PROC_BIND",
    "OMP_SCHEDULE",
    "OMP_WAIT_POLICY",
    "ONEDNN_MAX_CPU_ISA",
    "OPENBLAS_NUM_THREADS",
    "PJRT_DEVICE",
    "PLAIDML_DEVICE_IDS",
    "PLAIDML_EXPERIMENTAL",
    "PYTORCH_ENABLE_MPS_FALLBACK",
    "ROCR_VISIBLE_DEVICES",
    "TF_DETERMINISTIC_OPS",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_XLA_FLAGS",
    "TPU_VISIBLE_CHIPS",
    "VECLIB_MAXIMUM_THREADS",
    "XLA_FLAGS",
)
"""Named in the record when set. A value that contains a path separator is given as "set"."""

_NEEDED = (
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "PATH",
    "TMPDIR",
    "TZ",
    "XDG_CACHE_HOME",
    "CUDA_HOME",
    "CUDA_PATH",
    "OCL_ICD_VENDORS",
    "ROCM_PATH",
    "EPOCHMARK_FAKE",
    "EPOCHMARK_NATIVE_ISA",
)


def own_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What a worker in an interpreter of ours gets: the allow-list, without the user's packages."""
    kept = {
        name: environment[name]
        for name in (*_NEEDED, *INFLUENCES_PERFORMANCE)
        if name in environment
    }
    return {**kept, "PYTHONNOUSERSITE": "1"}


def foreign_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What a worker in the user's own interpreter gets: everything, as it is.

    Only what macOS sets for *our* interpreter is left out: it would make another one take ours for
    itself.
    """
    return {name: value for name, value in environment.items() if name != "__PYVENV_LAUNCHER__"}


def recorded_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that influence performance, fit for a record: no path ever."""
    return {
        name: "set" if os.sep in environment[name] else environment[name][:300]
        for name in INFLUENCES_PERFORMANCE
        if name in environment
    }
