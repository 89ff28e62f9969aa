# SPDX-License-Identifier: Apache-2.0
"""herd-faults: the roll-out of `herd`, with one agent killed (SIGKILL) in the middle of a blob. The runtime of
that node goes on at the origin by itself: its time isn't the herd's, and its bytes, with those that the
killed agent had got there, have a line of their own."""

from typing import Optional, Sequence

from lab import image, wait_until

from . import herd

REACH = 1.35
#: What a killed node has of the blob: enough that others stream from it, and not nearly all.
FROM, TO = 0.2, 0.7


def run(report) -> None:
    """Each size of cluster, each kind of node."""
    for count, megabits in herd.CASES:
        ideal = herd.without_agents(count, megabits, origin_megabits=count * megabits)
        for name, role in (("the one that fetches", "fetches"), ("one in the middle", "streams")):
            what = f"{count} nodes, {megabits} Mbit/s, {name} killed"
            ours = herd.with_agents(
                count, megabits, lambda made, nodes, role=role: _kill(made, nodes, role))
            report.add("herd-faults", f"{what}: last of the others", ours.last_s, "s",
                       against="an origin for each", reference=ideal.last_s, reach=REACH)
            report.add("herd-faults", f"{what}: from the origin to the others", ours.images, "images")
            report.add("herd-faults", f"{what}: from the origin to it", ours.killed_images, "images")


def _kill(made: image.Image, nodes: Sequence, role: str):
    node = wait_until(lambda: next((each for each in nodes if _is(each, made, role)), None), 300,
                      f"a node {role} in mid-blob, with children")
    node.agent.kill()
    return node


def _is(node, made: image.Image, role: str) -> Optional[bool]:
    herds = node.agent.status()["herds"] or {"now": []}
    for each in herds["now"]:
        size = len(made.blobs.get(each["digest"], b""))
        share = each["pieces"] * (64 << 10) / size if size else 0
        if each["role"] == role and each["children"] > 0 and FROM < share < TO:
            return True
    return None
