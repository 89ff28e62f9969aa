# SPDX-License-Identifier: Apache-2.0
"""Two containerds on one machine, each with an agent of its own."""

import json
import unittest

from expectations import assert_came_by_mirror, wait_for_trust
from lab import Lab, image
from lab.agent import Agent
from lab.containerd import Containerd

#: Where a K3s keeps its things, beside a distribution's own containerd.
SECOND = {"name": "second", "socket": "/run/second/containerd.sock",
          "root": "/var/lib/containerd/second", "state": "/run/second"}


class _Half:
    """A machine's second containerd and agent, as expectations.py takes a node."""

    def __init__(self, node, containerd, agent):
        self.node, self.containerd, self.agent = node, containerd, agent
        self.name, self.ipv4, self.ipv6 = f"{node.name}/second", node.ipv4, node.ipv6

    def verify_content(self, name: str, origin=None):
        """As Node.verify_content."""
        half = type(self.node).__new__(type(self.node))
        half.containerd = self.containerd
        return half.verify_content(name, origin)


class TwoAgentsTest(unittest.TestCase):
    """Own socket, cgroup, pins, state, peer port; one network, one trust directory."""

    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab())
        cls.origin = cls.lab.origin()
        cls.node = cls.lab.node("n")
        cls.node.start_agent(arguments=["--containerd-socket", "/run/containerd/containerd.sock"])
        cls.other = Agent(cls.node, name="second", arguments=[
            "--containerd-socket", SECOND["socket"], "--peer-listen", "[::]:5002",
            "--dht-listen", "[::]:5003", "--metrics-listen", "[::]:9091"]).start()
        cls.node.start_containerd("2.1")
        containerd = Containerd(cls.node, "1.7", **SECOND).start()
        cls.second = _Half(cls.node, containerd, cls.other)
        for half in (cls.node, cls.second):
            wait_for_trust(half)

    def test_each_mirrors_its_own_containerd_only(self):
        for number, (half, idle) in enumerate(((self.node, self.second), (self.second, self.node))):
            name = f"docker.io/library/demo:{number}"
            self.origin.publish(image.synthetic(seed=number), "library/demo", str(number))
            before = idle.agent.status()
            since = self.origin.now()
            half.containerd.client.pull(name)
            assert_came_by_mirror(self, half, name, "origin")
            self.assertGreater(self.origin.bytes_sent(since, self.node), 0)
            after = idle.agent.status()
            for key in ("recent", "connections"):
                self.assertEqual(after[key], before[key])
            self.assertEqual(after["kernel"]["redirected"], before["kernel"]["redirected"])

    def test_pins_are_their_own(self):
        for half in (self.node, self.second):
            clients = json.loads(half.agent.dump_map("clients"))
            self.assertEqual([c["key"] for c in clients], [half.containerd.pid])

    def test_trust_files_are_their_own(self):
        files = sorted(p.name for p in self.node.path("/etc/ssl/certs").glob("hagring-*.pem"))
        self.assertEqual(len(files), 2, files)
        # Each containerd still trusts its agent when it reads the certificates anew.
        for half in (self.node, self.second):
            half.containerd.restart()
            wait_for_trust(half)

    def test_one_that_is_killed_leaves_the_other(self):
        self.other.kill()
        self.origin.publish(image.synthetic(seed="left"), "library/left", "1")
        self.second.containerd.client.pull("docker.io/library/left:1")
        self.second.verify_content("docker.io/library/left:1", self.origin)
        self.node.pull("docker.io/library/left:1")
        assert_came_by_mirror(self, self.node, "docker.io/library/left:1", "origin")
        self.other.start()
        wait_for_trust(self.second)


class SameFlagsTest(unittest.TestCase):
    """What two agents can't share is refused, by name."""

    def test_second_agent_with_the_same_socket_is_refused(self):
        with Lab() as lab:
            node = lab.node("n")
            node.start_agent()
            again = Agent(node).launch()
            self.assertNotEqual(again.process.wait(20), 0)
            self.assertIn(f"another agent (pid {node.agent.pid}) holds {node.agent.admin_socket}",
                          again.process.log_text())
            node.agent.status()
            self.assertTrue(node.path(node.agent.pin_dir).exists())


if __name__ == "__main__":
    unittest.main()
