"""The vocabulary in which a workload is written down: what goes in, layers, optimizer, batch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Iterator, Literal, Optional, Union

Shape = tuple[int, ...]

Activation = Optional[Literal["relu", "gelu_tanh", "softmax"]]
"""``gelu_tanh``: ``x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))`` (Hendrycks and Gimpel 2016,
in the form of GPT-2). ``softmax`` only in the last layer, where it is one with the loss."""


# What goes in, and what is to be found.


@dataclass(frozen=True)
class Images:
    """Bytes of ``shape`` (height, width, channels), divided by ``scale``; one of ``classes``."""

    shape: Shape
    scale: float
    classes: int


@dataclass(frozen=True)
class Tokens:
    """Sequences of ``context`` symbols out of ``vocabulary``; at each position the next one."""

    context: int
    vocabulary: int


# Layers. Their parameters are named by dotted paths: ``conv_1.kernel``; inside of a residual branch
# ``attention_1.heads.query.kernel``.


@dataclass(frozen=True)
class Conv2D:
    """Valid convolution, stride 1, NHWC; kernel ``(height, width, channels_in, filters)``."""

    name: str
    filters: int
    kernel_size: int
    activation: Activation = None


@dataclass(frozen=True)
class MaxPool2D:
    """Maximum over non-overlapping ``size`` x ``size`` windows, NHWC."""

    name: str
    size: int


@dataclass(frozen=True)
class Flatten:
    """``(batch, height, width, channels)`` to ``(batch, features)``, channels fastest."""

    name: str


@dataclass(frozen=True)
class Dense:
    """Matrix product of the last axis with ``kernel`` ``(features_in, units)``, plus ``bias``."""

    name: str
    units: int
    activation: Activation = None


@dataclass(frozen=True)
class Embed:
    """Symbols ``(batch, context)`` to rows of ``table`` ``(vocabulary, units)``."""

    name: str
    units: int


@dataclass(frozen=True)
class Positions:
    """Adds row t of ``table`` ``(context, units)`` to position t of each sequence."""

    name: str


@dataclass(frozen=True)
class LayerNorm:
    """Over the last axis: ``(x - mean) / sqrt(variance + epsilon) * scale + bias``, the variance
    being the mean square (Ba, Kiros and Hinton 2016). ``scale`` and ``bias`` ``(units,)``."""

    name: str
    epsilon: float = 1e-5


@dataclass(frozen=True)
class CausalAttention:
    """Each position sees itself and those before it, in ``heads`` heads (Vaswani et al. 2017).

    ``query``, ``key``, ``value`` and ``output`` each have a ``kernel`` ``(units, units)`` and a
    ``bias`` ``(units,)``; head h has their columns ``h * size`` to ``(h + 1) * size``, where
    ``size`` is ``units / heads``. Scores are divided by ``sqrt(size)`` before the softmax; the
    heads' results lie side by side before ``output``.
    """

    name: str
    heads: int


@dataclass(frozen=True)
class Residual:
    """``x + layers(x)``. Nested sequences are the only structure there is."""

    name: str
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class TiedHead:
    """Scores ``x @ table.T`` with the table of the ``Embed`` layer named so; nothing of its own."""

    name: str
    table: str


Layer = Union[
    Conv2D, MaxPool2D, Flatten, Dense, Embed, Positions, LayerNorm, CausalAttention, Residual,
    TiedHead,
]  # fmt: skip


# How it learns.


@dataclass(frozen=True)
class Adam:
    """Constants of Adam (Kingma and Ba, 2015).

    Which form of it is used depends on the engine (docs/measurement/validity.md).
    """

    learning_rate: float
    beta_1: float
    beta_2: float
    epsilon: float


@dataclass(frozen=True)
class SGD:
    """``weight - learning_rate * gradient``. For replays: it shows the scale of gradients, which
    Adam divides out."""

    learning_rate: float


Optimizer = Union[Adam, SGD]


@dataclass(frozen=True)
class Target:
    """What was learned well enough: an epoch whose mean training loss (nats) is at most ``loss``.
    ``time_to_target_s`` is when the first such epoch ended."""

    loss: float


@dataclass(frozen=True)
class Proof:
    """How much of a run our float64 code computes again: enough to see a defect, in seconds.

    Samples of a batch of the replay, and their length where it is shorter than the context;
    distinct samples of a batch after the fit; test samples on which trained weights are evaluated.
    """

    replay_samples: int
    replay_context: Optional[int] = None
    distinct_samples: int = 128
    tested_samples: int = 1000


@dataclass(frozen=True)
class Workload:
    """One training task, exactly; ``version`` changes whenever another field does, but for
    ``summary`` and ``only_if_named``: ``-w all`` is each workload that the engine offers, but for
    large ones, which take hours on a processor and must be named.

    The last layer gives the scores of which ``loss`` takes the softmax. An epoch has
    ``train_samples``. ``passes``: ``reshuffled``, each epoch has all of the training set in an
    order of its own; ``once``, epoch e has the e-th of ``epochs`` equal parts of the training set,
    in its order, so that no sample comes twice. ``initial``: kernels are ``glorot`` uniform and
    biases zero; or as in GPT-2 (``workloads.initial_weights``).
    """

    name: str
    version: int
    summary: str
    dataset: str
    train_samples: int
    test_samples: int
    input: Union[Images, Tokens]
    layers: tuple[Layer, ...]
    loss: str
    optimizer: Adam
    batch_size: int
    epochs: int
    proof: Proof
    passes: Literal["reshuffled", "once"] = "reshuffled"
    initial: Literal["glorot", "gpt-2"] = "glorot"
    target: Optional[Target] = None
    precision: str = "float32"
    only_if_named: bool = False

    def steps_per_epoch(self, batch_size: Optional[int] = None) -> int:
        """Optimizer steps in one epoch, the last partial batch included."""
        return math.ceil(self.train_samples / (batch_size or self.batch_size))

    def samples_tested(self, batch_size: int, max_steps: Optional[int]) -> int:
        """On how many of the test set, from its front, a run is evaluated. One of less than an
        epoch on few: MLX and PlaidML take one to two minutes for all images of MNIST on a CPU,
        longer than such a run, whose accuracy says only that something was learned."""
        if max_steps is not None and max_steps < self.steps_per_epoch(batch_size):
            return self.proof.tested_samples
        return self.test_samples

    def takes_batches_of(self, size: int) -> bool:
        """Whether an epoch can be made of batches of ``size``: it has as many samples, and where no
        sample comes twice, none are left over for a smaller batch."""
        left_over = self.train_samples % size if self.passes == "once" else 0
        return size <= self.train_samples and not left_over

    @property
    def input_shape(self) -> Shape:
        """Shape of one sample as it comes to the first layer."""
        return self.input.shape if isinstance(self.input, Images) else (self.input.context,)

    @property
    def classes(self) -> int:
        """How many answers there are to choose from."""
        return self.input.classes if isinstance(self.input, Images) else self.input.vocabulary

    @property
    def targets_per_sample(self) -> int:
        """Right answers of a sample: one for an image, one at each position of a sequence. Losses
        and accuracies are means over these."""
        return 1 if isinstance(self.input, Images) else self.input.context

    @property
    def samples(self) -> str:
        """What a sample is called: ``images`` or ``sequences``."""
        return "images" if isinstance(self.input, Images) else "sequences"

    @property
    def unit(self) -> str:
        """What is counted by the second: ``images`` or ``tokens``."""
        return "images" if isinstance(self.input, Images) else "tokens"

    @property
    def pixel_scale(self) -> float:
        """What the bytes of an image are divided by."""
        assert isinstance(self.input, Images)
        return self.input.scale


def words_of(workload: Workload) -> frozenset[str]:
    """Names of all that an engine must know to train this: what goes in, layers, activations and
    optimizer, each as it is called here."""
    layers = list(all_layers(workload.layers))
    activations = (getattr(layer, "activation", None) for layer in layers)
    parts = [workload.input, *layers, workload.optimizer]
    return frozenset([*(type(part).__name__ for part in parts), *filter(None, activations)])


def all_layers(layers: tuple[Layer, ...]) -> Iterator[Layer]:
    """These and those nested in them, from front to back."""
    for layer in layers:
        yield layer
        if isinstance(layer, Residual):
            yield from all_layers(layer.layers)
