"""Places on a Ray cluster: a placement group takes a node, an actor lives in it."""

from __future__ import annotations

import contextlib
import importlib
from typing import Any

from epochmark.fleet.launchers.ray_cluster import RayNode

NODE_LABEL = "ray.io/node-id"
TAKEN = ("CPU", "GPU")
"""Of a node's resources: all of both, so that Ray places nothing beside a run."""


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
