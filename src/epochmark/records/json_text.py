"""JSON as records travel in it: what is none is refused with a sentence, what is written is safe.

The numbers of a document that another tool rewrote come back as the types say (``retyped``):
JavaScript writes 0.0 as 0, others write 5 as 5.0.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
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
    change = _change_of(kind)
    return value if change is None else change(value)


Change = Callable[[Any], Any]


@functools.cache
def _change_of(kind: type[msgspec.Struct]) -> Change | None:
    """What ``retyped`` does, made once for each type: a record holds thousands of numbers."""
    return _changed(inspect.type_info(kind))


def _changed(kind: inspect.Type) -> Change | None:
    """The change of values of one type; None where there is nothing to change."""
    if isinstance(kind, inspect.UnionType):
        kind = next(each for each in kind.types if not isinstance(each, inspect.NoneType))
    if isinstance(kind, inspect.StructType):
        changes = {field.encode_name: _changed(field.type) for field in kind.fields}
        return _of_fields({name: change for name, change in changes.items() if change is not None})
    if isinstance(kind, inspect.ListType):
        return _of_items(_changed(kind.item_type))
    if isinstance(kind, inspect.DictType):
        return _of_values(_changed(kind.value_type))
    if isinstance(kind, inspect.FloatType):
        return _as_float
    return _as_integer if isinstance(kind, inspect.IntType) else None


def _of_fields(changes: dict[str, Change]) -> Change:
    def change(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        fields = dict(value)
        for name, of_field in changes.items():
            if name in fields:
                fields[name] = of_field(fields[name])
        return fields

    return change


def _of_items(of_item: Change | None) -> Change | None:
    def change(value: Any) -> Any:
        return [*map(of_item, value)] if of_item and isinstance(value, list) else value

    return None if of_item is None else change


def _of_values(of_value: Change | None) -> Change | None:
    def change(value: Any) -> Any:
        if of_value is None or not isinstance(value, dict):
            return value
        return {name: of_value(item) for name, item in value.items()}

    return None if of_value is None else change


def _as_integer(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


_NUMBER = (int, float)


def _as_float(value: Any) -> Any:
    """Of both zeros the positive one."""
    if isinstance(value, bool) or not isinstance(value, _NUMBER):
        return value
    try:
        return float(value) + 0.0
    except OverflowError:
        return value
