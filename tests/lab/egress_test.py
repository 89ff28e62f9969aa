# SPDX-License-Identifier: Apache-2.0
"""containerd behind an egress proxy: by it alone the origin is reached, by it and by us."""

import unittest

from expectations import (assert_came_by_mirror, assert_no_content_from_origin, blob_sources,
                          wait_for_trust)
from lab import Lab, image
from lab.agent import ADMIN_SOCKET, binary
from lab.containerd import config_with
from lab.egress_proxy import PORT, EgressProxy, Tinyproxy
from lab.testing import AgentTest

CREDENTIALS = "user:se-cret"
PLAIN = "plain.lab.test:5000"
DIRECT = "direct.lab.test"
CERTS = "/etc/certs.d"


def start(node, version: str, env: dict, peers=()) -> None:
    """Starts the agent, then containerd with `env`, and waits for trust."""
    node.write(f"{CERTS}/{PLAIN}/hosts.toml", f'[host."http://{PLAIN}"]\n')
    node.start_agent(peers=peers, registries=[f"http://{PLAIN}", DIRECT],
                     arguments=["--peer-listen", "[::]:5000"])
    node.start_containerd(version, config_with(version, CERTS), env)


def proxied(status: dict) -> dict:
    """What the agent's status says of its client's proxies."""
    return status["clients"][0]["egress_proxies"]


class EgressTest(AgentTest):
    """A proxy that wants credentials, two nodes behind it, and a registry that NO_PROXY names."""

    @classmethod
    def build(cls):
        cls.origin = cls.lab.origin()
        cls.direct = cls.lab.origin("direct", names=[DIRECT], plain_names=[], plain_ports=[])
        cls.proxy = cls.lab.egress_proxy(credentials=CREDENTIALS)
        cls.env = {"HTTPS_PROXY": cls.proxy.url(), "http_proxy": cls.proxy.url(),
                   "NO_PROXY": f"localhost,.nowhere.test,{DIRECT}"}
        cls.a, cls.b = cls.lab.node("a"), cls.lab.node("b")
        for node, other in ((cls.a, cls.b), (cls.b, cls.a)):
            cls.proxy.be_the_only_way(node, cls.origin)
            start(node, "2.1", cls.env, [other])
            wait_for_trust(node)
        cls.a.agent.wait_for_mesh(1)

    def publish(self, name: str, origin=None) -> str:
        """A new image library/<name>:1 at the origin; its name for containerd."""
        (origin or self.origin).publish(image.synthetic(seed=name), f"library/{name}", "1")
        return f"docker.io/library/{name}:1"

    def test_image_comes_by_the_proxy_and_then_from_the_peer(self):
        name = self.publish("both")
        since = self.origin.now()
        self.a.pull(name)
        assert_came_by_mirror(self, self.a, name, "origin")
        self.assertEqual({r.remote for r in self.origin.requests(since)}, {self.proxy.ipv4})
        self.a.agent.wait_until_told(name)
        since = self.origin.now()
        self.b.pull(name)
        assert_came_by_mirror(self, self.b, name, "peer")
        assert_no_content_from_origin(self, self.origin, since, self.proxy)
        self.assertEqual([line for line in self.proxy.server.requests() if "192.0.2." in line], [])

    def test_plain_registry_comes_by_the_proxy_and_then_from_the_peer(self):
        self.publish("plain")
        name = f"{PLAIN}/library/plain:1"
        self.a.pull(name)
        assert_came_by_mirror(self, self.a, name, "origin")
        self.assertTrue(self.proxy.server.requests(f"GET http://{PLAIN}/v2/library/plain/blobs/"))
        self.a.agent.wait_until_told(name)
        since = self.origin.now()
        self.b.pull(name)
        assert_came_by_mirror(self, self.b, name, "peer")
        assert_no_content_from_origin(self, self.origin, since, self.proxy)

    def test_registry_that_no_proxy_names_is_asked_directly(self):
        self.publish("near", self.direct)
        name = f"{DIRECT}/library/near:1"
        since = self.direct.now()
        self.a.pull(name)
        assert_came_by_mirror(self, self.a, name, "origin")
        self.assertLessEqual({r.remote for r in self.direct.requests(since)},
                             {self.a.ipv4, self.a.ipv6})
        self.assertEqual([line for line in self.proxy.server.requests() if DIRECT in line], [])

    def test_status_shows_the_proxy_and_no_secret(self):
        status = self.a.agent.status()
        self.assertEqual(proxied(status), {
            "https": f"http://{EgressProxy.NAME}:{PORT}", "http": f"http://{EgressProxy.NAME}:{PORT}",
            "no_proxy": self.env["NO_PROXY"],
            "redirected_addresses": [f"{self.proxy.ipv4}:{PORT}"]})
        text = self.a.agent.hagring("status", ADMIN_SOCKET, self.a.agent.admin_socket).stdout
        self.assertIn(f"by proxy     https http://{EgressProxy.NAME}:{PORT}", text)
        everything = str(status) + text + self.a.agent.process.log.read_text()
        for secret in ("se-cret", "dXNlcjpzZS1jcmV0"):
            self.assertNotIn(secret, everything)

    def test_proxy_is_down_and_the_peer_answers(self):
        name = self.publish("downed")
        self.a.pull(name)
        self.a.agent.wait_until_told(name)
        self.proxy.server.stop()
        self.addCleanup(self.proxy.server.start)
        self.b.pull(name)
        assert_came_by_mirror(self, self.b, name, "peer")
        with self.assertRaisesRegex(RuntimeError, "can't be asked|refused|Bad Gateway"):
            self.b.pull("docker.io/library/nobody-has-this:1")

    def test_agent_is_killed_and_containerd_goes_on_by_the_proxy(self):
        name = self.publish("alone")
        asked = len(self.proxy.server.requests())
        self.b.agent.kill()
        self.addCleanup(self.restart_agent)
        self.b.pull(name)
        self.b.verify_content(name, self.origin)
        self.assertGreater(len(self.proxy.server.requests()), asked)

    def restart_agent(self):
        self.b.agent.start()
        wait_for_trust(self.b)

    def test_proxys_own_no_reaches_containerd(self):
        name = self.publish("denied")
        node = self.lab.node("denied")
        self.addCleanup(self.lab.remove, node)
        self.proxy.be_the_only_way(node, self.origin)
        start(node, "2.1", {"HTTPS_PROXY": self.proxy.url("user:wrong")})
        wait_for_trust(node)
        # 407 is what tinyproxy says, in words of its own.
        with self.assertRaisesRegex(RuntimeError, "(?i)proxy authentication|unauthorized"):
            node.pull(name)
        self.assertGreater(node.agent.status()["connections"]["spliced_proxy_refuses"], 0)

    def test_other_kinds_of_proxies_are_left_alone(self):
        node = self.lab.node("socks")
        self.addCleanup(self.lab.remove, node)
        self.proxy.be_the_only_way(node, self.origin)
        start(node, "2.1", {"HTTPS_PROXY": f"socks5://user:se-cret@{EgressProxy.NAME}:1080",
                            "NO_PROXY": DIRECT})
        status = node.agent.wait_for(lambda s: s["clients"] and proxied(s), 30, "it is seen")
        self.assertIn("socks5://, of which only http:// is understood", proxied(status)["problem"])
        self.assertIn("with 192.0.2.1 in containerd's NO_PROXY", proxied(status)["problem"])
        self.assertEqual(proxied(status)["redirected_addresses"], [])
        self.publish("direct-again", self.direct)
        node.pull(f"{DIRECT}/library/direct-again:1")
        self.assertEqual(blob_sources(node, "library/direct-again"), {})
        node.containerd.restart({"HTTPS_PROXY": f"socks5://{EgressProxy.NAME}:1080",
                                 "NO_PROXY": f"{DIRECT},192.0.2.0/24"})
        wait_for_trust(node)
        self.publish("mirrored", self.direct)
        node.pull(f"{DIRECT}/library/mirrored:1")
        assert_came_by_mirror(self, node, f"{DIRECT}/library/mirrored:1", "origin")


@unittest.skipUnless(binary(), "HAGRING_BINARY doesn't name the agent's binary")
class LocalProxyTest(unittest.TestCase):
    """A proxy on the node itself, at a loopback address, that asks another in its turn."""

    def test_pull_by_a_proxy_on_loopback(self):
        for version in ("1.6", "1.7"):
            with self.subTest(containerd=version), Lab() as lab:
                origin, proxy = lab.origin(), lab.egress_proxy()
                origin.publish(image.synthetic(seed=version), "library/demo", "1")
                node = lab.node("n")
                proxy.be_the_only_way(node, origin)
                local = Tinyproxy(node, "127.0.0.1", upstream=f"{proxy.ipv4}:{PORT}").start()
                start(node, version, {"https_proxy": f"127.0.0.1:{PORT}"})
                wait_for_trust(node)
                node.pull("docker.io/library/demo:1")
                assert_came_by_mirror(self, node, "docker.io/library/demo:1", "origin")
                self.assertEqual({r.remote for r in origin.requests()}, {proxy.ipv4})
                self.assertEqual([line for line in local.requests() if "192.0.2." in line], [])


if __name__ == "__main__":
    unittest.main()
