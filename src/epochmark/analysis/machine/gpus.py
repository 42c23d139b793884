"""What a record says of the GPUs of its machine, in a few words each."""

from __future__ import annotations

from collections.abc import Iterable

from epochmark.records.record import Gpu, Record
from epochmark.records.wording import counted

GPU_DRIVER, GPU_POWER_LIMIT, PCIE_LINK = "GPU driver", "GPU power limit", "PCIe link of the GPU"


def gpu_facts(record: Record) -> dict[str, str]:
    """Driver, power limit and PCIe link of the GPUs, as far as they are known; nothing of a run on
    the processor, which they do not concern.

    Which of several GPUs a run was on is a matter of variables and drivers: all of them count.
    """
    if not _is_on_gpu(record):
        return {}
    gpus = record.machine.gpus or []
    known = {
        GPU_DRIVER: _distinct(gpu.driver for gpu in gpus) or _sensors_driver(record),
        GPU_POWER_LIMIT: _distinct(map(_power_limit, gpus)),
        PCIE_LINK: _distinct(map(link_text, gpus)),
    }
    return {name: text for name, text in known.items() if text}


def link_text(gpu: Gpu) -> str | None:
    """``generation 4 with 16 lanes``, or the part of it that is known."""
    known = [
        None if gpu.pcie_generation is None else f"generation {gpu.pcie_generation}",
        None if gpu.pcie_width is None else counted(gpu.pcie_width, "lane"),
    ]
    return " with ".join(filter(None, known)) or None


def _is_on_gpu(record: Record) -> bool:
    return (record.device.resolved or record.device.requested).partition(":")[0] == "gpu"


def _distinct(texts: Iterable[str | None]) -> str:
    return " and ".join(sorted({text for text in texts if text}))


def _power_limit(gpu: Gpu) -> str | None:
    return None if gpu.power_limit_w is None else f"{gpu.power_limit_w:.0f} W"


def _sensors_driver(record: Record) -> str | None:
    """Older records have the driver's version only where its sensors come from: ``NVML, driver
    580.82.07``."""
    for log in record.sensors or []:
        if any(column.scope.startswith("GPU ") for column in log.columns):
            return log.source.rpartition("driver ")[2]
    return None
