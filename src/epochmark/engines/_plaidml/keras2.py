"""Keras 2.2.4 with PlaidML as its back end, on today's Python too; PlaidML opens its device with
it."""

from __future__ import annotations

import collections
import collections.abc
import importlib.util
import os
import tempfile
from typing import Any

os.environ["KERAS_BACKEND"] = "plaidml.keras.backend"
if not hasattr(collections, "Iterable"):  # gone with Python 3.10; keras/callbacks.py wants it
    collections.Iterable = collections.abc.Iterable  # type: ignore[attr-defined]

import plaidml.keras

from epochmark.engines._plaidml import quiet  # noqa: F401


def _find_spec(finder: Any, name: str, path: Any = None, target: Any = None) -> Any:
    """What PlaidML's ``find_module`` finds, as the import system asks since Python 3.4."""
    found = finder.find_module(name, path) is not None
    return importlib.util.spec_from_loader(name, finder, is_package=True) if found else None


_finder = plaidml.keras._PlaidMLBackendFinder
if not hasattr(_finder, "find_spec"):  # find_module is not asked any more from Python 3.12 on
    _finder.find_spec = _find_spec
    _finder.create_module = lambda self, spec: self.load_module(spec.name)
    _finder.exec_module = lambda self, module: None

with tempfile.TemporaryDirectory(prefix="epochmark-keras-") as folder:
    # away from the user's home: a keras.json there, which a newer Keras may have written, could
    # change precision or layout, and without one Keras would write one
    os.environ["KERAS_HOME"] = folder
    plaidml.keras.install_backend()
    from keras import backend, callbacks, layers, models, optimizers

if backend.backend() != "plaidml":
    raise RuntimeError(f"Keras has the backend {backend.backend()}, not plaidml")

__all__ = ["backend", "callbacks", "layers", "models", "optimizers"]
