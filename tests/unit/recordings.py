"""What tools printed on machines with GPUs (tests/recordings), and made-up file systems."""

from __future__ import annotations

from pathlib import Path

from epochmark.hardware.gpus.asking import ToolOutput

RECORDINGS = Path(__file__).parents[1] / "recordings"


def recorded(name: str, status: int = 0) -> ToolOutput:
    return ToolOutput((RECORDINGS / f"{name}.txt").read_text("utf-8"), status)


def files(root: Path, *names: str, content: str = "") -> Path:
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return root
