# SPDX-License-Identifier: Apache-2.0
"""The mesh of agents: who is in it, who isn't, and what a pull sees when it changes."""

import secrets
import threading
import time
import unittest

from expectations import (assert_came_by_mirror, assert_no_content_from_origin, two_nodes,
                          wait_for_trust)
from hostile_input_test import ASSAULT
from lab import Lab, image, wait_until

DEMO = "docker.io/library/demo:1"
ONLY_HERE = "docker.io/library/only-here:1"

#: How long a key may not be found while nodes restart one after the other.
MAX_GAP_S = 5.0


def start_node(lab, name: str, *peers, **options):
    """A node with containerd 2.1 and a trusted agent that joins by `peers`."""
    node = lab.node(name)
    node.start_agent(peers=peers, **options)
    node.start_containerd("2.1")
    wait_for_trust(node)
    return node


def providers(node, what: str) -> set[str]:
    """IDs of the nodes that `hagring lookup` on `node` finds."""
    return {found["peer_id"] for found in node.agent.lookup(what)["providers"]}


def peer_id(node) -> str:
    """The ID of a node's agent."""
    return node.agent.status()["mesh"]["peer_id"]


def shunned(node, words: str) -> bool:
    """Whether the agent's status has somebody who isn't asked, with a reason that has `words`."""
    return any(words in entry["state"] for entry in node.agent.status()["shunned"])


class MembersTest(unittest.TestCase):
    """Nodes that have the mesh's key."""

    def test_third_node_finds_the_first_by_the_second(self):
        with two_nodes("2.1") as (lab, origin, a, b):
            c = start_node(lab, "c", b)
            c.agent.wait_for_mesh(2)
            wait_until(lambda: providers(c, ONLY_HERE) == {peer_id(a)}, 10, "c finds a")
            since = origin.now()
            c.pull(ONLY_HERE)
            assert_came_by_mirror(self, c, ONLY_HERE, "peer")
            assert_no_content_from_origin(self, origin, since, c)
            c.agent.wait_until_told(ONLY_HERE)
            wait_until(lambda: providers(b, ONLY_HERE) == {peer_id(a), peer_id(c)}, 10,
                       "b finds both")

    def test_second_node_is_known_within_a_second_of_its_start(self):
        with Lab() as lab:
            a, b = lab.node("a"), lab.node("b")
            a.start_agent()
            b.start_agent(peers=[a])
            ready = b.agent.status()["uptime_seconds"]
            for node in (a, b):
                node.agent.wait_for_mesh(1, 1)
            self.assertLessEqual(ready, 1)

    def test_name_behind_which_all_nodes_are(self):
        # As a headless Service's: this node's own address is among them.
        with Lab() as lab:
            nodes = [lab.node(name) for name in ("a", "b", "c")]
            for node in nodes:
                node.set_hosts({"nodes.mesh.test": [n.ipv4 for n in nodes]})
                node.start_agent(peers=["nodes.mesh.test"])
            for node in nodes:
                node.agent.wait_for_mesh(2)
                self.assertEqual(len(node.agent.status()["mesh"]["nodes"]), 2)

    def test_identity_and_records_outlive_a_restart(self):
        with two_nodes("2.1") as (_, _origin, a, b):
            before = {node.name: peer_id(node) for node in (a, b)}
            wait_until(lambda: b.agent.status()["mesh"]["records"] > 0, 10, "b keeps a's records")
            # With a gone there is nobody to ask: what b finds, it has kept.
            a.agent.kill()
            b.agent.stop()
            b.agent.start()
            self.assertEqual(peer_id(b), before["b"])
            self.assertEqual(providers(b, ONLY_HERE), {before["a"]})
            a.agent.start()
            self.assertEqual(peer_id(a), before["a"])
            b.agent.wait_for_mesh(1, 30)

    def test_rolling_restart_leaves_no_gap(self):
        with two_nodes("2.1") as (lab, _origin, a, b):
            c = start_node(lab, "c", a, b)
            d = start_node(lab, "d", b)
            d.agent.wait_for_mesh(3)
            wanted, found, stop = peer_id(a), [time.monotonic()], threading.Event()

            def look_up():
                while not stop.is_set():
                    if wanted in providers(d, ONLY_HERE):
                        found.append(time.monotonic())
            thread = threading.Thread(target=look_up)
            thread.start()
            try:
                for node in (b, c, a):
                    node.agent.stop()
                    node.agent.start()
                    node.agent.wait_for_mesh(3, 30)
            finally:
                stop.set()
                thread.join()
            found.append(time.monotonic())
            gaps = [later - earlier for earlier, later in zip(found, found[1:])]
            self.assertLess(max(gaps), MAX_GAP_S)
            self.assertGreater(len(gaps), 3)

    def test_dead_provider_costs_no_pull(self):
        with two_nodes("2.1") as (_, origin, a, b):
            self.assertEqual(providers(b, DEMO), {peer_id(a)})
            a.agent.kill()
            b.pull(DEMO)
            assert_came_by_mirror(self, b, DEMO, "origin")
            b.verify_content(DEMO, origin)


class StrangersTest(unittest.TestCase):
    """Who has no key, or another one, gets nothing."""

    def test_stranger_at_the_peer_port(self):
        with two_nodes("2.1") as (lab, _origin, a, _b):
            blob = a.verify_content(DEMO)[-1]
            path = f"{a.ipv4}:5000/v2/library/demo/blobs/{blob.digest}?ns=docker.io"
            before = a.agent.status()["peer_server"]
            stranger = lab.host("stranger")
            stranger.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                         "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=node", "-keyout",
                         "/tmp/key", "-out", "/tmp/cert")
            certificate = ("--cert", "/tmp/cert", "--key", "/tmp/key")
            for arguments in ((f"http://{path}",), ("-k", f"https://{path}"),
                              ("-k", "--no-alpn", f"https://{path}"),
                              ("-k", "--no-alpn", *certificate, f"https://{path}")):
                with self.subTest(arguments=arguments):
                    done = stranger.curl("-i", *arguments, check=False)
                    self.assertNotEqual(done.returncode, 0)
                    self.assertEqual(done.stdout, "", "the stranger was told something")
            after = a.agent.status()["peer_server"]
            for counter in ("served", "not_found", "refused", "bytes"):
                self.assertEqual(after[counter], before[counter])
            self.assertGreaterEqual(after["connections_turned_away"] -
                                    before["connections_turned_away"], 4)

    def test_agent_with_another_key(self):
        with two_nodes("2.1") as (lab, _origin, a, b):
            other = start_node(lab, "other", a, b, mesh_key=secrets.token_hex(32))
            wait_until(lambda: "mesh key" in other.agent.process.log_text(), 20,
                       "it says what to check")
            with self.assertRaisesRegex(RuntimeError, "not found|NOT_FOUND"):
                other.pull(ONLY_HERE)
            other.pull(DEMO)
            assert_came_by_mirror(self, other, DEMO, "origin")
            self.assertEqual(other.agent.status()["mesh"]["nodes"], [])
            for node in (a, b):
                self.assertEqual(len(node.agent.status()["mesh"]["nodes"]), 1)
                self.assertIn("network's key", node.agent.process.log_text())

    def test_node_that_has_taken_anothers_address(self):
        with two_nodes("2.1") as (_, origin, a, b):
            former = peer_id(a)
            # A node set up anew: the mesh still names its address under the former identity.
            a.agent.kill()
            a.path(f"{a.agent.state_dir}/identity").unlink()
            a.path(f"{a.agent.state_dir}/records").unlink(missing_ok=True)
            a.containerd.stop()
            a.agent.start()
            self.assertNotEqual(peer_id(a), former)
            self.assertIn(former, providers(b, DEMO))
            b.pull(DEMO)
            b.verify_content(DEMO, origin)
            assert_came_by_mirror(self, b, DEMO, "origin")
            self.assertTrue(shunned(b, "not the one that was dialled"), b.agent.status()["shunned"])

    def test_hostile_bytes_at_the_dht_port(self):
        with two_nodes("2.1") as (lab, _origin, a, b):
            stranger = lab.host("stranger")
            pid = a.agent.pid
            stranger.run("/usr/bin/python3", "-c", ASSAULT, a.ipv4, "5001", "sha256:" + "0" * 64,
                         timeout_s=120)
            self.assertTrue(a.agent.process.running(), a.agent.process.log_tail())
            self.assertEqual(a.agent.pid, pid)
            self.assertEqual(len(a.agent.status()["mesh"]["nodes"]), 1)
            self.assertEqual(providers(b, ONLY_HERE), {peer_id(a)})
            b.pull(ONLY_HERE)
            assert_came_by_mirror(self, b, ONLY_HERE, "peer")


class SpegelCompatTest(unittest.TestCase):
    """A mesh without a key, for Spegel's nodes."""

    OPEN = {"mesh_key": "", "arguments": ("--spegel-compat", "true")}

    def test_content_over_plain_http(self):
        with Lab() as lab:
            origin = lab.origin()
            origin.publish(image.synthetic((200_000, 6 << 20), seed="compat"), "library/demo", "1")
            a = start_node(lab, "a", **self.OPEN)
            b = start_node(lab, "b", a, **self.OPEN)
            closed = start_node(lab, "closed", a, b)
            b.agent.wait_for_mesh(1)
            a.pull(DEMO)
            a.agent.wait_until_told(DEMO)
            since = origin.now()
            b.pull(DEMO)
            assert_came_by_mirror(self, b, DEMO, "peer")
            assert_no_content_from_origin(self, origin, since, b)
            # As Spegel's nodes ask.
            done = b.curl("-o", "/dev/null", "-w", "%{http_code}", "-I",
                          f"http://{a.ipv4}:5000/v2/library/demo/manifests/1?ns=docker.io")
            self.assertEqual(done.stdout, "200")
            self.assertFalse(a.agent.status()["mesh"]["closed"])
            # Open and closed meshes don't mix.
            self.assertEqual(closed.agent.status()["mesh"]["nodes"], [])
            self.assertEqual(len(a.agent.status()["mesh"]["nodes"]), 1)


if __name__ == "__main__":
    unittest.main()
