"""The agent of a rank on its node: it starts an ordinary worker, suspends it, and ends it.

Run: python -m epochmark.bench.scaling.nodes.agent, with what it needs as a line of JSON on standard
input. It prints where it listens. It ends its worker when its input ends, or the launcher's
connection, and a guard does should it be killed itself: so nothing is left of a training whose
launcher, or node, is lost, suspended or not.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from epochmark.bench.scaling.nodes.connections import (
    CONTROL,
    LINK,
    accept_both,
    bound,
    connect,
    port_of,
)
from epochmark.bench.turns.guard import Guard
from epochmark.errors import EpochmarkError
from epochmark.hardware.processes import cpu_seconds, descendants
from epochmark.worker.protocol import ENDED, MAX_LINE_BYTES

SUSPEND, RESUME, END, KILL, LOOK = b"suspend", b"resume", b"end", b"kill", b"look"
"""What the launcher may say, a word a line. Each is answered by the CPU seconds of the worker so
far."""
SIGNALS = {
    SUSPEND: signal.SIGSTOP,
    RESUME: signal.SIGCONT,
    END: signal.SIGTERM,
    KILL: signal.SIGKILL,
}
MAX_ORDER_BYTES = 16 << 20
"""Of the job, which names the cores of all ranks."""
GRACE_S = 3.0
OUTPUT_BYTES = 1 << 16
"""Of what a worker prints, its end."""


@dataclass
class Agent:
    """What it was given (``bench.scaling.nodes.on_node``), and the worker once it is started."""

    given: Mapping[str, Any]
    guard: Guard
    worker: subprocess.Popen[bytes] | None = None
    output: bytes = b""
    has_ended: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    came: dict[str, queue.SimpleQueue[socket.socket]] = field(
        default_factory=lambda: {purpose: queue.SimpleQueue() for purpose in (CONTROL, LINK)}
    )

    def run(self) -> None:
        """Until the launcher has gone, or wants no worker any more before there is one."""
        door, meeting = bound(self.given["address"]), None
        door.listen()
        if self.given["first"]:
            meeting = bound(self.given["address"])
        said = {"port": port_of(door), "meeting": port_of(meeting) if meeting else None}
        print(json.dumps(said), flush=True)
        threading.Thread(target=self._accept, args=(door,), daemon=True).start()
        control = self.came[CONTROL].get()
        orders = control.makefile("rb")
        order = orders.readline(MAX_ORDER_BYTES)
        if not order:
            return  # the launcher has gone
        asked = json.loads(order)
        working = threading.Thread(target=self._work, args=(asked, control, meeting), daemon=True)
        working.start()
        with contextlib.suppress(OSError):
            while (line := orders.readline(MAX_LINE_BYTES)).endswith(b"\n"):
                if not self._obey(line.strip(), control):
                    return

    def _accept(self, door: socket.socket) -> None:
        with door:
            accept_both(door, self.given["token"], lambda what, made: self.came[what].put(made))

    def _work(
        self, asked: Mapping[str, Any], control: socket.socket, meeting: socket.socket | None
    ) -> None:
        """Start the worker once who hears it is there, and wait for its end, as a thread."""
        link = self.came[LINK].get()
        try:
            self._start(asked, link, meeting)
        except EpochmarkError as error:
            self._signal(signal.SIGKILL)
            self._say_end(control, None, str(error))
        except OSError as error:
            self._say_end(control, None, f"a rank cannot be started: {error.strerror or error}")
        else:
            self._wait(control, link)

    def _start(
        self, asked: Mapping[str, Any], link: socket.socket, meeting: socket.socket | None
    ) -> None:
        """The worker, which reports to the link and hears what comes from there. Of the first rank
        it gets the connections to the others, and the port where they meet."""
        others = [_connected(*other) for other in asked["others"]]
        job = {
            **asked["job"],
            **self.given["files"],
            "spawned_ns": time.monotonic_ns(),
            "links": [other.fileno() for other in others],
            "listening": meeting.fileno() if meeting else None,
        }
        job_end, job_write = os.pipe()
        kept = [job_end, link.fileno(), *job["links"], *([job["listening"]] if meeting else [])]
        self.worker = subprocess.Popen(
            [self.given["python"], "-m", "epochmark.worker", str(link.fileno()), str(job_end)],
            stdin=link.fileno(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=kept,
            cwd=self.given["folder"],
            env=self.given["environment"],
            start_new_session=True,
        )
        self.guard.watch(self.worker.pid)
        os.close(job_end)
        with os.fdopen(job_write, "wb") as jobs, contextlib.suppress(BrokenPipeError):
            jobs.write(json.dumps(job).encode() + b"\n")
        # as long as we hold them, the worker's death does not end them
        for made in [*others, *([meeting] if meeting else [])]:
            made.close()

    def _wait(self, control: socket.socket, link: socket.socket) -> None:
        """Until the worker has ended; then say so to who hears it and who launched it."""
        assert self.worker is not None
        assert self.worker.stdout is not None
        reader = threading.Thread(target=self._read, args=(self.worker.stdout.fileno(),))
        reader.start()
        status = self.worker.wait()
        self._signal(signal.SIGKILL)  # what it has left of its group
        self.has_ended = True
        self.guard.forget(self.worker.pid)
        reader.join(GRACE_S)
        with contextlib.suppress(OSError):
            if not self.given["first"]:
                link.sendall(b"\n%s%d\n" % (ENDED, status))
            link.shutdown(socket.SHUT_RDWR)
        self._say_end(control, status, "")

    def _read(self, descriptor: int) -> None:
        while data := os.read(descriptor, OUTPUT_BYTES):
            self.output = (self.output + data)[-OUTPUT_BYTES:]

    def _say_end(self, control: socket.socket, status: int | None, why: str) -> None:
        said = {"status": status, "why": why, "output": self.output.decode(errors="replace")}
        with self.lock, contextlib.suppress(OSError):
            control.sendall(json.dumps(said).encode() + b"\n")
            control.shutdown(socket.SHUT_WR)

    def _obey(self, word: bytes, control: socket.socket) -> bool:
        """Do it, and answer; False where there is nothing more to do."""
        if word in (END, KILL) and self.worker is None:
            return False
        if word in SIGNALS:
            self._signal(SIGNALS[word])
        if word == END and self.worker is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.worker.wait(GRACE_S)
            self._signal(signal.SIGKILL)
        with self.lock, contextlib.suppress(OSError):
            control.sendall(b"%f\n" % cpu_seconds(descendants(os.getpid()).values()))
        return True

    def _signal(self, number: int) -> None:
        """To all processes of the worker's session."""
        if self.worker is not None and not self.has_ended:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.worker.pid, number)

    def end(self, status: int = 0) -> None:
        """Leave nothing of the worker, and end with this exit status."""
        self._signal(signal.SIGKILL)
        os._exit(status)


def _connected(who: str, address: str, port: int, token: str) -> socket.socket:
    """A connection to another rank's agent. Raises ``EpochmarkError`` with what it is called."""
    try:
        return connect(address, port, token, LINK)
    except OSError as error:
        why = error.strerror or error
        raise EpochmarkError(f"{who} cannot be reached from the node of rank 0: {why}") from error


def _end_with_input(agent: Agent) -> None:
    while os.read(0, 1024):  # not through sys.stdin, whose lock would be held when we end
        pass
    agent.end()


def main(arguments: Sequence[str] = ()) -> int:
    """Ray kills the direct children of a worker that it ends, at once. So the agent is a grandchild
    in a session of its own."""
    given = json.loads(sys.stdin.buffer.readline())
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.setsid()
    with Guard() as guard:
        agent = Agent(given, guard)
        threading.Thread(target=_end_with_input, args=(agent,), daemon=True).start()
        try:
            agent.run()
        except BaseException:
            traceback.print_exc()  # whoever started us says its last line
            sys.stderr.flush()
            agent.end(1)
        agent.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
