# SPDX-License-Identifier: Apache-2.0
"""Origins that the agent can't stand in for are spliced, and pulled from as if it weren't there."""

import unittest

from expectations import VERSIONS, assert_came_by_mirror, blob_sources, wait_for_trust
from lab import Lab, image
from lab.certificates import Authority
from lab.containerd import config_with

HOSTS = "/etc/certs.d"


class OriginTrustTest(unittest.TestCase):
    """A registry of a private authority, and ones that ask for client certificates."""

    def pulls_spliced(self, node, origin, name: str) -> None:
        """Pulls from `origin`; the agent has seen the connections and left them alone."""
        before = node.agent.status()["connections"]
        since = origin.now()
        node.pull(name)
        node.verify_content(name, origin)
        after = node.agent.status()["connections"]
        self.assertGreater(after["spliced_origin_unverifiable"],
                           before["spliced_origin_unverifiable"])
        self.assertEqual(after["terminated"], before["terminated"])
        self.assertEqual(blob_sources(node, "team/app"), {})
        self.assertGreater(origin.bytes_sent(since, node), 0)

    def node(self, lab, version: str):
        node = lab.node("n")
        node.write("/etc/lab/private.pem", self.authority.pem)
        chain, key = self.authority.issue("client", ["client.lab.test"])
        node.write("/etc/lab/client.pem", chain.read_text())
        node.write("/etc/lab/client.key", key.read_text())
        for host, more in (("quay.io", ""), ("ghcr.io", ""),
                           ("gcr.io", 'client = [["/etc/lab/client.pem", "/etc/lab/client.key"]]\n')):
            node.write(f"{HOSTS}/{host}/hosts.toml", f'server = "https://{host}"\n'
                       f'[host."https://{host}"]\nca = "/etc/lab/private.pem"\n{more}')
        node.start_agent()
        node.start_containerd(version, config_with(version, HOSTS))
        wait_for_trust(node)
        return node

    def test_is_spliced(self):
        for version in VERSIONS:
            with self.subTest(containerd=version), Lab() as lab:
                self.authority = Authority(lab.work / "company", "A Company's Own Root")
                file = self.authority.folder / "ca.pem"
                public = lab.origin()
                private = lab.origin("private", names=["quay.io"], plain_names=[],
                                     authority=self.authority, trusted=False)
                # Verifiable by the host, but asking: not knowing what for, the agent stays out.
                asking = lab.origin("asking", names=["ghcr.io"], plain_names=[], tls=[
                    f'ssl_client_certificate "{file}";', "ssl_verify_client optional;"])
                requiring = lab.origin("requiring", names=["gcr.io"], plain_names=[], tls=[
                    f'ssl_client_certificate "{file}";', "ssl_verify_client on;"])
                node = self.node(lab, version)
                for origin in (private, asking, requiring):
                    origin.publish(image.synthetic(seed=origin.name), "team/app", "1")
                    self.pulls_spliced(node, origin, f"{origin.names[0]}/team/app:1")
                public.publish(image.synthetic(seed=f"public/{version}"), "library/demo", "1")
                node.pull("docker.io/library/demo:1")
                assert_came_by_mirror(self, node, "docker.io/library/demo:1", "origin")


if __name__ == "__main__":
    unittest.main()
