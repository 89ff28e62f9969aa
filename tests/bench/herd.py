# SPDX-License-Identifier: Apache-2.0
"""herd: N nodes start one new image within 50 ms. Every link is limited, the origin's to what one node's is.

Against the same without agents, and against the ideal: an origin whose link is N times as fast, so that
each node has its own, as it were. containerd's own work for all nodes on one machine is in both."""

import concurrent.futures
import random
import time
from typing import NamedTuple, Sequence

from lab import Lab, image, wait_until

from .nodes import assert_terminated, wait_for_trust

LAYERS = [16 << 20] * 4
SPREAD_S = 0.05
CASES = ((8, 100), (16, 50))
NAME = "docker.io/library/bench:1"


class Outcome(NamedTuple):
    """Of one roll-out."""

    images: float  #: the origin's bytes, in images
    last_s: float  #: from the first start to the last node's end


def run(report) -> None:
    """Each size of cluster."""
    for count, megabits in CASES:
        what = f"{count} nodes, {megabits} Mbit/s"
        bare = _without_agents(count, megabits, origin_megabits=megabits)
        ideal = _without_agents(count, megabits, origin_megabits=count * megabits)
        ours = _with_agents(count, megabits)
        report.add("herd", f"{what}: from the origin", ours.images, "images", reach=1.02)
        report.add("herd", f"{what}: from the origin", ours.images, "images", against="no agents",
                   reference=bare.images)
        report.add("herd", f"{what}: last node", ours.last_s, "s", against="an origin for each",
                   reference=ideal.last_s, reach=1.15)
        report.add("herd", f"{what}: last node", ours.last_s, "s", against="no agents",
                   reference=bare.last_s)
        killed = _with_agents(count, megabits, kill=True)
        report.add("herd", f"{what}, a node that others stream from killed: last node", killed.last_s,
                   "s", against="an origin for each", reference=ideal.last_s, reach=1.35)


def _image(seed: object):
    return image.synthetic(LAYERS, seed=f"herd/{seed}")


def _nodes(lab: Lab, count: int, megabits: float) -> Sequence:
    nodes = [lab.node(f"n{i}") for i in range(count)]
    for node in nodes:
        node.start_containerd("2.1")
        node.limit(megabits)
    return nodes


def _without_agents(count: int, megabits: float, origin_megabits: float) -> Outcome:
    with Lab() as lab:
        origin = lab.origin()
        made = _image(f"{count}/{origin_megabits}")
        origin.publish(made, "library/bench", "1")
        nodes = _nodes(lab, count, megabits)
        origin.limit(origin_megabits)
        return _roll_out(origin, made, nodes)


def _with_agents(count: int, megabits: float, kill: bool = False) -> Outcome:
    with Lab() as lab:
        origin = lab.origin()
        made = _image(f"{count}/agents/{kill}")
        origin.publish(made, "library/bench", "1")
        nodes = _nodes(lab, count, megabits)
        for node in nodes:
            node.start_agent(peers=[other for other in nodes[:2] if other is not node])
        for node in nodes:
            wait_for_trust(node)
            node.agent.wait_for_mesh(count - 1, deadline_s=120)
        origin.limit(megabits)
        outcome = _roll_out(origin, made, nodes, kill)
        for node in nodes:
            if not kill or node.agent.process.running():
                assert_terminated(node, NAME)
        return outcome


def _roll_out(origin, made: image.Image, nodes: Sequence, kill: bool = False) -> Outcome:
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
        pulls = [pool.submit(pull, node) for node in nodes]
        if kill:
            _kill_one_that_sends(nodes)
        last = max(done for done in (p.result() for p in pulls) if done is not None)
    for node in nodes:
        if node.agent is None or node.agent.process.running():
            node.verify_content(NAME)
    return Outcome(origin.bytes_sent(since) / sum(len(made.blobs[d]) for d in made.layers), last)


def _kill_one_that_sends(nodes: Sequence) -> None:
    """The node that has sent most to others, once it has sent a quarter of an image."""
    enough = sum(LAYERS) // 4

    def found():
        node = max(nodes, key=_sent)
        return node if _sent(node) > enough else None
    wait_until(found, 300, "a node streams to others").agent.kill()


def _sent(node) -> int:
    device = node.run("cat", "/sys/class/net/eth0/statistics/tx_bytes")
    return int(device.stdout)
