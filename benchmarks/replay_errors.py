"""Measure how far each engine's replay is from the golden losses: what a tolerance must allow.

    python benchmarks/replay_errors.py WORKLOAD [--data FOLDER] [--engines torch jax] \
        [--precision float32]

Every engine that offers the workload and is ready here trains the ten batches of the replay in its
own interpreter. Prints the relative error of each step's loss, with Adam and with plain SGD, and
the CPU seconds of the latter. ``--data``: a folder with the four MNIST files, for workloads that
train on them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def losses_here(name: str, engine_name: str, precision: str, folder: str) -> None:
    """In an engine's interpreter: the losses of both replays, as JSON, and what the second took."""
    from epochmark.engines import Settings, get_engine
    from epochmark.workloads import WORKLOADS
    from epochmark.workloads._data import read_data
    from epochmark.workloads._proof import replay_data

    workload, engine = WORKLOADS[name], get_engine(engine_name)
    data = read_data(workload, folder)
    size = workload.batch_size
    engine.open(Settings(workload, "cpu", precision, "stock", seed=1, epochs=1, batch_size=size))
    batches = replay_data.replay_batches(workload, data.inputs, data.targets)
    weights = replay_data.replay_weights(workload)
    losses = engine.replay(weights, batches)
    started = time.process_time()
    sgd = engine.replay(weights, batches[: replay_data.SGD_STEPS], replay_data.replay_sgd(workload))
    cpu_s = time.process_time() - started
    print(json.dumps([list(map(float, losses)), list(map(float, sgd)), cpu_s]))


def main() -> None:
    from epochmark.bench.interpreters.interpreter import find_interpreter
    from epochmark.bench.process.importable import with_our_package
    from epochmark.engines import get_engine, offering
    from epochmark.workloads import WORKLOADS
    from epochmark.workloads._proof import parity, replay_data

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("workload", choices=list(WORKLOADS))
    parser.add_argument("--data", default=".", help="folder with the MNIST files")
    parser.add_argument("--engines", nargs="*", help="default: all that offer the workload")
    parser.add_argument("--precision", default="float32")
    options = parser.parse_args()
    workload = WORKLOADS[options.workload]
    for name in options.engines or offering(workload):
        info = get_engine(name).info
        interpreter = find_interpreter(info)
        if interpreter is None or options.precision not in info.precisions:
            print(f"{name}: not ready here, or without this precision")
            continue
        job = (options.workload, name, options.precision, str(Path(options.data).absolute()))
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [str(interpreter.python), str(Path(__file__).absolute()), "--here", *job],
                env=with_our_package(Path(folder), interpreter.environment),
                capture_output=True,
                check=False,
                cwd=folder,
            )
        if done.returncode:
            print(f"{name}: {done.stderr.decode().strip().splitlines()[-1]}", flush=True)
            continue
        losses, sgd, cpu_s = json.loads(done.stdout.splitlines()[-1])
        form, version = info.adam_form, replay_data.REPLAY_VERSION
        errors = parity.judge_replay(workload, form, version, losses, sgd).errors
        shown = [f"{error:.1e}" for error in errors]
        steps = replay_data.REPLAY_STEPS
        print(
            f"{name}: {' '.join(shown[:steps])}; SGD {' '.join(shown[steps:])} ({cpu_s:.2f} s CPU)",
            flush=True,
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--here"]:
        losses_here(*sys.argv[2:])
    else:
        main()
