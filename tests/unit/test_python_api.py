"""The Python interface is what docs/python-api.md says, and its examples run."""

from __future__ import annotations

import doctest
import io
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import epochmark
from epochmark import api
from epochmark.errors import EpochmarkError
from epochmark.records.store import FOLDER_VARIABLE

PAGE = Path(__file__).parents[2] / "docs" / "python-api.md"


def test_the_examples_of_the_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mnist_folder: Path
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "results"))
    monkeypatch.chdir(tmp_path)
    results = doctest.testfile(str(PAGE), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert results.attempted > 10
    assert results.failed == 0


def test_a_quick_run_is_marked_as_one() -> None:
    record = epochmark.run("fake", quick=True, save=False)
    assert record.workload.variant == ["quick"]


def test_its_names_are_listed_before_they_are_loaded() -> None:
    program = "import epochmark; print(*[n for n in epochmark.__all__ if n not in dir(epochmark)])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.strip() == b""


def test_an_engine_that_is_not_installed_is_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EPOCHMARK_ENVIRONMENTS", str(tmp_path / "environments"))
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "results"))
    with pytest.raises(EpochmarkError, match="epochmark engines install plaidml-keras"):
        epochmark.run("plaidml-keras", device="gpu")
    assert not (tmp_path / "results").exists()


def test_its_names_are_those_of_the_api_behind_it() -> None:
    """Written twice, since this package loads nothing and type checkers read both."""
    assert epochmark.__all__ == api.__all__


@pytest.mark.parametrize("name", epochmark.__all__)
def test_every_name_exists_and_is_documented(name: str) -> None:
    assert getattr(epochmark, name).__doc__
    assert f"`{name}" in PAGE.read_text("utf-8")


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = epochmark.nothing


def test_importing_the_package_loads_none_of_it() -> None:
    """Foreign interpreters load it without msgspec, and ``--help`` stays quick."""
    program = (
        "import sys, epochmark\n"
        "print([name for name in sys.modules if name.split('.')[0] in\n"
        "       ('msgspec', 'numpy', 'rich', 'jinja2', 'vl_convert', 'altair', 'typer')])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"


def test_help_loads_no_drawing_library() -> None:
    program = (
        "import sys\n"
        "sys.argv[1:] = ['report', '--help']\n"
        "from epochmark.cli import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    print([n for n in sys.modules if n in ('jinja2', 'vl_convert', 'altair', 'numpy')])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.strip().endswith(b"[]")


SAVED = Path(__file__).parents[1] / "records"


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The saved records as the user's results."""
    folder = tmp_path / "results"
    folder.mkdir()
    for file in SAVED.glob("*.json"):
        shutil.copy(file, folder)
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    return folder


@pytest.mark.slow
def test_repeated_runs_are_a_list_and_each_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "results"))
    records = epochmark.run("native", repeat=2, max_steps=20, batch_size=8)
    assert len({record.id for record in records}) == 2
    assert {record.id for record in epochmark.load_results()} == {run.id for run in records}
    assert {record.workload.name for record in records} == {"mnist-cnn"}
    alone = epochmark.run("fake", repeat=1, workload="mnist-cnn", save=False)
    assert [record.headline.validity for record in alone] == ["valid"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workload": "mnist-cnm"}, r"no workload 'mnist-cnm' \(did you mean mnist-cnn\?\)"),
        ({"repeat": 0}, "repeat 0 is out of range: 1 to 100"),
        ({"repeat": 101}, "repeat 101 is out of range: 1 to 100"),
    ],
)
def test_what_cannot_be_run_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(EpochmarkError, match=message) as refused:
        epochmark.run("fake", save=False, **options)
    assert refused.value.exit_code == 2


def test_two_runs_are_compared_however_they_are_named(saved: Path) -> None:
    records = {record.id: record for record in epochmark.load_results()}
    fakes = [record for record in records.values() if record.engine.name == "fake"]
    valid = [record for record in fakes if record.headline.validity == "valid"]
    first, second = valid[-1], valid[-2]
    file = next(file for file in saved.glob("*.json") if first.id in file.read_text("utf-8"))
    bundle = saved.parent / "bundle.json"
    epochmark.export_results([first], bundle)
    found = epochmark.compare(first, second)
    assert str(found).splitlines()[0] == found.sentence
    assert {found.faster, found.slower} == {f"fake ({r.id[:8]})" for r in (first, second)}
    assert epochmark.compare(first.id[:6], second.id) == found
    assert epochmark.compare(file, second).verdict == found.verdict
    assert epochmark.compare(first.id, second, bundles=[bundle]) == found
    newest = max(valid, key=lambda record: record.created)
    assert f"fake ({newest.id[:8]})" in str(epochmark.compare("fake", "gtx-1080-ti"))


def test_published_machines_are_compared_with_their_ratio() -> None:
    found = epochmark.compare("titan-x-pascal", "gtx-1080-ti")
    assert found.ratio is not None
    assert found.ratio.low <= found.ratio.median <= found.ratio.high
    assert found.reasons == ()


def test_a_run_is_explained_by_sentences_with_figures(saved: Path) -> None:
    found = epochmark.explain("native")
    assert found.record.engine.name == "native"
    assert all(reason.sentence in str(found) for reason in found.reasons)
    by_rule = {reason.rule: reason for reason in found.reasons}
    assert by_rule["findings"].question == "trust"
    assert all(
        isinstance(figure, float | int | str)
        for reason in found.reasons
        for figure in reason.figures.values()
    )
    assert str(epochmark.explain(found.record)) == str(found)
    assert all(f"- {advice}" in str(found) for advice in found.advice)


def test_what_names_no_run_is_an_error(saved: Path) -> None:
    with pytest.raises(EpochmarkError, match="there is no run of tinygrad"):
        epochmark.explain("tinygrad")
    with pytest.raises(EpochmarkError, match="no result has an id that begins with 'ffff'"):
        epochmark.compare("ffff", "fake")


def test_the_check_reads_a_stream_and_lists_of_records(saved: Path) -> None:
    first, second = (saved / name for name in ("fake-valid.json", "fake-valid-2.json"))
    listed = b"[" + first.read_bytes() + b"," + second.read_bytes() + b"]"
    checked = epochmark.check(io.BytesIO(listed))
    assert len(checked) == 2
    assert checked == [*epochmark.check(first), *epochmark.check(second)]
    (saved / "list.json").write_bytes(listed)
    assert len(epochmark.load_results(saved / "list.json")) == 2
