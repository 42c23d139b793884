"""How turns ended, in a sentence, whatever was compared by them."""

from __future__ import annotations

from epochmark.records.documents.race import Race
from epochmark.records.documents.scaling import Scaling
from epochmark.records.fields import MAX_EPOCHS
from epochmark.records.wording import counted


def ending_text(document: Race | Scaling) -> str:
    """How many turns there were, and what ended them."""
    turns = sum(len(entry.turns) for entry in document.entries)
    target = f"{100 * document.target:g} %"
    took = f"{counted(turns, 'turn')} in {document.seconds:.0f} s"
    if document.ending == "resolved":
        return f"{took}; every ratio is known to {target}."
    if document.ending == "time":
        return f"{took}, the time it was given: no look before found every ratio known to {target}."
    if document.ending == "epochs":
        return f"{took}; then an entry had trained {MAX_EPOCHS} epochs, the most that a run has."
    if document.ending == "interrupted":
        return f"{took}, then it was interrupted, before the work of all entries was proven."
    return f"{took}; then fewer than two entries were left."
