# SPDX-License-Identifier: Apache-2.0
"""Herds with options: zones, and limits of what a node sends."""

import time
import unittest

from herds import SIZE, HerdsTest, herd_of
from lab import wait_until
from lab.agent import ADMIN_SOCKET

ZONES = ("east", "east", "west", "west")


class ZonesTest(HerdsTest):
    """Two zones of two nodes: each fetches for itself."""

    VERSIONS = ("2.1", "2.1", "2.1", "2.1")

    @classmethod
    def arguments(cls, number: int) -> tuple:
        return (*cls.ARGUMENTS, "--zone", ZONES[number])

    def streamed(self, key: str) -> list:
        return [node.agent.status()["herds"][key] for node in self.nodes]

    def test_each_zone_fetches_once_and_nothing_crosses(self):
        since = self.origin.now()
        end = self.begin_and_hold(self.nodes, times=2)
        zones = (self.nodes[:2], self.nodes[2:])
        for zone in zones:
            # Who fetches and who streams is of the same zone.
            roles = self.roles(zone)
            self.assertEqual({role: len(nodes) for role, nodes in roles.items()},
                             {"fetches": 1, "streams": 1})
            fetcher, = roles["fetches"]
            # A node has a child for each stripe, and both are the other node of its zone.
            self.assertEqual(herd_of(fetcher, self.layer)["children"], 2)
            other, = roles["streams"]
            self.assertEqual(herd_of(other, self.layer)["children"], 0)
        self.assertEqual(end(), {})
        for zone in zones:
            self.assertEqual(self.asked_by(zone, since), [200])
        # All content: each zone once at most (what is small may be whole in one before the other asks), and what
        # one zone's node sent is what the other took.
        fetched = self.fetched(since)
        self.assertLessEqual(set(fetched.values()), {1, 2}, fetched)
        into, out = self.streamed("bytes_in"), self.streamed("bytes_out")
        for first in (0, 2):
            self.assertEqual(sum(into[first:first + 2]), sum(out[first:first + 2]))
            self.assertGreaterEqual(sum(into[first:first + 2]), SIZE)

    def test_finished_content_of_another_zone_is_found(self):
        self.assertEqual(self.begin(self.nodes[:1])(), {})
        self.nodes[0].agent.wait_until_told(self.layer)
        since = self.origin.now()
        self.assertEqual(self.begin(self.nodes[2:3])(), {})
        self.assertEqual([path for path in self.fetched(since) if self.layer in path], [])

    def test_status_tells_the_zone(self):
        for node, zone in zip(self.nodes, ZONES):
            self.assertEqual(node.agent.status()["herds"]["zone"], zone)
            self.assertIn(f"zone {zone}\n", node.agent.hagring("status", ADMIN_SOCKET, node.agent.admin_socket).stdout)


#: Bytes a second, and what may be sent at once after a pause (Upload::burst).
LIMIT = 1_000_000
BURST = 128 << 10
#: Of frames and signatures, in a hundred.
OVERHEAD = 1.02


class UploadLimitTest(HerdsTest):
    """Nodes that may send little."""

    VERSIONS = ("2.1", "2.1", "2.1")
    ARGUMENTS = (*HerdsTest.ARGUMENTS, "--herd-upload-limit", "8Mbit/s")

    def sent(self, node) -> int:
        """Bytes of pieces that the node has sent to others."""
        return node.agent.status()["herds"]["bytes_out"]

    def test_no_more_is_sent_than_the_limit_allows(self):
        since, begun = self.origin.now(), time.monotonic()
        # None of them is finished before the others have joined: what is finished isn't sent in pieces.
        fault = self.slow()
        end = self.begin(self.nodes)
        samples = []
        while not all(node.containerd.client.image_status(self.name) for node in self.nodes):
            if all(herd_of(node, self.layer).get("pieces") for node in self.nodes):
                fault.release()
            for node in self.nodes:
                sent = self.sent(node)
                # Read before the clock is: what was sent until then.
                samples.append((time.monotonic() - begun, sent, node.name))
            self.assertLess(samples[-1][0], 60, samples)
            time.sleep(0.1)
        self.assertEqual(end(), {})
        self.assertEqual(self.asked_by(self.nodes, since), [200])
        for elapsed, sent, name in samples:
            self.assertLessEqual(sent, (elapsed * LIMIT + BURST) * OVERHEAD, (name, samples))
        # Each byte that two of them have has come from another.
        self.assertGreaterEqual(sum(self.sent(node) for node in self.nodes), 2 * SIZE)


if __name__ == "__main__":
    unittest.main()
