"""The 2021 script as a worker of a race: ``keras_against_script.py`` starts it.

What is loaded, built and trained is the script's own, as in the post but for the CPU branch and the
callback that parks it between steps. Around that is the worker of keras-tensorflow, which speaks
with the launcher and proves the work.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from epochmark.engines import keras_tensorflow
from epochmark.engines._shared.contract import Device, Settings
from epochmark.worker import __main__ as worker
from epochmark.worker import train
from epochmark.workloads.shapes import parameter_shapes


class Script(keras_tensorflow.KerasTensorFlowEngine):
    def _open_backend(self, settings: Settings) -> Device:
        import tensorflow as tf

        tf.config.set_visible_devices([], "GPU")
        self._strategy = None
        self._opened = Device("cpu", "the processor")
        return self._opened

    def load(self, inputs: Any, targets: Any) -> Any:
        return inputs.reshape(-1, 28, 28, 1) / 255.0, targets

    def build(self, weights: Any) -> None:
        """With initial weights of Keras's own."""
        from tensorflow.keras.layers import Conv2D, Dense, Flatten, Input, MaxPooling2D
        from tensorflow.keras.models import Sequential
        from tensorflow.keras.optimizers import Adam

        model = Sequential(
            [
                Input((28, 28, 1)),
                Conv2D(32, (3, 3), activation="relu"),
                Conv2D(64, (3, 3), activation="relu"),
                MaxPooling2D((2, 2)),
                Flatten(),
                Dense(128, activation="relu"),
                Dense(10, activation="softmax"),
            ]
        )
        model.compile(
            loss="sparse_categorical_crossentropy", optimizer=Adam(0.001), metrics=["accuracy"]
        )
        self._model = model
        names = parameter_shapes(self._settings.workload)
        self._variables = dict(zip(names, model.trainable_variables, strict=True))

    def fit(self, data: Any, stopwatch: Any) -> None:
        from epochmark.engines._keras.training import Laps

        x_train, y_train = data
        park = Laps(self._settings, stopwatch, self._synchronise)
        epochs = self._settings.epochs
        self._model.fit(
            x_train, y_train, batch_size=128, epochs=epochs, verbose=0, callbacks=[park]
        )


if __name__ == "__main__":
    train.get_engine = lambda name: Script()  # type: ignore[attr-defined]
    status = worker.main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
