"""What is kept about a managed environment, in a file inside it that also marks it as ours."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

MANIFEST = "epochmark-environment.json"
MAX_BYTES = 1 << 20


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A finished environment. ``installed`` are names and versions of all its packages."""

    version: Literal[1] = 1
    name: str
    requirements: tuple[str, ...]
    accelerators: tuple[str, ...]
    python: str
    created: str
    epochmark_version: str
    installed: dict[str, str]
    size_bytes: int


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest in ``folder``; None where there is none that we understand."""
    try:
        with (folder / MANIFEST).open("rb") as stream:
            return msgspec.json.decode(stream.read(MAX_BYTES), type=Manifest)
    except (OSError, msgspec.MsgspecError):
        return None


def encode_manifest(manifest: Manifest) -> bytes:
    """The manifest as it is written."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
