"""Devices, waiting, precision and threads of PyTorch, for the engines on it."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

import torch

from epochmark.engines._shared.contract import Device, UnavailableError
from epochmark.engines._shared.devices import choose_device, refuse_precision
from epochmark.system import usable_cores


def list_places() -> List[Tuple[Device, str]]:
    """Every device PyTorch has here, and what PyTorch calls it."""
    places = [(Device("cpu", "the processor"), "cpu")]
    for kind in ("cuda", "xpu"):
        backend = getattr(torch, kind, None)
        if backend is not None and backend.is_available():
            for index in range(backend.device_count()):
                name = backend.get_device_name(index)
                places.append((Device(f"gpu:{index}", name), f"{kind}:{index}"))
    if torch.backends.mps.is_available():
        places.append((Device("gpu:0", "Apple GPU (Metal)"), "mps:0"))
    return places + _list_tpu_places()


def _list_tpu_places() -> List[Tuple[Device, str]]:
    """TPUs, if torch_xla is there and was not pointed at another kind of device."""
    try:
        from torch_xla.core import xla_model
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "torch_xla":
            raise
        return []
    names = [str(name) for name in xla_model.get_xla_supported_devices("TPU") or []]
    return [
        (Device(f"tpu:{index}", "TPU through torch_xla"), name) for index, name in enumerate(names)
    ]


def device_id(device: torch.device) -> str:
    """PyTorch's device as we call it; ``xla`` is a TPU only if that is what XLA says it is."""
    if device.type == "cpu":
        return "cpu"
    if device.type == "xla":
        from torch_xla.core import xla_model

        kind = xla_model.xla_device_hw(device).lower()
        return kind if kind == "cpu" else f"{kind}:{device.index or 0}"
    return f"gpu:{device.index or 0}"


def synchronise(device: torch.device) -> None:
    """Return when the device has done everything it was given."""
    if device.type == "xla":
        from torch_xla.core import xla_model

        xla_model.wait_device_ops()
    elif device.type != "cpu":
        getattr(torch, device.type).synchronize()


def end_lazy_step(device: torch.device) -> None:
    """XLA only records operations; a step ends where it is asked to compute them."""
    if device.type == "xla":
        from torch_xla.core import xla_model

        xla_model.mark_step()


def to_numpy(tensor: torch.Tensor) -> Any:
    """A tensor's values in host memory, as NumPy has them."""
    return tensor.detach().cpu().numpy()


def has_tf32(device: torch.device) -> bool:
    """Whether this is an NVIDIA GPU with TF32: compute capability 8.0 and later."""
    if device.type != "cuda" or torch.version.hip is not None:
        return False
    return bool(torch.cuda.get_device_capability(device) >= (8, 0))


def allow_tf32(allowed: bool) -> None:
    """Compute float32 matrix products and convolutions in TF32, or exactly."""
    if hasattr(torch.backends, "fp32_precision"):  # PyTorch 2.9 and later
        torch.backends.fp32_precision = "tf32" if allowed else "ieee"
    else:
        torch.backends.cuda.matmul.allow_tf32 = allowed
        torch.backends.cudnn.allow_tf32 = allowed


def set_precision(precision: str, opened: Device, device: torch.device) -> Optional[torch.dtype]:
    """Set PyTorch up for ``precision`` and return autocast's type, None for float32.

    ``stock`` leaves everything as PyTorch has it: on recent NVIDIA GPUs TF32 in convolutions, not
    in matrix products. Raises ``UnavailableError`` where the device has no such precision.
    """
    if precision == "tf32" and not has_tf32(device):
        refuse_precision("PyTorch", precision, opened, "float32 or bfloat16")
    if precision in ("float32", "tf32"):
        allow_tf32(precision == "tf32")
    if precision == "bfloat16":
        if device.type == "cuda" and not torch.cuda.is_bf16_supported():
            refuse_precision("PyTorch", precision, opened, "float32 or float16")
        return torch.bfloat16
    if precision == "float16":
        if device.type not in ("cpu", "cuda", "xpu") or not hasattr(torch.amp, "GradScaler"):
            refuse_precision("PyTorch", precision, opened, "float32 or bfloat16")
        return torch.float16
    return None


def set_threads(threads: Optional[int], all_cpus: bool) -> None:
    """That many threads, PyTorch's own default where None; or with ``all_cpus`` one for each CPU
    that this process may use. Raises ``UnavailableError`` where PyTorch has as many by itself."""
    if threads is not None:
        torch.set_num_threads(threads)
    if all_cpus:
        usable = usable_cores()
        if usable == torch.get_num_threads():
            raise UnavailableError(f"PyTorch uses all {usable} CPUs by default")
        torch.set_num_threads(usable)


def find_device(engine: str, wanted: str) -> Tuple[Device, torch.device]:
    """The device a user typed, as we and as PyTorch call it. Raises ``DeviceUnavailableError``
    where it is not there."""
    places = list_places()
    device = choose_device(engine, [device for device, _ in places], wanted)
    return device, torch.device(dict(places)[device])


def set_seed(seed: int) -> None:
    """Of what is left to chance."""
    torch.manual_seed(seed)


def describe(device: torch.device) -> Dict[str, Any]:
    """What a record says of a device: threads and instruction set, or the GPU's libraries."""
    if device.type == "cpu":
        return {
            "threads": torch.get_num_threads(),
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        }
    if device.type != "cuda":
        return {}
    if torch.version.hip:
        return {"runtime": f"ROCm {torch.version.hip}"}
    return {"runtime": f"CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"}
