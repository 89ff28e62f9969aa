# SPDX-License-Identifier: Apache-2.0
"""herd-faults: the roll-out of `herd`, with a node killed (SIGKILL) in the middle of a blob: its agent and its
runtime, as when the machine dies. What its agent had got from the origin has a line of its own. Where the
agent alone is killed, its runtime goes on at the origin by itself, and takes its part of the origin's link from
the herd: the others' time is no measure of the herd then, and has nothing to reach."""

from typing import Optional, Sequence

from lab import image, wait_until

from . import herd

REACH = 1.35
#: What a killed node has of the blob: enough that others stream from it, and not nearly all.
FROM, TO = 0.2, 0.7
#: What is killed; by its role; the runtime, too; what there is to reach.
FAULTS = (("the node that fetches", "fetches", True, REACH),
          ("a node in the middle", "streams", True, REACH),
          ("the agent that fetches", "fetches", False, None))


def run(report) -> None:
    """Each size of cluster, each fault."""
    for count, megabits in herd.CASES:
        ideal = herd.without_agents(count, megabits, origin_megabits=count * megabits)
        for name, role, runtime, reach in FAULTS:
            what = f"{count} nodes, {megabits} Mbit/s, {name} killed"
            ours = herd.with_agents(count, megabits, killer(role, runtime))
            report.add("herd-faults", f"{what}: last of the others", ours.last_s, "s",
                       against="an origin for each", reference=ideal.last_s, reach=reach)
            report.add("herd-faults", f"{what}: from the origin to the others", ours.images, "images")
            report.add("herd-faults", f"{what}: from the origin to it", ours.killed_images, "images")


def killer(role: str, runtime: bool):
    """Kills a node of that role, as herd.with_agents() wants it."""
    def kill(made: image.Image, nodes: Sequence):
        node = wait_until(lambda: next((each for each in nodes if _is(each, made, role)), None), 300,
                          f"a node {role} in mid-blob, with children")
        node.agent.kill()
        if runtime:
            node.containerd.process.kill()
        return node
    return kill


def _is(node, made: image.Image, role: str) -> Optional[bool]:
    herds = node.agent.status()["herds"] or {"now": []}
    for each in herds["now"]:
        size = len(made.blobs.get(each["digest"], b""))
        share = each["pieces"] * (64 << 10) / size if size else 0
        if each["role"] == role and each["children"] > 0 and FROM < share < TO:
            return True
    return None
