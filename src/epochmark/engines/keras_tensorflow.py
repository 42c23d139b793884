"""Keras on TensorFlow, as the original script of 2021 runs it: CPU with hidden GPUs, or one GPU.

A TPU is one core of the machine it is attached to (a Cloud TPU VM), through ``TPUStrategy``.
Works with Keras 3 and with the Keras 2 inside TensorFlow 2.8 to 2.15, which vendors' plug-ins need.
"""

from __future__ import annotations

import os
from typing import Any, ContextManager, Dict, List, Optional

import numpy.typing as npt

from epochmark.engines._keras.engine import ARRAYS, Data, KerasEngine, layout_on
from epochmark.engines._shared.builds import Build
from epochmark.engines._shared.contract import Device, Operations, Settings
from epochmark.engines._shared.info import ALL_WORDS, EngineInfo, Support, Tunable, Variables
from epochmark.engines._shared.requirements import (
    ARM64,
    HERE,
    KERAS,
    LINUX,
    MACOS,
    Requirements,
)

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
    Build("cuda", "tensorflow", needs_library="libcudnn.so", title="a build for CUDA"),
    Build("cpu", "tensorflow", title="TensorFlow without NVIDIA's packages"),
)


class KerasTensorFlowEngine(KerasEngine):
    info = EngineInfo(
        name="keras-tensorflow",
        title="Keras on TensorFlow",
        summary="Keras on TensorFlow, as the original script",
        family="keras-tensorflow",
        adam_form="epsilon_hat",
        words=ALL_WORDS,
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
                word="Images",
                beyond_steps=True,
            ),
            Tunable("jit_compile", ("auto", "on"), "the train step compiled by XLA", ("gpu",)),
            Tunable(
                "jit_compile",
                ("auto", "on"),
                "the train step compiled by XLA, which Keras leaves off where there is only a CPU",
                ("cpu",),
                word="CausalAttention",
            ),
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
        from epochmark.engines._tensorflow.devices import list_devices

        return list_devices()

    def _open_backend(self, settings: Settings) -> Device:
        from epochmark.engines._tensorflow.devices import open_device

        self._opened = open_device(settings)
        self._strategy = self._make_strategy(self._opened)
        return self._opened

    def _make_strategy(self, device: Device) -> Any:
        """``TPUStrategy`` on the one core that was opened; None on CPU and GPU, where the script
        has none."""
        from epochmark.engines._tensorflow.devices import make_tpu_strategy

        return make_tpu_strategy(int(device.id.split(":")[1])) if device.kind == "tpu" else None

    def _fed(self, data: Data) -> Dict[str, Any]:
        if self._tuned.get("input") != "dataset":
            return super()._fed(data)
        from epochmark.engines._tensorflow.pipeline import make_dataset

        return {"x": make_dataset(*data, self._settings.batch_size)}

    def _scope(self) -> ContextManager[Any]:
        scope: ContextManager[Any] = self._strategy.scope() if self._strategy else super()._scope()
        return scope

    def _call(self, model: Any, inputs: npt.NDArray[Any]) -> Any:
        """Under a strategy only a compiled function runs on its device."""
        import tensorflow as tf

        if self._strategy is None:
            return model(inputs)
        return self._strategy.run(tf.function(model), args=(inputs,))

    def _set_seed(self, seed: int) -> None:
        """None, as in the script: Keras shuffles with an operation of TensorFlow's that, once there
        is a global seed, gives the *same* order in every epoch (seen with Keras 3.15)."""

    def _synchronise(self) -> None:
        from epochmark.engines._tensorflow.devices import synchronise

        synchronise(self._opened, self._model.optimizer.iterations)

    def _device_of(self, tensor: Any) -> str:
        from epochmark.engines._tensorflow.devices import device_id

        return device_id(tensor)

    def effective_settings(self) -> Dict[str, Any]:
        from epochmark.engines._tensorflow.devices import threads

        return {
            **super().effective_settings(),
            **self._input_setting(),
            "strategy": type(self._strategy).__name__ if self._strategy else "none",
            **threads(),
        }

    def _input_setting(self) -> Dict[str, str]:
        if self._tuned.get("input") != "dataset":
            return {}
        arrays = self._tuned.get("arrays", "float64")
        return {"data": f"tf.data pipeline of {arrays} arrays, not tuned as it runs"}

    def operations(self) -> Optional[Operations]:
        """None on a TPU, where only compiled functions run."""
        from epochmark.engines._tensorflow.operations import operations

        return None if self._opened.kind == "tpu" else operations(self._synchronise)


ENGINE = KerasTensorFlowEngine()
