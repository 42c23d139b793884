"""``python -P ask_nvml.py``: what NVIDIA's driver says of itself and its GPUs, as one JSON line.

A program of its own: a broken driver may hang or crash whoever asks it.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
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
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return {
        "name": pynvml.nvmlDeviceGetName(handle),
        "capability": pynvml.nvmlDeviceGetCudaComputeCapability(handle),
        "memory_bytes": memory.total,
        "free_bytes": memory.free,
        # what was set; the enforced limit moves with whatever else limits a notebook's GPU
        "power_limit_mw": _known(pynvml.nvmlDeviceGetPowerManagementLimit, handle),
        "pcie_generation": _known(pynvml.nvmlDeviceGetMaxPcieLinkGeneration, handle),
        "pcie_width": _known(pynvml.nvmlDeviceGetCurrPcieLinkWidth, handle),
    }


def _known(ask: Callable[[Any], int], handle: Any) -> int | None:
    """A virtual or integrated GPU has no such figure."""
    try:
        return ask(handle)
    except pynvml.NVMLError:
        return None


if __name__ == "__main__":
    print(json.dumps(answer()))
