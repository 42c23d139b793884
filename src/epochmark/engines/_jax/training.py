"""A training in JAX with optax as their tutorials write it: arrays, jitted step, evaluation."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import optax
from jax import lax

from epochmark.engines._jax.layers import Network, Parameters
from epochmark.engines._shared.contract import Inputs, Settings, Targets, TrainingState, Weights
from epochmark.engines._shared.inputs import images_nhwc
from epochmark.workloads import Workload
from epochmark.workloads.spec import SGD, Images, Optimizer

Data = Tuple[npt.NDArray[Any], npt.NDArray[np.int32]]


def to_arrays(workload: Workload, inputs: Inputs, targets: Targets) -> Data:
    """NumPy arrays: images float32 ``(n, height, width, channels)``, or symbols int32 ``(n,
    context)``; and int32 targets."""
    answers = targets.astype(np.int32)
    if isinstance(workload.input, Images):
        pixels = images_nhwc(workload, inputs).astype(np.float32)
        return pixels / np.float32(workload.input.scale), answers
    return inputs.astype(np.int32), answers


class TrainingLoop:
    """Parameters, Adam's moments and the epoch's sums on one device, and the jitted step."""

    _sums: Any

    def __init__(
        self,
        settings: Settings,
        weights: Weights,
        place: Any,
        tuned: Mapping[str, str],
        optimizer: Optional[Optimizer] = None,
    ) -> None:
        workload = settings.workload
        self._optimizer = make_optimizer(optimizer or workload.optimizer)
        self._network = Network(workload, tuned)
        self.parameters: Parameters = jax.device_put(dict(weights), place)
        self.moments = jax.device_put(self._optimizer.init(self.parameters), place)
        self._place = place
        self._compute_type = jnp.bfloat16 if settings.precision == "bfloat16" else None
        old_state = (0, 1, 2) if tuned.get("donate") == "on" else ()
        self._train_step = jax.jit(self._compute_step, donate_argnums=old_state)
        self._train_steps = jax.jit(self._compute_steps, donate_argnums=old_state)
        self._evaluate_step = jax.jit(self._add_to_sums)
        self._reset_sums()

    def compute_scores(self, parameters: Parameters, inputs: Any) -> Any:
        """Scores before the softmax, float32.

        In bfloat16 everything in between is computed in it; parameters stay as they are.
        """
        if self._compute_type is not None:
            parameters = jax.tree.map(self._cast, parameters)
            inputs = self._cast(inputs)
        return self._network(parameters, inputs).astype(jnp.float32)

    def step(self, inputs: Any, targets: Any) -> Any:
        """One step of training; the mean loss before it, still on the device."""
        self.parameters, self.moments, self._sums, loss = self._train_step(
            self.parameters, self.moments, self._sums, inputs, targets
        )
        return loss

    def steps(self, inputs: Any, targets: Any) -> Any:
        """As many steps as the first axes are long, in one call; their losses, as of `step`."""
        self.parameters, self.moments, self._sums, losses = self._train_steps(
            self.parameters, self.moments, self._sums, inputs, targets
        )
        return losses

    def evaluate(self, inputs: Any, targets: Any) -> None:
        """Add a batch's losses and right answers to the sums, without training on it."""
        self._sums = self._evaluate_step(self._sums, self.parameters, inputs, targets)

    def synchronise(self) -> None:
        """Return when the device has done everything it was given."""
        jax.block_until_ready((self.parameters, self.moments, self._sums))

    def take_sums(self) -> Tuple[float, float]:
        """Sum of losses and number of right answers since the last call; waits for the device."""
        self.synchronise()
        loss_sum, correct = self._sums
        self._reset_sums()
        return float(loss_sum), int(correct)

    def arrays(self, inputs: Any) -> List[Any]:
        """Parameters, Adam's moments, and the scores of these inputs."""
        scores = self.compute_scores(self.parameters, inputs)
        arrays: List[Any] = jax.tree.leaves((self.parameters, self.moments, scores))
        return arrays

    def state(self) -> TrainingState:
        """Parameters, moments and the number of steps, copied to host memory."""
        adam = self.moments[0]  # optax chains it with the scaling by the learning rate
        return TrainingState(
            weights=_copied(self.parameters),
            first=_copied(adam.mu),
            second=_copied(adam.nu),
            steps=int(adam.count),
        )

    def _reset_sums(self) -> None:
        self._sums = jax.device_put((np.float32(0), np.int32(0)), self._place)

    def _compute_step(
        self, parameters: Any, moments: Any, sums: Any, inputs: Any, targets: Any
    ) -> Any:
        (loss, correct), gradients = jax.value_and_grad(self._mean_loss, has_aux=True)(
            parameters, inputs, targets
        )
        updates, moments = self._optimizer.update(gradients, moments, parameters)
        parameters = optax.apply_updates(parameters, updates)
        return parameters, moments, (sums[0] + loss * targets.size, sums[1] + correct), loss

    def _compute_steps(
        self, parameters: Any, moments: Any, sums: Any, inputs: Any, targets: Any
    ) -> Any:
        def step(state: Any, batch: Any) -> Any:
            *state, loss = self._compute_step(*state, *batch)
            return tuple(state), loss

        state, losses = lax.scan(step, (parameters, moments, sums), (inputs, targets))
        return (*state, losses)

    def _mean_loss(self, parameters: Any, inputs: Any, targets: Any) -> Any:
        loss_sum, correct = self._losses(parameters, inputs, targets)
        return loss_sum / targets.size, correct

    def _losses(self, parameters: Any, inputs: Any, targets: Any) -> Any:
        """Sum of losses and number of right answers of a batch."""
        scores = self.compute_scores(parameters, inputs)
        losses = optax.softmax_cross_entropy_with_integer_labels(scores, targets)
        return losses.sum(), (scores.argmax(axis=-1) == targets).sum()

    def _add_to_sums(self, sums: Any, parameters: Any, inputs: Any, targets: Any) -> Any:
        loss_sum, correct = self._losses(parameters, inputs, targets)
        return sums[0] + loss_sum, sums[1] + correct

    def _cast(self, array: Any) -> Any:
        """To the compute type, unless it holds symbols."""
        return (
            array.astype(self._compute_type) if jnp.issubdtype(array.dtype, jnp.floating) else array
        )


def make_optimizer(constants: Optimizer) -> Any:
    """That of optax, with these constants."""
    if isinstance(constants, SGD):
        return optax.sgd(constants.learning_rate)
    return optax.adam(
        constants.learning_rate, b1=constants.beta_1, b2=constants.beta_2, eps=constants.epsilon
    )


def _copied(arrays: Mapping[str, Any]) -> Dict[str, npt.NDArray[np.float32]]:
    """On a CPU NumPy would look into JAX's own memory, which a donating step writes."""
    return {name: np.array(array) for name, array in arrays.items()}
