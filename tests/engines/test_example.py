"""The engine printed in docs/adding-an-engine.md is a working engine."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import epochmark.engines
from tests.engines.conftest import INJECTED, SMALL_BATCH, Run, answer_of, interpreter_of
from tests.engines.test_order import DRIVER as ORDER

PAGE = Path(__file__).parents[2] / "docs" / "adding-an-engine.md"


def test_the_example_trains_correctly(
    run_engine: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    folder = tmp_path / "engines"
    folder.mkdir()
    (folder / "example.py").write_text(block, encoding="utf-8")
    shutil.copy(INJECTED / "sitecustomize.py", tmp_path)
    path = [*epochmark.engines.__path__, str(folder)]
    monkeypatch.setattr(epochmark.engines, "__path__", path)
    interpreter = interpreter_of("torch")
    environment = {**interpreter.environment, "PYTHONPATH": str(tmp_path)}
    record = run_engine(
        "example",
        replace(interpreter, environment=environment),
        max_steps=2,
        batch_size=SMALL_BATCH,
    ).record
    assert record.failure is None, record.failure
    assert record.headline.validity == "partial", record.findings
    assert record.precision.observed == "float32"
    assert record.engine.settings
    job = {"samples": 20, "batch_size": 8, "epochs": 2, "stop_after_laps": None}
    (seen,) = answer_of(
        ORDER, tmp_path, "example", json.dumps({**job, "tuned_settings": {}}),
        interpreter=replace(interpreter, environment=environment),
    )  # fmt: skip
    order = [index for step in seen["steps"] for index in step]
    assert sorted(order[:20]) == sorted(order[20:]) == list(range(20))
