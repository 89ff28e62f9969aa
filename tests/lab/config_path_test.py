# SPDX-License-Identifier: Apache-2.0
"""Where the runtime has a directory of registries, it trusts the agent without being restarted."""

import shutil
import unittest

from expectations import VERSIONS, assert_came_by_mirror, blob_sources, wait_for_trust
from lab import Lab, image
from lab.agent import binary
from lab.containerd import config_with
from lab.process import wait_until

HOSTS = "/etc/certs.d"
STATE = "/var/lib/hagring/agent"


def files(node) -> list[str]:
    """All that is in the node's directory of registries."""
    folder = node.path(HOSTS)
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


class ConfigPathTest(unittest.TestCase):
    """A containerd that runs, and has read its roots, before there is an agent."""

    def start(self, lab, version: str, repositories):
        """A node whose containerd has pulled the first image, by TLS, without an agent."""
        origin = lab.origin()
        for name in repositories:
            origin.publish(image.synthetic(seed=f"{name}/{version}"), name, "1")
        node = lab.node("n")
        node.path(HOSTS).mkdir(parents=True)
        node.start_containerd(version, config_with(version, HOSTS))
        node.pull(f"docker.io/{repositories[0]}:1")
        return origin, node

    def test_pulls_are_mirrored_without_a_restart(self):
        for version in VERSIONS:
            with self.subTest(containerd=version), Lab() as lab:
                origin, node = self.start(lab, version, ["library/a", "library/b", "library/c"])
                node.start_agent()
                wait_for_trust(node)
                self.assertIn(HOSTS, node.agent.status()["clients"][0]["reason"])
                node.pull("docker.io/library/b:1")
                assert_came_by_mirror(self, node, "docker.io/library/b:1", "origin")
                node.verify_content("docker.io/library/b:1", origin)
                # K3s makes the directory anew when it starts.
                shutil.rmtree(node.path(f"{HOSTS}/docker.io"))
                wait_until(lambda: any(f.startswith("docker.io/hagring-") and f.endswith(".crt")
                                       for f in files(node)), 30, "it is put back")
                wait_for_trust(node)
                node.pull("docker.io/library/c:1")
                assert_came_by_mirror(self, node, "docker.io/library/c:1", "origin")
                node.agent.stop()
                node.agent = None
                node.run(binary(), "trust", "remove", "--state-dir", STATE)
                self.assertEqual(files(node), [])

    def test_what_has_settings_of_its_own_is_left_alone_and_spliced(self):
        with Lab() as lab:
            origin, node = self.start(lab, "2.1", ["library/a", "library/b"])
            node.write(f"{HOSTS}/docker.io/hosts.toml", 'server = "https://registry-1.docker.io"\n')
            node.start_agent()
            wait_for_trust(node)
            node.pull("docker.io/library/b:1")
            node.verify_content("docker.io/library/b:1", origin)
            self.assertEqual(blob_sources(node, "library/b"), {})
            self.assertGreater(node.agent.status()["connections"]["spliced_client_untrusting"], 0)
            self.assertEqual([p.name for p in node.path(f"{HOSTS}/docker.io").iterdir()],
                             ["hosts.toml"])

    def test_default_is_not_hidden(self):
        with Lab() as lab:
            _, node = self.start(lab, "2.1", ["library/a"])
            node.write(f"{HOSTS}/_default/hosts.toml", "")
            node.start_agent()
            node.agent.wait_for(lambda s: "_default" in s["clients"][0]["reason"]
                                if s["clients"] else False, 30, "it says why")
            self.assertEqual(files(node), ["_default", "_default/hosts.toml"])
            # Restarted, it reads the certificates anew.
            node.containerd.restart()
            wait_for_trust(node)


if __name__ == "__main__":
    unittest.main()
