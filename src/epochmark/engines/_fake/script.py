"""The fake engine's script, a JSON object in the variable ``EPOCHMARK_FAKE``, and how it fails."""

from __future__ import annotations

import ctypes
import importlib
import itertools
import json
import os
import signal
import sys
import time
from typing import Any, Dict, Optional

DEFAULTS: Dict[str, Any] = {
    # how long a step takes
    "step_s": 0.0,
    # the loss of every epoch is multiplied by this; "nan" and "flat" replace it
    "loss": 1.0,
    "test_accuracy": 0.99,
    # None: one that goes with that accuracy
    "test_loss": None,
    # relative error of the replayed losses; "nan", or "short" for one step too few
    "replay": 0.0,
    # relative error of the losses replayed with plain SGD
    "sgd": 0.0,
    # by tuned setting ("gear=high"): how many times as fast it makes a step, what else of this
    # script it changes
    "speedups": {},
    "changes": {},
    # relative error of losses and updates after the fit, what the trained weights are worth (None
    # for "test_accuracy"), and steps that the optimizer did not count
    "continuation": 0.0,
    "weights_accuracy": None,
    "uncounted_steps": 0,
    # device the tensors claim to be on; None for the resolved one
    "observed_device": None,
    # steps left out of the last epoch's report
    "steps_missing": 0,
    # seconds of the fit after the last lap has ended
    "unsynchronised_s": 0.0,
    # seconds of the fit after it has said that the training is done
    "tidying_s": 0.0,
    # bytes written to stdout and stderr while training
    "stdout_bytes": 0,
    "stderr_bytes": 0,
    # warnings given while training, and bytes of memory asked for when the model is built
    "warnings": 0,
    "allocate_bytes": 0,
    # how fast the worker's clock runs during the fit, and whether it is set right before its end
    "clock_rate": 1.0,
    "clock_recovers": False,
    # the steps of the first epoch after which the launcher is stopped, and goes on
    "launcher_stopped": [],
    # what "open" says: the description of a device; and the versions of the engine's packages
    "description": None,
    "versions": {},
    # in which method to fail ("list", "open", "load", "build", "fit", "state", "evaluate",
    # "replay", "operations"), how
    # ("raise", "lack" a module, "exit", "kill", "hang", "spin", "garbage", "flood", "flood-laps",
    # "flood-output", "crash" with a signal, "bad_alloc", "say" the reports or lines
    # of "says" and go on), and in fit after which step
    "says": [],
    "signal": "SIGSEGV",
    "fail_in": None,
    "fail_how": "raise",
    "fail_at_step": 0,
    # leave a child process, a forked copy and a thread behind that never end; ignore the polite
    # signal to end
    "leave_child": False,
    "fork": False,
    "ignore_sigterm": False,
}


def read_script() -> Dict[str, Any]:
    """The script that the variable holds, over the defaults. Raises ``ValueError`` for a key that
    there is not."""
    script = json.loads(os.environ.get("EPOCHMARK_FAKE", "{}"))
    unknown = set(script) - set(DEFAULTS)
    if unknown:
        raise ValueError(f"EPOCHMARK_FAKE has unknown keys: {sorted(unknown)}")
    return {**DEFAULTS, **script}


def fail(script: Dict[str, Any], method: str, step: Optional[int] = None) -> None:
    """Fail as scripted, if this is the place."""
    if script["fail_in"] != method:
        return
    if step is not None and step < script["fail_at_step"]:
        return
    how = script["fail_how"]
    if how == "say":
        script["fail_in"] = None
        for message in script["says"]:
            _say(message if isinstance(message, str) else json.dumps(message))
        return
    _end(how, script["signal"])
    _flood(how)
    while True:
        if how != "spin":
            time.sleep(3600)


def _end(how: str, crash: str) -> None:
    """End the fit, or the process, in that way; do nothing for any other."""
    if how == "raise":
        raise RuntimeError("the fake engine was told to fail")
    if how == "lack":
        importlib.import_module("a_module_nobody_has")
    if how == "exit":
        os._exit(3)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "crash":
        os.kill(os.getpid(), signal.Signals[crash])
    if how == "bad_alloc":
        library = "libc++.1.dylib" if sys.platform == "darwin" else "libstdc++.so.6"
        ctypes.CDLL(library)._Znwm(ctypes.c_size_t(1 << 62))  # operator new; uncaught


def _flood(how: str) -> None:
    """Write what is no report, or too much of what is, in that way; nothing for any other."""
    if how == "garbage":
        _say('{"report": "LapEnd", "steps": "many"}')
    if how == "flood":
        os.write(int(sys.argv[1]), b"x" * (2 << 20))
    while how == "flood-output":
        os.write(1, b"x" * (1 << 16))
    for end_ns in itertools.count(1) if how == "flood-laps" else ():
        lap = {"epoch": 1, "steps": 1, "end_ns": end_ns, "loss": 0.1, "accuracy": 0.9}
        _say(json.dumps({"report": "LapEnd", **lap}))


def _say(line: str) -> None:
    """A line on the pipe for reports, past all that an honest worker has in its way."""
    os.write(int(sys.argv[1]), line.encode() + b"\n")
