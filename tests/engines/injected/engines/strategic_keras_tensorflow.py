"""Keras on TensorFlow under a distribution strategy, as on a TPU, but with the CPU for a device."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from epochmark.engines import Device
from epochmark.engines.keras_tensorflow import KerasTensorFlowEngine


class StrategicKerasTensorFlowEngine(KerasTensorFlowEngine):
    info = replace(KerasTensorFlowEngine.info, name="strategic-keras-tensorflow")

    def _make_strategy(self, device: Device) -> Any:
        import tensorflow as tf

        return tf.distribute.OneDeviceStrategy("/device:CPU:0")


ENGINE = StrategicKerasTensorFlowEngine()
