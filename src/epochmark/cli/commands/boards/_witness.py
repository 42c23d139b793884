"""``epochmark share --witness``: the extra replay of a result that has been sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from epochmark.errors import EpochmarkError

if TYPE_CHECKING:
    from epochmark.board.client.identity import Identity


def check_witnessed(run: str) -> None:
    """Raise ``EpochmarkError`` (exit code 2) where no board replays the workload of a run: known
    before anything is sent."""
    from epochmark.api.naming import stored_run
    from epochmark.bench.request import find_workload
    from epochmark.workloads._proof.witness import can_be_witnessed

    name = stored_run(run).record.workload.name
    if not can_be_witnessed(find_workload(name)):
        raise EpochmarkError(
            f"{name} is too large for a board to replay; nothing was sent.\n"
            "Share it without --witness.",
            exit_code=2,
        )


def witnessed(identity: Identity, run: str, python: str | None) -> str:
    """Replay what the board draws, and return since when the result is witnessed.

    Raises ``EpochmarkError`` where the board refuses, or the engine cannot replay here.
    """
    from epochmark.api.naming import stored_run
    from epochmark.bench.extra_replay import replay_of_record
    from epochmark.bench.process.lock import measuring_alone
    from epochmark.bench.request import find_workload
    from epochmark.board.client.witnessing import occasion_for, send_losses
    from epochmark.cli._console import remark
    from epochmark.workloads._proof.witness import witness_batches, witness_weights

    def tell(phase: str) -> None:
        remark(f"extra replay with {record.engine.name}: {phase}")

    record = stored_run(run).record
    workload = find_workload(record.workload.name)
    with measuring_alone(lambda who: remark(f"waiting for {who}")):
        occasion = occasion_for(identity, identity.id_of(record.id))
        losses = replay_of_record(
            record,
            witness_weights(workload, occasion),
            witness_batches(workload, occasion),
            python,
            tell,
        )
        return send_losses(identity, occasion, losses)
