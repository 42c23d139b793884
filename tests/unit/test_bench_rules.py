"""Rules of a run that need no process: environment, patience, findings, the way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from epochmark.bench.interpreters.environment import (
    foreign_environment,
    own_environment,
)
from epochmark.bench.process.messages import MessageError, ReportReader, parse_report
from epochmark.bench.process.patience import BUSY_START_S, FACTOR, FLOOR_S, IDLE_START_S, Patience
from epochmark.cli._console import printable
from epochmark.cli._tables import _column_widths
from epochmark.engines._shared.variables import known_variables, recorded_environment
from epochmark.engines.keras_tensorflow import NO_KERAS_HOME
from epochmark.records.findings import MEANING, FindingCode, worst_validity
from epochmark.worker.protocol import MAX_LINE_BYTES, LapEnd, Phase


def test_a_worker_gets_what_it_needs_and_nothing_that_is_private_or_changes_the_work() -> None:
    given = {
        "PATH": "/bin", "HOME": "/home/me", "CUDA_VISIBLE_DEVICES": "1", "SECRET_TOKEN": "hunter2",
        "PYTHONPATH": "/mine", "PYTHONSTARTUP": "/mine.py", "LD_PRELOAD": "/spy.so",
        "OMP_NUM_THREADS": "1", "GOMP_CPU_AFFINITY": "0", "CC": "gcc", "XLA_FLAGS": "--x",
        "KERAS_HOME": "/mine", "KERAS_MAX_EPOCHS": "1", "TF_ENABLE_ONEDNN_OPTS": "0",
        "NVIDIA_TF32_OVERRIDE": "1", "PYTHONHOME": "/mine", "JAX_DISABLE_JIT": "1",
    }  # fmt: skip
    assert own_environment(given) == {
        "PATH": "/bin", "HOME": "/home/me", "CUDA_VISIBLE_DEVICES": "1",
        "PYTHONNOUSERSITE": "1", "KERAS_HOME": NO_KERAS_HOME,
    }  # fmt: skip


def test_paths_mean_the_folder_we_were_started_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {
        "PATH": "bin:/usr/bin", "PYTHONPATH": "a:/b:", "LD_PRELOAD": "./spy.so libx.so",
        "JAX_COMPILATION_CACHE_DIR": "gs://bucket/x", "KERAS_HOME": "~/keras",
    }  # fmt: skip
    assert foreign_environment(given) == {
        "PATH": f"{tmp_path}/bin:/usr/bin", "PYTHONPATH": f"{tmp_path}/a:/b:",
        "LD_PRELOAD": f"{tmp_path}/spy.so libx.so",
        "JAX_COMPILATION_CACHE_DIR": "gs://bucket/x", "KERAS_HOME": "~/keras",
    }  # fmt: skip
    assert own_environment({"PATH": "bin"})["PATH"] == f"{tmp_path}/bin"


def test_a_record_names_what_can_change_the_work_without_paths_or_secrets() -> None:
    given = {
        "HOME": "/home/me",
        "OMP_NUM_THREADS": "2",
        "XLA_FLAGS": "--xla_dump_to=/home/me/dump --xla_cpu_use_fusion_emitters=false",
        "JAX_COMPILATION_CACHE_DIR": "/home/me/cache",
        "JAX_ENABLE_COMPILATION_CACHE": "true",
        "LD_PRELOAD": "/home/me/lib/libjemalloc.so.2",
        "DNNL_MAX_CPU_ISA": "SSE41",
        "KERAS_BACKEND": "x" * 400,
        "MKL_DEBUG_CPU_TYPE": "5\x1b[31m",
        "TF_VAR_database": "hunter2", "TF_TOKEN_app": "hunter2", "JAX_API_KEY": "hunter2",
        "CUDA_VERSION": "12.4", "TPU_WORKER_HOSTNAMES": "mine", "MY_VENDORS_SWITCH": "1",
        "BEAM": "2",
    }  # fmt: skip
    recorded = {
        "OMP_NUM_THREADS": "2",
        "XLA_FLAGS": "--xla_dump_to=… --xla_cpu_use_fusion_emitters=false",
        "JAX_COMPILATION_CACHE_DIR": "set",
        "JAX_ENABLE_COMPILATION_CACHE": "true",
        "LD_PRELOAD": "libjemalloc.so.2",
        "DNNL_MAX_CPU_ISA": "SSE41",
        "KERAS_BACKEND": "x" * 200,
        "MKL_DEBUG_CPU_TYPE": "5 [31m",
    }
    counted = known_variables().recorded
    assert recorded_environment(given, counted) == recorded
    assert recorded_environment(given, [*counted, "BEAM"]) == {**recorded, "BEAM": "2"}


def test_patience_before_the_first_lap_depends_on_whether_the_worker_computes() -> None:
    patience = Patience(now=100.0)
    patience.report(130.0, is_lap=False)
    assert patience.silence_s(150.0) == 20.0
    assert patience.limit_s(uses_cpu=False) == IDLE_START_S
    assert patience.limit_s(uses_cpu=True) == BUSY_START_S


def test_patience_grows_with_the_workers_own_pace() -> None:
    patience = Patience(now=0.0)
    patience.report(1.0, is_lap=True)
    assert patience.limit_s(uses_cpu=True) == FLOOR_S
    patience.report(51.0, is_lap=True)
    patience.report(52.0, is_lap=True)
    assert patience.limit_s(uses_cpu=True) == FACTOR * 50.0


def test_the_pace_of_laps_says_nothing_about_the_next_phase() -> None:
    patience = Patience(now=0.0)
    patience.report(1.0, is_lap=True)
    patience.report(2.0, is_lap=False, begins_phase=True)
    assert patience.limit_s(uses_cpu=True) == BUSY_START_S
    assert patience.limit_s(uses_cpu=False) == IDLE_START_S


def test_patience_that_was_asked_for_is_kept() -> None:
    patience = Patience(now=0.0, fixed_s=7.0)
    patience.report(500.0, is_lap=True)
    assert patience.limit_s(uses_cpu=True) == patience.limit_s(uses_cpu=False) == 7.0


def test_every_finding_has_a_meaning_and_a_remedy() -> None:
    assert set(MEANING) == set(FindingCode)
    for code, meaning in MEANING.items():
        assert (meaning.validity == "valid") == (code is FindingCode.LIMITS_STALE), code
        assert meaning.title
        assert meaning.remedy
        assert not meaning.remedy.endswith(".")


def test_the_worst_finding_decides() -> None:
    assert worst_validity([]) == "valid"
    disturbed, partial, invalid = (
        FindingCode.LAPS_UNSYNCHRONISED, FindingCode.STEPS_LIMITED, FindingCode.LOSS_FLAT
    )  # fmt: skip
    assert worst_validity([disturbed]) == "disturbed"
    assert worst_validity([partial, disturbed]) == "partial"
    assert worst_validity([disturbed, invalid, partial]) == "invalid"


def test_reports_may_arrive_in_any_pieces() -> None:
    lines = b'{"report": "Phase", "name": "loading"}\n' + (
        b'{"report": "LapEnd", "epoch": 1, "steps": 2, "end_ns": 3, "loss": null, '
        b'"accuracy": 0.5}\n'
    )
    reader = ReportReader()
    reports = [report for n in range(len(lines)) for report in reader.feed(lines[n : n + 1])]
    assert reports == [Phase("loading"), LapEnd(1, 2, 3, None, 0.5)]


@pytest.mark.parametrize(
    "line",
    [
        b"", b"null", b"[]", b"{}", b'{"report": "Party"}', b'{"report": "LapEnd"}',
        b'{"report": "Phase", "name": 1}', b'{"report": "Phase", "name": NaN}',
        b'{"report": "Phase", "name": "\xff"}', b'{"\xff": 1}', b"[" * 100_000,
    ],
    ids=lambda line: repr(line[:24]),
)  # fmt: skip
def test_what_is_no_report_is_refused(line: bytes) -> None:
    with pytest.raises(MessageError):
        parse_report(line)


def test_a_line_without_an_end_is_refused() -> None:
    with pytest.raises(MessageError, match="longer than"):
        list(ReportReader().feed(b"x" * (MAX_LINE_BYTES + 1)))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größe 測定 é", "größe 測定 é"),
        ("\x1b[31mred\x07", " [31mred "),
        ("\x9b31m", " 31m"),
        ("two\nlines\ttab", "two lines tab"),
        ("back\u202ewards", "back wards"),
    ],
)
def test_text_for_a_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_columns_are_narrowed_as_far_as_words_allow() -> None:
    header, rows = ("s/epoch", "label"), [["1,234.5", "some long words"], ["-", ""]]
    assert _column_widths(header, rows, 25) == [7, 15]
    assert _column_widths(header, rows, 23) == [7, 13]
    assert _column_widths(header, rows, 15) == [7, 5]
    assert _column_widths(header, rows, 14) is None
    assert _column_widths(("label",), [["測定"]], 5) is None
    assert _column_widths(("a",), [["測定"]], 5) == [4]
