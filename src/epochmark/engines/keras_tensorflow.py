"""Keras on TensorFlow, as the original script of 2021 runs it: CPU with hidden GPUs, or one GPU.

Works with Keras 3 and with the Keras 2 inside TensorFlow 2.8 to 2.15, which vendors' plug-ins need.
"""

from __future__ import annotations

from typing import Any, Dict, List

from epochmark.engines._contract import Device, EngineInfo, Settings
from epochmark.engines._devices import choose_device, refuse_precision
from epochmark.engines._keras import KerasEngine
from epochmark.engines._requirements import TENSORFLOW

CPU = Device("cpu", "the processor")


class KerasTensorFlowEngine(KerasEngine):
    info = EngineInfo(
        name="keras-tensorflow",
        title="Keras on TensorFlow",
        summary="Keras on TensorFlow, as the original script",
        family="keras-tensorflow",
        adam_form="epsilon_hat",
        device_kinds=("cpu", "gpu"),
        modules=("tensorflow",),
        distributions=(
            "tensorflow",
            "tensorflow-cpu",
            "tensorflow-rocm",
            "tensorflow-macos",
            "tensorflow-metal",
            "tensorflow-directml-plugin",
            "intel-extension-for-tensorflow",
            "keras",
            "numpy",
        ),
        requirements=TENSORFLOW,
        precisions=("stock", "float32", "tf32", "bfloat16", "float16"),
    )
    backend = "tensorflow"

    def list_devices(self) -> List[Device]:
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        return [CPU] + [Device(f"gpu:{index}", _gpu_name(gpu)) for index, gpu in enumerate(gpus)]

    def _open_backend(self, settings: Settings) -> Device:
        """Hide all GPUs but the one asked for, and let its memory grow, as the script does."""
        import tensorflow as tf

        device = choose_device("TensorFlow", self.list_devices(), settings.device)
        gpus = tf.config.list_physical_devices("GPU")
        visible = gpus[int(device.id.split(":")[1])] if device.kind == "gpu" else None
        tf.config.set_visible_devices([] if visible is None else visible, "GPU")
        if visible is not None:
            tf.config.experimental.set_memory_growth(visible, True)
        if settings.threads is not None:
            tf.config.threading.set_intra_op_parallelism_threads(settings.threads)
            tf.config.threading.set_inter_op_parallelism_threads(settings.threads)
        self._set_precision(settings.precision, device, visible)
        self._opened = device
        return device

    def _set_precision(self, precision: str, device: Device, gpu: Any) -> None:
        import tensorflow as tf

        if precision == "tf32":
            details = tf.config.experimental.get_device_details(gpu) if gpu else {}
            if details.get("compute_capability", (0, 0)) < (8, 0):
                refuse_precision("TensorFlow", precision, device, "float32 or bfloat16")
        if precision == "float16" and device == CPU:
            refuse_precision("TensorFlow", precision, device, "float32 or bfloat16")
        if precision in ("float32", "tf32"):
            tf.config.experimental.enable_tensor_float_32_execution(precision == "tf32")

    def _import_keras(self) -> Any:
        from tensorflow import keras

        return keras

    def _set_seed(self, seed: int) -> None:
        """None, as in the script: Keras shuffles with an operation of TensorFlow's that, once there
        is a global seed, gives the *same* order in every epoch (seen with Keras 3.15)."""

    def _synchronise(self) -> None:
        """On the CPU a train step is done when its call returns."""
        import tensorflow as tf

        if self._opened != CPU:
            tf.test.experimental.sync_devices()

    def _device_of(self, tensor: Any) -> str:
        """TensorFlow counts visible devices; the one visible GPU is the one that was opened."""
        import tensorflow as tf

        held = tensor if isinstance(tensor, (tf.Tensor, tf.Variable)) else tensor.value
        place = tf.DeviceSpec.from_string(held.device)
        if place.device_type == "GPU":
            visible = tf.config.get_visible_devices("GPU")[place.device_index]
            return f"gpu:{tf.config.list_physical_devices('GPU').index(visible)}"
        return str(place.device_type).lower()

    def effective_settings(self) -> Dict[str, Any]:
        import tensorflow as tf

        threading = tf.config.threading
        return {
            **super().effective_settings(),
            "threads": threading.get_intra_op_parallelism_threads() or "TensorFlow's default",
            "inter_op_threads": threading.get_inter_op_parallelism_threads()
            or "TensorFlow's default",
        }


def _gpu_name(gpu: Any) -> str:
    """Its product name where the driver tells it, else TensorFlow's name for it."""
    import tensorflow as tf

    return str(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name))


ENGINE = KerasTensorFlowEngine()
