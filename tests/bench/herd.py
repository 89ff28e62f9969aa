# SPDX-License-Identifier: Apache-2.0
"""herd: N nodes start one new image within 50 ms. Every link is limited, the origin's to what one node's is.

Against the same without agents, and against the ideal: an origin whose link is N times as fast, so that
each node has its own, as it were. containerd's own work for all nodes on one machine is in both."""

import concurrent.futures
import random
import time
from typing import Callable, NamedTuple, Optional, Sequence

from lab import Lab, image

from .nodes import assert_terminated, wait_for_trust

LAYERS = [16 << 20] * 4
SPREAD_S = 0.05
CASES = ((8, 100), (16, 50))
NAME = "docker.io/library/bench:1"


class Outcome(NamedTuple):
    """Of one roll-out. A node whose agent was killed in it goes on at the origin by itself: it doesn't
    count here."""

    images: float  #: the bytes that the origin sent to the nodes that count, in images
    last_s: float  #: from the first start to the end of the last node that counts
    killed_images: float = 0.0  #: the same bytes of the killed one, its agent's and then its runtime's


def run(report) -> None:
    """Each size of cluster."""
    for count, megabits in CASES:
        what = f"{count} nodes, {megabits} Mbit/s"
        bare = without_agents(count, megabits, origin_megabits=megabits)
        ideal = without_agents(count, megabits, origin_megabits=count * megabits)
        ours = with_agents(count, megabits)
        report.add("herd", f"{what}: from the origin", ours.images, "images", reach=1.02)
        report.add("herd", f"{what}: from the origin", ours.images, "images", against="no agents",
                   reference=bare.images)
        report.add("herd", f"{what}: last node", ours.last_s, "s", against="an origin for each",
                   reference=ideal.last_s, reach=1.15)
        report.add("herd", f"{what}: last node", ours.last_s, "s", against="no agents",
                   reference=bare.last_s)


def _image():
    # Never the same twice: nothing anywhere can have it.
    return image.synthetic(LAYERS, seed=f"herd/{random.random()}")


def _nodes(lab: Lab, count: int, megabits: float) -> Sequence:
    nodes = [lab.node(f"n{i}") for i in range(count)]
    for node in nodes:
        node.start_containerd("2.1")
        node.limit(megabits)
    return nodes


def without_agents(count: int, megabits: float, origin_megabits: float) -> Outcome:
    """A roll-out as it is without us."""
    with Lab() as lab:
        origin = lab.origin()
        made = _image()
        origin.publish(made, "library/bench", "1")
        nodes = _nodes(lab, count, megabits)
        origin.limit(origin_megabits)
        return _roll_out(origin, made, nodes)


def with_agents(count: int, megabits: float,
                kill: Optional[Callable[[image.Image, Sequence], object]] = None) -> Outcome:
    """A roll-out with agents that are new in the mesh. `kill` is called while it goes on, kills a node's
    agent and returns the node."""
    with Lab() as lab:
        origin = lab.origin()
        made = _image()
        origin.publish(made, "library/bench", "1")
        nodes = start_mesh(_nodes(lab, count, megabits))
        origin.limit(megabits)
        return _roll_out(origin, made, nodes, kill)


def start_mesh(nodes: Sequence) -> Sequence:
    """Starts an agent on each, and waits until all are trusted and know each other."""
    for node in nodes:
        node.start_agent(peers=[other for other in nodes[:2] if other is not node])
    for node in nodes:
        wait_for_trust(node)
        node.agent.wait_for_mesh(len(nodes) - 1, deadline_s=120)
    return nodes


def _roll_out(origin, made: image.Image, nodes: Sequence, kill=None) -> Outcome:
    since = origin.now()
    begun = time.monotonic()

    def pull(node):
        time.sleep(random.uniform(0, SPREAD_S))
        try:
            node.pull(NAME, timeout_s=900)
        except RuntimeError:
            if node.agent and not node.agent.process.running():
                return None  # kubelet's next try isn't what is measured
            raise
        return time.monotonic() - begun
    with concurrent.futures.ThreadPoolExecutor(len(nodes)) as pool:
        pulls = {node.name: pool.submit(pull, node) for node in nodes}
        killed = kill(made, nodes) if kill else None
        others = [node for node in nodes if node is not killed]
        last = max(pulls[node.name].result() for node in others)
    for node in others:
        node.verify_content(NAME)
        if node.agent is not None:
            assert_terminated(node, NAME)
    image_bytes = sum(len(made.blobs[layer]) for layer in made.layers)
    return Outcome(sum(origin.bytes_sent(since, node) for node in others) / image_bytes, last,
                   origin.bytes_sent(since, killed) / image_bytes if killed else 0.0)
