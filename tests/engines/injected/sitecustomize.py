"""Run by Python before anything else when this folder is on ``PYTHONPATH``: adds engines and a
workload.

A package's ``__path__`` is where Python, and our ``get_engine`` and ``WORKLOADS``, look for its
modules.
"""

import pathlib

import epochmark.engines
import epochmark.workloads

HERE = pathlib.Path(__file__).parent
epochmark.engines.__path__.append(str(HERE / "engines"))
epochmark.workloads.__path__.append(str(HERE / "workloads"))
