"""GPUs and TPUs of other makers; and that there is none, which is no fault."""

from __future__ import annotations

from collections.abc import Iterator

from epochmark.doctor.contract import Check, Line, note, ok
from epochmark.doctor.facts import Facts

_KNOWN = {
    "metal": "Apple's GPU (Metal)",
    "xpu": "an Intel GPU with memory of its own",
    "tpu": "a TPU",
}
"""Accelerators without a check of their own."""


def examine(facts: Facts) -> Iterator[Line]:
    """What else there is; a note where there is nothing at all."""
    others = [text for name, text in _KNOWN.items() if name in facts.accelerators]
    yield from map(ok, others)
    elsewhere = facts.cards_of("NVIDIA") or facts.cards_of("AMD") or facts.kfd.there or facts.wsl
    if others or elsewhere or facts.nvidia.state == "works" or "cuda" in facts.accelerators:
        return
    inside = "; the processor's own graphics do not count" if facts.cards_of("Intel") else ""
    yield note(f"no GPU found: training runs on the processor{inside}")


CHECK = Check(
    name="GPU",
    looks_at="Apple silicon, Intel's GPUs, TPUs; and whether there is any GPU at all",
    notes="no GPU",
    faults="none: a machine without a GPU trains on its processor",
    examine=examine,
)
