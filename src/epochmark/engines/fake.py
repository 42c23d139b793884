"""An engine that computes nothing and misbehaves as scripted: what the pipeline is tested with.

Its script is a JSON object in the environment variable ``EPOCHMARK_FAKE``; without one it behaves
like a correct engine that takes no time. Its results are its own family and rank with nothing.
"""

from __future__ import annotations

import ctypes
import importlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

import numpy as np
import numpy.typing as npt

from epochmark.engines._shared.contract import (
    ALL_WORDS,
    Batch,
    Device,
    DeviceUnavailableError,
    Engine,
    EngineInfo,
    Inputs,
    Operations,
    Settings,
    Stopwatch,
    Support,
    Targets,
    TrainingState,
    Tunable,
    Variables,
    Weights,
)
from epochmark.workloads import Workload
from epochmark.workloads._data.known_losses import lowest_test_loss
from epochmark.workloads._proof import continuation, parity, reference
from epochmark.workloads.shapes import parameter_shapes
from epochmark.workloads.spec import Optimizer

TYPICAL_LOSSES = (0.158, 0.0431, 0.0267, 0.0183, 0.0128, 0.0096, 0.0074, 0.0065, 0.0054, 0.0049)
"""Mean training loss of epochs 1 to 10, the centre of the measured learning band."""

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

Floats = npt.NDArray[np.float32]

TEST_LOSS = 0.03
CONTINUED_LOSS = 0.1
"""Of every step after the timed fit."""

DEVICES = (Device("cpu", "no device at all"), Device("gpu:0", "no device either"))


def _read_script() -> Dict[str, Any]:
    script = json.loads(os.environ.get("EPOCHMARK_FAKE", "{}"))
    unknown = set(script) - set(DEFAULTS)
    if unknown:
        raise ValueError(f"EPOCHMARK_FAKE has unknown keys: {sorted(unknown)}")
    return {**DEFAULTS, **script}


class FakeEngine(Engine):
    info = EngineInfo(
        name="fake",
        title="Fake",
        summary="computes nothing; tests the tool itself",
        family="fake",
        adam_form="epsilon_hat",
        words=ALL_WORDS,
        hidden=True,
        variables=Variables(handed=("EPOCHMARK_FAKE",)),
        devices=(
            Support("cpu", "nothing"),
            Support("gpu", "nothing"),
        ),
        precisions=("stock", "float32", "tf32", "bfloat16", "float16"),
        tunables=(
            Tunable("gear", ("low", "high", "reverse", "none"), "what the script says of it"),
            Tunable("brake", ("on", "off"), "what the script says of it"),
        ),
    )

    def list_devices(self) -> List[Device]:
        self._script = _read_script()
        self._fail("list")
        return list(DEVICES)

    def open(self, settings: Settings) -> Device:
        self._settings = settings
        self._script = _read_script()
        self._shift_gears(settings)
        if self._script["ignore_sigterm"]:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if self._script["leave_child"]:
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
            threading.Thread(target=time.sleep, args=(3600,)).start()
        if self._script["fork"] and os.fork() == 0:
            time.sleep(3600)
            os._exit(0)
        self._fail("open")
        wanted = "gpu:0" if settings.device == "gpu" else settings.device
        for device in DEVICES:
            if device.id == wanted:
                self._device = device
                return Device(device.id, self._script["description"] or device.description)
        raise DeviceUnavailableError(f"fake has no {settings.device}; it has cpu, gpu:0")

    def versions(self) -> Dict[str, str]:
        return {**super().versions(), **_read_script()["versions"]}

    def _shift_gears(self, settings: Settings) -> None:
        """What the tuned settings do, by the script."""
        chosen = self.info.all_settings(settings.device, settings.tuned_settings)
        for setting in map("=".join, chosen.items()):
            self._script["step_s"] /= self._script["speedups"].get(setting, 1.0)
            self._script.update(self._script["changes"].get(setting, {}))

    def load(self, inputs: Inputs, targets: Targets) -> int:
        self._fail("load")
        return len(inputs)

    def build(self, weights: Weights) -> None:
        self._fail("build")
        self._memory = np.ones(self._script["allocate_bytes"], np.uint8)
        self._steps = self._further_steps = 0
        self._fitted = False

    def fit(self, data: int, stopwatch: Stopwatch) -> None:
        if self._fitted:
            self._go_on(data, stopwatch)
            return
        self._fitted = True
        true_clock, rate = time.perf_counter_ns, self._script["clock_rate"]
        start_ns = true_clock()
        if rate != 1.0:
            time.perf_counter_ns = lambda: start_ns + int(rate * (true_clock() - start_ns))
        self._train(stopwatch)
        if self._script["clock_recovers"]:
            time.perf_counter_ns = true_clock
        time.sleep(self._script["unsynchronised_s"])
        if self._script["tidying_s"]:
            stopwatch.trained()
            time.sleep(self._script["tidying_s"])

    def _train(self, stopwatch: Stopwatch) -> None:
        settings = self._settings
        sys.stdout.write("o" * self._script["stdout_bytes"])
        sys.stderr.write("e" * self._script["stderr_bytes"])
        for number in range(self._script["warnings"]):
            warnings.warn(f"warning number {number}", stacklevel=1)
        steps_per_epoch = settings.workload.steps_per_epoch(settings.batch_size)
        steps_left = settings.max_steps or steps_per_epoch * settings.epochs
        for epoch in range(1, settings.epochs + 1):
            loss, since_lap = self._loss(epoch), 0
            steps = min(steps_per_epoch, steps_left)
            for step in range(1, steps + 1):
                if self._script["step_s"]:
                    time.sleep(self._script["step_s"])
                self._steps += 1
                self._fail("fit", (epoch - 1) * steps_per_epoch + step)
                if epoch == 1 and step in self._script["launcher_stopped"]:
                    first = step == self._script["launcher_stopped"][0]
                    os.kill(os.getppid(), signal.SIGSTOP if first else signal.SIGCONT)
                since_lap += 1
                if stopwatch.wants_lap() and step < steps:
                    if not stopwatch.lap(since_lap, loss, 0.9):
                        return
                    since_lap = 0
            steps_left -= steps
            if epoch == settings.epochs:
                since_lap -= self._script["steps_missing"]
            if steps < steps_per_epoch:
                stopwatch.lap(since_lap, loss, 0.9)
                return
            if not stopwatch.epoch(since_lap, loss, 0.9) or not steps_left:
                return

    def _go_on(self, samples: int, stopwatch: Stopwatch) -> None:
        steps = -(-samples // self._settings.batch_size)
        self._further_steps += steps
        stopwatch.epoch(steps, CONTINUED_LOSS * (1 + self._script["continuation"]), 0.9)

    def state(self) -> TrainingState:
        """Weights that are worth what the script says, and grow by 1 in every further step."""
        self._fail("state")
        worth = self._script["weights_accuracy"] or self._script["test_accuracy"]
        value = worth + self._further_steps * (1 + self._script["continuation"])
        arrays = {
            name: np.full(shape, value, np.float32)
            for name, shape in parameter_shapes(self._settings.workload).items()
        }
        counted = self._steps + self._further_steps - self._script["uncounted_steps"]
        return TrainingState(arrays, arrays, arrays, counted)

    def judge(self, workload: Workload) -> PretendedJudge:
        return PretendedJudge(workload)

    def _loss(self, epoch: int) -> float:
        if self._script["loss"] == "nan":
            return float("nan")
        if self._script["loss"] == "flat":
            return 2.3026
        return float(self._script["loss"]) * TYPICAL_LOSSES[min(epoch, len(TYPICAL_LOSSES)) - 1]

    def observed_devices(self) -> List[str]:
        return [self._script["observed_device"] or self._device.id]

    def evaluate(self, inputs: Inputs, targets: Targets) -> Tuple[float, float]:
        self._fail("evaluate")
        accuracy, loss = self._script["test_accuracy"], self._script["test_loss"]
        if loss is None:
            loss = _test_loss(self._settings.workload, len(inputs), accuracy)
        return loss, accuracy

    def replay(
        self, weights: Weights, batches: Sequence[Batch], optimizer: Optional[Optimizer] = None
    ) -> List[float]:
        self._fail("replay")
        workload, error = self._settings.workload, self._script["replay"]
        golden = parity.golden_losses(workload, self.info.adam_form)
        if optimizer is not None:
            golden, error = parity.golden_sgd_losses(workload), self._script["sgd"]
        if error == "nan":
            return [float("nan")] * len(golden)
        if error == "short":
            return list(golden[:-1])
        return [loss * (1 + error) for loss in golden]

    def operations(self) -> Operations:
        """NumPy's own, the convolution of one image only; the matrix product is too small by the
        error of the replay's losses."""
        self._fail("operations")
        error = self._script["replay"]

        def convolve(images: Floats, kernel: Floats) -> Floats:
            first = images[:1].astype(np.float64), kernel.astype(np.float64)
            result = reference.convolve(*first, np.zeros(kernel.shape[-1]))
            return np.repeat(result.astype(np.float32), len(images), axis=0)

        return Operations(
            put=lambda array: array,
            get=lambda array: array,
            multiply=lambda a, b: (a @ b) * np.float32(1 - error),
            convolve=convolve,
            add=lambda a, b: a + b,
            wait=lambda result: None,
            product_size=64,
        )

    def _fail(self, method: str, step: Optional[int] = None) -> None:
        """Fail as scripted, if this is the place."""
        if self._script["fail_in"] != method:
            return
        if step is not None and step < self._script["fail_at_step"]:
            return
        how = self._script["fail_how"]
        if how == "say":
            self._script["fail_in"] = None
            for message in self._script["says"]:
                _say(message if isinstance(message, str) else json.dumps(message))
            return
        _end(how, self._script["signal"])
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


def _test_loss(workload: Workload, samples: int, accuracy: float) -> float:
    """One that goes with the accuracy, and is not lower than any can be."""
    lowest = lowest_test_loss(workload, samples)
    return max(3 * (1 - accuracy), 0.0 if lowest is None else lowest.loss)


class PretendedJudge:
    """Implements ``continuation.Judge`` for weights that nothing was computed from."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload

    def follow(
        self, start: continuation.State, batches: Iterable[continuation.Shares]
    ) -> Tuple[List[float], Weights]:
        steps = len(list(batches))
        weights = {name: array + np.float32(steps) for name, array in start.weights.items()}
        return [CONTINUED_LOSS] * steps, weights

    def evaluate(self, weights: Weights, inputs: Inputs, targets: Targets) -> reference.Worth:
        accuracy = float(next(iter(weights.values())).flat[0])
        loss = _test_loss(self._workload, len(inputs), accuracy)
        if lowest_test_loss(self._workload, len(inputs)) is None:
            return reference.Worth(loss, accuracy)
        # who does not copy is right about half of a chain's symbols at best
        copies = accuracy > 0.5
        return reference.Worth(loss, accuracy, (2 * loss, 0.0) if copies else (loss, loss))


ENGINE = FakeEngine()
