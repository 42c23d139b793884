"""The command line, as ``epochmark`` and ``python -m epochmark`` start it.

Nothing is imported above the lines that make the rest safe: not even what only Python's own library
has, which a file in the current folder may be called like.
"""

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]  # -m puts the current folder there, before Python's own library

EXIT_INTERRUPTED = 130


def main() -> None:
    """Entry point of the ``epochmark`` command; Ctrl-C while it is being loaded just ends it."""
    try:
        import signal

        # before and after a command, which handles Ctrl-C itself, nothing is to be cleaned up
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, _leave)
    except KeyboardInterrupt:
        _leave()
    from epochmark.cli import main as command_line

    command_line()


def _leave(number: int = 0, frame: object = None) -> None:
    import os

    os.write(2, b"epochmark: interrupted\n")
    os._exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
