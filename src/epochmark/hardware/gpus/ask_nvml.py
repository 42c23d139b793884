"""``python -P ask_nvml.py``: what NVIDIA's driver says of itself and its GPUs, as one JSON line.

A program of its own: a broken driver may hang or crash whoever asks it.
"""

from __future__ import annotations

import importlib
import json
from typing import Any

pynvml: Any = importlib.import_module("pynvml")

MOST_GPUS = 64


def answer() -> dict[str, Any]:
    """Driver, CUDA and GPUs, or the code and text of NVML's error (``nvmlReturn_t``)."""
    try:
        pynvml.nvmlInit()
        count = min(pynvml.nvmlDeviceGetCount(), MOST_GPUS)
        return {
            "driver": pynvml.nvmlSystemGetDriverVersion(),
            "cuda": pynvml.nvmlSystemGetCudaDriverVersion_v2(),
            "gpus": [_gpu(index) for index in range(count)],
        }
    except pynvml.NVMLError as error:
        return {"code": error.value, "message": str(error)}


def _gpu(index: int) -> dict[str, Any]:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    return {
        "name": pynvml.nvmlDeviceGetName(handle),
        "capability": pynvml.nvmlDeviceGetCudaComputeCapability(handle),
        "memory_bytes": pynvml.nvmlDeviceGetMemoryInfo(handle).total,
    }


if __name__ == "__main__":
    print(json.dumps(answer()))
