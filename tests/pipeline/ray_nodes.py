"""A real Ray cluster of several nodes on this machine, each with folders of its own, for a test.

Run: python -m tests.pipeline.ray_nodes NODES, where NODES is JSON: variables of the environment by
node. It prints the address, then does what standard input asks for: ``lose NODE``, ``lose head``,
``use NODE`` (take all of its CPUs); at its end the cluster ends.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import ray
from ray.cluster_utils import Cluster


def busy() -> None:
    """Something else that runs on a node."""
    time.sleep(3600)


def use(node: str) -> Any:
    """Take all of a node."""
    return ray.remote(num_cpus=1, label_selector={"ray.io/node-id": node})(busy).remote()


def main() -> None:
    """Start the nodes, and listen; what Ray prints is not what we answer."""
    answers, sys.stdout = sys.stdout, sys.stderr
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = {
        name: cluster.add_node(num_cpus=1, node_name=name, env_vars=variables)
        for name, variables in json.loads(sys.argv[1]).items()
    }
    ray.init(cluster.address, log_to_driver=False)
    ids = {each["NodeName"]: each["NodeID"] for each in ray.nodes()}
    print(cluster.address, file=answers, flush=True)
    held = []
    for line in sys.stdin:
        word, name = line.split()
        if (word, name) == ("lose", "head"):
            ray.shutdown()
            cluster.remove_node(cluster.head_node, allow_graceful=False)
        elif word == "lose":
            cluster.remove_node(nodes[name], allow_graceful=False)
        else:
            held.append(use(ids[name]))
            while ray.available_resources().get("CPU", 0) >= len(nodes):
                time.sleep(0.1)
        print(word, file=answers, flush=True)
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main()
