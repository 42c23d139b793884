"""Does keras-tensorflow time what the original script times? The paired ratio of their elapsed.

    python benchmarks/keras_against_script.py [--pairs 12] [--epochs 1] [--python PATH]

Runs the script bare (``bare_script.py`` beside this, in a process of its own, timing its ``fit``
with ``time.time()``) and the engine through epochmark, in the order ABBA so that a drift of the
machine hits both alike. Prints elapsed seconds and ratio of every pair, engine over script, and the
median ratio with its 95 % interval; that should lie inside 1 +- 0.02. Six pairs are the fewest from
which such an interval exists. On an otherwise idle machine one epoch takes some 30 s of one core.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from epochmark.bench.interpreter import Interpreter, choose_interpreter
from epochmark.bench.request import RunRequest
from epochmark.bench.session import measure
from epochmark.datasets import get_mnist, read_idx_folder
from epochmark.engines import get_engine
from epochmark.hardware.machine import describe_machine
from epochmark.results.statistics import median_interval

ENGINE = "keras-tensorflow"
SCRIPT = Path(__file__).with_name("bare_script.py")
MARGIN = 0.02


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--steps", type=int, help="so many steps instead of epochs: a quick trial")
    parser.add_argument("--python", help="interpreter that has TensorFlow")
    options = parser.parse_args()
    interpreter = choose_interpreter(get_engine(ENGINE).info, options.python)
    folder = get_mnist(None, lambda what, done, total: None)
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary) / "mnist.npz"
        save_as_keras_does(folder, data)

        def script() -> float:
            return time_script(interpreter, data, options.epochs, options.steps)

        def engine() -> float:
            return time_engine(interpreter, folder, options.epochs, options.steps)

        ratios = []
        for pair in range(options.pairs):
            if pair % 2 == 0:
                bare, ours = script(), engine()
            else:
                ours, bare = engine(), script()
            ratios.append(ours / bare)
            print(f"pair {pair + 1}: script {bare:.2f} s, engine {ours:.2f} s, {ratios[-1]:.4f}")
    found = median_interval(ratios)
    inside = found.low >= 1 - MARGIN and found.high <= 1 + MARGIN
    print(
        f"{found.count} pairs: engine / script {found.median:.4f}, "
        f"95 % interval {found.low:.4f} to {found.high:.4f}: "
        f"{'inside' if inside else 'not inside'} 1 +- {MARGIN}"
    )


def save_as_keras_does(folder: Path, file: Path) -> None:
    """MNIST as the npz that ``keras.datasets.mnist.load_data`` reads."""
    names = ("x_train", "y_train", "x_test", "y_test")
    np.savez(file, **dict(zip(names, read_idx_folder(folder), strict=True)))  # type: ignore[arg-type]


def time_script(interpreter: Interpreter, data: Path, epochs: int, steps: int | None) -> float:
    """Elapsed seconds as the bare script prints them, in the environment a worker gets."""
    done = subprocess.run(
        [str(interpreter.python), str(SCRIPT), str(data), str(epochs), str(steps or "")],
        env=dict(interpreter.environment),
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return float(done.stdout.split()[-1])


def time_engine(interpreter: Interpreter, folder: Path, epochs: int, steps: int | None) -> float:
    """Elapsed seconds as epochmark measures them."""
    request = RunRequest(ENGINE, epochs=None if steps else epochs, max_steps=steps)
    measured = measure(
        request, folder, describe_machine(None), lambda report: None, interpreter=interpreter
    )
    fit_ns = measured.record.timing.fit_ns
    if fit_ns is None:
        raise SystemExit(measured.stderr.decode(errors="replace"))
    return fit_ns / 1e9


if __name__ == "__main__":
    main()
