"""``epochmark run`` under a parent that may be killed: it ends when our standard input does.

Run: python -m epochmark.fleet.launchers.supervisor run ARGUMENTS
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading


def main() -> int:
    """Start it, and return its exit status.

    Ray kills the direct children of a worker that it ends, at once. So who watches our input is a
    grandchild in a session of its own.
    """
    watcher = os.fork()
    if watcher:
        return os.waitstatus_to_exitcode(os.waitpid(watcher, 0)[1])
    os.setsid()
    command = [sys.executable, "-m", "epochmark", *sys.argv[1:]]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as child:
        threading.Thread(target=_end_with_input, args=(child,), daemon=True).start()
        return child.wait()


def _end_with_input(child: subprocess.Popen[bytes]) -> None:
    """SIGTERM: what was done is kept as a partial record, and no process is left behind."""
    while os.read(0, 1024):  # not through sys.stdin, whose lock would be held when we end
        pass
    child.terminate()


if __name__ == "__main__":
    sys.exit(main())
