# SPDX-License-Identifier: Apache-2.0
"""A mesh that is split while an image is pulled everywhere, and heals."""

import unittest

from herds import HerdsTest
from lab import wait_until


class HerdPartitionTest(HerdsTest):
    """Four nodes, one of them with the older containerd."""

    VERSIONS = ("2.1", "2.1", "2.1", "1.7")

    def test_halves_find_each_other(self):
        since = self.origin.now()
        half, other_half = self.nodes[:2], self.nodes[2:]
        self.addCleanup(self.heal)
        for node in half:
            node.part_from(other_half)
        for node in other_half:
            node.part_from(half)
        end = self.begin_and_hold(self.nodes, times=None)
        self.assertEqual(self.asked_by(self.nodes, since), [])
        self.heal()
        # The log has a request when it has ended: one of two is left.
        wait_until(lambda: self.asked_by(self.nodes, since), 15, "one of the two stops")
        stopped, = self.requests_by(self.nodes, since)
        self.assertEqual((stopped.status, stopped.complete), (200, False))
        self.assertEqual(end(), {})
        self.assertEqual(self.asked_by(self.nodes, since), [200, 200])
        for node in self.nodes:
            others = {one.agent.status()["mesh"]["peer_id"] for one in self.nodes if one is not node}
            wait_until(lambda n=node, o=others: o <= self.providers(n), 20,
                       f"{node.name} finds all that have it")

    def heal(self) -> None:
        """Lets all hear each other."""
        for node in self.nodes:
            node.meet([other for other in self.nodes if other is not node])

    def providers(self, node) -> set:
        """Those that a node finds to have the layer."""
        return {provider["peer_id"] for provider in node.agent.lookup(self.layer)["providers"]}


if __name__ == "__main__":
    unittest.main()
