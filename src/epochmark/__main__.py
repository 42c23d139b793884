"""The program itself: ``python -m epochmark`` and the command ``epochmark``."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # typing takes longer to load than all before the handler
if TYPE_CHECKING:
    from types import FrameType

EXIT_INTERRUPTED = 130


def main() -> None:
    """Run the command line; Ctrl-C while it is still being loaded just ends it."""
    try:
        import signal

        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, _leave)
    except KeyboardInterrupt:
        _leave()
    from epochmark.cli import main as command_line

    command_line()


def _leave(number: int = 0, frame: FrameType | None = None) -> None:
    """Nothing was begun and nothing printed, so there is nothing to tell or to clean up."""
    os._exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
