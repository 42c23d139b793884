"""What is special to tinygrad, MLX and PlaidML, each with the real framework."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from epochmark.bench.interpreters.interpreter import Interpreter
from epochmark.errors import EpochmarkError
from epochmark.workloads import MNIST_CNN
from epochmark.workloads._proof import parity, replay_data
from tests.engines.conftest import MNIST_MLP, Run, answer_of, interpreter_of, with_injected
from tests.engines.test_contract import REPLAY
from tests.engines.test_defects import codes

pytestmark = pytest.mark.usefixtures("injected")


def with_environment(engine: str, **variables: str) -> Interpreter:
    interpreter = interpreter_of(engine)
    return replace(interpreter, environment={**interpreter.environment, **variables})


def test_tinygrad_says_what_its_cpu_device_lacks(run_small: Run, tmp_path: Path) -> None:
    """A PATH without clang; kernels compiled earlier, which tinygrad keeps, must not hide it."""
    with pytest.raises(EpochmarkError, match="clang, and there is none on the PATH") as raised:
        run_small("tinygrad", with_environment("tinygrad", PATH=str(tmp_path)), max_steps=1)
    assert raised.value.exit_code == 2


def test_tinygrad_trains_as_a_gpu_on_opencl(run_small: Run) -> None:
    """Without a GPU's driver, through PoCL, which offers the processor as an OpenCL device."""
    interpreter = with_environment("tinygrad", DEV="CL")
    record = run_small("tinygrad", interpreter, device="gpu", max_steps=3).record
    assert record.failure is None, record.failure
    assert record.device.resolved == "gpu:0"
    assert record.device.observed == ["gpu:0"]
    assert str(record.device.resolved_description).startswith("CL, ")
    assert record.headline.validity == "partial", record.findings
    assert record.precision.observed == "float32"


def test_mlx_without_bias_correction_fails_parity(tmp_path: Path, mnist_folder: Path) -> None:
    """Three batches of the replay: Adam shows from the second on, and each takes MLX seconds."""
    interpreter = with_injected(interpreter_of("mlx"))
    job = ("uncorrected-mlx", "float32", str(mnist_folder), str(replay_data.REPLAY_VERSION), "3")
    losses = answer_of(REPLAY, tmp_path, *job, interpreter=interpreter)
    golden = replay_data.golden_losses(MNIST_CNN, "algorithm_1")
    first, *others = parity.judge(losses, golden[:3], {}).errors
    tolerance = parity.replay_tolerances(MNIST_CNN)["float32"]
    assert first < tolerance[0]
    assert min(others) > 10 * tolerance[2]


def test_plaidml_gives_every_equal_maximum_the_gradient(tmp_path: Path, mnist_folder: Path) -> None:
    """Seen with MNIST's images as they are, where pooling windows have equal inputs: the first
    version of the replay. Its first loss is that of a right forward pass, its second is not."""
    losses = answer_of(REPLAY, tmp_path, "plaidml-keras", "float32", str(mnist_folder), "1", "2")
    golden = replay_data.golden_losses(MNIST_CNN, "epsilon_hat", version=1)
    first, second = parity.judge(losses, golden[:2], {}).errors
    tolerance = parity.replay_tolerances(MNIST_CNN, 1)["float32"]
    assert first < tolerance[0]
    assert second > 10 * tolerance[1]


def test_plaidml_makes_every_gradient_before_it_updates(tmp_path: Path, mnist_folder: Path) -> None:
    """Its plain SGD does not, with wide dense layers one behind the other."""
    version, steps = replay_data.REPLAY_VERSION, replay_data.SGD_STEPS
    job = ("float32", str(mnist_folder), str(version), str(steps), f"{MNIST_MLP.name}:sgd")
    losses = answer_of(REPLAY, tmp_path, "plaidml-keras", *job)
    golden = replay_data.golden_sgd_losses(MNIST_MLP)
    verdict = parity.judge(losses, golden, parity.sgd_tolerances(MNIST_MLP))
    assert verdict.precision == "float32", verdict.errors


def test_plaidml_refuses_the_device_it_was_not_asked_for(run_small: Run) -> None:
    interpreter = with_injected(interpreter_of("plaidml-keras"), DEFECT="checked")
    with pytest.raises(EpochmarkError, match=r"opened llvm_cpu.0 where opencl_gone.0 was asked"):
        run_small("tricked-plaidml-keras", interpreter, device="gpu", max_steps=1)


def test_plaidml_falling_back_unnoticed_is_seen_afterwards(run_small: Run) -> None:
    interpreter = with_injected(interpreter_of("plaidml-keras"), DEFECT="unchecked")
    record = run_small("tricked-plaidml-keras", interpreter, device="gpu", max_steps=1).record
    assert record.failure is None
    assert (record.device.resolved, record.device.observed) == ("gpu:0", ["cpu"])
    assert "device-mismatch" in codes(record)
