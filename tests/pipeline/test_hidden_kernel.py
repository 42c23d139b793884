"""Systems that hide what their kernel knows: the real command in a mount namespace of its own.

Other files, or none, are mounted over those of ``/proc``, as sandboxes and containers do it. It
takes root (or user namespaces); the same rules are tested on folders in tests/unit.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.program import SMALL_BATCH, Program


def _unsharing() -> list[str] | None:
    """The command before one that gets a mount namespace; None where none may."""
    for command in (["unshare", "-m"], ["unshare", "-r", "-m"]):
        try:
            subprocess.run([*command, "true"], capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return command
    return None


UNSHARE = _unsharing() if sys.platform == "linux" else None
pytestmark = pytest.mark.skipif(UNSHARE is None, reason="no mount namespace can be made here")


def hidden(program: Program, mounts: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command after these mounts, which no other process sees."""
    assert UNSHARE is not None
    command = shlex.join([sys.executable, "-m", "epochmark", *arguments])
    return subprocess.run(
        [*UNSHARE, "sh", "-e", "-c", f"{mounts}\nexec {command}"],
        cwd=program.folder,
        env=program.variables({}),
        capture_output=True,
        text=True,
        check=False,
    )


def stat_file(folder: Path, change: str) -> str:
    """This machine's ``/proc/stat`` as of now, changed; the mount that puts it there."""
    text = Path("/proc/stat").read_text("ascii")
    if change == "zeros":
        text = re.sub(r"(?<= )\d+", "0", text)
    elif change == "without btime":
        text = re.sub(r"btime .*\n", "", text)
    elif change == "without processors":
        text = re.sub(r"cpu\d+ .*\n", "", text)
    file = folder / "stat"
    file.write_text(text)
    return f"mount --bind {shlex.quote(str(file))} /proc/stat"


def watched_run(program: Program, mounts: str) -> dict[str, Any]:
    """The record of a short real run there, which must succeed."""
    run = ("run", "native", "--steps", "400", "--threads", "1", *SMALL_BATCH)
    done = hidden(program, mounts, *run)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "does not report how busy its processor is" in done.stderr
    (record,) = program.records()
    return record


@pytest.mark.parametrize("change", ["zeros", "frozen", "without btime", "without processors"])
def test_a_run_that_could_not_be_watched_is_never_calm(
    change: str, program: Program, tmp_path: Path
) -> None:
    record = watched_run(program, stat_file(tmp_path, change))
    assert "unwatched" in {finding["code"] for finding in record["findings"]}
    assert record["calm"]["foreign_cpu_s"] is None
    checked = program.run("check", next(map(str, program.results.glob("*.json"))))
    assert checked.returncode == 0, checked.stdout


def test_a_file_of_zeros_that_is_the_kernels_own_is_not_believed_either(
    program: Program, tmp_path: Path
) -> None:
    """As in gVisor, where nothing shows that ``/proc/stat`` is not what it seems: all of ``/proc``
    is a folder here, with links to what a run needs."""
    stand_in = tmp_path / "proc"
    stand_in.mkdir()
    zeros = re.sub(r"(?<= )\d+", "0", Path("/proc/stat").read_text("ascii"))
    (stand_in / "stat").write_text(zeros)
    (stand_in / "real").mkdir()
    for name in ("cpuinfo", "meminfo", "mounts", "pressure", "sys"):
        (stand_in / name).symlink_to(f"/proc/real/{name}")
    folder = shlex.quote(str(stand_in))
    links = f'for one in {folder}/real/[0-9]* self; do ln -s real/"${{one##*/}}" {folder}; done'
    record = watched_run(
        program,
        f"mount --rbind /proc {folder}/real\n{links}\nmount --rbind {folder} /proc",
    )
    assert "unwatched" in {finding["code"] for finding in record["findings"]}


def test_without_proc_a_run_is_measured_and_nothing_is_known(program: Program) -> None:
    record = watched_run(program, "mount -t tmpfs none /proc")
    assert "unwatched" in {finding["code"] for finding in record["findings"]}
    assert record["calm"]["own_cpu_s"] is None
    assert record["peak_memory_bytes"] is None
    assert record["machine"]["memory_bytes"] > 0, "the kernel reports it without /proc"


def test_memory_that_is_not_reported_is_not_known(program: Program) -> None:
    done = hidden(program, "mount --bind /dev/null /proc/meminfo", "machine", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["memory_bytes"] > 0
