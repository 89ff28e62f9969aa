# SPDX-License-Identifier: Apache-2.0
"""Tags that move, and content that gets another one."""

import unittest

from events import EventTest
from lab import image


class TagsTest(EventTest):
    """One node has images; one on each containerd asks."""

    @classmethod
    def build(cls):
        cls.origin = cls.lab.origin()
        cls.has = cls.member("has")
        cls.nodes = cls.member_of_each_version(cls.has)

    def first_node_has(self, name: str) -> None:
        """Has it pulled there, and known to the mesh."""
        self.assertEqual(self.pull(self.has, name).error, "")
        self.has.agent.wait_until_told(name)

    def digest(self, node, name: str) -> str:
        """What a node's containerd takes the name for."""
        return node.containerd.client.image_target(name)[1]

    def test_latest_moves_at_the_origin(self):
        name = "docker.io/team/moving:latest"
        base = image.random_layer(300_000, "base")
        old, new = (image.assemble([base, image.random_layer(100_000, version)])
                    for version in ("old", "new"))
        self.origin.publish(old, "team/moving", "latest")
        self.first_node_has(name)
        self.for_each(self.pull_on_all(self.nodes, name),
                      lambda outcome: self.assert_from_peers(outcome, name))
        self.origin.publish(new, "team/moving", "latest")

        def has_moved(outcome):
            # One HEAD tells it; every piece is fetched once, what both have not at all.
            self.assertEqual(outcome.error, "")
            self.assertEqual(self.digest(outcome.node, name), new.digest)
            self.assertEqual([r.method for r in outcome.requests if "latest" in r.path], ["HEAD"])
            self.assertEqual([r for r in outcome.requests if base.digest in r.path], [])
            self.assertLessEqual(len(outcome.requests), 4, outcome.asked)
        self.for_each(self.pull_on_all(self.nodes, name), has_moved)
        self.assertEqual(self.digest(self.has, name), old.digest)

    def test_image_under_another_tag(self):
        made = image.synthetic(seed="retagged")
        self.origin.publish(made, "team/tagged", "1")
        self.first_node_has("docker.io/team/tagged:1")
        self.origin.publish(made, "team/tagged", "2")
        for tag in ("2", "1"):
            # The second time it's on the node already.
            name = f"docker.io/team/tagged:{tag}"
            with self.subTest(tag=tag):
                self.for_each(self.pull_on_all(self.nodes, name), lambda outcome: (
                    self.assertEqual(outcome.error, ""),
                    self.assertEqual([r.method for r in outcome.requests], ["HEAD"])))

    def test_tag_that_a_node_alone_has(self):
        self.origin.publish(image.synthetic(seed="alone"), "team/known", "1")
        self.assertEqual(self.pull(self.has, "docker.io/team/known:1").error, "")
        name = "docker.io/team/unknown:1"
        self.has.containerd.ctr("images", "tag", "docker.io/team/known:1", name)
        self.has.agent.wait_until_told(name)
        self.for_each(self.pull_on_all(self.nodes, name),
                      lambda outcome: self.assert_from_peers(outcome, name))


if __name__ == "__main__":
    unittest.main()
