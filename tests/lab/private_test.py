# SPDX-License-Identifier: Apache-2.0
"""Private images, a registry with token authentication: who gets what from this node and from others,
by the three values of `authorize`."""

import json
import unittest

from expectations import assert_came_by_mirror, assert_no_content_from_origin, wait_for_trust
from lab import Lab, image
from lab.agent import ADMIN_SOCKET

ALICE = {"username": "alice", "password": "wonderland"}
BOB = {"username": "bob", "password": "builder"}
WRONG = {"username": "alice", "password": "looking-glass"}

RULES = ("--rule", "docker.io/open/** authorize=open", "--rule", "docker.io/strict/** authorize=strict",
         "--rule", "docker.io/apart/** mirror=no")

#: What containerd says when the registry (or its token service) lets nobody in.
DENIED = "(?i)denied|unauthori[sz]ed|authorization failed|403|401|insufficient"


def explained(node, reference: str) -> dict:
    """`hagring explain --json`."""
    done = node.agent.hagring("explain", "--json", ADMIN_SOCKET, node.agent.admin_socket, reference,
                              check=False)
    return json.loads(done.stdout)


class _TwoNodes(unittest.TestCase):
    """Nodes a and b with containerd 2.1, and a registry with its token service."""

    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab())
        private = ("acme/app", "open/app", "strict/app", "strict/imported", "apart/app", "old/app")
        cls.tokens = cls.lab.token_service(users={"alice": "wonderland", "bob": "builder"},
                                           private={repository: ["alice"] for repository in private})
        cls.origin = cls.lab.origin(tokens=cls.tokens)
        cls.a, cls.b = cls.lab.node("a"), cls.lab.node("b")
        cls.a.start_agent(peers=[cls.b], arguments=RULES)
        cls.b.start_agent(peers=[cls.a], arguments=RULES)
        for node in (cls.a, cls.b):
            node.agent.wait_for_mesh(1)
            node.start_containerd("2.1")
            wait_for_trust(node)

    def publish(self, repository: str, tag: str = "1", seed: str = "") -> str:
        """A small image of its own; its full name."""
        made = image.synthetic((60_000, 700_000), seed=seed or repository)
        self.origin.publish(made, repository, tag)
        return f"docker.io/{repository}:{tag}"

    def pulled_on_a(self, repository: str) -> str:
        """An image that a has pulled as alice, and has told the mesh of."""
        name = self.publish(repository)
        self.a.pull(name, **ALICE)
        self.a.agent.wait_until_told(name)
        return name

    def assert_denied(self, node, name: str, **credentials) -> None:
        since = self.origin.now()
        with self.assertRaisesRegex(RuntimeError, DENIED):
            node.pull(name, **credentials)
        served = [request for request in self.origin.requests(since, node)
                  if request.method == "GET" and request.status in (200, 206)]
        self.assertEqual(served, [])


class PrivateTest(_TwoNodes):
    """Node a has pulled, with credentials; node b asks, without and with them."""

    def test_auto(self):
        name = self.pulled_on_a("acme/app")
        self.a.agent.wait_for(lambda s: s["access"]["private_repositories"] >= 1, 20, "a has found out")
        for credentials in ({}, BOB, WRONG):
            for node in (self.b, self.a):
                with self.subTest(node=node.name, **credentials):
                    self.assert_denied(node, name, **credentials)
        since = self.origin.now()
        self.b.pull(name, **ALICE)
        assert_came_by_mirror(self, self.b, name, "peer")
        assert_no_content_from_origin(self, self.origin, since, self.b)
        # From its own store no more than from another's.
        for credentials in ({}, BOB, WRONG):
            self.assert_denied(self.b, name, **credentials)
        known = explained(self.b, name)
        self.assertEqual(known["by_tag"]["authorize"], {"value": "auto"})
        self.assertEqual(known["privacy"]["repository"], "private")
        self.assertGreaterEqual(known["privacy"]["private_digests"], 4)

    def test_strict(self):
        name = self.pulled_on_a("strict/app")
        for credentials in ({}, BOB, WRONG):
            self.assert_denied(self.b, name, **credentials)
            self.assert_denied(self.a, name, **credentials)
        since = self.origin.now()
        self.b.pull(name, **ALICE)
        assert_came_by_mirror(self, self.b, name, "peer")
        assert_no_content_from_origin(self, self.origin, since, self.b)
        # What has no mark is no exception.
        self.a.containerd.ctr("images", "tag", name, "docker.io/strict/imported:1")
        self.a.agent.wait_until_told("docker.io/strict/imported:1")
        self.assert_denied(self.b, "docker.io/strict/imported:1")
        self.assertEqual(explained(self.b, name)["by_digest"]["authorize"]["rule"], 2)

    def test_open(self):
        name = self.pulled_on_a("open/app")
        since = self.origin.now()
        # With a wrong password the token service is all that containerd asks.
        self.assert_denied(self.b, name, **WRONG)
        self.b.pull(name)
        assert_came_by_mirror(self, self.b, name, "peer")
        assert_no_content_from_origin(self, self.origin, since, self.b)
        self.a.pull(name, **BOB)

    def test_excluded(self):
        name = self.publish("apart/app")
        self.a.pull(name, **ALICE)
        self.assertFalse(self.a.agent.lookup(name)["own"])
        self.assert_denied(self.b, name)
        since = self.origin.now()
        self.b.pull(name, **ALICE)
        self.assertTrue([r for r in self.origin.requests(since, self.b) if r.is_blob])
        for node in (self.a, self.b):
            sources = {entry["source"] for entry in node.agent.status()["recent"]
                       if entry["repository"] == "apart/app"}
            self.assertEqual(sources, {"passthrough"})
        known = explained(self.a, name)
        self.assertFalse(known["mirrored"])
        self.assertEqual(known["why_not"], "rule 3 excludes it")

    def test_tag_that_has_moved(self):
        name = self.publish("library/moving", "latest", "old")
        self.a.pull(name)
        self.a.agent.wait_until_told(name)
        self.publish("library/moving", "latest", "new")
        self.b.pull(name)
        self.b.verify_content(name, self.origin)
        self.assertNotEqual(self.b.containerd.client.image_target(name),
                            self.a.containerd.client.image_target(name))

    def test_z_other_containerds(self):
        # Last: nodes that are gone hold up what the others tell the mesh.
        name = self.pulled_on_a("old/app")
        for version in ("1.6", "1.7"):
            with self.subTest(version):
                node = self.lab.node(f"v{version.replace('.', '-')}")
                node.start_agent(peers=[self.a], arguments=RULES)
                node.agent.wait_for_mesh(1)
                node.start_containerd(version)
                wait_for_trust(node)
                self.assert_denied(node, name)
                self.assert_denied(node, name, **BOB)
                node.pull(name, **ALICE)
                assert_came_by_mirror(self, node, name, "peer")
                self.assert_denied(node, name)
                self.lab.remove(node)


class OriginDownTest(_TwoNodes):
    """The registry is gone, and an agent has begun anew."""

    def test_public_image_with_the_origin_down(self):
        name = self.publish("library/demo")
        self.a.pull(name)
        self.a.agent.wait_until_told(name)
        self.a.agent.wait_for(lambda s: explained(self.a, name)["privacy"]["repository"] == "public", 20,
                              "a has found out")
        self.assertEqual(explained(self.a, name)["privacy"]["private_digests"], 0)
        private = self.pulled_on_a("acme/app")
        # Marks outlive the agent, however it ends.
        self.a.agent.wait_for(
            lambda s: explained(self.a, private)["privacy"]["repository"] == "private", 20, "… of both")
        kept = explained(self.a, private)["privacy"]["private_digests"]
        state = self.a.path(f"{self.a.agent.state_dir}/private")
        self.a.agent.wait_for(lambda s: state.read_text().count("acme/app") == kept + 1, 10,
                              "it is on the disk")
        self.a.agent.kill()
        self.a.agent.start()
        wait_for_trust(self.a)
        for node in (self.a, self.b):
            node.agent.wait_for_mesh(1, 30)
        self.a.agent.wait_until_told(name, private)
        self.origin.stop()
        try:
            self.b.pull(name)
            assert_came_by_mirror(self, self.b, name, "peer")
            for node in (self.a, self.b):
                with self.assertRaises(RuntimeError):
                    node.pull(private, **ALICE)
        finally:
            self.origin.start()
        self.b.pull(private, **ALICE)
        assert_came_by_mirror(self, self.b, private, "peer")


if __name__ == "__main__":
    unittest.main()
