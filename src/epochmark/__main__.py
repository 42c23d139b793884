"""``python -m epochmark``: the command line."""

from __future__ import annotations

from epochmark.cli import main

if __name__ == "__main__":
    main()
