# SPDX-License-Identifier: Apache-2.0
"""A node before hagring was installed and after it was removed: the same to the last file."""

import re
import signal
import unittest

from expectations import assert_came_by_mirror, wait_for_trust
from lab import image, wait_until
from lab.agent import Agent, binary
from lab.containerd import config_with
from lab.footprint import bpf_objects, difference, files, leases, living
from lab.testing import AgentTest

CERTS = "/etc/containerd/certs.d"


class UninstallTest(AgentTest):
    """A containerd that has a config_path and throws layers away, so that files and leases are needed."""

    @classmethod
    def build(cls):
        cls.origin = cls.lab.origin()
        cls.node = cls.lab.node("n")
        cls.node.write(f"{CERTS}/registry.example.com/hosts.toml", 'server = "https://example.com"\n')
        cls.node.start_containerd("2.1", config_with("2.1", CERTS, discard_unpacked_layers=True))
        cls.node.run("openssl", "rehash", "/etc/ssl/certs")
        cls.before, cls.leases_before = files(cls.node), leases(cls.node.containerd)

    def start(self, *arguments) -> Agent:
        """An agent as somebody starts it who tells it nothing but `arguments`. The disk, which is the
        machine's own, may be full."""
        self.node.agent = Agent(self.node, untold=True,
                                arguments=["--keep-layers-until", "100", *arguments]).start()
        self.addCleanup(lambda: self.node.agent.process.kill())
        wait_for_trust(self.node)
        self.node.agent.wait_for(lambda s: s["layers"]["keeping"], 20, "it knows that layers are thrown away")
        return self.node.agent

    @staticmethod
    def end(agent) -> int:
        """SIGTERM. containerd may keep connections on which it has asked nothing yet: they have 10 s."""
        agent.process.signal(signal.SIGTERM)
        return agent.process.wait(30)

    def pull(self, name: str) -> None:
        self.origin.publish(image.synthetic((300_000, 2 << 20), seed=name), f"library/{name}", "1")
        self.node.pull(f"docker.io/library/{name}:1")
        assert_came_by_mirror(self, self.node, f"docker.io/library/{name}:1", "origin")
        wait_until(lambda: leases(self.node.containerd) - self.leases_before, 10, "layers are kept by a lease")

    def assert_installed(self) -> None:
        """All kinds of things are there, so that their absence later says something."""
        # As update-ca-certificates does at its end.
        self.node.run("openssl", "rehash", "/etc/ssl/certs")
        patterns = (r"came: /etc/ssl/certs/hagring-\S+\.pem ",
                    r"came: /etc/ssl/certs/[0-9a-f]{8}\.0 .*hagring-",
                    rf"came: {CERTS}/docker\.io/\S+ ", r"came: /var/lib/hagring/ca\.key \('-rw-------'",
                    "came: /var/lib/hagring/identity ", "came: /var/lib/hagring/mesh.key ",
                    "came: /run/hagring/hagring.sock ", "came: /sys/fs/bpf/hagring/flows ")

        def is_there() -> bool:
            came = "\n".join(difference(self.before, files(self.node)))
            return all(re.search(pattern, came) for pattern in patterns)
        wait_until(is_there, 10, f"there are {', '.join(patterns)}")

    def assert_as_before(self, objects) -> None:
        self.assertEqual(difference(self.before, files(self.node)), [])
        self.assertEqual(leases(self.node.containerd), self.leases_before)
        # The kernel frees programs and maps some time after the last descriptor of them has gone.
        wait_until(lambda: not living(self.node, objects), 10, "no BPF object is left")

    def objects_of(self, agent) -> set:
        objects = bpf_objects(agent.pid)
        self.assertEqual({kind for kind, _ in objects}, {"prog", "map", "link"})
        self.assertEqual(living(self.node, objects), objects)
        return objects

    def pull_without_agent(self, name: str) -> None:
        """containerd has forgotten us."""
        self.origin.publish(image.synthetic(seed=name), f"library/{name}", "1")
        self.node.pull(f"docker.io/library/{name}:1")

    def test_1_by_command(self):
        agent = self.start()
        self.pull("command")
        self.assert_installed()
        objects = self.objects_of(agent)
        refused = self.node.run(binary(), "uninstall", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn(str(agent.pid), refused.stderr + refused.stdout)
        self.assert_installed()
        self.assertEqual(self.end(agent), 0)
        done = self.node.run(binary(), "uninstall")
        self.assertRegex(done.stdout.splitlines()[0], "authority's key +removed /var/lib/hagring/ca.key")
        self.assert_as_before(objects)
        self.assertNotIn("removed", self.node.run(binary(), "uninstall").stdout)
        self.assert_as_before(objects)
        self.pull_without_agent("after-command")

    def test_2_at_the_end_of_the_last_agent(self):
        agent = self.start("--uninstall-on-exit", "true")
        self.pull("exit")
        key = self.node.read("/var/lib/hagring/ca.key")
        objects = self.objects_of(agent)
        self.node.agent = agent.take_over()
        # One that is replaced leaves all to its successor.
        self.assertNotIn("uninstall:", agent.process.log_text())
        self.assertEqual(self.node.read("/var/lib/hagring/ca.key"), key)
        wait_for_trust(self.node)
        self.pull("exit-again")
        self.assert_installed()
        objects |= self.objects_of(self.node.agent)
        self.assertEqual(self.end(self.node.agent), 0)
        said = self.node.agent.process.log_text()
        removed = re.findall(r"uninstall: (\S.*?) +removed ", said)
        self.assertEqual(removed[0], "authority's key", said)
        self.assert_as_before(objects)
        self.pull_without_agent("after-exit")

    def test_3_what_is_not_ours_stays(self):
        agent = self.start("--uninstall-on-exit", "true")
        self.node.write("/var/lib/hagring/notes", "an operator's\n")
        self.assertEqual(self.end(agent), 0)
        self.assertIn("/var/lib/hagring stays", agent.process.log_text())
        left = difference(self.before, files(self.node))
        self.assertEqual([line.split()[1] for line in left], ["/var/lib/hagring", "/var/lib/hagring/notes"])
        self.node.run("rm", "-r", "/var/lib/hagring")


if __name__ == "__main__":
    unittest.main()
