"""Where the output goes: terminals wide and narrow, pipes that close, disks that are full."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable

import psutil
import pytest

from epochmark.cli._progress import PLAIN_INTERVAL_S
from epochmark.judge.reading import decode_record
from epochmark.report.figures import steady_text
from tests.pipeline.program import SAMPLES, TIMEOUT_S, Program, read_until

CAPABLE = {"TERM": "xterm-256color", "COLUMNS": None, "CI": None, "NO_COLOR": None}
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_terminal(program: Program, columns: int, *arguments: str, **variables: str | None) -> str:
    """What the command writes to a terminal of this width; it must succeed."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        program.command(*arguments),
        env=program.variables({**CAPABLE, **variables}),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    written = b""
    try:
        while data := os.read(ours, 1 << 16):
            written += data
    except OSError:  # how Linux says that the other side has gone
        pass
    finally:
        os.close(ours)
    assert process.wait(TIMEOUT_S) == 0, written.decode()
    return written.decode()


def final_text(written: str) -> str:
    """Without escape codes and carriage returns."""
    return ESCAPE.sub("", written).replace("\r", "")


@pytest.mark.parametrize("columns", [60, 80, 100, 200])
@pytest.mark.parametrize("command", ["results", "table --all"])
def test_no_figure_is_cut_on_any_width(filled: Program, columns: int, command: str) -> None:
    records = [decode_record(file.read_bytes()) for file in sorted(filled.results.glob("*.json"))]
    text = final_text(on_terminal(filled, columns, *command.split()))
    assert "…" not in text
    for record in records:
        assert record.id[:8] in text
        assert re.search(rf"(?<![\d,.]){re.escape(steady_text(record))}(?![\d,.])", text)
    cells = text.split("Published")[0] if command != "results" else text
    assert max(map(len, cells.splitlines())) <= columns
    assert "Traceback" not in text


@pytest.mark.parametrize("command", ["results", "table --all"])
def test_a_row_is_one_line_where_the_output_is_no_terminal(filled: Program, command: str) -> None:
    """However long its words are, so that grep and awk find it."""
    document = json.loads((filled.results / "fake-valid.json").read_text())
    document["label"] = "a label of many words " * 9
    (filled.results / "fake-valid.json").write_text(json.dumps(document))
    out = filled.run(*command.split(), environment={"COLUMNS": "40"}).stdout
    (row,) = [line for line in out.splitlines() if document["id"][:8] in line]
    assert "valid" in row
    assert "a label" in row
    assert re.search(r"\d%", row)


def test_a_run_on_a_narrow_terminal(program: Program) -> None:
    program.script(step_s=0.01)
    written = on_terminal(program, 60, "run", "fake", "--steps", "150", "--label", "[bold]x[/]")
    text = final_text(written)
    assert "…" not in text
    assert "Traceback" not in text
    assert re.search(r"epoch 1/1, loss 0\.\d{4}, accuracy 90\.00%, \d[\d,]+ images/s", text)
    assert "validity       partial" in text


INCAPABLE: list[dict[str, str | None]] = [{"TERM": "dumb"}, {"TERM": None}, {"CI": "true"}]


@pytest.mark.parametrize("variables", INCAPABLE)
def test_a_run_where_lines_cannot_be_drawn_over_shows_plain_ones(
    program: Program, variables: dict[str, str | None]
) -> None:
    written = on_terminal(program, 100, "run", "fake", "--epochs", "3", **variables)
    assert "\x1b" not in written
    lines = final_text(written).splitlines()
    assert any("fake on cpu: training: first steps" in line for line in lines)
    assert any(re.match(r"epoch 3/3, loss 0\.\d{4}, accuracy 90\.00%", line) for line in lines)


@pytest.mark.parametrize("variables", [{"TERM": "dumb"}, {}])
def test_lines_of_progress_are_limited_however_fast_laps_come(
    program: Program, variables: dict[str, str]
) -> None:
    began_s = time.monotonic()
    done = program.run("run", "fake", "--epochs", "200", environment=variables)
    lasted_s = time.monotonic() - began_s
    assert done.returncode == 0, done.stderr
    printed = [line for line in done.stderr.splitlines() if line.startswith("epoch ")]
    assert printed[-1].startswith("epoch 200/200, ")
    assert len(printed) <= 2 + lasted_s / PLAIN_INTERVAL_S


@pytest.mark.parametrize("named", [None, "0", "-1", "wide", "9" * 30])
def test_a_terminal_that_does_not_know_its_width_has_80_columns(
    filled: Program, named: str | None
) -> None:
    words = ("explain", "native")  # sentences, which are folded
    written = final_text(on_terminal(filled, 0, *words, COLUMNS=named))
    assert 60 < max(map(len, written.splitlines())) <= 80
    assert written == final_text(on_terminal(filled, 80, *words))


@pytest.mark.parametrize(("columns", "named"), [(1, None), (20, None), (10000, None), (80, "30")])
def test_no_width_is_too_small_or_too_large(
    program: Program, columns: int, named: str | None
) -> None:
    written = on_terminal(program, columns, "run", "fake", "--steps", "9", COLUMNS=named)
    text = final_text(written)
    assert "Traceback" not in text
    assert "validity" in text


FORCED: list[dict[str, str]] = [
    {"FORCE_COLOR": "1"},
    {"FORCE_COLOR": "1", "NO_COLOR": "1"},
    {"FORCE_COLOR": "0"},
    {"FORCE_COLOR": ""},
    {"TTY_COMPATIBLE": "1", "TTY_INTERACTIVE": "1"},
    {"CLICOLOR_FORCE": "1", "PY_COLORS": "1", "GITHUB_ACTIONS": "true"},
    {"COLUMNS": "0"},
]


@pytest.mark.parametrize("variables", FORCED)
def test_no_variable_moves_the_cursor_in_a_file(
    program: Program, variables: dict[str, str]
) -> None:
    """FORCE_COLOR may colour it, and nothing else."""
    written = ""
    for arguments in (["run", "fake"], ["table"], ["run", "nothing"], ["run", "--steps", "x"]):
        done = program.run(*arguments, environment={"TERM": "xterm-256color", **variables})
        assert "Traceback" not in done.stderr
        written += done.stdout + done.stderr
    assert "epoch 10/10, loss" in written
    codes = set(re.findall(r"\x1b[^m]*m?", written))
    assert all(re.fullmatch(r"\x1b\[[0-9;]*m", code) for code in codes), codes
    assert bool(codes) == (variables == {"FORCE_COLOR": "1"})


def test_no_color_is_respected(filled: Program) -> None:
    written = on_terminal(filled, 200, "table", NO_COLOR="1")
    assert not re.search(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9[0-7])", written)


@pytest.mark.parametrize(
    "arguments", [["results"], ["table"], ["machine"], ["data", "status"], ["--help"]]
)
def test_piped_output_has_no_escape_codes(filled: Program, arguments: list[str]) -> None:
    done = filled.run(*arguments, environment={"TERM": "xterm-256color"})
    assert "\x1b" not in done.stdout + done.stderr
    assert "…" not in done.stdout


def test_a_piped_run_has_no_escape_codes(program: Program) -> None:
    done = program.run("run", "fake", environment={"TERM": "xterm-256color"})
    assert "\x1b" not in done.stdout + done.stderr
    assert re.search(r"epoch 10/10, loss 0\.\d{4}, accuracy 90\.00%", done.stderr)


def test_text_of_a_record_cannot_command_the_terminal(program: Program) -> None:
    """Escape sequences, C1 controls, a fake line, text that runs backwards, and rich's markup."""
    evil = "\x1b]0;owned\x07\x9b31m\nvalid\u202eAAA[red]"
    program.results.mkdir()
    document = json.loads((SAMPLES / "fake-valid.json").read_text())
    document["label"] = document["machine"]["cpu"] = document["workload"]["variant"][0:] = evil
    document["workload"]["variant"] = [evil]
    (program.results / "evil.json").write_text(json.dumps(document))
    for arguments in (
        ["results"],
        ["results", "show", document["id"]],
        ["results", "--json"],
        ["table"],
        ["table", "--format", "markdown"],
        ["table", "--format", "csv"],
        ["table", "--format", "json"],
    ):
        out = program.run(*arguments).stdout
        assert "owned" in out
        assert not re.search("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f]", out), arguments
        assert "[red" in out
        assert "\nvalid" not in out
        if "--json" not in arguments and "json" not in arguments:
            assert "\u202e" not in out


@pytest.mark.parametrize(
    "arguments", [["table"], ["results", "--json"], ["table", "--format", "csv"], ["--help"]]
)
def test_a_reader_that_stops_early_is_no_error(filled: Program, arguments: list[str]) -> None:
    """As in ``epochmark table | head -1``."""
    shutil.copy(next(SAMPLES.glob("native-2*.json")), filled.results / "again.json")
    process = filled.start(*arguments)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(TIMEOUT_S) in (0, 1)


def test_a_reader_that_stops_early_loses_no_run(program: Program) -> None:
    process = program.start("run", "fake")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stderr.close()
    assert process.wait(TIMEOUT_S) == 0
    assert [record["headline"]["validity"] for record in program.records()] == ["valid"]


@pytest.mark.parametrize("arguments", [["table"], ["machine", "--json"], ["results"], ["--help"]])
def test_a_full_disk_behind_stdout_is_reported(filled: Program, arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = filled.run(*arguments, stdout=full)
    assert done.returncode == 1
    assert "standard output cannot be written: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_closed_stdout_is_no_error(program: Program) -> None:
    def close_stdout() -> None:
        os.close(1)

    done = program.run("run", "fake", stdout=None, preexec_fn=close_stdout)
    assert done.returncode == 0, done.stderr
    assert len(program.records()) == 1


def test_characters_that_an_encoding_lacks_are_escaped(program: Program) -> None:
    ascii_only = {"PYTHONIOENCODING": "ascii"}
    done = program.run("run", "fake", "--label", "größe", environment=ascii_only)
    assert done.returncode == 0, done.stderr
    listed = program.run("results", environment=ascii_only)
    assert listed.returncode == 0
    assert r"gr\xf6\xdfe" in listed.stdout
    assert r"\u2500" not in listed.stdout
    assert "-----" in listed.stdout


def in_the_way(program: Program) -> None:
    program.results.write_text("a file where the folder should be")


def below_a_file(program: Program) -> None:
    in_the_way(program)
    program.environment["EPOCHMARK_RESULTS"] = str(program.results / "below")


@pytest.mark.parametrize("obstacle", [in_the_way, below_a_file])
def test_results_that_cannot_be_saved_are_reported_before_the_run(
    program: Program, obstacle: Callable[[Program], None]
) -> None:
    obstacle(program)
    done = program.run("run", "fake")
    assert done.returncode == 1
    assert done.stdout == ""
    assert f"results cannot be saved in {program.environment['EPOCHMARK_RESULTS']}" in done.stderr
    assert "--no-save" in done.stderr
    assert "starting the engine" not in done.stderr
    assert program.run("run", "fake", "--no-save").returncode == 0


def limit_file_size() -> None:
    """Every write to a file fails, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def test_a_full_disk_is_reported_before_the_run(program: Program) -> None:
    done = program.run("run", "fake", preexec_fn=limit_file_size)
    assert done.returncode == 1
    assert "results cannot be saved" in done.stderr
    assert "starting the engine" not in done.stderr


def test_a_full_disk_for_temporary_files_is_reported(program: Program) -> None:
    done = program.run("run", "fake", "--no-save", preexec_fn=limit_file_size)
    assert done.returncode == 1
    assert f"temporary files cannot be written in {program.folder / 'tmp'}" in done.stderr
    assert "Traceback" not in done.stderr


def in_training(program: Program, *arguments: str) -> subprocess.Popen[str]:
    """The program, stopped in the middle of its run; ``SIGCONT`` lets it go on."""
    program.script(step_s=0.05)
    process = program.start("run", "fake", "--steps", "40", *arguments)
    read_until(process, "training")
    process.send_signal(signal.SIGSTOP)
    return process


def test_a_folder_that_vanishes_during_the_run_loses_nothing(program: Program) -> None:
    process = in_training(program)
    shutil.rmtree(program.results)
    program.results.write_text("in the way")
    process.send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0
    assert "results cannot be saved" in err
    (saved,) = (program.folder / "tmp").glob("*.json")
    assert f"saved: {saved}" in out
    assert decode_record(saved.read_bytes()).headline.validity == "partial"


def test_a_disk_that_fills_during_the_run_loses_nothing(program: Program) -> None:
    """Neither the results nor the temporary files can be written: the record is printed."""
    process = in_training(program)
    psutil.Process(process.pid).rlimit(psutil.RLIMIT_FSIZE, (0, 0))
    process.send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 1
    assert "Traceback" not in err
    assert "saved: " not in out
    record = decode_record(err.split("This is the record:\n")[1].encode())
    assert record.headline.validity == "partial"
    assert not list(program.results.glob("*.json"))


def test_next_steps_work_as_typed_where_the_program_is_not_on_the_path(program: Program) -> None:
    """As after ``make run``, which starts it in a virtual environment."""
    script = program.folder / "bin" / "epochmark"
    script.parent.mkdir()
    script.write_text(f"#!{sys.executable}\nfrom epochmark.__main__ import main\nmain()\n")
    script.chmod(0o755)

    def said(command: str, path: str) -> str:
        return subprocess.run(
            [command, "results"],
            cwd=program.folder,
            env=program.variables({"PATH": path}),
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    elsewhere = said("bin/epochmark", "/usr/bin:/bin")
    assert "'bin/epochmark run' makes the first" in elsewhere
    on_the_path = said(str(script), f"{script.parent}:/usr/bin:/bin")
    assert "'epochmark run' makes the first" in on_the_path
