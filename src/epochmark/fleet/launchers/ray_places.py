"""Places on a Ray cluster: a placement group takes a node, an actor lives in it."""

from __future__ import annotations

import contextlib
import importlib
from typing import Any

from epochmark._version import __version__
from epochmark.errors import EpochmarkError
from epochmark.fleet.launchers.ray_cluster import RayNode, short

NODE_LABEL = "ray.io/node-id"
TAKEN = ("CPU", "GPU")
"""Of a node's resources: all of both, so that Ray places nothing beside a run."""


def alive(ray: Any, node: RayNode) -> bool:
    """Whether the cluster still has it."""
    return any(each["NodeID"] == node.id and each["Alive"] for each in ray.nodes())


def trouble_of(error: Exception, remedy: str) -> str:
    """What went wrong on a node, in short; our own errors say it themselves. ``remedy`` is for one
    that has no epochmark."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, EpochmarkError):
        return str(cause)
    said = str(error)
    if "No module named 'epochmark'" in said:
        return f"it has no epochmark; {remedy}"
    if "No module named 'epochmark." in said:
        return f"it has another epochmark than {__version__}"
    return short(error)


def whole(node: RayNode) -> Any:
    """A placement group with all of the node, once that is free."""
    return importlib.import_module("ray.util").placement_group(
        [{kind: node.resources[kind] for kind in TAKEN if node.resources.get(kind)}],
        strategy="STRICT_PACK",
        bundle_label_selector=[{NODE_LABEL: node.id}],
    )


def placed(ray: Any, group: Any, kind: type) -> Any:
    """An actor of this class in the group, to be made by ``remote``; it takes no part of it for
    itself."""
    strategies = importlib.import_module("ray.util.scheduling_strategies")
    place = strategies.PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=0)
    return ray.remote(kind).options(num_cpus=0, scheduling_strategy=place)


def give_back(ray: Any, group: Any, actor: Any) -> None:
    """The node, without the actor, where there is one."""
    util = importlib.import_module("ray.util")
    with contextlib.suppress(Exception):  # of a cluster that is gone nothing can be given back
        if actor is not None:
            ray.kill(actor)
        util.remove_placement_group(group)
