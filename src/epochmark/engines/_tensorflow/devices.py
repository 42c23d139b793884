"""Devices, threads, precision and strategies of TensorFlow."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Union

import tensorflow as tf

from epochmark.engines._shared.contract import Device, Settings
from epochmark.engines._shared.devices import choose_device, refuse_precision, usable_cpus

CPU = Device("cpu", "the processor")


def list_devices() -> List[Device]:
    """Every device TensorFlow has here."""
    gpus = tf.config.list_physical_devices("GPU")
    tpus = tf.config.list_physical_devices("TPU")
    return [
        CPU,
        *(Device(f"gpu:{index}", _gpu_name(gpu)) for index, gpu in enumerate(gpus)),
        *(Device(f"tpu:{index}", tpu.name) for index, tpu in enumerate(tpus)),
    ]


def open_device(settings: Settings) -> Device:
    """Hide all GPUs but the one asked for, let its memory grow, as the original script does, and
    set precision and threads."""
    device = choose_device("TensorFlow", list_devices(), settings.device)
    gpus = tf.config.list_physical_devices("GPU")
    visible = gpus[int(device.id.split(":")[1])] if device.kind == "gpu" else None
    tf.config.set_visible_devices([] if visible is None else visible, "GPU")
    if visible is not None:
        tf.config.experimental.set_memory_growth(visible, True)
    if settings.threads is not None:
        tf.config.threading.set_intra_op_parallelism_threads(settings.threads)
        tf.config.threading.set_inter_op_parallelism_threads(settings.threads)
    if settings.tuned_settings.get("inter_op_threads") == "1":
        tf.config.threading.set_inter_op_parallelism_threads(1)
    _set_precision(settings.precision, device, visible)
    return device


def _set_precision(precision: str, device: Device, gpu: Any) -> None:
    if precision == "tf32":
        details = tf.config.experimental.get_device_details(gpu) if gpu else {}
        if details.get("compute_capability", (0, 0)) < (8, 0):
            refuse_precision("TensorFlow", precision, device, "float32 or bfloat16")
    if precision == "float16" and device.kind != "gpu":
        refuse_precision("TensorFlow", precision, device, "float32 or bfloat16")
    if precision in ("float32", "tf32"):
        tf.config.experimental.enable_tensor_float_32_execution(precision == "tf32")


def make_tpu_strategy(core: int) -> Any:
    """TensorFlow's strategy for training on one core of the TPUs attached to this machine.

    By default it would split every batch among all cores; one core is one device here, as in every
    other engine.
    """
    resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu="local")
    tf.config.experimental_connect_to_cluster(resolver)
    topology = tf.tpu.experimental.initialize_tpu_system(resolver)
    place = topology.device_coordinates[0][core]
    alone = tf.tpu.experimental.DeviceAssignment(topology, [[place]])
    return tf.distribute.TPUStrategy(resolver, experimental_device_assignment=alone)


def synchronise(device: Device, counter: Any) -> None:
    """Return when the device has done everything it was given.

    On the CPU a train step is done when its call returns; reading what the last step wrote, the
    optimizer's ``counter``, waits for it on a TPU, and before TensorFlow 2.12 (DirectML has 2.10)
    on a GPU.
    """
    if device.kind == "tpu" or not hasattr(tf.test.experimental, "sync_devices"):
        counter.numpy()
    elif device != CPU:
        tf.test.experimental.sync_devices()


def device_id(tensor: Any) -> str:
    """Where a tensor or a variable is. TensorFlow counts visible devices; the one visible GPU is
    the one that was opened."""
    held = tensor if isinstance(tensor, (tf.Tensor, tf.Variable)) else tensor.value
    place = tf.DeviceSpec.from_string(held.device)
    if place.device_type == "GPU":
        visible = tf.config.get_visible_devices("GPU")[place.device_index]
        return f"gpu:{tf.config.list_physical_devices('GPU').index(visible)}"
    if place.device_type == "TPU":
        return f"tpu:{place.device_index}"
    return str(place.device_type).lower()


def threads() -> Dict[str, Union[int, str]]:
    """What a record says of them."""
    threading = tf.config.threading
    return {
        "threads": threading.get_intra_op_parallelism_threads() or _default_threads(),
        "inter_op_threads": threading.get_inter_op_parallelism_threads() or "TensorFlow's default",
    }


def _default_threads() -> Union[int, str]:
    """As many as TensorFlow takes by itself: what its variable says, else all CPUs it may use."""
    said = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    if said.isdecimal() and int(said):
        return int(said)
    return usable_cpus() or "TensorFlow's default"


def _gpu_name(gpu: Any) -> str:
    """Its product name where the driver reports it, otherwise TensorFlow's name for it."""
    return str(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name))
