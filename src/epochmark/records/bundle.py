"""Bundles: many records, races and scalings among them, in one JSON file, to be mailed, posted, and
read on another machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from epochmark._version import __version__
from epochmark.records.documents.kinds import Document, kind_of, kind_of_fields
from epochmark.records.fields import Digest, ShortText
from epochmark.records.json_text import RecordError, parsed, retyped, to_json
from epochmark.records.record import Record

BUNDLE_VERSION = 1
MAX_BUNDLE_BYTES = 256 << 20
MAX_RECORDS = 10_000

RawRecords = Annotated[list[msgspec.Raw], Meta(max_length=MAX_RECORDS)]


class Bundle(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The document. ``sha256`` is that of all records (see ``sum_of_records``)."""

    epochmark_bundle: Annotated[int, Meta(ge=1)]
    epochmark_version: ShortText
    sha256: Digest
    records: RawRecords

    def is_whole(self) -> bool:
        """Whether the records are those the sum was taken of: none changed, added or left out."""
        try:
            as_written = _sum_as_written(parsed(bytes(raw)) for raw in self.records)
            return self.sha256 == as_written or self.sha256 == sum_of_records(
                parsed(bytes(raw)) for raw in self.records
            )
        except (RecordError, RecursionError):
            return False


class _Printed(msgspec.Struct, forbid_unknown_fields=True):
    """What ``run --json`` prints of a batch sweep, and of ``--tuning both``."""

    records: RawRecords
    crossovers: Any = None
    tuned: Any = None


class _Version(msgspec.Struct):
    """Of a bundle of any version, whatever else later ones hold."""

    epochmark_bundle: int


def encode_bundle(records: Sequence[Document], keep_machine_ids: bool = False) -> bytes:
    """A bundle of these documents, without their machine ids unless asked for, as compact JSON."""
    fields = [msgspec.to_builtins(record) for record in records]
    if not keep_machine_ids:
        for document in fields:
            entries = document.get("entries", ())
            for run in [entry["record"] for entry in entries if "record" in entry] or [document]:
                run["machine"]["machine_id"] = None
            for node in document.get("nodes", ()):
                node["machine"]["machine_id"] = None
    bundle = Bundle(
        epochmark_bundle=BUNDLE_VERSION,
        epochmark_version=__version__,
        sha256=sum_of_records(fields),
        records=[msgspec.Raw(msgspec.json.encode(document)) for document in fields],
    )
    return to_json(bundle) + b"\n"


def decode_bundle(document: bytes) -> Bundle:
    """A bundle from JSON, its records still unread. Raises ``RecordError``.

    The document is not trusted: it is bounded, and nothing in it becomes a file's name.
    """
    if len(document) > MAX_BUNDLE_BYTES:
        raise RecordError(f"it is larger than {MAX_BUNDLE_BYTES >> 20} MiB")
    try:
        version = msgspec.json.decode(document, type=_Version).epochmark_bundle
        if version > BUNDLE_VERSION:
            raise RecordError(
                f"it is a bundle of version {version}, this version of epochmark reads up to "
                f"{BUNDLE_VERSION}: upgrade epochmark to read it"
            )
        return msgspec.json.decode(document, type=Bundle)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        parsed(document)  # says so of what is not JSON at all
        raise RecordError(f"it is not a bundle of records: {error}") from error


def documents_in(document: bytes) -> tuple[list[bytes], bool]:
    """The documents in a file that is a bundle, a single document, or what ``run --json``
    printed of several, and whether they are all there. Raises ``RecordError`` when it is none."""
    try:
        bundle = decode_bundle(document)
    except RecordError:
        if kind_of(document) is not None:
            return [document], True
        printed = _printed(document)
        if printed is None:
            raise
        return printed, True
    return [bytes(raw) for raw in bundle.records], bundle.is_whole()


def _printed(document: bytes) -> list[bytes] | None:
    """The record documents in what ``run --json`` printed; None where there are none."""
    if len(document) > MAX_BUNDLE_BYTES:
        return None
    try:
        found = msgspec.json.decode(document, type=RawRecords | _Printed)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    raws = found.records if isinstance(found, _Printed) else found
    return [bytes(raw) for raw in raws] or None


def sum_of_records(records: Iterable[Any]) -> str:
    """SHA-256 (hexadecimal) of the records' fields as canonical JSON, in order."""
    return _sum_as_written(retyped(record, kind_of_fields(record) or Record) for record in records)


def _sum_as_written(records: Iterable[Any]) -> str:
    """With numbers as they are: until November 2026 sums distinguished -0.0 from 0.0. One record
    after the other, since a bundle may hold thousands."""
    found = hashlib.sha256(b"[")
    for number, record in enumerate(records):
        found.update(b"," if number else b"")
        found.update(msgspec.json.encode(record, order="sorted"))
    found.update(b"]")
    return found.hexdigest()
