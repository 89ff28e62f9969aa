# SPDX-License-Identifier: Apache-2.0
"""A node takes part in the herds of an image's other layers while its client gets one of them."""

import unittest

from expectations import wait_for_trust
from lab import Lab, image, wait_until
from lab.registry_client import RegistryClient

HUB = "registry-1.docker.io"
REPOSITORY = "library/ahead"
PIECE = 64 << 10
SIZE = 2 << 20


class HerdAheadTest(unittest.TestCase):
    """Two nodes whose clients ask for one layer at a time."""

    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab())
        cls.origin = cls.lab.origin()
        cls.image = image.synthetic((SIZE, SIZE, SIZE), seed="ahead", docker=False)
        cls.origin.publish(cls.image, REPOSITORY, "1")
        cls.nodes = [cls.lab.node(name) for name in ("early", "late")]
        cls.clients = {}
        for node, other in zip(cls.nodes, reversed(cls.nodes)):
            cls.clients[node] = RegistryClient(node)
            node.start_agent(peers=[other])
            wait_for_trust(node, cls.clients[node].pid)
        for node in cls.nodes:
            node.agent.wait_for_mesh(1)

    def get(self, node, path: str) -> None:
        """A client's read, of which it gets all, through the agent."""
        answer = self.clients[node].ask(
            "message", address=self.origin.ipv4, host=HUB, path=f"/v2/{REPOSITORY}/{path}",
            headers={"Accept": "application/vnd.oci.image.manifest.v1+json"})
        self.assertEqual(answer["status"], 200)
        self.assertIn("agring", answer["issuer"])

    def pieces(self, node, layer: str) -> int:
        """Of a layer, those that the node's agent has in a herd."""
        herds = node.agent.status()["herds"]["now"]
        return next((herd["pieces"] for herd in herds if herd["digest"] == layer), -1)

    def asked(self, layer: str, since: float) -> list:
        """Who has asked the origin for a layer."""
        return [r.remote for r in self.origin.requests(since) if layer in r.path and r.method == "GET"]

    def test_what_another_node_fetches_is_there_before_it_is_asked_for(self):
        held, shared, unwanted = self.image.layers
        early, late = self.nodes
        self.origin.set_faults(f"location ~ /blobs/{held} {{ limit_rate 20000;{self.origin.location()} }}")
        since = self.origin.now()
        for node in self.nodes:
            self.get(node, "manifests/1")
        # This one takes longer than the test.
        self.clients[early].ask("start_loop", threads=1, address=self.origin.ipv4, host=HUB,
                                path=f"/v2/{REPOSITORY}/blobs/{held}", deadline_s=60)
        wait_until(lambda: self.pieces(early, shared) == 0, 20, "it waits for the others")
        self.get(late, f"blobs/{shared}")
        wait_until(lambda: self.pieces(early, shared) == SIZE // PIECE + 1, 20, "it has the layer")
        self.assertEqual(self.asked(shared, since), [late.ipv4])
        self.assertEqual(self.asked(unwanted, since), [], "nobody's client has asked for it")
        late.agent.kill()
        self.get(early, f"blobs/{shared}")
        self.assertEqual(self.asked(shared, since), [late.ipv4])
        # What nobody has fetched yet its own client may fetch.
        self.get(early, f"blobs/{unwanted}")
        self.assertEqual(self.asked(unwanted, since), [early.ipv4])
        # What still waits doesn't keep the agent from ending.
        self.clients[early].process.kill()
        self.assertEqual(early.agent.stop(), 0)


if __name__ == "__main__":
    unittest.main()
