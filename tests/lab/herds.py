# SPDX-License-Identifier: Apache-2.0
"""What tests of herds have in common: nodes of one mesh, an image that none of them has, an origin that is slow in
mid-layer for as long as a test wants, and what the origin's log must say."""

import collections
import threading

from events import EventTest
from expectations import wait_for_trust
from lab import image, wait_until
from lab.content import ContentMismatch
from lab.cri import CallError
from lab.gate import GATED, Gate

SIZE = 8 << 20
PIECE = 64 << 10
#: This part of the layer comes fast, the rest of it at that rate: above what a head is replaced for
#: (CoordinatorOptions::head_floor).
FAST = 0.4
RATE = 400_000
#: Pieces of the layer that all have then.
HELD_AT = 40


def herd_of(node, digest: str) -> dict:
    """What the node's agent says of its part in a blob's herd; {} if it has none."""
    herds = node.agent.status()["herds"] or {"now": []}
    return next((herd for herd in herds["now"] if herd["digest"] == digest), {})


def addresses(nodes) -> list:
    """All addresses of nodes."""
    return [address for node in nodes for address in (node.ipv4, node.ipv6)]


class HerdsTest(EventTest):
    """Nodes of one mesh that have nothing of the image yet."""

    VERSIONS: tuple = ()
    #: The origin is held for longer than a test takes.
    ARGUMENTS = ("--stall-timeout", "60s")

    @classmethod
    def make_origin(cls):
        """The origin of the image."""
        return cls.lab.origin()

    @classmethod
    def arguments(cls, _number: int) -> tuple:
        """Of the agent of the node with that number."""
        return cls.ARGUMENTS

    @classmethod
    def build(cls):
        cls.origin = cls.make_origin()
        cls.gate = cls.enterClassContext(Gate(cls.origin))
        cls.nodes = []
        for number, version in enumerate(cls.VERSIONS):
            cls.nodes.append(cls.member(f"node-{number}", *cls.nodes[:1], version=version,
                                        arguments=cls.arguments(number)))
        for node in cls.nodes:
            node.agent.wait_for_mesh(len(cls.nodes) - 1)

    def setUp(self):
        super().setUp()
        self.repository = f"{GATED}/" + self.id().rsplit(".", 1)[1].replace("_", "-")
        self.name = f"docker.io/{self.repository}:1"
        made = image.synthetic((SIZE, 100_000), seed=self.id())
        self.origin.publish(made, self.repository, "1")
        self.layer = made.layers[0]
        self.layer_bytes = len(made.blobs[self.layer])

    def tearDown(self):
        self.gate.mend()

    def fetched(self, since: float, nodes=None) -> dict:
        """How often the origin has been asked for each piece of content, and has sent it."""
        remotes = addresses(nodes or self.nodes)
        return collections.Counter(
            r.path.split("?")[0] for r in self.origin.requests(since)
            if r.method == "GET" and r.status in (200, 206, 307) and r.remote in remotes
            and (r.is_blob or r.is_manifest))

    def assert_fetched_once(self, since: float) -> None:
        """Asserts that the origin has sent everything once."""
        fetched = self.fetched(since)
        self.assertEqual(len(fetched), 4, fetched)  # a manifest, a config, two layers
        self.assertEqual(set(fetched.values()), {1}, fetched)

    def begin(self, nodes, credentials=lambda node: {}):
        """Pulls in the background on nodes; returns a function that waits, and gives what went wrong by
        node. Nodes whose pull succeeds have the image, byte for byte."""
        errors = {}

        def pull(node):
            try:
                node.pull(self.name, **credentials(node))
                node.verify_content(self.name, self.origin)
            except (CallError, ContentMismatch, ValueError) as error:  # the last: its channel is closed
                errors[node.name] = str(error)
        threads = [threading.Thread(target=pull, args=(node,)) for node in nodes]
        for thread in threads:
            thread.start()

        def end():
            for thread in threads:
                thread.join()
            return errors
        self.addCleanup(end)
        return end

    def slow(self, **options):
        """The origin gets slow in mid-layer for the one that asks for it first (see Fault for more);
        returns the fault, to be released."""
        return self.gate.fault(self.layer, **{"fast": FAST, "rate": RATE, "times": 1} | options)

    def begin_and_hold(self, nodes, **options):
        """begin(), with an origin that is slow(); all have what has come fast. What it returns lets the
        rest come first."""
        fault = self.slow(**options)
        end = self.begin(nodes)
        self.wait_until_all_have(nodes)

        def release_and_end():
            fault.release()
            return end()
        return release_and_end

    def wait_until_all_have(self, nodes) -> None:
        """Waits until all nodes have a part of the layer."""
        wait_until(lambda: all(herd_of(node, self.layer).get("pieces", 0) >= HELD_AT
                               for node in nodes), 30, "all have what has come")

    def fetcher(self, nodes):
        """The node among them that fetches the layer."""
        fetcher, = self.roles(nodes)["fetches"]
        return fetcher

    def roles(self, nodes) -> dict:
        """The nodes by what they are in the layer's herd."""
        roles = collections.defaultdict(list)
        for node in nodes:
            roles[herd_of(node, self.layer).get("role")].append(node)
        return roles

    def asked_by(self, nodes, since: float) -> list:
        """The statuses of the requests for the layer that nodes have made."""
        return [request.status for request in self.requests_by(nodes, since)]

    def requests_by(self, nodes, since: float) -> list:
        """The requests for the layer that nodes have made."""
        remotes = addresses(nodes)
        return [r for r in self.origin.requests(since)
                if self.layer in r.path and r.method == "GET" and r.remote in remotes]

    def revive(self, node) -> None:
        """Starts a killed agent again, and waits until it serves."""
        node.agent.start()
        node.agent.wait_for_mesh(len(self.nodes) - 1)
        wait_for_trust(node)
