"""Replay and gradients of the native kernels on a processor this machine has not: cross-compiled
and emulated, against the golden losses and the float64 judge.

    python benchmarks/native_cross_check.py --data FOLDER \
        --cmake=-DCMAKE_SYSTEM_NAME=Linux --cmake=-DCMAKE_SYSTEM_PROCESSOR=aarch64 \
        --cmake=-DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ \
        --run="qemu-aarch64 -L /usr/aarch64-linux-gnu"

FOLDER holds MNIST's four IDX files. Without ``--cmake`` and ``--run`` it checks this machine.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from epochmark.datasets import read_idx_folder
from epochmark.workloads import MNIST_CNN
from epochmark.workloads._proof import reference, replay_data
from epochmark.workloads.shapes import parameter_shapes

SOURCES = Path(__file__).parents[1] / "src/epochmark/native"
JUDGED = 1
"""Images whose gradients are compared. More contain a near-tie of a pooling window (8e-10 in the
second image) that float32 cannot decide as float64 does, which says nothing about the kernels."""
SHAPES = parameter_shapes(MNIST_CNN)


def build(folder: str, cmake: list[str]) -> Path:
    subprocess.run(
        ["cmake", "-S", SOURCES, "-B", folder, *cmake], check=True, stdout=subprocess.DEVNULL
    )
    command = ["cmake", "--build", folder, "--parallel", "--target", "native_replay"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return Path(folder) / "native_replay"


def compare(output: bytes, expected: dict[str, npt.NDArray[np.float64]]) -> None:
    losses = np.frombuffer(output, np.float64, replay_data.REPLAY_STEPS)
    golden = np.array(replay_data.golden_losses(MNIST_CNN, "epsilon_hat"))
    print("  replay, relative error of each loss:")
    print("   ", " ".join(f"{error:.1e}" for error in np.abs(losses - golden) / golden))
    flat = np.frombuffer(output, np.float32, offset=losses.nbytes)
    sizes = [int(np.prod(shape)) for shape in SHAPES.values()]
    print(f"  gradients of {JUDGED} image, error over the largest entry:")
    for name, part in zip(SHAPES, np.split(flat, np.cumsum(sizes)[:-1]), strict=True):
        wanted = expected[name].ravel()
        print(f"    {name:15} {np.abs(part - wanted).max() / np.abs(wanted).max():.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of MNIST's IDX files")
    parser.add_argument("--cmake", action="append", default=[], help="argument for cmake")
    parser.add_argument("--run", default="", help="command that runs the program")
    parser.add_argument("--threads", default="2")
    options = parser.parse_args()

    images, labels, *_ = read_idx_folder(options.data)
    weights = replay_data.replay_weights(MNIST_CNN)
    batches = replay_data.replay_batches(MNIST_CNN, images, labels)
    images, labels = (array[:JUDGED] for array in batches[0])
    _, expected = reference.loss_and_gradients(MNIST_CNN, weights, images, labels)
    given = b"".join(weights[name].tobytes() for name in SHAPES)
    given += b"".join(array.tobytes() for batch in batches for array in batch)
    with tempfile.TemporaryDirectory() as folder:
        program = [*shlex.split(options.run), str(build(folder, options.cmake))]
        listed = subprocess.run(program, check=True, capture_output=True, text=True).stdout
        for name in listed.strip().split(","):
            print(f"{name}, {options.threads} threads")
            command = [*program, name, options.threads]
            done = subprocess.run(command, input=given, check=True, stdout=subprocess.PIPE)
            compare(done.stdout, expected)


if __name__ == "__main__":
    main()
