"""When Ctrl-C is heard: at once while a worker is listened to, else when nothing is lost by it.

A run takes minutes and saving it a moment; an interruption in that moment must not cost the run.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Handler = Callable[[int, FrameType | None], None]


def interruption(number: int) -> KeyboardInterrupt:
    """What to raise for a signal: Ctrl-C's exception, which knows the signal."""
    return KeyboardInterrupt(signal.Signals(number).name)


def interrupted_by(caught: KeyboardInterrupt) -> str:
    """Who ended it, in words; one that does not know its signal was Ctrl-C."""
    name = str(caught)
    if name == "SIGTERM":
        return "ended by SIGTERM, sent by another program or the system"
    if name == "SIGHUP":
        return "ended by SIGHUP: its terminal was closed"
    return "interrupted from the keyboard"


class Handling:
    """A handler for all interruptions that are not ignored, and those that stood there before.

    Only the main thread handles signals in Python: in any other nothing changes.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        in_main = threading.current_thread() is threading.main_thread()
        handlers = {number: signal.getsignal(number) for number in INTERRUPTIONS if in_main}
        # ignored: as nohup has it; None: not set from Python, so it could not be set again
        self._before = {
            number: before
            for number, before in handlers.items()
            if before not in (signal.SIG_IGN, None)
        }

    def begin(self) -> None:
        """Handle them so, but for what another handler has replaced since."""
        for number, before in self._before.items():
            if signal.getsignal(number) == before:
                signal.signal(number, self._handler)

    def end(self) -> None:
        """Handle them as before; what another handler has replaced since stays."""
        for number, before in self._before.items():
            if signal.getsignal(number) == self._handler:
                signal.signal(number, before)


class _Deferral(Handling):
    """Only notes what came."""

    def __init__(self) -> None:
        super().__init__(self._note)
        self.came: list[int] = []

    def _note(self, caught: int, frame: FrameType | None) -> None:
        self.came.append(caught)


_deferrals: list[_Deferral] = []


@contextlib.contextmanager
def interrupts_later() -> Iterator[None]:
    """Ctrl-C and the like take effect at the end of the block, not inside it: there whoever handled
    them before gets the first that came."""
    deferral = _Deferral()
    _deferrals.append(deferral)
    deferral.begin()
    try:
        yield
    finally:
        _deferrals.pop()
        deferral.end()
        if deferral.came:
            signal.raise_signal(deferral.came[0])


@contextlib.contextmanager
def interrupts_now() -> Iterator[None]:
    """Inside ``interrupts_later``: they are heard at once again, also one that came before.

    Outside of it nothing changes. What follows is deferred again, except where the handler that
    was called has put another in its place.
    """
    if not _deferrals:
        yield
        return
    deferral = _deferrals[-1]
    deferral.end()
    try:
        if deferral.came:
            signal.raise_signal(deferral.came.pop())
        yield
    finally:
        deferral.begin()
