# SPDX-License-Identifier: Apache-2.0
"""What an origin can be given besides: a token service, another host for its blobs, cut connections."""

import time

from lab import image
from lab.cdn import SIGNATURE
from lab.cri import CallError
from lab.testing import LabTest, main

ALICE = {"username": "alice", "password": "wonderland"}
BOB = {"username": "bob", "password": "builder"}


class OriginExtrasTest(LabTest):
    """Real containerds without an agent: what they do and see by themselves."""

    @classmethod
    def build(cls):
        cls.tokens = cls.lab.token_service(users={"alice": "wonderland", "bob": "builder"},
                                           private={"team/secret": ["alice"]})
        cls.origin = cls.lab.origin(tokens=cls.tokens)
        cls.cdn = cls.lab.cdn()
        cls.redirecting = cls.lab.origin("redirecting", names=["ghcr.io"], plain_names=[], cdn=cls.cdn)
        cls.node = cls.lab.node("n", containerd="2.1")
        cls.origin.publish(image.synthetic(seed="public"), "library/demo", "1")
        cls.origin.publish(image.synthetic(seed="secret"), "team/secret", "1")
        cls.large = image.synthetic((6 << 20,), seed="large")

    def refused(self, name: str, **credentials) -> str:
        """The error of a pull that fails."""
        with self.assertRaises(CallError) as caught:
            self.node.pull(name, **credentials)
        return caught.exception.details

    def test_tokens_let_in_whom_they_should(self):
        since = time.time()
        self.node.pull("docker.io/library/demo:1")
        self.node.verify_content("demo:1", self.origin)
        anonymous = self.tokens.requests(since, self.node)
        self.assertEqual({r.user for r in anonymous}, {""})
        self.assertEqual(anonymous[0].granted, ["library/demo"])
        self.assertIn("insufficient_scope", self.refused("docker.io/team/secret:1"))
        self.assertIn("insufficient_scope", self.refused("docker.io/team/secret:1", **BOB))
        self.assertIn("401", self.refused("docker.io/team/secret:1", username="alice", password="no"))
        since = time.time()
        self.node.pull("docker.io/team/secret:1", **ALICE)
        self.node.verify_content("docker.io/team/secret:1", self.origin)
        self.assertEqual({(r.method, r.user) for r in self.tokens.requests(since)},
                         {("POST", "alice")})

    def test_tokens_of_a_service_that_fails(self):
        self.origin.publish(image.synthetic(seed="late"), "library/late", "1")
        self.addCleanup(lambda: self.tokens.fail(0))
        self.tokens.fail(503)
        self.assertIn("503", self.refused("docker.io/library/late:1"))
        self.tokens.fail(0)
        self.tokens.stop()
        self.assertIn("refused", self.refused("docker.io/library/late:1"))
        self.tokens.start()
        token = self.tokens.token("library/late")
        self.assertEqual(self.origin.http("GET", "/v2/library/late/tags/list", headers={
            "Authorization": f"Bearer {token}"}).status, 200)
        self.node.pull("docker.io/library/late:1")

    def test_blobs_from_another_host(self):
        self.redirecting.publish(image.synthetic(seed="cdn"), "team/app", "1")
        self.node.pull("ghcr.io/team/app:1", **ALICE)
        self.node.verify_content("ghcr.io/team/app:1", self.redirecting)
        self.assertEqual({r.status for r in self.redirecting.requests(0, self.node) if r.is_blob},
                         {307})
        sent = self.cdn.requests(0, self.node)
        self.assertEqual({r.status for r in sent}, {200})
        self.assertTrue(all(SIGNATURE in r.path for r in sent))

    def test_cut_connections(self):
        self.redirecting.publish(self.large, "team/large", "1")
        self.addCleanup(self.cdn.set_cutter, None)
        for how, times, error in (("fin", 2, ""), ("rst", 1, "reset"), ("stall", 1, "DEADLINE")):
            with self.subTest(how):
                cutter = self.cdn.set_cutter(2 << 20, how, times)
                since = self.cdn.now()
                try:
                    self.node.pull("ghcr.io/team/large:1", timeout_s=8)
                    self.assertEqual(error, "")
                except CallError as failure:
                    self.assertTrue(error and error in str(failure), failure)
                self.assertEqual(cutter.cuts, times)
                if not error:
                    self.node.verify_content("ghcr.io/team/large:1", self.redirecting)
                    got = [r for r in self.cdn.requests(since, self.node) if r.range]
                    self.assertEqual(len(got), 2)
                    self.node.containerd.client.remove_image("ghcr.io/team/large:1")
                self.cdn.set_cutter(None)
        self.node.pull("ghcr.io/team/large:1")


if __name__ == "__main__":
    main()
