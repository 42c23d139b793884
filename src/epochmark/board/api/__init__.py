"""Version 1 of the board's JSON API, described in docs/board.md."""
