"""Ask a board for a number, and send it the losses of the extra replay that follows from it."""

from __future__ import annotations

import hashlib
import re

from epochmark.board.client.identity import Identity
from epochmark.board.client.request import answer_to
from epochmark.board.protocol import KEY_HEADER, RESULTS_PATH
from epochmark.errors import EpochmarkError
from epochmark.records.json_text import to_json
from epochmark.workloads._proof.witness import Occasion


def occasion_for(identity: Identity, result_id: str) -> Occasion:
    """A number drawn for the result that a board calls so. Raises ``EpochmarkError`` where it is
    refused or lost."""
    headers = identity.headers("WITNESS", result_id)
    url = f"{identity.origin}{RESULTS_PATH}/{result_id}/nonce"
    nonce = answer_to("POST", url, headers, b"").get("nonce")
    if not isinstance(nonce, str) or not re.fullmatch(r"[0-9a-f]{32}", nonce):
        raise EpochmarkError(f"{identity.origin} answered what no board does: no number")
    return Occasion(identity.origin, headers[KEY_HEADER], result_id, nonce)


def send_losses(identity: Identity, occasion: Occasion, losses: list[float | None]) -> str:
    """Send them; since when the result is witnessed. Raises ``EpochmarkError`` with the board's
    words where they are wrong, late or lost."""
    body = to_json({"nonce": occasion.nonce, "losses": losses})
    headers = {"Content-Type": "application/json"}
    headers |= identity.headers("POST", hashlib.sha256(body).hexdigest())
    url = f"{identity.origin}{RESULTS_PATH}/{occasion.result_id}/witness"
    return str(answer_to("POST", url, headers, body).get("witnessed"))
