# SPDX-License-Identifier: Apache-2.0
"""A herd whose fetcher signs other bytes than the content's."""

import unittest

from herds import SIZE, HerdsTest, addresses, herd_of
from lab import wait_until


class HerdLiesTest(HerdsTest):
    """Four nodes, one of them with the older containerd."""

    VERSIONS = ("2.1", "2.1", "2.1", "1.7")

    def test_blame_falls_on_the_head(self):
        since = self.origin.now()
        liar, *others = self.nodes
        # What it gets is false, and it passes that on with its word for it.
        fault = self.slow(clients=addresses([liar]), spoilt=SIZE // 2)
        end_liar = self.begin([liar])
        wait_until(lambda: herd_of(liar, self.layer).get("role") == "fetches", 20, "it fetches")
        end = self.begin(others)
        self.wait_until_all_have(others)
        self.assertGreater(herd_of(liar, self.layer)["children"], 0)
        fault.release()
        errors = end()
        end_liar()
        for node in others:
            self.assertIn("is not what its digest says", node.agent.process.log_text())
        blob = "blobs/sha256/" + self.layer.removeprefix("sha256:")
        self.assertFalse((liar.containerd.store / blob).exists())
        # kubelet's next try: the origin itself is asked.
        again = [node for node in others if node.name in errors]
        self.assertEqual(self.begin(again)(), {})
        # The right bytes tell who it was.
        for node in again:
            wait_until(lambda node=node: node.agent.status()["shunned"], 20, "the liar is found out")
            shunned = node.agent.status()["shunned"]
            self.assertEqual(len(shunned), 1, shunned)
            self.assertIn(liar.ipv4, shunned[0]["peer"])
            self.assertIn("banned", shunned[0]["state"])
        for node in others:
            # The try that failed may have gone on at the origin, in two parts.
            requests = self.requests_by([node], since)
            self.assertLessEqual(sum(r.bytes for r in requests), 2 * self.layer_bytes, requests)
            self.assertLessEqual(len(requests), 3, requests)


if __name__ == "__main__":
    unittest.main()
