"""Nothing that was suspended outlives its launcher, not even one that was killed.

A suspended process cannot see that its launcher has gone, and a signal to end waits until it goes
on. So a process of its own waits for the end of a pipe that only the launcher holds, and kills what
is left then. It runs this file by itself: standard library only.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from types import TracebackType


class Guard:
    """The guard, as the launcher sees it: a context in which groups of processes can be watched."""

    def __enter__(self) -> Guard:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()

    def watch(self, group: int) -> None:
        """Kill this group of processes should we end without another word of it.

        Raises ``EpochmarkError`` when the guard itself has ended.
        """
        from epochmark.errors import EpochmarkError  # not where this file runs by itself

        try:
            self._say(f"+{group}")
        except BrokenPipeError as error:
            raise EpochmarkError(
                f"the guard (process {self._process.pid}) was ended by another program "
                "or the system; nothing was measured. Try again."
            ) from error

    def forget(self, group: int) -> None:
        """It has ended; its number may become another's."""
        with contextlib.suppress(BrokenPipeError):
            self._say(f"-{group}")

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()


def main() -> None:
    """Wait for the end of standard input, then kill the groups that are still watched."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin.buffer:
        change = groups.add if line.startswith(b"+") else groups.discard
        change(int(line[1:]))
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
