"""A results folder of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from epochmark.judge.results import ResultFiles
from epochmark.records.store import FOLDER_VARIABLE


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ResultFiles:
    """The user's results, empty."""
    folder = tmp_path / "results"
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    return ResultFiles(folder)
