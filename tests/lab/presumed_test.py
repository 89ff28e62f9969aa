# SPDX-License-Identifier: Apache-2.0
"""Images that a containerd had pulled before there was an agent: nothing is marked, but containerd says
what is from which repository. The agents find out from the registry who may have it."""

import unittest

from expectations import assert_came_by_mirror, assert_no_content_from_origin, wait_for_trust
from lab import Lab, image
from private_test import ALICE, BOB, DENIED, WRONG, explained

#: User-Agent of an agent that asks of its own accord.
AGENT = "hagring"


class _PastTheAgent(unittest.TestCase):
    """Node a, whose containerd pulls without an agent; node b has an agent and containerd 2.1 from the
    start."""

    version = "2.1"
    private = ("acme/app", "acme/down")
    public = ("library/demo", "library/down")

    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab())
        cls.tokens = cls.lab.token_service(users={"alice": "wonderland", "bob": "builder"},
                                           private={name: ["alice"] for name in cls.private})
        cls.origin = cls.lab.origin(tokens=cls.tokens)
        cls.a, cls.b = cls.lab.node("a"), cls.lab.node("b")
        cls.a.start_containerd(cls.version)
        cls.names = {}
        for repository in cls.private + cls.public:
            made = image.synthetic((60_000, 700_000), seed=repository)
            cls.origin.publish(made, repository, "1")
            cls.names[repository] = f"docker.io/{repository}:1"
            cls.a.pull(cls.names[repository], **ALICE)
        cls.a.containerd.ctr("images", "tag", cls.names["acme/app"], "docker.io/made/here:1")
        cls.a.containerd.ctr("images", "tag", cls.names["library/demo"], "docker.io/made/public:1")
        cls.a.start_agent(peers=[cls.b])
        cls.b.start_agent(peers=[cls.a])
        cls.b.start_containerd("2.1")
        # The containerd that had pulled read its roots before ours was among them.
        cls.a.containerd.restart()
        for node in (cls.a, cls.b):
            node.agent.wait_for_mesh(1)
            wait_for_trust(node)
        cls.a.agent.wait_until_told(*cls.names.values(), "docker.io/made/here:1",
                                    "docker.io/made/public:1")

    def assert_denied(self, node, name: str, refusal: str = DENIED, **credentials) -> None:
        since = self.origin.now()
        with self.assertRaisesRegex(RuntimeError, refusal):
            node.pull(name, **credentials)
        assert_no_content_from_origin(self, self.origin, since, node)

    def own_questions(self, node, repository: str) -> list:
        """What the node's agent has asked the origin of its own accord."""
        return [r for r in self.origin.requests(0, node)
                if r.agent == AGENT and f"/{repository}/" in r.path]


class PresumedTest(_PastTheAgent):
    """With the origin there, and, last, without."""

    def test_1_private(self):
        name = self.names["acme/app"]
        digest = self.a.containerd.client.image_target(name)[1]
        by_digest = f"docker.io/acme/app@{digest}"
        self.assertIn("presumed private", explained(self.a, name)["privacy"]["content"]["means"])
        # As the origin would: where it has no such name, by that it isn't found.
        for wanted, refusal in ((name, DENIED), (by_digest, DENIED),
                                ("docker.io/made/here:1", DENIED + "|not found")):
            for credentials in ({}, BOB, WRONG):
                with self.subTest(wanted, **credentials):
                    self.assert_denied(self.b, wanted, refusal, **credentials)
        self.assertFalse([e for e in self.b.agent.status()["recent"]
                          if e["source"].startswith("peer")])
        since = self.origin.now()
        self.b.pull(name, **ALICE)
        assert_came_by_mirror(self, self.b, name, "peer")
        assert_no_content_from_origin(self, self.origin, since, self.b)
        # Nor from the store that had it first, and now it is marked there.
        for credentials in ({}, BOB, WRONG):
            self.assert_denied(self.a, name, **credentials)
        self.assertEqual(explained(self.a, name)["privacy"]["content"]["means"],
                         "private: it is marked")

    def test_2_public(self):
        name, since = self.names["library/demo"], self.origin.now()
        self.b.pull(name)
        assert_came_by_mirror(self, self.b, name, "peer")
        assert_no_content_from_origin(self, self.origin, since, self.b)
        self.b.pull("docker.io/made/public:1")
        # Each agent once: a challenge, and the answer to anybody's token.
        for node in (self.a, self.b):
            asked = self.own_questions(node, "library/demo")
            self.assertLessEqual(len(asked), 2, asked)
            self.assertEqual({r.method for r in asked} - {"HEAD"}, set())

    def test_3_origin_down(self):
        # Known as private before it goes, and not yet asked about.
        marked, unknown = self.names["acme/app"], self.names["acme/down"]
        self.origin.stop()
        try:
            self.b.pull(unknown)
            assert_came_by_mirror(self, self.b, unknown, "peer")
            self.b.pull(self.names["library/down"])
            for node in (self.a, self.b):
                with self.assertRaises(RuntimeError):
                    node.pull(marked, **ALICE)
            known = explained(self.b, unknown)["privacy"]
            self.assertEqual(known["repository"], "not known")
        finally:
            self.origin.start()


class Presumed17Test(_PastTheAgent):
    """The labels of containerd 1.7."""

    version = "1.7"
    private = ("acme/app",)
    public = ("library/demo",)

    def test_private_and_public(self):
        name = self.names["acme/app"]
        self.assert_denied(self.b, name)
        self.assert_denied(self.b, name, **BOB)
        self.b.pull(name, **ALICE)
        assert_came_by_mirror(self, self.b, name, "peer")
        since = self.origin.now()
        self.b.pull(self.names["library/demo"])
        assert_came_by_mirror(self, self.b, self.names["library/demo"], "peer")
        assert_no_content_from_origin(self, self.origin, since, self.b)


class Presumed16Test(Presumed17Test):
    """The labels of containerd 1.6."""

    version = "1.6"


if __name__ == "__main__":
    unittest.main()
