# SPDX-License-Identifier: Apache-2.0
"""Pulls where names don't resolve, and what becomes of queries that clients send."""

import base64
import signal
import time
import unittest

from expectations import (VERSIONS, assert_came_by_mirror, assert_no_content_from_origin,
                          wait_for_trust)
from lab import Lab, image, wait_until
from lab.name_server import A, AAAA, NameServer, addresses_in, query
from lab.origin import DOCKER_HUB
from lab.registry_client import RegistryClient

REPOSITORY = "docker.io/library/demo"
INVENTED = "192.0.2.2"
#: Of no mirrored registry.
OTHER = "auth.lab.test"
#: The heartbeat's time-out, and what the test allows for reading the clock.
HUNG_AFTER_S = 0.6


def other_node_with(lab, tags: int):
    """An origin and a node that has docker.io/library/demo with the tags 1 to `tags`."""
    origin = lab.origin()
    for tag in range(1, tags + 1):
        origin.publish(image.synthetic((100_000, 1 << 20), seed=str(tag)), "library/demo", str(tag))
    node = lab.node("a")
    node.start_agent()
    node.start_containerd("2.1")
    wait_for_trust(node)
    for tag in range(1, tags + 1):
        node.pull(f"{REPOSITORY}:{tag}")
    return origin, node


def start(node, version, peer, **env):
    """A trusted agent and containerd."""
    node.start_agent(peers=[peer])
    peer.agent.wait_until_told(f"{REPOSITORY}:1")
    node.start_containerd(version, env=env)
    wait_for_trust(node)


class AirGapTest(unittest.TestCase):
    """No route, no name server, no name in /etc/hosts, the origin gone: one other node has the
    image."""

    def test_pull_of_each_version(self):
        with Lab() as lab:
            origin, a = other_node_with(lab, 1)
            origin.unplug()
            name = f"{REPOSITORY}:1"
            for version in VERSIONS:
                with self.subTest(version=version):
                    node = lab.node(f"b{version}")
                    node.cut_off()
                    start(node, version, a)
                    node.pull(name)
                    assert_came_by_mirror(self, node, name, "peer")
                    names = node.agent.status()["names"]
                    self.assertEqual(names["name_servers"], ["127.0.0.1", "::1"])
                    self.assertGreater(names["answered_by_us"]["unreachable"], 0)


if __name__ == "__main__":
    unittest.main()
