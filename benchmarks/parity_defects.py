"""Measure how far correct and deliberately wrong training departs from the golden losses.

    python benchmarks/parity_defects.py FOLDER_WITH_THE_FOUR_MNIST_FILES [--version N]

Needs PyTorch (any CPU build) beside epochmark. Prints the table of docs/parity.md: for each variant
the relative error of the loss after some of the ten steps (the larger of both forms of Adam), then
for either form (epsilon_hat / algorithm_1) how many times the float32 tolerance its worst step is,
and the precision class of the verdict. About three minutes on two quiet cores.

The low-precision rows marked "emulated" round the operands of every matrix product and
convolution, forward and backward, and accumulate in float32, as tensor cores and TPUs do; they are
no measurement of such hardware.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Optional

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from epochmark.datasets.mnist import verify_folder
from epochmark.workloads import MNIST_CNN
from epochmark.workloads._data.mnist_files import read_idx_folder
from epochmark.workloads._proof import parity, replay_data
from epochmark.workloads._proof.reference import ADAM_FORMS
from epochmark.workloads.spec import Adam

Parameters = dict[str, Tensor]
Batches = list[tuple[Tensor, Tensor]]
Weights = Mapping[str, npt.NDArray[np.float32]]
CONVOLUTIONS = ("conv_1", "conv_2")
SHOWN_STEPS = (1, 2, 3, 5, 10)
SCALE = 255.0
TRAINED = (*CONVOLUTIONS, "dense_1", "dense_2")


@dataclass(frozen=True)
class Variant:
    """One way to train: correct as it stands, each field a deliberate departure."""

    title: str
    dtype: torch.dtype = torch.float32
    threads: int = 1
    adam: Adam = MNIST_CNN.optimizer
    bias_correction: bool = True
    swap_form: bool = False
    torch_optimizer: bool = False
    average_pooling: bool = False
    ties: str = ""
    label_shift: int = 0
    channels_first_flatten: bool = False
    transposed_kernels: bool = False
    channels_last: bool = False
    removed_bias: str = ""
    frozen: str = ""
    zero_gradient: str = ""
    gradient_scale: Mapping[str, float] = field(default_factory=dict)
    autocast: Optional[torch.dtype] = None
    round_operand: Optional[Callable[[Tensor], Tensor]] = None
    round_convolutions_only: bool = False
    noise: float = 0.0
    noise_seed: int = 0


def round_to_tf32(values: Tensor) -> Tensor:
    """Float32 to the nearest value with 10 mantissa bits (TF32), ties to even."""
    bits = values.contiguous().view(torch.int32)
    even = (bits >> 13) & 1
    return ((bits + 0xFFF + even) & ~0x1FFF).view(torch.float32)


def round_through(dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    return lambda values: values.to(dtype).to(values.dtype)


def multiply(variant: Variant, inputs: Tensor, kernel: Tensor) -> Tensor:
    """Matrix product or convolution, with the variant's rounding or noise in both directions."""
    rounding = variant.round_operand
    if variant.round_convolutions_only and kernel.dim() == 2:
        rounding = None
    if rounding is not None:
        inputs = with_values(inputs, rounding(inputs.detach()))
        kernel = with_values(kernel, rounding(kernel.detach()))
    product = inputs @ kernel if kernel.dim() == 2 else functional.conv2d(inputs, kernel)
    if rounding is not None:
        product.register_hook(rounding)
    if variant.noise:
        product = with_values(product, add_noise(variant, product.detach()))
        product.register_hook(lambda gradient: scale_noise(variant, gradient))
    return product


def with_values(tensor: Tensor, values: Tensor) -> Tensor:
    """``values``, while the gradient passes straight through to ``tensor``."""
    return tensor + (values - tensor.detach())


def add_noise(variant: Variant, values: Tensor) -> Tensor:
    """Every value with an error of ``variant.noise`` times the root mean square of all."""
    return values + torch.randn_like(values) * (variant.noise * values.square().mean().sqrt())


def scale_noise(variant: Variant, values: Tensor) -> Tensor:
    """Every value with a relative error of ``variant.noise``; what is exactly zero stays so."""
    return values * (1 + variant.noise * torch.randn_like(values))


def compute_logits(variant: Variant, parameters: Parameters, images: Tensor) -> Tensor:
    values = images
    for name in CONVOLUTIONS:
        values = multiply(variant, values, parameters[f"{name}.kernel"])
        values = functional.relu(values + parameters[f"{name}.bias"][:, None, None])
    values = pool(variant, values)
    if not variant.channels_first_flatten:
        values = values.permute(0, 2, 3, 1)
    values = values.flatten(1)
    hidden = multiply(variant, values, parameters["dense_1.kernel"]) + parameters["dense_1.bias"]
    values = functional.relu(hidden)
    return multiply(variant, values, parameters["dense_2.kernel"]) + parameters["dense_2.bias"]


def pool(variant: Variant, values: Tensor) -> Tensor:
    """(n, channels, height, width) to half of both. ``ties`` says what equal maxima of a window
    get: the first all of the gradient (""), all an equal share ("divided"), or each all of it
    ("each")."""
    if variant.average_pooling:
        return functional.avg_pool2d(values, 2)
    if not variant.ties:
        return functional.max_pool2d(values, 2)
    n, channels, height, width = values.shape
    windows = values.reshape(n, channels, height // 2, 2, width // 2, 2)
    maxima = windows.amax(dim=(3, 5))  # PyTorch divides this one's gradient
    if variant.ties == "each":
        equal = (windows == maxima[:, :, :, None, :, None]).sum(dim=(3, 5))
        maxima.register_hook(lambda gradient: gradient * equal)
    return maxima


class HandWrittenAdam:
    """Either form of Adam on torch tensors; its own code, so that it also checks the reference."""

    def __init__(self, parameters: Parameters, variant: Variant, form: str) -> None:
        self.parameters, self.variant, self.form = parameters, variant, form
        self.first = {name: torch.zeros_like(value) for name, value in parameters.items()}
        self.second = {name: torch.zeros_like(value) for name, value in parameters.items()}
        self.steps = 0

    def step(self) -> None:
        adam = self.variant.adam
        self.steps += 1
        correction_1, correction_2 = 1.0, 1.0
        if self.variant.bias_correction:
            correction_1 -= adam.beta_1**self.steps
            correction_2 -= adam.beta_2**self.steps
        # epsilon_hat is Algorithm 1 with epsilon divided by the root of the second correction.
        scale = correction_2**-0.5 if self.form == "epsilon_hat" else 1.0
        for name, value in self.parameters.items():
            gradient = value.grad
            assert gradient is not None
            self.first[name].lerp_(gradient, 1 - adam.beta_1)
            self.second[name].mul_(adam.beta_2).addcmul_(gradient, gradient, value=1 - adam.beta_2)
            root = (self.second[name] / correction_2).sqrt_().add_(adam.epsilon * scale)
            value.data.addcdiv_(self.first[name], root, value=-adam.learning_rate / correction_1)


def make_parameters(variant: Variant, weights: Weights) -> Parameters:
    parameters: Parameters = {}
    for name, array in weights.items():
        value = torch.from_numpy(array.copy()).to(variant.dtype)
        if value.dim() == 4:
            order = (3, 2, 1, 0) if variant.transposed_kernels else (3, 2, 0, 1)
            value = value.permute(*order).contiguous()
            if variant.channels_last:
                value = value.contiguous(memory_format=torch.channels_last)
        if name == f"{variant.removed_bias}.bias":
            value.zero_()
        parameters[name] = value.requires_grad_()
    return parameters


def edit_gradients(variant: Variant, parameters: Parameters) -> None:
    for name, value in parameters.items():
        assert value.grad is not None
        layer = name.split(".", maxsplit=1)[0]
        if layer == variant.frozen or variant.zero_gradient == name:
            value.grad.zero_()
        if name == f"{variant.removed_bias}.bias":
            value.grad.zero_()
        value.grad.mul_(variant.gradient_scale.get(name, 1.0))


def train(variant: Variant, weights: Weights, batches: Batches, form: str) -> list[float]:
    """Losses of the ten replay steps with the optimizer of ``form``, or the variant's own."""
    torch.set_num_threads(variant.threads)
    torch.manual_seed(variant.noise_seed)
    parameters = make_parameters(variant, weights)
    if variant.swap_form:
        (form,) = set(ADAM_FORMS) - {form}
    optimizer: Any = HandWrittenAdam(parameters, variant, form)
    if variant.torch_optimizer:
        adam = variant.adam
        optimizer = torch.optim.Adam(
            parameters.values(), adam.learning_rate, (adam.beta_1, adam.beta_2), adam.epsilon
        )
    losses: list[float] = []
    for pixels, labels in batches:
        images = pixels.to(variant.dtype)[:, None] / SCALE
        if variant.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        for value in parameters.values():
            value.grad = None
        with autocast_of(variant):
            logits = compute_logits(variant, parameters, images)
        targets = (labels.long() + variant.label_shift) % MNIST_CNN.classes
        loss = functional.cross_entropy(logits.to(variant.dtype), targets)
        torch.autograd.backward(loss)
        edit_gradients(variant, parameters)
        optimizer.step()
        losses.append(loss.item())
    return losses


def autocast_of(variant: Variant) -> AbstractContextManager[Any]:
    if variant.autocast is None:
        return nullcontext()
    context: AbstractContextManager[Any] = torch.autocast("cpu", dtype=variant.autocast)
    return context


def list_variants() -> list[Variant]:
    adam = MNIST_CNN.optimizer
    correct = [
        Variant("float64", dtype=torch.float64),
        Variant("float64, torch.optim.Adam", torch.float64, torch_optimizer=True),
        Variant("float32, 1 thread"),
        Variant("float32, 2 threads", threads=2),
        Variant("float32, torch.optim.Adam", threads=2, torch_optimizer=True),
        Variant("float32, channels last", threads=2, channels_last=True),
    ]
    correct += [
        Variant(f"float32, noise 1e-6, draw {seed}", noise=1e-6, noise_seed=seed)
        for seed in (1, 2, 3)
    ]
    reduced = [
        Variant("tf32 operands (emulated)", round_operand=round_to_tf32),
        Variant(
            "tf32 convolutions only (emulated)",
            round_operand=round_to_tf32,
            round_convolutions_only=True,
        ),
        Variant("float16 operands (emulated)", round_operand=round_through(torch.half)),
        Variant("float16 autocast", autocast=torch.float16),
        Variant("bfloat16 operands (emulated)", round_operand=round_through(torch.bfloat16)),
        Variant("bfloat16 autocast", autocast=torch.bfloat16),
    ]
    defects = [
        Variant("the other form of Adam", swap_form=True),
        Variant("no bias correction", bias_correction=False),
        Variant("epsilon 1e-8", adam=replace(adam, epsilon=1e-8)),
        Variant("epsilon 1e-6", adam=replace(adam, epsilon=1e-6)),
        Variant("learning rate +1 %", adam=replace(adam, learning_rate=1.01e-3)),
        Variant("learning rate -1 %", adam=replace(adam, learning_rate=0.99e-3)),
        Variant("beta_2 0.99", adam=replace(adam, beta_2=0.99)),
        Variant("beta_1 0.89", adam=replace(adam, beta_1=0.89)),
        Variant("average pooling", average_pooling=True),
        Variant("labels off by one", label_shift=1),
        Variant("flatten order swapped", channels_first_flatten=True),
        Variant("kernel height and width swapped", transposed_kernels=True),
        Variant("conv_2 kernel gradient zero", zero_gradient="conv_2.kernel"),
    ]
    defects += [Variant(f"{name} bias missing", removed_bias=name) for name in TRAINED]
    defects += [Variant(f"{name} not trained", frozen=name) for name in TRAINED]
    defects += [
        Variant(f"{name} bias not trained", zero_gradient=f"{name}.bias") for name in TRAINED
    ]
    defects += [
        Variant(f"{name} kernel gradient x 1.01", gradient_scale={f"{name}.kernel": 1.01})
        for name in TRAINED
    ]
    defects += [
        Variant("equal maxima share the gradient", ties="divided"),
        Variant("equal maxima get it each", ties="each"),
    ]
    return correct + reduced + defects


def format_row(title: str, verdicts: Mapping[str, parity.Verdict], version: int) -> str:
    """A line of the table: errors of the worse form of Adam, then what is made of them per form."""
    errors = [
        max(steps) for steps in zip(*(verdict.errors for verdict in verdicts.values()), strict=True)
    ]
    shown = " | ".join(f"{errors[step - 1]:.1e}" for step in SHOWN_STEPS)
    limits = parity.replay_tolerances(MNIST_CNN, version)["float32"]
    shares = " / ".join(
        f"{max(error / limit for error, limit in zip(verdict.errors, limits, strict=True)):.2g}"
        for verdict in verdicts.values()
    )
    classes = dict.fromkeys(verdict.precision or "none" for verdict in verdicts.values())
    return f"| {title} | {shown} | {shares} | {' / '.join(classes)} |"


def read_batches(folder: Path, version: int) -> Batches:
    """The replay's batches as tensors, pixels and labels uint8."""
    verify_folder(folder)
    images, labels, _, _ = read_idx_folder(folder)
    return [
        (torch.from_numpy(pixels.copy()), torch.from_numpy(targets.copy()))
        for pixels, targets in replay_data.take_replay_batches(
            MNIST_CNN, images, labels, replay_data.recipe_of(MNIST_CNN, version)
        )
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder with the four MNIST files (IDX)")
    parser.add_argument(
        "--version",
        type=int,
        default=replay_data.REPLAY_VERSION,
        choices=replay_data.replay_versions(MNIST_CNN),
    )
    options = parser.parse_args()
    batches = read_batches(options.folder, options.version)
    tolerances = parity.replay_tolerances(MNIST_CNN, options.version)
    weights = replay_data.replay_weights(MNIST_CNN, options.version)
    print(
        f"replay version {options.version}, PyTorch {torch.__version__}, NumPy {np.__version__}, "
        f"{platform.machine()}\n"
    )
    steps = " | ".join(f"step {step}" for step in SHOWN_STEPS)
    print(f"| variant | {steps} | x tolerance | class |")
    print("|---" * (len(SHOWN_STEPS) + 3) + "|")
    for variant in list_variants():
        forms = ("algorithm_1",) if variant.torch_optimizer else ADAM_FORMS
        verdicts = {}
        for form in forms:
            golden = replay_data.golden_losses(MNIST_CNN, form, options.version)
            losses = train(variant, weights, batches, form)
            verdicts[form] = parity.judge(losses, golden, tolerances)
        print(format_row(variant.title, verdicts, options.version), flush=True)


if __name__ == "__main__":
    main()
