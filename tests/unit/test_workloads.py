"""Workloads are found by folder, and a folder that does not fit together is named, not used."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

import epochmark.workloads
from epochmark.bench.request import RunRequest, find_workload, named_workloads
from epochmark.errors import EpochmarkError
from epochmark.workloads import MNIST_CNN, WORKLOADS, damaged_workloads
from epochmark.workloads._data import read_data
from epochmark.workloads._proof import parity, reference, replay_data
from epochmark.workloads.registry import (
    GOLDEN_LOSSES,
    LEARNING_BAND,
    TOLERANCES,
    read_evidence,
    spec_digest,
)
from epochmark.workloads.shapes import layer_shapes
from epochmark.workloads.spec import Adam, Images, Proof, Workload
from tests.pipeline.in_process import PROGRAM

PACKAGE = Path(str(epochmark.workloads.__file__)).parent
ROOT = Path(__file__).parents[2]
EVERY = list(WORKLOADS.values())


@pytest.mark.parametrize("workload", EVERY, ids=lambda workload: workload.name)
def test_a_workload_changes_only_with_its_version(workload: Workload) -> None:
    """The digest beside its golden losses is that of what it writes down."""
    stored = read_evidence(workload, GOLDEN_LOSSES)
    assert stored["spec_sha256"] == spec_digest(workload)
    assert (stored["workload"], stored["workload_version"]) == (workload.name, workload.version)


def test_every_field_is_in_the_digest_but_for_those_that_name_it() -> None:
    changes: dict[str, Any] = {
        "dataset": "other", "train_samples": 1, "test_samples": 1, "layers": (), "loss": "other",
        "input": Images((28, 28, 1), 1.0, 10),
        "optimizer": replace(MNIST_CNN.optimizer, epsilon=1e-8), "batch_size": 1, "epochs": 1,
        "proof": Proof(1), "passes": "once", "initial": "gpt-2", "target": 0.1,
        "precision": "other",
    }  # fmt: skip
    untrained = {"name", "version", "summary", "only_if_named"}
    assert set(changes) == {field.name for field in fields(Workload)} - untrained
    digests = {spec_digest(replace(MNIST_CNN, **{name: to})) for name, to in changes.items()}
    assert len(digests | {spec_digest(MNIST_CNN)}) == len(changes) + 1
    renamed = replace(MNIST_CNN, name="other", version=2, summary="other", only_if_named=True)
    assert spec_digest(renamed) == spec_digest(MNIST_CNN)


@pytest.mark.parametrize("workload", EVERY, ids=lambda workload: workload.name)
def test_a_workload_fits_together(workload: Workload) -> None:
    assert layer_shapes(workload)[-1].output[-1] == workload.classes
    assert isinstance(workload.optimizer, Adam)
    for form in reference.ADAM_FORMS:
        assert len(replay_data.golden_losses(workload, form)) == replay_data.REPLAY_STEPS
    assert len(replay_data.golden_sgd_losses(workload)) == replay_data.SGD_STEPS
    tolerances = read_evidence(workload, TOLERANCES)
    for part, steps in (("replay", replay_data.REPLAY_STEPS), ("sgd", replay_data.SGD_STEPS)):
        for version, profiles in tolerances.get(part, {}).items():
            assert int(version) in replay_data.replay_versions(workload)
            assert all(len(profile) == steps for profile in profiles.values())
    judged = set(parity.replay_tolerances(workload))
    assert set(parity.sgd_tolerances(workload)) == judged
    # empty where it has not been measured: then a run is not judged by it, and never ranked
    assert set(tolerances.get("continuation", ())) in (judged, set())
    band = read_evidence(workload, LEARNING_BAND)
    assert not band or len(band["epoch_losses"]) == workload.epochs


@pytest.mark.parametrize("workload", EVERY, ids=lambda workload: workload.name)
@pytest.mark.slow
def test_golden_losses_are_those_of_the_reference(workload: Workload, mnist_folder: Path) -> None:
    """The first, before any update; all come from the same code."""
    data = read_data(workload, mnist_folder)
    batch = replay_data.replay_batches(workload, data.inputs, data.targets)[0]
    loss = reference.evaluate(workload, replay_data.replay_weights(workload), *batch).loss
    forms = [replay_data.golden_losses(workload, form) for form in reference.ADAM_FORMS]
    for stored in (*forms, replay_data.golden_sgd_losses(workload)):
        assert loss == pytest.approx(stored[0], rel=1e-12)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder beside our own in which workloads are looked for; it holds a copy of one, under
    another name."""
    copied = tmp_path / "more" / "copied_cnn"
    shutil.copytree(PACKAGE / "mnist_cnn", copied, ignore=shutil.ignore_patterns("__pycache__"))
    for file in copied.iterdir():
        text = file.read_text("utf-8").replace('"mnist-cnn"', '"copied-cnn"')
        file.write_text(text, "utf-8")
    path = [*epochmark.workloads.__path__, str(copied.parent)]
    monkeypatch.setattr(epochmark.workloads, "__path__", path)
    monkeypatch.delitem(sys.modules, "epochmark.workloads.copied_cnn", raising=False)
    importlib.invalidate_caches()
    return copied


def test_a_folder_is_a_workload(folder: Path) -> None:
    assert set(WORKLOADS) == {*(workload.name for workload in EVERY), "copied-cnn"}
    assert list(WORKLOADS) == sorted(WORKLOADS)
    assert spec_digest(find_workload("copied-cnn")) == spec_digest(MNIST_CNN)
    assert parity.replay_tolerances(WORKLOADS["copied-cnn"])["float32"]


def change_a_field(folder: Path) -> None:
    file = folder / "__init__.py"
    file.write_text(file.read_text("utf-8").replace("epochs=10", "epochs=11"), "utf-8")


def change_the_version(folder: Path) -> None:
    file = folder / "__init__.py"
    file.write_text(file.read_text("utf-8").replace("version=1", "version=2"), "utf-8")


def write_no_python(folder: Path) -> None:
    (folder / "__init__.py").write_text("WORKLOAD = (", "utf-8")


def write_no_workload(folder: Path) -> None:
    (folder / "__init__.py").write_text("WORKLOAD = 3", "utf-8")


def cut_golden_losses(folder: Path) -> None:
    (folder / GOLDEN_LOSSES).write_text('{"workload": "copied-cnn"', "utf-8")


def remove_golden_losses(folder: Path) -> None:
    (folder / GOLDEN_LOSSES).unlink()


def keep_an_older_replay(folder: Path) -> None:
    file = folder / GOLDEN_LOSSES
    stored = json.loads(file.read_text("utf-8"))
    del stored["replays"][str(replay_data.REPLAY_VERSION)]
    file.write_text(json.dumps(stored), "utf-8")


def write_another_band(folder: Path) -> None:
    (folder / LEARNING_BAND).write_text('{"workload": "mnist-cnn"}', "utf-8")


def write_half_tolerances(folder: Path) -> None:
    stored = {"workload": "copied-cnn", "workload_version": 1, "replay": {}}
    (folder / TOLERANCES).write_text(json.dumps(stored), "utf-8")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (change_a_field, "version 1 did not: count it up"),
        (change_the_version, "is of version 1, the workload of 2: make it again"),
        (write_no_python, "cannot be loaded"),
        (write_no_workload, "has no WORKLOAD called 'copied-cnn'"),
        (cut_golden_losses, "golden_losses.json cannot be read"),
        (remove_golden_losses, "has no golden_losses.json"),
        (keep_an_older_replay, "golden_losses.json has no version 3 of the replay: make it"),
        (write_another_band, "learning_band.json is not about copied-cnn"),
        (write_half_tolerances, "tolerances.json has no continuation"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_damaged_folder_is_no_workload_and_says_why(
    folder: Path, damage: Callable[[Path], None], words: str
) -> None:
    damage(folder)
    assert "copied-cnn" not in WORKLOADS
    assert MNIST_CNN.name in WORKLOADS
    (found,) = damaged_workloads()
    assert found.name == "copied-cnn"
    assert words in found.problem
    with pytest.raises(EpochmarkError, match="copied-cnn cannot be used") as refused:
        find_workload("copied-cnn")
    assert refused.value.exit_code == 1


def test_all_workloads_are_those_that_need_not_be_named() -> None:
    names = [workload.name for workload in named_workloads("all")]
    assert names == ["gpt-3m", "mnist-cnn", "mnist-mlp"]
    assert [workload.name for workload in named_workloads("gpt-124m")] == ["gpt-124m"]


def test_help_and_page_name_the_workloads_that_must_be_named() -> None:
    large = ", ".join(name for name, workload in WORKLOADS.items() if workload.only_if_named)
    said = (
        f"each workload that the engine offers, but for large ones, which must be named ({large})"
    )
    option = next(option for option in PROGRAM.commands["run"].params if option.name == "workload")
    assert option.help.endswith(f"all: {said}.")
    assert f"`all`: {said};" in (ROOT / "docs/cli.md").read_text("utf-8")


def test_an_unknown_workload_is_named_with_those_there_are() -> None:
    with pytest.raises(EpochmarkError, match=r"did you mean mnist-mlp\?") as refused:
        find_workload("mnist-mpl")
    assert refused.value.exit_code == 2
    assert "mnist-cnn, mnist-mlp" in str(refused.value)


def test_an_engine_that_does_not_offer_a_workload_says_who_does() -> None:
    refusal = "plaidml-keras does not offer gpt-3m; these do: "
    with pytest.raises(EpochmarkError, match=refusal) as said:
        RunRequest(engine="plaidml-keras", workload=WORKLOADS["gpt-3m"]).check()
    assert "torch" in str(said.value)
    assert "fake" not in str(said.value)


def test_a_batch_that_leaves_a_rest_is_refused_where_no_sample_comes_twice() -> None:
    once = replace(WORKLOADS["mnist-mlp"], passes="once")
    RunRequest(engine="torch", workload=once, batch_size=96).check()
    with pytest.raises(EpochmarkError, match="--batch 97 leaves a smaller batch") as said:
        RunRequest(engine="torch", workload=once, batch_size=97).check()
    assert "without one: 75, 80, 96, 100" in str(said.value)
