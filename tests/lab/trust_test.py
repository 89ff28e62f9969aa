# SPDX-License-Identifier: Apache-2.0
"""Trust is proven by the very containerd, again after each restart and each certificate alert."""

import unittest

from expectations import (VERSIONS, assert_came_by_mirror, blob_sources, is_trusted, wait_for_trust)
from lab import Lab, image
from lab.registry_client import RegistryClient


def refused(status: dict, pid: int) -> bool:
    """Whether the client `pid` has refused the agent's certificate."""
    return any(c["pid"] == pid and c["trust"] == "refused" for c in status["clients"])


class TrustTest(unittest.TestCase):
    """containerd and a client that stop trusting the agent, and begin again."""

    def test_restarted_containerd_that_no_longer_finds_the_authority(self):
        for version in VERSIONS:
            with self.subTest(containerd=version), Lab() as lab:
                origin = lab.origin()
                for tag in ("1", "2"):
                    origin.publish(image.synthetic(seed=f"trust/{tag}"), f"library/demo{tag}", tag)
                node = lab.node("n")
                node.start_agent()
                node.start_containerd(version)
                wait_for_trust(node)
                # The bundle only; the file itself would be put back.
                node.containerd.restart(env={"SSL_CERT_DIR": "/etc/no/such"})
                node.agent.wait_for(lambda s: refused(s, node.containerd.pid), 30,
                                    "the restarted containerd refuses the probe")
                before = node.agent.status()["connections"]
                node.pull("docker.io/library/demo1:1")
                node.verify_content("docker.io/library/demo1:1", origin)
                after = node.agent.status()["connections"]
                self.assertGreater(after["spliced_client_untrusting"],
                                   before["spliced_client_untrusting"])
                self.assertEqual(after["terminated"], before["terminated"])
                self.assertEqual(blob_sources(node, "library/demo1"), {})
                node.containerd.restart()
                wait_for_trust(node)
                node.pull("docker.io/library/demo2:2")
                assert_came_by_mirror(self, node, "docker.io/library/demo2:2", "origin")

    def test_certificate_alert_puts_the_client_back_to_splicing_until_a_probe_succeeds(self):
        with Lab() as lab:
            origin = lab.origin()
            node = lab.node("n")
            client = RegistryClient(node)
            node.start_agent()
            wait_for_trust(node, client.pid)
            client.ask("forget_roots", roots="bundle")
            answer = client.request(origin.ipv4, "registry-1.docker.io")
            self.assertFalse(answer["ok"], answer)
            status = node.agent.wait_for(lambda s: refused(s, client.pid), 10, "it is refused")
            self.assertIn("TLS alert", status["clients"][0]["reason"])
            for _ in range(3):
                answer = client.request(origin.ipv4, "registry-1.docker.io")
                self.assertTrue(answer["ok"], answer)
                self.assertNotIn("agring", answer["issuer"])
            client.ask("forget_roots", roots="all")
            node.agent.wait_for(lambda s: is_trusted(s, client.pid), 60, "the next probe succeeds")
            answer = client.request(origin.ipv4, "registry-1.docker.io")
            self.assertIn("agring", answer["issuer"])


if __name__ == "__main__":
    unittest.main()
