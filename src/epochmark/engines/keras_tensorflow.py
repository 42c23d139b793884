"""Keras on TensorFlow, as the original script of 2021 runs it: CPU with hidden GPUs, or one GPU.

A TPU is one core of the machine it is attached to (a Cloud TPU VM), through ``TPUStrategy``.
Works with Keras 3 and with the Keras 2 inside TensorFlow 2.8 to 2.15, which vendors' plug-ins need.
"""

from __future__ import annotations

import os
from typing import Any, ContextManager, Dict, List, Optional, Union

import numpy as np
import numpy.typing as npt

from epochmark.engines._shared.builds import Build
from epochmark.engines._shared.contract import (
    Device,
    EngineInfo,
    Labels,
    Operations,
    Settings,
    Support,
    Tunable,
    Variables,
)
from epochmark.engines._shared.devices import choose_device, refuse_precision, usable_cpus
from epochmark.engines._shared.on_keras import ARRAYS, Data, KerasEngine, layout_on
from epochmark.engines._shared.requirements import (
    ARM64,
    HERE,
    KERAS,
    LINUX,
    MACOS,
    Requirements,
)

CPU = Device("cpu", "the processor")

NO_KERAS_HOME = os.path.join(os.devnull, "keras")  # noqa: PTH118 - no path to look at
"""A folder that cannot be: Keras then reads no keras.json, writes none, and takes its defaults."""

REQUIREMENTS = (
    # the same release without its CUDA code: a third of the download
    Requirements(
        pip=("tensorflow-cpu>=2.21,<2.22", KERAS),
        download_mb=400,
        installed_mb=1550,
        tested=HERE,
    ),
    Requirements(
        pip=("tensorflow>=2.21,<2.22", KERAS),
        systems=(LINUX, MACOS),
        architectures=(ARM64,),
        download_mb=400,
        installed_mb=1400,
    ),
    Requirements(
        pip=("tensorflow[and-cuda]>=2.21,<2.22", KERAS),
        accelerators=("cuda",),
        download_mb=3500,
        installed_mb=7000,
    ),
    # AMD's releases follow TensorFlow's at a distance and lie on AMD's own server
    Requirements(
        pip=("tensorflow-rocm>=2.18,<2.21", KERAS),
        accelerators=("rocm",),
        find_links=("https://repo.radeon.com/rocm/manylinux/rocm-rel-7.0/",),
        newest_python=(3, 12),
        download_mb=700,
        installed_mb=2500,
    ),
    # with libtpu, from Google's own page
    Requirements(
        pip=("tensorflow-tpu>=2.19,<2.21", KERAS),
        accelerators=("tpu",),
        find_links=("https://storage.googleapis.com/libtpu-tf-releases/index.html",),
        newest_python=(3, 12),
        download_mb=700,
        installed_mb=2500,
    ),
    # the plug-in 1.2 was made for TensorFlow 2.18
    Requirements(
        pip=("tensorflow>=2.18,<2.19", "tensorflow-metal==1.2.0", KERAS),
        accelerators=("metal",),
        systems=(MACOS,),
        architectures=(ARM64,),
        newest_python=(3, 12),
        download_mb=400,
        installed_mb=1400,
    ),
    # WSL 2: the plug-in exists for TensorFlow 2.10 only, which brings Keras 2.10
    Requirements(
        pip=("tensorflow-cpu==2.10.*", "tensorflow-directml-plugin==0.4.*", "numpy<2"),
        accelerators=("directml",),
        on_request=True,
        oldest_python=(3, 9),
        newest_python=(3, 10),
        download_mb=400,
        installed_mb=1400,
    ),
)

BUILDS = (
    Build("directml", "tensorflow-directml-plugin", title="a build for DirectML"),
    Build("cpu", "tensorflow-cpu", title="the build for the CPU"),
    Build("rocm", "tensorflow-rocm", title="a build for ROCm"),
    Build("metal", "tensorflow-metal", title="a build for Metal"),
    Build("tpu", "tensorflow-tpu", title="the build for TPUs"),
    # on Linux it is made for CUDA, and finds nothing without the packages of its extra `and-cuda`
    Build("cuda", "nvidia-cudnn*", title="a build for CUDA"),
    Build("cuda", "tensorflow", library="libcudnn.so", title="a build for CUDA"),
    Build("cpu", "tensorflow", title="TensorFlow without NVIDIA's packages"),
)


class KerasTensorFlowEngine(KerasEngine):
    info = EngineInfo(
        name="keras-tensorflow",
        title="Keras on TensorFlow",
        summary="Keras on TensorFlow, as the original script",
        family="keras-tensorflow",
        adam_form="epsilon_hat",
        devices=(
            Support(
                "cpu",
                "TensorFlow, all GPUs hidden",
                "x86-64 Linux: TensorFlow 2.21 with Keras 3.15, TensorFlow 2.15 with Keras 2.15",
            ),
            Support(
                "gpu",
                "CUDA; ROCm (`tensorflow-rocm`), Metal (`tensorflow-metal`), DirectML (plug-in of "
                "TensorFlow 2.10, under WSL 2): all are devices of type GPU to TensorFlow",
                "none of them",
            ),
            Support(
                "tpu",
                "one core, `TPUStrategy` (`tensorflow-tpu`, on the machine the TPU is attached to)",
                "no TPU; training under a strategy is tested with `OneDeviceStrategy` on a CPU",
            ),
        ),
        modules=("tensorflow",),
        distributions=(
            "tensorflow",
            "tensorflow-cpu",
            "tensorflow-rocm",
            "tensorflow-tpu",
            "tensorflow-macos",
            "tensorflow-metal",
            "tensorflow-directml-plugin",
            "intel-extension-for-tensorflow",
            "keras",
            "numpy",
        ),
        requirements=REQUIREMENTS,
        builds=BUILDS,
        precisions=("stock", "float32", "tf32", "bfloat16", "float16"),
        variables=Variables(
            places=(
                "KERAS_BACKEND",
                "TF_CPP_MAX_VLOG_LEVEL",
                "TF_CPP_MIN_LOG_LEVEL",
                "TF_FORCE_GPU_ALLOW_GROWTH",
            ),
            threads=("TF_NUM_INTEROP_THREADS", "TF_NUM_INTRAOP_THREADS"),
            switches=("ITEX_*", "KERAS_*", "TF_*"),
            folders=("KERAS_HOME",),
            fixed=(("KERAS_HOME", NO_KERAS_HOME),),
        ),
        memory_errors=("resourceexhaustederror",),
        tunables=(
            ARRAYS,
            layout_on("gpu"),
            Tunable(
                "input",
                ("arrays", "dataset"),
                "batches by a `tf.data` pipeline that is not tuned as it runs, so that `fit` never "
                "waits for its tuner; kept unless steps are slower, which do not show those waits",
                ("cpu", "gpu"),
                beyond_steps=True,
            ),
            Tunable("jit_compile", ("auto", "on"), "the train step compiled by XLA", ("gpu",)),
            Tunable(
                "inter_op_threads",
                ("default", "1"),
                "operations one after the other, each with all intra-op threads",
                ("cpu",),
            ),
        ),
    )
    backend = "tensorflow"

    def list_devices(self) -> List[Device]:
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        tpus = tf.config.list_physical_devices("TPU")
        return [
            CPU,
            *(Device(f"gpu:{index}", _gpu_name(gpu)) for index, gpu in enumerate(gpus)),
            *(Device(f"tpu:{index}", tpu.name) for index, tpu in enumerate(tpus)),
        ]

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
        if settings.tuned_settings.get("inter_op_threads") == "1":
            tf.config.threading.set_inter_op_parallelism_threads(1)
        self._set_precision(settings.precision, device, visible)
        self._opened = device
        self._strategy = self._make_strategy(device)
        return device

    def _make_strategy(self, device: Device) -> Any:
        """``TPUStrategy`` on the one core that was opened; None on CPU and GPU, where the script
        has none."""
        return make_tpu_strategy(int(device.id.split(":")[1])) if device.kind == "tpu" else None

    def _fed(self, data: Data) -> Dict[str, Any]:
        if self._tuned.get("input") != "dataset":
            return super()._fed(data)
        return {"x": make_dataset(*data, self._settings.batch_size)}

    def _scope(self) -> ContextManager[Any]:
        scope: ContextManager[Any] = self._strategy.scope() if self._strategy else super()._scope()
        return scope

    def _call(self, model: Any, images: npt.NDArray[np.float32]) -> Any:
        """Under a strategy only a compiled function runs on its device."""
        import tensorflow as tf

        if self._strategy is None:
            return model(images)
        return self._strategy.run(tf.function(model), args=(images,))

    def _set_precision(self, precision: str, device: Device, gpu: Any) -> None:
        import tensorflow as tf

        if precision == "tf32":
            details = tf.config.experimental.get_device_details(gpu) if gpu else {}
            if details.get("compute_capability", (0, 0)) < (8, 0):
                refuse_precision("TensorFlow", precision, device, "float32 or bfloat16")
        if precision == "float16" and device.kind != "gpu":
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
        """On the CPU a train step is done when its call returns; reading what the last step wrote
        waits for it on a TPU, and before TensorFlow 2.12 (DirectML has 2.10) on a GPU."""
        import tensorflow as tf

        if self._opened.kind == "tpu" or not hasattr(tf.test.experimental, "sync_devices"):
            self._model.optimizer.iterations.numpy()
        elif self._opened != CPU:
            tf.test.experimental.sync_devices()

    def _device_of(self, tensor: Any) -> str:
        """TensorFlow counts visible devices; the one visible GPU is the one that was opened."""
        import tensorflow as tf

        held = tensor if isinstance(tensor, (tf.Tensor, tf.Variable)) else tensor.value
        place = tf.DeviceSpec.from_string(held.device)
        if place.device_type == "GPU":
            visible = tf.config.get_visible_devices("GPU")[place.device_index]
            return f"gpu:{tf.config.list_physical_devices('GPU').index(visible)}"
        if place.device_type == "TPU":
            return f"tpu:{place.device_index}"
        return str(place.device_type).lower()

    def effective_settings(self) -> Dict[str, Any]:
        import tensorflow as tf

        threading = tf.config.threading
        return {
            **super().effective_settings(),
            **self._input_setting(),
            "strategy": type(self._strategy).__name__ if self._strategy else "none",
            "threads": threading.get_intra_op_parallelism_threads() or default_threads(),
            "inter_op_threads": threading.get_inter_op_parallelism_threads()
            or "TensorFlow's default",
        }

    def _input_setting(self) -> Dict[str, str]:
        if self._tuned.get("input") != "dataset":
            return {}
        arrays = self._tuned.get("arrays", "float64")
        return {"data": f"tf.data pipeline of {arrays} arrays, not tuned as it runs"}

    def operations(self) -> Optional[Operations]:
        """TensorFlow's own, eagerly; not on a TPU, where only compiled functions run."""
        import tensorflow as tf

        if self._opened.kind == "tpu":
            return None
        return Operations(
            put=tf.constant,
            get=lambda tensor: tensor.numpy(),
            multiply=tf.linalg.matmul,
            convolve=lambda images, kernel: tf.nn.conv2d(images, kernel, 1, "VALID"),
            add=tf.add,
            wait=lambda result: self._synchronise(),
        )


def make_dataset(images: npt.NDArray[Any], labels: Labels, batch_size: int) -> Any:
    """Batches of these arrays in a new order each epoch, in float32, two of them made ahead: what
    Keras's own pipeline does with arrays. That one is tuned as it runs (``tf.data``'s autotune),
    and waits for its tuner to end; this one has none."""
    import tensorflow as tf

    count = len(images)
    steps = -(-count // batch_size)
    with tf.device("/cpu:0"):
        pixels, targets = tf.constant(images), tf.constant(labels)

    def batches_of(order: Any) -> Any:
        starts = tf.data.Dataset.range(0, count, batch_size)
        return starts.map(lambda start: order[start : start + batch_size])

    def gathered(indices: Any) -> Any:
        return tf.cast(tf.gather(pixels, indices), tf.float32), tf.gather(targets, indices)

    orders = tf.data.Dataset.range(1).map(lambda _: tf.random.shuffle(tf.range(count)))
    options = tf.data.Options()
    options.autotune.enabled = False
    dataset = orders.flat_map(batches_of).map(gathered).prefetch(2)
    return dataset.apply(tf.data.experimental.assert_cardinality(steps)).with_options(options)


def make_tpu_strategy(core: int) -> Any:
    """TensorFlow's strategy for training on one core of the TPUs attached to this machine.

    By default it would split every batch among all cores; one core is one device here, as in every
    other engine.
    """
    import tensorflow as tf

    resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu="local")
    tf.config.experimental_connect_to_cluster(resolver)
    topology = tf.tpu.experimental.initialize_tpu_system(resolver)
    place = topology.device_coordinates[0][core]
    alone = tf.tpu.experimental.DeviceAssignment(topology, [[place]])
    return tf.distribute.TPUStrategy(resolver, experimental_device_assignment=alone)


def default_threads() -> Union[int, str]:
    """As many as TensorFlow takes by itself: what its variable says, else all CPUs it may use."""
    said = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    if said.isdecimal() and int(said):
        return int(said)
    return usable_cpus() or "TensorFlow's default"


def _gpu_name(gpu: Any) -> str:
    """Its product name where the driver tells it, else TensorFlow's name for it."""
    import tensorflow as tf

    return str(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name))


ENGINE = KerasTensorFlowEngine()
