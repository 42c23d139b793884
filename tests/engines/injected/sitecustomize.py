"""Run by Python before anything else when this folder is on ``PYTHONPATH``: adds an engine.

A package's ``__path__`` is where Python, and our ``get_engine``, look for its modules.
"""

import pathlib

import epochmark.engines

epochmark.engines.__path__.append(str(pathlib.Path(__file__).parent / "engines"))
