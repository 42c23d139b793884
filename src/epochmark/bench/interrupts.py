"""When Ctrl-C is heard: at once while a worker is listened to, else when nothing is lost by it.

A run takes minutes and saving it a moment; an interruption in that moment must not cost the run.
"""

from __future__ import annotations

import contextlib
import signal
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
        return "ended by SIGTERM, which another program or the system has sent"
    if name == "SIGHUP":
        return "ended by SIGHUP: its terminal was closed"
    return "interrupted from the keyboard"


class Handling:
    """A handler for all interruptions that are not ignored, and those that stood there before."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._before = {number: signal.getsignal(number) for number in INTERRUPTIONS}

    def begin(self) -> None:
        """Handle them so."""
        for number, before in self._before.items():
            if before is not signal.SIG_IGN:  # as nohup has it
                signal.signal(number, self._handler)

    def end(self) -> None:
        """Handle them as before; what another handler has replaced meanwhile stays."""
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
    """Ctrl-C and the like take effect at the end of the block, not inside it.

    For the main thread only, as all signal handling in Python.
    """
    deferral = _Deferral()
    _deferrals.append(deferral)
    deferral.begin()
    try:
        yield
    finally:
        _deferrals.pop()
        deferral.end()
    if deferral.came:
        raise interruption(deferral.came[0])


@contextlib.contextmanager
def interrupts_now() -> Iterator[None]:
    """Inside ``interrupts_later``: they are heard at once again, also one that came before.

    Outside of it nothing changes. Once one was heard here, what follows is not deferred any more:
    the handlers stay as the one that was called has left them.
    """
    if not _deferrals:
        yield
        return
    deferral = _deferrals[-1]
    deferral.end()
    if deferral.came:
        signal.raise_signal(deferral.came.pop())
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException:
        deferral.begin()
        raise
    deferral.begin()
