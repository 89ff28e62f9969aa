# SPDX-License-Identifier: Apache-2.0
"""An origin, or the host to which it sends for blobs, that fails in the middle of one."""

import time
import unittest

from events import EventTest
from lab import image

SIZE = 6 << 20
CUT_AT = 2 << 20

#: How long the agents here wait for the next byte.
STALL_TIMEOUT_S = 2


class OriginStreamTest(EventTest):
    """Nodes on each containerd, each alone: there is nobody but the origin."""

    @classmethod
    def build(cls):
        cls.origin = cls.lab.origin()
        cls.nodes = cls.member_of_each_version(
            arguments=["--stall-timeout", f"{STALL_TIMEOUT_S}s"])

    def assert_survives(self, how: str, front, origin, name: str) -> None:
        """Asserts that a pull from `origin` succeeds when `front` ends the layer's connection, with two
        requests for the layer."""
        layer, = image.synthetic((SIZE,), seed=name).layers
        origin.publish(image.synthetic((SIZE,), seed=name), name.split("/", 1)[1], "1")
        self.addCleanup(front.set_cutter, None)
        for node in self.nodes:
            cutter = front.set_cutter(CUT_AT, how, times=1)
            since = front.now()
            outcome = self.pull(node, f"{name}:1", origin)
            with self.subTest(how, containerd=node.containerd.version):
                self.assertEqual(outcome.error, "")
                self.assertEqual(cutter.cuts, 1)
                self.assertEqual(outcome.sources.get(layer), "origin")
                parts = [r for r in front.requests(since, node)
                         if r.method == "GET" and layer.split(":")[1] in r.path]
                self.assertEqual(len(parts), 2, parts)
                self.assertGreater(int(parts[-1].range.removeprefix("bytes=").rstrip("-")), 0)

    def test_ends(self):
        self.assert_survives("fin", self.origin, self.origin, "docker.io/library/fin")

    def test_resets(self):
        # By itself containerd doesn't try again after a reset.
        self.assert_survives("rst", self.origin, self.origin, "docker.io/library/rst")

    def test_falls_silent(self):
        begun = time.monotonic()
        self.assert_survives("stall", self.origin, self.origin, "docker.io/library/stall")
        self.assertLess(time.monotonic() - begun, len(self.nodes) * (STALL_TIMEOUT_S + 10))


class RedirectedBlobTest(EventTest):
    """An origin whose blobs are at another host."""

    @classmethod
    def build(cls):
        cls.cdn = cls.lab.cdn()
        cls.tokens = cls.lab.token_service(users={"alice": "wonderland"})
        cls.origin = cls.lab.origin(tokens=cls.tokens, cdn=cls.cdn)
        cls.first = cls.member("first")
        cls.second = cls.member("second", cls.first)

    def publish(self, name: str) -> str:
        """Publishes an image; its name."""
        self.origin.publish(image.synthetic((100_000, 6 << 20), seed=name), f"team/{name}", "1")
        return f"docker.io/team/{name}:1"

    def test_is_fetched_once_and_shared(self):
        name = self.publish("shared")
        since = self.cdn.now()
        outcome = self.pull(self.first, name, username="alice", password="wonderland")
        self.assertEqual(outcome.error, "")
        sent = self.cdn.requests(since)
        # Each blob once, by the mirror, without the client's credentials.
        self.assertEqual({r.status for r in sent}, {200}, sent)
        self.assertEqual({r.authorization for r in sent}, {""})
        self.assertEqual(len({r.path for r in sent}), len(sent), sent)
        for blob in self.first.verify_content(name):
            self.assertTrue(outcome.sources.get(blob.digest, "").startswith("origin"), blob)
        self.first.agent.wait_until_told(name)
        since = self.cdn.now()
        self.assert_from_peers(self.pull(self.second, name), name)
        self.assertEqual(self.cdn.requests(since), [])

    def test_signature_is_nowhere_to_be_read(self):
        name = self.publish("secret")
        self.assertEqual(self.pull(self.first, name).error, "")
        told = self.first.agent.process.log_text() + str(self.first.agent.status())
        self.assertNotIn("X-Amz", told)
        self.assertNotIn("5ecret", told)

    def test_other_host_breaks_off(self):
        for how in ("fin", "rst"):
            with self.subTest(how):
                name = self.publish(f"cut-{how}")
                cutter = self.cdn.set_cutter(2 << 20, how, times=1)
                self.addCleanup(self.cdn.set_cutter, None)
                self.assertEqual(self.pull(self.first, name).error, "")
                self.assertEqual(cutter.cuts, 1)

    def test_other_host_refuses(self):
        name = self.publish("refused")
        self.cdn.set_faults("location /docker/ { return 403; }")
        self.addCleanup(self.cdn.set_faults, "")
        self.assertRegex(self.pull(self.first, name).error, "403")


if __name__ == "__main__":
    unittest.main()
