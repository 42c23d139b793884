"""Devices, waiting, precision, compiler and threads of PyTorch, for the engines on it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, List, Optional, Tuple

from epochmark.engines._shared.contract import Device, Operations, UnavailableError
from epochmark.engines._shared.devices import refuse_precision
from epochmark.system import usable_cores

if TYPE_CHECKING:
    import torch

Forward = Callable[["torch.Tensor", "torch.Tensor"], Tuple["torch.Tensor", "torch.Tensor"]]


TORCH_GPUS = "CUDA, ROCm, Metal (MPS), Intel (XPU)"
"""Whose GPUs PyTorch reaches."""


def list_places() -> List[Tuple[Device, str]]:
    """Every device PyTorch has here, and what PyTorch calls it."""
    import torch

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
    import torch

    if device.type == "xla":
        from torch_xla.core import xla_model

        xla_model.wait_device_ops()
    elif device.type != "cpu":
        getattr(torch, device.type).synchronize()


def to_numpy(tensor: torch.Tensor) -> Any:
    """A tensor's values in host memory, as NumPy has them."""
    return tensor.detach().cpu().numpy()


def operations_on(device: torch.device) -> Operations:
    """PyTorch's own operations on this device, one by one."""
    import torch
    from torch.nn.functional import conv2d

    def at_once(operation: Callable[..., Any]) -> Callable[..., Any]:
        """XLA would leave out what nobody reads; a step each makes it compute."""
        if device.type != "xla":
            return operation

        def step(*arguments: Any) -> Any:
            from torch_xla.core import xla_model

            result = operation(*arguments)
            xla_model.mark_step()
            return result

        return step

    return Operations(
        put=lambda array: torch.from_numpy(array).to(device),
        get=lambda tensor: tensor.cpu().numpy(),
        multiply=at_once(torch.mm),
        convolve=at_once(conv2d),
        add=at_once(torch.add),
        wait=lambda result: synchronise(device),
        image_axes="NCHW",
        kernel_axes="OIHW",
    )


def has_tf32(device: torch.device) -> bool:
    """Whether this is an NVIDIA GPU with TF32: compute capability 8.0 and later."""
    import torch

    if device.type != "cuda" or torch.version.hip is not None:
        return False
    return bool(torch.cuda.get_device_capability(device) >= (8, 0))


def allow_tf32(allowed: bool) -> None:
    """Compute float32 matrix products and convolutions in TF32, or exactly."""
    import torch

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
    import torch

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


def compiled(forward: Forward, mode: str) -> Forward:
    """``forward`` by ``torch.compile``: once for each size of batch, the last one being smaller.

    It keeps what it compiled in the worker's own temporary folder: a run starts cold.
    """
    import torch

    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(Path("inductor-cache").absolute())
    fast: Forward = torch.compile(forward, mode=mode, dynamic=False)
    return fast


def use_all_cpus() -> None:
    """A thread for each CPU that this process may use. Raises ``UnavailableError`` where PyTorch
    has as many by itself."""
    import torch

    usable = usable_cores()
    if usable == torch.get_num_threads():
        raise UnavailableError(f"PyTorch takes all {usable} CPUs by itself")
    torch.set_num_threads(usable)
