"""An engine that computes nothing and misbehaves as scripted: what the pipeline is tested with.

Its script is a JSON object in the environment variable ``EPOCHMARK_FAKE``; without one it behaves
like a correct engine that takes no time. Its results are its own family and rank with nothing.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np
import numpy.typing as npt

from epochmark.engines._fake.judge import CONTINUED_LOSS, PretendedJudge, pretended_test_loss
from epochmark.engines._fake.script import fail, read_script
from epochmark.engines._shared.contract import (
    Batch,
    Device,
    DeviceUnavailableError,
    Engine,
    Inputs,
    Operations,
    Settings,
    Stopwatch,
    Targets,
    TrainingState,
    Weights,
)
from epochmark.engines._shared.info import ALL_WORDS, EngineInfo, Support, Tunable, Variables
from epochmark.workloads import Workload
from epochmark.workloads._proof import reference, replay_data
from epochmark.workloads._proof.learning_band import load_band
from epochmark.workloads.shapes import parameter_shapes
from epochmark.workloads.spec import Optimizer

TYPICAL_LOSSES = (0.158, 0.0431, 0.0267, 0.0183, 0.0128, 0.0096, 0.0074, 0.0065, 0.0054, 0.0049)
"""Mean training loss of epochs 1 to 10 of ``mnist-cnn``, the centre of the measured learning band;
also of workloads without a band."""

Floats = npt.NDArray[np.float32]

DEVICES = (Device("cpu", "no device at all"), Device("gpu:0", "no device either"))


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
        self._script = read_script()
        self._fail("list")
        return list(DEVICES)

    def open(self, settings: Settings) -> Device:
        self._settings = settings
        self._script = read_script()
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
        return {**super().versions(), **read_script()["versions"]}

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
        band = load_band(self._settings.workload)
        losses = [epoch.centre for epoch in band.epoch_losses] if band else TYPICAL_LOSSES
        return float(self._script["loss"]) * losses[min(epoch, len(losses)) - 1]

    def observed_devices(self) -> List[str]:
        return [self._script["observed_device"] or self._device.id]

    def evaluate(self, inputs: Inputs, targets: Targets) -> Tuple[float, float]:
        self._fail("evaluate")
        accuracy, loss = self._script["test_accuracy"], self._script["test_loss"]
        if loss is None:
            loss = pretended_test_loss(self._settings.workload, len(inputs), accuracy)
        return loss, accuracy

    def replay(
        self, weights: Weights, batches: Sequence[Batch], optimizer: Optional[Optimizer] = None
    ) -> List[float]:
        self._fail("replay")
        workload, error = self._settings.workload, self._script["replay"]
        golden = replay_data.golden_losses(workload, self.info.adam_form)
        if optimizer is not None:
            golden, error = replay_data.golden_sgd_losses(workload), self._script["sgd"]
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
        fail(self._script, method, step)


ENGINE = FakeEngine()
