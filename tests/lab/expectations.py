# SPDX-License-Identifier: Apache-2.0
"""What tests of redirected pulls have in common: starting nodes, waiting for trust, and judging a pull
by the agent's own record and by the origin's log, so that a spliced pull can't pass."""

import contextlib

from lab import Lab, image
from lab.image import full_name

VERSIONS = ("1.6", "1.7", "2.1")

#: How long an agent may take to find containerd and have its trust probed.
TRUST_DEADLINE_S = 30


def is_trusted(status: dict, pid: int) -> bool:
    """Whether the agent's status says that the client `pid` trusts it."""
    return any(client["pid"] == pid and client["trust"] == "trusted" for client in status["clients"])


def wait_for_trust(node, pid: int = 0) -> dict:
    """Waits until the node's agent terminates what its containerd (or client `pid`) connects to."""
    pid = pid or node.containerd.pid
    return node.agent.wait_for(lambda status: is_trusted(status, pid), TRUST_DEADLINE_S,
                               f"{node.name}'s agent is trusted by pid {pid}")


def blob_sources(node, repository: str) -> dict[str, str]:
    """Digest → source ("peer 198.18.0.3:5000", "origin", …) of the node's recent GETs by digest."""
    sources = {}
    for entry in reversed(node.agent.status()["recent"]):
        if entry["repository"] == repository and entry["reference"].startswith("sha256:") \
                and entry["method"] == "GET" and entry["status"] in (200, 206):
            sources[entry["reference"]] = entry["source"]
    return sources


def assert_came_by_mirror(test, node, name: str, source: str) -> None:
    """Asserts that every blob of image `name` on `node` was streamed by its agent from `source`."""
    repository = full_name(name).split("/", 1)[1].rsplit(":", 1)[0]
    sources = blob_sources(node, repository)
    # What a node is just sending to another comes to the next by their herd.
    accepted = (source, source.replace("peer ", "herd ", 1))
    for blob in node.verify_content(name):
        test.assertIn(blob.digest, sources, f"{blob.kind} {blob.digest} passed the agent by")
        test.assertTrue(sources[blob.digest].startswith(accepted),
                        f"{blob.kind} {blob.digest} came from {sources[blob.digest]}")


def assert_no_content_from_origin(test, origin, since: float, node) -> None:
    """Asserts that the origin's log has no GET answered 200 (or 206) for `node`."""
    got = [f"{r.method} {r.path} {r.status}" for r in origin.requests(since, node)
           if r.method == "GET" and r.status in (200, 206) and (r.is_blob or r.is_manifest)]
    test.assertEqual(got, [])


@contextlib.contextmanager
def two_nodes(version: str, layers=(200_000, 6 << 20), **image_options):
    """(lab, origin, a, b): node a's containerd has docker.io/library/demo:1 from the origin, also
    tagged docker.io/library/only-here:1; both agents are in one mesh and trusted."""
    with Lab() as lab:
        origin = lab.origin()
        origin.publish(image.synthetic(layers, seed=version, **image_options), "library/demo", "1")
        a, b = lab.node("a"), lab.node("b")
        a.start_agent(peers=[b])
        b.start_agent(peers=[a])
        for node in (a, b):
            node.agent.wait_for_mesh(1)
            node.start_containerd(version)
            wait_for_trust(node)
        a.pull("docker.io/library/demo:1")
        a.containerd.ctr("images", "tag", "docker.io/library/demo:1",
                         "docker.io/library/only-here:1")
        a.agent.wait_until_told("docker.io/library/demo:1", "docker.io/library/only-here:1")
        yield lab, origin, a, b
