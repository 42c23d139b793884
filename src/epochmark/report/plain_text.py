"""Text from records, of which nothing is believed, made fit to be shown."""

from __future__ import annotations


def plain(text: str) -> str:
    """The text with a space for each character that is not printable: control characters, marks
    that turn the direction of writing, half characters."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)
