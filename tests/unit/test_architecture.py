"""The walls of docs/architecture.md: who may import whom, and what runs in foreign interpreters."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import epochmark
from epochmark.engines import engine_names, get_engine
from tools import rooms

PACKAGE = Path(epochmark.__file__).parent

FLOORS = [
    ["_version", "errors", "system", "workloads"],
    ["folders", "native"],
    ["datasets", "engines", "records"],
    ["analysis", "hardware", "worker"],
    ["environments", "judge", "report"],
    ["bench", "board", "fleet"],
    ["api", "doctor"],
    ["cli"],
]
"""From the ground up. A room imports only rooms of lower floors."""

FOR_SERVICES = ("workloads", "records", "analysis", "judge", "report")
"""Rooms of which a service that never runs anything is made."""
STARTS_PROCESSES = ("bench", "environments", "worker", "datasets")

FOREIGN_ROOMS = ("workloads", "native", "engines", "worker")
FOREIGN_FILES = [
    PACKAGE / "__init__.py",
    PACKAGE / "_version.py",
    PACKAGE / "errors.py",
    PACKAGE / "system.py",
    *(file for room in FOREIGN_ROOMS for file in sorted((PACKAGE / room).rglob("*.py"))),
]
"""What a foreign interpreter (any Python >= 3.9 with numpy and a framework) may load."""

BOARD_MAY_IMPORT = {*FOR_SERVICES, *rooms.GROUND}
ITS_COMMANDS = "cli/commands/boards/"

PARENT_ONLY = (
    "msgspec", "typer", "rich", "psutil", "platformdirs", "archspec", "altair", "pip",
    "threadpoolctl",
)  # fmt: skip


def imported_at_the_top(file: Path) -> set[str]:
    """First part of every module whose import runs when the file is loaded."""
    tree = ast.parse(file.read_text("utf-8"))
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    return names


def framework_of(engine: str) -> set[str]:
    """Top modules an engine may import: those it names, and of the packages its records name."""
    info = get_engine(engine).info
    packages = {name.lower().replace("-", "_") for name in info.distributions}
    return ({module.split(".")[0] for module in info.modules} | packages) - {"numpy"}


def uses_a_framework(file: Path) -> bool:
    """Whether this is in a package beside the engines that is for one framework's code."""
    folder = file.parent
    return folder.parent == PACKAGE / "engines" and folder.name not in ("_shared", "__pycache__")


def relative(file: Path) -> str:
    return str(file.relative_to(PACKAGE))


def test_each_room_stands_on_its_floor() -> None:
    """Computed from the imports: no import leads upwards, none in a circle."""
    found = rooms.floors(rooms.imports_between(rooms.rooms()))
    print(*(f"{height}: {', '.join(names)}" for height, names in enumerate(found)), sep="\n")
    assert found == FLOORS


def test_folders_inside_a_room_do_not_import_each_other_in_a_circle() -> None:
    inside: dict[str, list[Path]] = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = file.relative_to(PACKAGE).with_suffix("").parts
        if len(parts) > 1 and parts[0] not in rooms.FACADE:
            inside.setdefault(".".join(parts[:2]), []).append(file)
    imports = {
        folder: {
            ".".join(parts[1:3])
            for file in files
            for parts in (name.split(".") for name in rooms.modules_imported(file))
            if parts[0] == "epochmark" and ".".join(parts[1:3]) in inside
        }
        - {folder}
        for folder, files in inside.items()
    }
    assert rooms.floors(imports)


def test_a_service_can_be_made_without_what_starts_processes() -> None:
    program = (
        "import importlib, json, pkgutil, sys, epochmark\n"
        f"for room in {FOR_SERVICES!r}:\n"
        "    package = importlib.import_module(f'epochmark.{room}')\n"
        "    for found in pkgutil.walk_packages(package.__path__, f'epochmark.{room}.'):\n"
        "        importlib.import_module(found.name)\n"
        "print(json.dumps(sorted(name for name in sys.modules if name.startswith('epochmark.'))))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    loaded = {name.split(".")[1] for name in json.loads(done.stdout)}
    assert set(FOR_SERVICES) <= loaded
    assert not loaded & set(STARTS_PROCESSES)


def test_a_board_is_made_of_them_and_only_its_commands_know_it() -> None:
    assert rooms.imports_between(rooms.rooms())["board"] <= BOARD_MAY_IMPORT
    importing = {
        str(file.relative_to(rooms.PACKAGE))
        for room, files in rooms.rooms().items()
        for file in files
        if room != "board"
        and any(name.startswith("epochmark.board") for name in rooms.modules_imported(file))
    }
    assert importing
    assert all(name.startswith(ITS_COMMANDS) for name in importing)


def test_no_folder_has_more_files_than_can_be_seen_at_a_glance() -> None:
    for folder in {file.parent for file in PACKAGE.rglob("*.py")}:
        names = [file.name for file in folder.glob("*.py") if file.name != "__init__.py"]
        assert len(names) <= 12, f"{relative(folder)}: {', '.join(sorted(names))}"


@pytest.mark.parametrize("file", FOREIGN_FILES, ids=relative)
def test_foreign_interpreters_can_read_what_they_load(file: Path) -> None:
    ast.parse(file.read_text("utf-8"), feature_version=(3, 9))


@pytest.mark.parametrize("file", FOREIGN_FILES, ids=relative)
def test_foreign_interpreters_need_nothing_but_numpy_and_a_framework(file: Path) -> None:
    frameworks = {name for engine in engine_names() for name in framework_of(engine)}
    own = {
        name.split(".")[0] for name in set(rooms.modules_imported(file))
    } - sys.stdlib_module_names
    assert own <= {"epochmark", "numpy", *frameworks}
    assert not own & set(PARENT_ONLY)
    if not uses_a_framework(file):
        assert not imported_at_the_top(file) & frameworks, "engines import theirs in open()"


def test_loading_every_engine_imports_no_framework() -> None:
    program = (
        "import json, sys, epochmark.worker.__main__\n"
        "from epochmark.engines import engine_names, get_engine\n"
        "modules = [m for n in engine_names() for m in get_engine(n).info.modules]\n"
        f"print(json.dumps([m for m in [*modules, *{PARENT_ONLY!r}] if m in sys.modules]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert json.loads(done.stdout) == []


TIMES_OF_DAY = {
    "board/intake/rates.py": "when requests of an hour of the day no longer count",
    "bench/watching/preflight.py": "how long a process has been there",
    "report/page/frame.py": "when a report was made",
    "records/files.py": "how long no one has written to a file",
    "records/dates.py": "when records and other files were made, and a record from the future",
}
"""Who may ask for the time of day, and what for; it may be set back or forth at any moment."""


def test_no_interval_is_taken_on_a_clock_that_steps() -> None:
    asking = {
        relative(file)
        for file in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("time.time", "datetime.now")
    }
    assert asking == set(TIMES_OF_DAY)
