"""The rooms of the package, and the floors they stand on: computed from the imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "src" / "epochmark"
FACADE = ("__init__", "__main__")
"""They load ``api`` and ``cli`` when asked to, and are loaded before anything else."""


GROUND = ("_version", "errors", "folders", "system")
"""Imported nearly everywhere: the picture leaves them out."""


def rooms() -> dict[str, list[Path]]:
    """The Python files of each room, by its name: a folder, or a file that stands alone."""
    found: dict[str, list[Path]] = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        name = file.relative_to(PACKAGE).with_suffix("").parts[0]
        if name not in FACADE:
            found.setdefault(name, []).append(file)
    return found


def modules_imported(file: Path) -> Iterator[str]:
    """Dotted names of all that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative imports hide what is imported"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports_between(found: dict[str, list[Path]]) -> dict[str, set[str]]:
    """The other rooms that each room imports."""
    return {
        room: {
            parts[1]
            for file in files
            for parts in (name.split(".") for name in modules_imported(file))
            if parts[0] == "epochmark" and len(parts) > 1 and parts[1] != room
        }
        for room, files in found.items()
    }


def floors(imports: dict[str, set[str]]) -> list[list[str]]:
    """Rooms from the ground up: each imports only rooms of lower floors. Raises ValueError, which
    names them, for rooms that import each other in a circle."""
    left = {room: set(needs) for room, needs in imports.items()}
    found: list[list[str]] = []
    while ready := sorted(room for room, needs in left.items() if not needs):
        found.append(ready)
        left = {room: needs - {*ready} for room, needs in left.items() if room not in ready}
    if left:
        raise ValueError(f"in a circle: {left}")
    return found


def picture() -> str:
    """The floors from the top down, each room with its one reason and what it imports."""
    found = rooms()
    imports = imports_between(found)
    lines = ["| floor | room | what it is for | imports |", "|---|---|---|---|"]
    for height, names in reversed([*enumerate(floors(imports))]):
        for name in names:
            needs = ", ".join(sorted(imports[name] - {*GROUND})) or "nothing of ours"
            folder = "/" if (PACKAGE / name).is_dir() else ".py"
            lines.append(f"| {height} | `{name}{folder}` | {_reason(name)} | {needs} |")
    return "\n".join([*lines, ""])


def _reason(room: str) -> str:
    """The first line of the docstring on a room's door."""
    door = PACKAGE / room / "__init__.py"
    file = door if door.exists() else PACKAGE / f"{room}.py"
    text = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
    return text.splitlines()[0].rstrip(".").replace("``", "`")


if __name__ == "__main__":
    print(picture())
