"""Text broken into lines: a drawing neither measures the reader's font nor breaks text itself."""

from __future__ import annotations

from collections.abc import Iterator
from unicodedata import east_asian_width

LETTER = 7.4
"""Pixels of the average letter, 12 pixels high, in a wide font."""
LINE = 15
"""Pixels from one line to the next."""
_NARROWEST = 12 * LETTER
_MORE = " …"


def width_of(text: str) -> float:
    """Pixels that the text takes at most, 12 pixels high."""
    return LETTER * sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def lines_of(text: str, pixels: float, most: int = 3) -> list[str]:
    """The text in lines no wider than that; beyond ``most`` lines it ends in an ellipsis."""
    wide = max(pixels, _NARROWEST)
    lines = [""]
    for word in text.split():
        for piece in _pieces(word, wide):
            longer = f"{lines[-1]} {piece}".strip()
            if width_of(longer) <= wide:
                lines[-1] = longer
            else:
                lines.append(piece)
    if len(lines) <= most:
        return lines
    last = lines[most - 1]
    while width_of(last + _MORE) > wide:
        last = last[:-1]
    return [*lines[: most - 1], last.rstrip() + _MORE]


def _pieces(word: str, pixels: float) -> Iterator[str]:
    """The word, broken where it is wider than a line."""
    piece = ""
    for letter in word:
        if piece and width_of(piece + letter) > pixels:
            yield piece
            piece = ""
        piece += letter
    yield piece
