"""The other end: what leaves a machine for a board, under which key, and how it gets there."""
