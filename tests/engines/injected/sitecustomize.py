"""Run by Python before anything else when this folder is on ``PYTHONPATH``: adds engines and a
workload; with ``WARM_UP_S`` in the environment an entry of a race is warm that soon.

A package's ``__path__`` is where Python, and our ``get_engine`` and ``WORKLOADS``, look for its
modules.
"""

import os
import pathlib

import epochmark.engines
import epochmark.workloads

HERE = pathlib.Path(__file__).parent
epochmark.engines.__path__.append(str(HERE / "engines"))
epochmark.workloads.__path__.append(str(HERE / "workloads"))

if "WARM_UP_S" in os.environ:
    import epochmark.worker.stopwatch

    epochmark.worker.stopwatch.MOST_WARM_UP_NS = int(float(os.environ["WARM_UP_S"]) * 1e9)
