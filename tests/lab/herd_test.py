# SPDX-License-Identifier: Apache-2.0
"""Nodes that want the same new image at the same time: it is fetched from the origin once."""

import collections
import signal
import threading
import unittest

from events import EventTest
from lab import image, wait_until
from lab.cri import CallError

SIZE = 8 << 20
#: Of TLS, to one client: where the origin holds the layer, and nothing smaller.
HELD_AT = 3 << 20
PIECE = 64 << 10


def herd_of(node, digest: str) -> dict:
    """What the node's agent says of its part in a blob's herd; {} if it has none."""
    herds = node.agent.status()["herds"] or {"now": []}
    return next((herd for herd in herds["now"] if herd["digest"] == digest), {})


class _Herd(EventTest):
    """Nodes of one mesh that have nothing of the image yet."""

    VERSIONS: tuple = ()
    ARGUMENTS: tuple = ()

    @classmethod
    def build(cls):
        cls.origin = cls.lab.origin()
        cls.nodes = []
        for number, version in enumerate(cls.VERSIONS):
            cls.nodes.append(cls.member(f"node-{number}", *cls.nodes[:1], version=version,
                                        arguments=cls.ARGUMENTS))
        for node in cls.nodes:
            node.agent.wait_for_mesh(len(cls.nodes) - 1)

    def setUp(self):
        super().setUp()
        self.repository = "herd/" + self.id().rsplit(".", 1)[1].replace("_", "-")
        self.name = f"docker.io/{self.repository}:1"
        made = image.synthetic((SIZE, 100_000), seed=self.id())
        self.origin.publish(made, self.repository, "1")
        self.layer = made.layers[0]

    def tearDown(self):
        self.origin.set_cutter(None)

    def fetched(self, since: float, nodes=None) -> dict:
        """How often the origin has been asked for each piece of content, and has sent it."""
        remotes = {address for node in nodes or self.nodes for address in (node.ipv4, node.ipv6)}
        return collections.Counter(
            r.path.split("?")[0] for r in self.origin.requests(since)
            if r.method == "GET" and r.status in (200, 206, 307) and r.remote in remotes
            and (r.is_blob or r.is_manifest))

    def assert_fetched_once(self, since: float) -> None:
        """Asserts that the origin has sent everything once."""
        fetched = self.fetched(since)
        self.assertEqual(len(fetched), 4, fetched)  # a manifest, a config, two layers
        self.assertEqual(set(fetched.values()), {1}, fetched)

    def begin(self, nodes):
        """Pulls in the background on nodes; returns a function that gives the outcomes."""
        outcomes = {}

        def pull(node):
            outcomes[node.name] = self.pull(node, self.name)
        threads = [threading.Thread(target=pull, args=(node,)) for node in nodes]
        for thread in threads:
            thread.start()

        def end():
            for thread in threads:
                thread.join()
            return [outcomes[node.name] for node in nodes]
        self.addCleanup(end)
        return end

    def hold(self) -> None:
        """The origin stops in mid-layer, once."""
        self.origin.set_cutter(HELD_AT, how="stall", times=1)

    def wait_until_held(self, nodes) -> None:
        """Waits until all nodes have what the origin has sent of the layer."""
        least = (HELD_AT - (1 << 20)) // PIECE
        wait_until(lambda: all(herd_of(node, self.layer).get("pieces", 0) >= least
                               for node in nodes), 30, "all have what has come")

    def roles(self, nodes) -> dict:
        """The nodes by what they are in the layer's herd."""
        roles = collections.defaultdict(list)
        for node in nodes:
            roles[herd_of(node, self.layer).get("role")].append(node)
        return roles

    def assert_all_pulled(self, outcomes) -> None:
        """Each of them has the image, byte for byte (pull() has compared)."""
        self.assertEqual([(o.node.name, o.error) for o in outcomes if o.error], [])


class HerdTest(_Herd):
    """Four nodes, one of them with the older containerd."""

    VERSIONS = ("2.1", "2.1", "2.1", "1.7")

    def test_1_all_at_once(self):
        since = self.origin.now()
        self.origin.limit(40)
        self.addCleanup(self.origin.limit, None)
        outcomes = self.pull_on_all(self.nodes, self.name)
        self.assert_all_pulled(outcomes)
        self.assert_fetched_once(since)
        from_herd = [o.node.name for o in outcomes if o.sources[self.layer].startswith("herd")]
        self.assertEqual(len(from_herd), 3, [o.sources for o in outcomes])

    def test_2_one_comes_late(self):
        since = self.origin.now()
        self.hold()
        end = self.begin(self.nodes[:3])
        self.wait_until_held(self.nodes[:3])
        end_late = self.begin(self.nodes[3:])
        self.wait_until_held(self.nodes)
        self.origin.set_cutter(None)
        self.assert_all_pulled(end() + end_late())
        fetched = self.fetched(since)
        # The layer's rest, once.
        self.assertEqual(sum(fetched.values()), 5, fetched)

    def test_3_the_fetcher_is_killed(self):
        since = self.origin.now()
        self.hold()
        end = self.begin(self.nodes)
        self.wait_until_held(self.nodes)
        fetcher, = self.roles(self.nodes)["fetches"]
        others = [node for node in self.nodes if node is not fetcher]
        fetcher.agent.kill()
        outcomes = end()
        self.addCleanup(self.revive, fetcher)
        self.assert_all_pulled(outcomes)
        again = [r for r in self.origin.requests(since) if self.layer in r.path
                 and r.method == "GET" and r.remote in [n.ipv4 for n in others]]
        self.assertEqual([r.status for r in again], [206], again)

    def revive(self, node) -> None:
        """Starts a killed agent again, and waits until it serves."""
        node.agent.start()
        node.agent.wait_for_mesh(len(self.nodes) - 1)


if __name__ == "__main__":
    unittest.main()
