# SPDX-License-Identifier: Apache-2.0
"""The product in one thread: an unchanged containerd pulls an image that only the other node has."""

import unittest

from expectations import (VERSIONS, assert_came_by_mirror, assert_no_content_from_origin, two_nodes,
                          wait_for_trust)
from lab import Lab, image
from lab.containerd import config_with


class RedirectedPullTest(unittest.TestCase):
    """The demo's pull on each containerd, with small images."""

    def test_image_that_only_the_peer_has(self):
        for version in VERSIONS:
            with self.subTest(containerd=version), two_nodes(version, index=True) as (_, origin, a, b):
                assert_came_by_mirror(self, a, "docker.io/library/demo:1", "origin")
                since = origin.now()
                b.pull("docker.io/library/only-here:1")
                b.verify_content("docker.io/library/only-here:1", origin)
                assert_came_by_mirror(self, b, "docker.io/library/only-here:1", "peer")
                assert_no_content_from_origin(self, origin, since, b)
                self.assertFalse(b.path("/etc/containerd/config.toml").exists())

    def test_same_image_by_its_own_name_comes_from_the_peer(self):
        with two_nodes("2.1") as (_, origin, _a, b):
            since = origin.now()
            b.pull("docker.io/library/demo:1")
            assert_came_by_mirror(self, b, "docker.io/library/demo:1", "peer")
            assert_no_content_from_origin(self, origin, since, b)

    def test_unknown_image_fails_with_the_origins_answer(self):
        with two_nodes("2.1") as (_, _origin, _a, b):
            with self.assertRaisesRegex(RuntimeError, "not found|NOT_FOUND"):
                b.pull("docker.io/library/nobody-has-this:1")

    def test_plain_http_registry_on_its_port(self):
        hosts = '[host."http://plain.lab.test:5000"]\n'
        for version in VERSIONS:
            with self.subTest(containerd=version), Lab() as lab:
                origin = lab.origin()
                origin.publish(image.synthetic(seed="plain"), "team/app", "1")
                a, b = lab.node("a"), lab.node("b")
                for node, other in ((a, b), (b, a)):
                    node.write("/etc/certs.d/plain.lab.test:5000/hosts.toml", hosts)
                    node.start_agent(peers=[other], registries=["http://plain.lab.test:5000"],
                                     arguments=["--peer-listen", "[::]:5000"])
                    node.start_containerd(version, config_with(version, "/etc/certs.d"))
                    node.agent.wait_for(lambda s: any(c["intercepted"] for c in s["clients"]), 20,
                                        "containerd is intercepted")
                a.pull("plain.lab.test:5000/team/app:1")
                assert_came_by_mirror(self, a, "plain.lab.test:5000/team/app:1", "origin")
                b.agent.wait_for_mesh(1)
                a.agent.wait_until_told("plain.lab.test:5000/team/app:1")
                since = origin.now()
                b.pull("plain.lab.test:5000/team/app:1")
                assert_came_by_mirror(self, b, "plain.lab.test:5000/team/app:1", "peer")
                assert_no_content_from_origin(self, origin, since, b)


class ClientWatchTest(unittest.TestCase):
    """containerd comes, goes and comes again."""

    def test_restarted_containerd_is_found_and_proven_again(self):
        with two_nodes("2.1") as (_, origin, _a, b):
            before = b.containerd.pid
            b.containerd.restart()
            self.assertNotEqual(b.containerd.pid, before)
            wait_for_trust(b)
            since = origin.now()
            b.pull("docker.io/library/only-here:1")
            assert_came_by_mirror(self, b, "docker.io/library/only-here:1", "peer")
            assert_no_content_from_origin(self, origin, since, b)

    def test_containerd_that_starts_after_the_agent_and_one_before(self):
        with Lab() as lab:
            origin = lab.origin()
            origin.publish(image.synthetic(seed="order"), "library/demo", "1")
            first, last = lab.node("first", containerd="1.7"), lab.node("last")
            first.start_agent()
            wait_for_trust(first)  # it has verified nothing yet, so it reads our file
            last.start_agent()
            last.start_containerd("1.7")
            wait_for_trust(last)
            for node in (first, last):
                node.pull("docker.io/library/demo:1")
                assert_came_by_mirror(self, node, "docker.io/library/demo:1", "origin")

    def test_only_containerd_is_redirected_of_all_in_its_cgroup(self):
        with two_nodes("2.1") as (_, origin, _a, b):
            redirected = b.agent.status()["kernel"]["redirected"]
            done = b.run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code} %{ssl_verify_result}",
                         "--cacert", "/etc/ssl/certs/origin-authority.pem",
                         f"https://{origin.names[0]}/v2/", group="containerd")
            self.assertEqual(done.stdout, "200 0")
            self.assertEqual(b.agent.status()["kernel"]["redirected"], redirected)


if __name__ == "__main__":
    unittest.main()
