"""What an engine sees is asked in a process of its own, however that ends."""

from __future__ import annotations

import json
from typing import Any

import psutil
import pytest

from epochmark.bench.interpreters import probe as probing
from epochmark.bench.interpreters.interpreter import Interpreter
from epochmark.bench.interpreters.probe import EngineStatus, probe
from epochmark.engines import get_engine


def probe_fake(monkeypatch: pytest.MonkeyPatch, **script: Any) -> EngineStatus:
    monkeypatch.setenv("EPOCHMARK_FAKE", json.dumps(script))
    return probe(get_engine("fake").info, Interpreter.own())


def test_a_ready_engine_lists_its_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    status = probe_fake(monkeypatch)
    assert status.state == "ready"
    assert status.where == "own"
    assert status.device_ids == ["cpu", "gpu:0"]
    assert status.problem is None


def test_an_import_error_is_reported_in_the_frameworks_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    status = probe_fake(monkeypatch, fail_in="list")
    assert status.state == "broken"
    assert status.problem == "RuntimeError: the fake engine was told to fail"
    assert status.remedy is not None


def test_a_module_that_a_framework_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    status = probe_fake(monkeypatch, fail_in="list", fail_how="lack")
    assert status.state == "broken"
    assert status.problem == "Fake is installed, but it lacks the module a_module_nobody_has"


@pytest.mark.parametrize(("how", "said"), [("kill", "SIGKILL"), ("exit", "exit status 3")])
def test_a_crash_is_reported(monkeypatch: pytest.MonkeyPatch, how: str, said: str) -> None:
    status = probe_fake(monkeypatch, fail_in="list", fail_how=how)
    assert status.state == "broken"
    assert said in str(status.problem)


def test_a_hang_ends_at_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "PROBE_S", 1.0)
    status = probe_fake(monkeypatch, fail_in="list", fail_how="hang")
    assert status.problem == "its import and list of devices took more than 1 s"
    assert psutil.Process().children(recursive=True) == []
