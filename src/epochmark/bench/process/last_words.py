"""What a worker that crashed wrote last: often the only place where the cause is named."""

from __future__ import annotations

import re

from epochmark.worker.error_text import telling_lines

LOOKED_AT = 40
"""Lines from the end; some frameworks go on about their modules or their stack after the cause."""

_CAUSE = re.compile(r"^[EF]\d{4} |^Fatal|^\s*what\(\)|^[\w.]*(Error|Exception)\b|\berror:")
_PATH = re.compile(r"(?<![\w/.])~?(?:/[^\s'\":,;()\[\]]+)*/([^\s'\":,;()\[\]/]*)")


def last_words(stderr: bytes) -> str:
    """The last line that names an error, else the last line, as the end of a sentence; of paths the
    last part. Empty where nothing was written."""
    lines = telling_lines(stderr.decode(errors="replace"))[-LOOKED_AT:]
    named = [line for line in lines if _CAUSE.search(line)] or lines
    return "; it says: " + _PATH.sub(r"\1", named[-1])[:500] if named else ""
