# SPDX-License-Identifier: Apache-2.0
"""What several benchmarks begin with: a peer that has a blob, and a node whose client asks for it."""

import contextlib
import pathlib
import sys
from typing import Iterator, NamedTuple, Sequence

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lab"))

from expectations import blob_sources, wait_for_trust  # noqa: E402
from lab import Lab, image  # noqa: E402

from .load import LoadClient  # noqa: E402

REGISTRY = "registry-1.docker.io"
REPOSITORY = "library/bench"


class Pair(NamedTuple):
    """A peer with an image, and a node with a client that trusts its agent."""

    lab: Lab
    origin: object
    peer: object
    node: object
    client: LoadClient
    made: image.Image

    @property
    def layer(self) -> str:
        """The digest of the image's first layer."""
        return self.made.layers[0]

    @property
    def layer_bytes(self) -> int:
        """Its size."""
        return len(self.made.blobs[self.layer])

    @property
    def path(self) -> str:
        """By which a client asks its registry for the layer."""
        return self.paths[0]

    @property
    def paths(self) -> Sequence[str]:
        """The same of each of the image's layers."""
        return [f"/v2/{REPOSITORY}/blobs/{layer}" for layer in self.made.layers]

    @property
    def peer_path(self) -> str:
        """By which a peer is asked."""
        return f"{self.path}?ns=docker.io"

    @property
    def blob_folder(self) -> str:
        """Where the peer's containerd has its blobs, as programs on the peer see it."""
        return "/var/lib/containerd/io.containerd.content.v1.content/blobs"

    def get(self, path="", **load):
        """The client asks the registry for the layer, or other paths, through the agent."""
        return self.client.get(self.origin.ipv4, path or self.path, REGISTRY, **load)


@contextlib.contextmanager
def pair(layer_bytes: int, seed: object, arguments: Sequence[str] = (),
         closed: bool = True, layers: int = 1, members: int = 0) -> Iterator[Pair]:
    """Two agents in one mesh, a closed one or one that is open to Spegel's nodes, in which there are so
    many `members` besides."""
    options = {"arguments": list(arguments)} if closed else {
        "arguments": [*arguments, "--spegel-compat", "true"], "mesh_key": ""}
    with Lab() as lab:
        origin = lab.origin()
        made = image.assemble([image.random_layer(layer_bytes, f"bench/{seed}" + (f"/{i}" if i else ""))
                               for i in range(layers)])
        origin.publish(made, REPOSITORY, "1")
        peer, node = lab.node("peer"), lab.node("node")
        peer.start_agent(peers=[node], **options)
        peer.start_containerd("2.1")
        node.start_agent(peers=[peer], **options)
        client = LoadClient(node)
        wait_for_trust(peer)
        wait_for_trust(node, client.pid)
        for i in range(members):
            lab.node(f"member{i}").start_agent(peers=[peer], **options)
        # A node's table hasn't got room for all of many.
        for agent in (node.agent, peer.agent):
            agent.wait_for_mesh(1 + members * 3 // 4, deadline_s=30 + members)
        peer.pull(f"docker.io/{REPOSITORY}:1")
        peer.agent.wait_until_told(f"docker.io/{REPOSITORY}:1")
        result = Pair(lab, origin, peer, node, client, made)
        assert_from_peer(result)
        yield result


def assert_from_peer(nodes: Pair) -> None:
    """One read, and where it came from: a benchmark of something else would be worthless."""
    since = nodes.origin.now()
    if nodes.get().bytes != nodes.layer_bytes:
        raise AssertionError("the layer has another size")
    sent = nodes.origin.bytes_sent(since, nodes.node)
    if sent:
        raise AssertionError(f"the origin sent {sent} bytes; the peer should have sent them all")


def assert_terminated(node, name: str) -> None:
    """Every blob of the image went through the node's agent, which hashed it."""
    repository = image.full_name(name).split("/", 1)[1].rsplit(":", 1)[0]
    sources = blob_sources(node, repository)
    missing = [blob.digest for blob in node.verify_content(name) if blob.digest not in sources]
    if missing:
        raise AssertionError(f"{node.name}: passed the agent by: {missing}")
