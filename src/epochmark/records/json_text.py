"""JSON as records travel in it: what is none is refused with a sentence, what is written is safe.

The numbers of a document that another tool rewrote come back as the types say (``retyped``):
JavaScript writes 0.0 as 0, others write 5 as 5.0.
"""

from __future__ import annotations

import functools
import re
from typing import Any

import msgspec
from msgspec import inspect

_ESCAPED = re.compile(r"[^\x20-\x7e]")


class RecordError(Exception):
    """A document is not a record we can read; the message says why."""


def parsed(document: bytes) -> Any:
    """The value of a JSON text. Raises ``RecordError``."""
    try:
        return msgspec.json.decode(document)
    except RecursionError as error:
        raise RecordError("it is nested too deeply") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RecordError(_not_text(document) or f"it is not valid JSON: {error}") from error


def _not_text(document: bytes) -> str | None:
    try:
        document.decode()
    except UnicodeDecodeError as error:
        return f"it is not text in UTF-8: it has a byte 0x{document[error.start]:02x}"
    return None


def to_json(value: Any, indent: int | None = None) -> bytes:
    """The value as JSON in which whatever cannot be printed is escaped, such as marks that turn
    the direction of writing."""
    text = msgspec.json.encode(value)
    if indent is not None:
        text = msgspec.json.format(text, indent=indent)
    return _ESCAPED.sub(lambda found: _escaped(found[0]), text.decode()).encode()


def _escaped(character: str) -> str:
    """As JSON escapes it, in UTF-16, if it is not printable; a line break stands between values."""
    if character.isprintable() or character == "\n":
        return character
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def retyped(value: Any, kind: type[msgspec.Struct]) -> Any:
    """Parsed JSON with each whole number as ``kind`` has it at that place, integer or float, and
    without the sign of a zero. What does not fit the type stays as it is."""
    return _retyped(value, _described(kind))


_described = functools.cache(inspect.type_info)


def _retyped(value: Any, kind: inspect.Type) -> Any:
    if isinstance(kind, inspect.UnionType):
        kind = next(member for member in kind.types if not isinstance(member, inspect.NoneType))
    if isinstance(kind, inspect.StructType) and isinstance(value, dict):
        kinds = {field.encode_name: field.type for field in kind.fields}
        return {
            name: _retyped(part, kinds[name]) if name in kinds else part
            for name, part in value.items()
        }
    if isinstance(kind, inspect.ListType) and isinstance(value, list):
        return [_retyped(item, kind.item_type) for item in value]
    if isinstance(value, bool):
        return value
    if isinstance(kind, inspect.FloatType) and isinstance(value, int | float):
        return _as_float(value)
    if isinstance(kind, inspect.IntType) and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _as_float(value: float) -> float:
    try:
        return float(value) + 0.0  # of both zeros the positive one
    except OverflowError:
        return value
