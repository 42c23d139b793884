"""Choose the seed of the replay's weights: from which does rounding move the losses least?

    python benchmarks/replay_seed.py FOLDER_WITH_THE_FOUR_MNIST_FILES [--seeds 18] [--draws 4]

Needs PyTorch beside epochmark. From each seed's weights, the current replay's batches are trained
in float64, and in float32 with noise (``parity_defects.py``): a relative error of 1e-6 on every
gradient of a product, and of 1e-6 of the root mean square on every output, about ten times the
rounding of float32. Prints the largest relative error of a loss up to step 3 and of all ten steps,
over all draws of the noise and both forms of Adam; the seed with the smallest is the one to take.
Some 20 to 40 seconds a seed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from parity_defects import Batches, Variant, read_batches, train

from epochmark.workloads import MNIST_CNN
from epochmark.workloads._proof import parity, replay_data
from epochmark.workloads._proof.reference import ADAM_FORMS
from epochmark.workloads.initial_weights import draw_weights

NOISE = 1e-6


def errors_of(seed: int, batches: Batches, draws: int) -> list[float]:
    """Largest relative error of each step's loss under noise, from the weights of ``seed``."""
    weights = draw_weights(MNIST_CNN, seed, replay_data.REPLAY_BIAS_RANGE)
    largest = [0.0] * replay_data.REPLAY_STEPS
    for form in ADAM_FORMS:
        exact = train(Variant("float64", dtype=torch.float64), weights, batches, form)
        for draw in range(1, draws + 1):
            noisy = Variant("float32 with noise", noise=NOISE, noise_seed=draw)
            losses = train(noisy, weights, batches, form)
            errors = parity.judge(losses, exact, {}).errors
            largest = [max(pair) for pair in zip(largest, errors, strict=True)]
    return largest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder with the four MNIST files (IDX)")
    parser.add_argument("--seeds", type=int, default=18, help="try the seeds 1 to this")
    parser.add_argument("--draws", type=int, default=4, help="draws of the noise per form of Adam")
    options = parser.parse_args()
    batches = read_batches(options.folder, replay_data.REPLAY_VERSION)
    version = replay_data.REPLAY_VERSION
    print(f"replay version {version}, {options.draws} draws, PyTorch {torch.__version__}")
    for seed in range(1, options.seeds + 1):
        errors = errors_of(seed, batches, options.draws)
        print(f"seed {seed}: steps 1-3 {max(errors[:3]):.1e}, all {max(errors):.1e}", flush=True)


if __name__ == "__main__":
    main()
