"""The Keras that belongs to the back end named by ``KERAS_BACKEND``: TensorFlow brings its own,
which is Keras 2 before version 2.16."""

from __future__ import annotations

import os

if os.environ["KERAS_BACKEND"] == "tensorflow":
    from tensorflow import keras
else:
    import keras

__all__ = ["keras"]
