"""What engines answered is kept, shown at once, and never believed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from epochmark.bench.interpreters.answers import MAX_BYTES, ask, asked_before
from epochmark.bench.interpreters.fingerprint import drivers_fingerprint, environment_fingerprint
from epochmark.bench.interpreters.interpreter import Interpreter
from epochmark.engines import get_engine
from epochmark.environments.managed import Environment
from epochmark.environments.manifest import Manifest
from epochmark.folders import user_cache

FAKE = get_engine("fake").info
TORCH = get_engine("torch").info


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the fake engine's answer is kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("EPOCHMARK_FAKE", "{}")
    return user_cache("") / "engines" / "fake.json"


def test_an_answer_is_given_again_with_its_date(kept: Path) -> None:
    assert asked_before(FAKE, Interpreter.own()) is None
    now = ask(FAKE, Interpreter.own())
    assert (now.device_ids, now.asked) == (["cpu", "gpu:0"], None)
    before = asked_before(FAKE, Interpreter.own())
    assert before is not None
    assert before.asked is not None
    assert msgspec.structs.replace(before, asked=None) == now
    assert kept.stat().st_mode & 0o077 == 0


def test_another_variable_that_workers_get_asks_again(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(FAKE, Interpreter.own())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert asked_before(FAKE, Interpreter.own()) is None
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setenv("LANG", "C")
    assert asked_before(FAKE, Interpreter.own()) is not None


def test_what_does_not_work_is_not_kept_and_what_worked_is_forgotten(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(FAKE, Interpreter.own())
    assert kept.exists()
    monkeypatch.setenv("EPOCHMARK_FAKE", json.dumps({"fail_in": "list"}))
    assert ask(FAKE, Interpreter.own()).state == "broken"
    assert not kept.exists()


def changed(document: dict[str, Any], **parts: Any) -> bytes:
    return json.dumps({**document, **parts}).encode()


def test_a_file_that_is_not_ours_is_ignored(kept: Path) -> None:
    """Damaged, of another format, engine or state, too large, too deep, or no file at all."""
    ask(FAKE, Interpreter.own())
    good = kept.read_bytes()
    document = json.loads(good)
    status = document["status"]
    bad = [
        b"", b"{", b"\xff\xfe", b"[" * 40_000, good[:-1], good + b" " * MAX_BYTES,
        changed(document, format=2), changed(document, more=1), changed(document, asked="today"),
        changed(document, status={**status, "engine": "torch"}),
        changed(document, status={**status, "state": "broken"}),
        changed(document, environment="0" * 64), changed(document, drivers="0" * 64),
        json.dumps({name: document[name] for name in document if name != "drivers"}).encode(),
    ]  # fmt: skip
    for content in bad:
        kept.write_bytes(content)
        assert asked_before(FAKE, Interpreter.own()) is None, content[:80]
    kept.unlink()
    kept.mkdir()
    assert asked_before(FAKE, Interpreter.own()) is None
    kept.rmdir()
    os.mkfifo(kept)
    assert asked_before(FAKE, Interpreter.own()) is None


def test_where_nothing_can_be_kept_engines_are_asked(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.parent.parent.mkdir(parents=True)
    kept.parent.write_text("a file where the folder would be")
    assert ask(FAKE, Interpreter.own()).state == "ready"
    assert asked_before(FAKE, Interpreter.own()) is None


@pytest.fixture
def managed(tmp_path: Path) -> Interpreter:
    folder = tmp_path / "torch-cpu-1"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/python").symlink_to("/usr/bin/env")
    (folder / "lib/python3.11/site-packages/torch-2.13.0+cpu.dist-info").mkdir(parents=True)
    manifest = Manifest(
        name=folder.name, requirements=(), accelerators=("cpu",), python="3.11.7", size_bytes=0,
        created="2026-11-29T00:00:00Z", epochmark_version="0.1.0", installed={},
    )  # fmt: skip
    return Interpreter.of_environment(Environment(folder, manifest))


def test_a_package_that_comes_goes_or_changes_asks_again(managed: Interpreter) -> None:
    def number() -> str:
        return environment_fingerprint(TORCH, managed)

    packages = next(managed.python.parents[1].glob("lib/python3*/site-packages"))
    numbers = [number(), number()]
    assert numbers[0] == numbers[1]
    (packages / "numpy-2.4.6.dist-info").mkdir()
    numbers.append(number())
    (packages / "torch-2.13.0+cpu.dist-info").rename(packages / "torch-2.13.0+cu130.dist-info")
    numbers.append(number())
    (packages / "torch-2.13.0+cu130.dist-info/RECORD").touch()
    numbers.append(number())
    managed.python.unlink()
    numbers.append(number())
    assert len(set(numbers)) == 5
    assert environment_fingerprint(FAKE, managed) != numbers[-1]


def test_a_driver_that_comes_goes_or_changes_asks_again(tmp_path: Path) -> None:
    def put(name: str, content: str = "") -> None:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)

    numbers = [drivers_fingerprint(tmp_path), drivers_fingerprint(tmp_path)]
    assert numbers[0] == numbers[1]
    changes = {
        "dev/nvidia0": "",
        "proc/driver/nvidia/version": "NVRM version: 580.82.07",
        "sys/module/nvidia/version": "580.82.07",
        "usr/lib/x86_64-linux-gnu/libcuda.so.580.82.07": "",
        "dev/kfd": "",
        "etc/OpenCL/vendors/nvidia.icd": "libnvidia-opencl.so.1",
    }
    for name, content in changes.items():
        put(name, content)
        numbers.append(drivers_fingerprint(tmp_path))
    put("proc/driver/nvidia/version", "NVRM version: 590.10")
    numbers.append(drivers_fingerprint(tmp_path))
    (tmp_path / "dev/kfd").unlink()
    numbers.append(drivers_fingerprint(tmp_path))
    assert len(set(numbers)) == len(numbers) - 1
