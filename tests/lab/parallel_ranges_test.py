# SPDX-License-Identifier: Apache-2.0
"""containerd 2.1 that fetches a layer in several ranges at once."""

import unittest

from events import EventTest
from lab import image

CHUNK = 1 << 20
SIZE = 8 << 20

#: Of the transfer service, and of CRI's own pull. The transfer service only turns to ranges for it.
CONFIG = f"""version = 3
[plugins.'io.containerd.transfer.v1.local']
  concurrent_layer_fetch_buffer = {CHUNK}
[plugins.'io.containerd.cri.v1.images']
  concurrent_layer_fetch_buffer = {CHUNK}
"""


class ParallelRangesTest(EventTest):
    """A node that fetches in ranges, and one that has the image."""

    @classmethod
    def build(cls):
        cls.origin = cls.lab.origin()
        cls.first = cls.member("first")
        cls.ranged = cls.member("ranged", cls.first, containerd_config=CONFIG)

    def publish(self, name: str) -> str:
        """Publishes an image under docker.io/team/<name>:1; its layer's digest."""
        made = image.synthetic((SIZE,), seed=name)
        self.origin.publish(made, f"team/{name}", "1")
        return made.layers[0]

    def parts(self, layer: str) -> list[dict]:
        """The agent's record of requests for the layer."""
        return [entry for entry in self.ranged.agent.status()["recent"]
                if entry["reference"] == layer and entry["status"] in (200, 206)]

    def assert_in_parts(self, layer: str, sources: set[str]) -> None:
        """Asserts that the layer was fetched in several parts, from these kinds of sources only."""
        parts = self.parts(layer)
        self.assertGreater(len(parts), 2, parts)
        self.assertEqual({part["status"] for part in parts}, {206}, parts)
        self.assertLessEqual({part["source"].split()[0] for part in parts}, sources, parts)

    def test_from_the_origin(self):
        layer = self.publish("origin")
        self.assertEqual(self.pull(self.ranged, "docker.io/team/origin:1").error, "")
        self.assert_in_parts(layer, {"origin"})

    def test_from_a_peer_and_the_origin(self):
        layer = self.publish("both")
        self.assertEqual(self.pull(self.first, "docker.io/team/both:1").error, "")
        self.first.agent.wait_until_told("docker.io/team/both:1")
        self.assertEqual(self.pull(self.ranged, "docker.io/team/both:1").error, "")
        # The first part's bytes, which are the whole's, can be verified; the others' not.
        self.assert_in_parts(layer, {"peer", "origin"})

    def test_from_a_peer_alone(self):
        layer = self.publish("peer")
        self.assertEqual(self.pull(self.first, "docker.io/team/peer:1").error, "")
        self.first.agent.wait_until_told("docker.io/team/peer:1")
        self.origin.set_faults("location ~ /blobs/ { return 503; }")
        self.addCleanup(self.origin.set_faults, "")
        self.assertEqual(self.pull(self.ranged, "docker.io/team/peer:1").error, "")
        self.assert_in_parts(layer, {"peer"})

    def test_from_an_origin_without_ranges(self):
        layer = self.publish("plain")
        self.assertEqual(self.pull(self.first, "docker.io/team/plain:1").error, "")
        self.first.agent.wait_until_told("docker.io/team/plain:1")
        # nginx takes the field away, so the registry sends all of it. A peer answers the first part
        # with 206, and then containerd takes whatever comes for the part that it asked for.
        self.origin.set_faults("location ~ /blobs/ { proxy_pass http://127.0.0.1:5001;"
                               " proxy_set_header Host $http_host; proxy_set_header Range ''; }")
        self.addCleanup(self.origin.set_faults, "")
        self.assertEqual(self.pull(self.ranged, "docker.io/team/plain:1").error, "")
        self.assert_in_parts(layer, {"peer", "origin"})


if __name__ == "__main__":
    unittest.main()
