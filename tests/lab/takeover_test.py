# SPDX-License-Identifier: Apache-2.0
"""Upgrades: an agent takes another's place while connections and pulls go on."""

import threading
import unittest

from expectations import assert_came_by_mirror, wait_for_trust
from lab import Lab, image, wait_until
from lab.agent import Agent
from lab.containerd import config_with
from lab.registry_client import RegistryClient

UPGRADES = 20
THREADS = 8
DEADLINE_S = 5.0
FILES_UPGRADES = 4
HOSTS = "/etc/certs.d"


class TakeoverTest(unittest.TestCase):
    """Connections in loops, each a whole TLS handshake and HTTP request."""

    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab())
        cls.origin = cls.lab.origin()

    def test_no_connection_fails_and_all_are_mirrored(self):
        node = self.lab.node("loop")
        client = RegistryClient(node)
        node.start_agent()
        wait_for_trust(node, client.pid)
        client.ask("start_loop", threads=THREADS, address=self.origin.ipv4,
                   host="registry-1.docker.io", deadline_s=DEADLINE_S)
        for _ in range(UPGRADES):
            node.agent = node.agent.take_over()
            node.agent.wait_for(lambda s: s["connections"]["terminated"] > THREADS, 20,
                                "the successor terminates the loop's connections")
        results = client.ask("end_loop")["results"]
        self.assertGreater(len(results), UPGRADES * THREADS)
        for result in results:
            self.assertTrue(result["ok"], result)
            self.assertIn("agring", result["issuer"])

    def test_no_pull_fails(self):
        node = self.lab.node("pulls")
        node.start_containerd("2.1")
        node.start_agent()
        wait_for_trust(node)
        names = []
        for number in range(3 * UPGRADES):
            self.origin.publish(image.synthetic(seed=f"takeover {number}"), "library/demo",
                                str(number))
            names.append(f"docker.io/library/demo:{number}")
        failures, pulled = [], []
        done = threading.Event()

        def pull_all() -> None:
            for name in names:
                if done.is_set():
                    return
                try:
                    node.pull(name)
                    pulled.append(name)
                except Exception as error:  # What it was is what the test tells.
                    failures.append(f"{name}: {error}")

        puller = threading.Thread(target=pull_all)
        puller.start()
        try:
            for _ in range(UPGRADES):
                before = len(pulled)
                node.agent = node.agent.take_over()
                wait_until(lambda: len(pulled) + len(failures) > before or not puller.is_alive(), 60,
                           "a pull ends after an upgrade")
        finally:
            done.set()
            puller.join()
        self.assertEqual(failures, [])
        self.assertGreater(len(pulled), UPGRADES // 2)
        node.verify_content(pulled[-1], self.origin)
        # The state that the last one found is whole: it mirrors, and the mesh knows it.
        self.origin.publish(image.synthetic(seed="after"), "library/demo", "after")
        node.pull("docker.io/library/demo:after")
        assert_came_by_mirror(self, node, "docker.io/library/demo:after", "origin")

    def test_trust_by_files_is_vouched_for(self):
        """A containerd that trusts by config_path alone: it read its roots before there was an agent."""
        for version in ("1.7", "2.1"):
            with self.subTest(containerd=version):
                node = self.lab.node(f"files{version.replace('.', '')}")
                node.path(HOSTS).mkdir(parents=True)
                node.start_containerd(version, config_with(version, HOSTS))
                for number in range(FILES_UPGRADES + 1):
                    self.origin.publish(image.synthetic(seed=f"files {version} {number}"),
                                        f"library/files{number}", "1")
                node.pull("docker.io/library/files0:1")
                node.start_agent()
                wait_for_trust(node)
                for number in range(1, FILES_UPGRADES + 1):
                    node.agent = node.agent.take_over()
                    # Nothing is waited for: what the last one knew, this one knows.
                    name = f"docker.io/library/files{number}:1"
                    node.pull(name)
                    assert_came_by_mirror(self, node, name, "origin")
                    client, = node.agent.status()["clients"]
                    self.assertIn(f"trusted by files in {HOSTS}", client["reason"])
                node.verify_content(name, self.origin)

    def test_what_it_knew_its_successor_knows(self):
        """At the moment that the predecessor is let go: nothing is waited for."""
        node, other = self.lab.node("knows"), self.lab.node("other")
        other.start_agent()
        node.start_containerd("2.1", config_with("2.1", HOSTS, discard_unpacked_layers=True))
        node.start_agent(peers=[other], arguments=["--keep-layers-until", "100"])
        wait_for_trust(node)
        node.agent.wait_for_mesh(1)
        node.agent.wait_for(lambda s: s["layers"]["keeping"], 20, "it knows that layers are thrown away")
        for _ in range(FILES_UPGRADES):
            node.agent = node.agent.take_over()
            said = node.agent.process.log_text()
            if "takes the other agent's place after" in said:
                continue  # The machine is so slow that its patience was at its end.
            status = node.agent.status()
            self.assertTrue(status["store"]["connected"])
            self.assertTrue(status["layers"]["keeping"])
            self.assertEqual(len(status["mesh"]["nodes"]), 1)

    def test_without_the_option_a_second_agent_refuses(self):
        node = self.lab.node("second")
        node.start_agent()
        second = Agent(node)
        second.launch()
        self.assertEqual(second.process.wait(20), 1)
        self.assertIn("--takeover", second.process.log_tail(3))
        self.assertTrue(node.path("/sys/fs/bpf/hagring/flows").exists(), "the first one's pins")
        node.agent.status()

    def test_with_the_option_and_nobody_there_it_just_starts(self):
        node = self.lab.node("first")
        node.start_agent(arguments=["--takeover", "true"])
        self.assertEqual(node.agent.stop(), 0)


if __name__ == "__main__":
    unittest.main()
