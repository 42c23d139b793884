"""Which version of a framework is there, whatever the package is called that brought it."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from typing import Dict, Iterator, Sequence, Set

MAX_TEXT = 200

_FIELD = re.compile(r"^(Name|Version):[ \t]*(.*)$", re.MULTILINE)


def versions_of(modules: Sequence[str], distributions: Sequence[str]) -> Dict[str, str]:
    """Versions by name: of these distributions, and of any other that brings one of the modules, or
    a module called like one of the distributions (``tf-nightly`` brings ``tensorflow``). What has
    no readable metadata has none.

    Nothing is imported; a module that has been, and that no distribution brought, says its own.
    """
    spelling = {_normal(name): name for name in distributions}
    wanted = {*(module.split(".")[0] for module in modules), *spelling}
    found: Dict[str, str] = {}
    brought: Set[str] = set()
    for distribution in metadata.distributions() if wanted else ():
        fields = _fields(distribution)
        name, version = fields.get("Name"), fields.get("Version")
        if not name or not version:
            continue
        top = set(_top_modules(distribution))
        if _normal(name) in spelling or top & wanted:
            found.setdefault(spelling.get(_normal(name), name), version)
            brought |= top
    for module in sorted(wanted - brought):
        own = getattr(sys.modules.get(module), "__version__", None)
        if isinstance(own, str) and own and spelling.get(module) not in found:
            found[module] = own[:MAX_TEXT]
    return found


def _fields(distribution: metadata.Distribution) -> Dict[str, str]:
    """Name and version by its metadata, as far as these are there and can be read.

    Of the header only: ``distribution.metadata`` parses the whole description, which takes an
    environment of hundreds of packages a second.
    """
    try:
        # the last: of a file, as distutils left it, not of a folder
        texts = (distribution.read_text(name) for name in ("METADATA", "PKG-INFO", ""))
        text = next(filter(None, texts), "")
    except Exception:
        return {}
    header = text.partition("\n\n")[0]
    return {field: value.strip()[:MAX_TEXT] for field, value in _FIELD.findall(header)}


def _top_modules(distribution: metadata.Distribution) -> Iterator[str]:
    """Modules it brings that are part of no other, by the list it has for that, else its files."""
    listed = distribution.read_text("top_level.txt")
    if listed:
        yield from listed.split()
        return
    for line in (distribution.read_text("RECORD") or "").splitlines():
        first = line.split(",")[0].split("/")[0]
        if not first.endswith((".dist-info", ".data")):
            yield first[:-3] if first.endswith(".py") else first


def _normal(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "_")
