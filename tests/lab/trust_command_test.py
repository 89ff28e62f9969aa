# SPDX-License-Identifier: Apache-2.0
"""`hagring trust`, the node's CA and its successor, and a CA that is given, judged by containerd."""

import json
import subprocess
import unittest

from expectations import assert_came_by_mirror, blob_sources, wait_for_trust
from lab import Lab, image
from lab.agent import binary
from lab.process import wait_until

CERTIFICATES = "/etc/ssl/certs"
HOST = "/run/host"
STATE = "/var/lib/hagring/agent"
NAME = "docker.io/library/demo:1"


def ours(node) -> list[str]:
    """What is in the node's certificate directory of hagring's, or leads to that."""
    folder = node.path(CERTIFICATES)
    return sorted(path.name for path in folder.iterdir()
                  if path.name.startswith("hagring-")
                  or path.is_symlink() and "hagring-" in str(path.readlink()))


def trust(node, command: str, *arguments, check: bool = True):
    """`hagring trust COMMAND` on a node whose file system is seen at HOST, as in a container."""
    return node.run(binary(), "trust", command, "--host-root", HOST, "--state-dir", STATE, *arguments,
                    check=check)


def status(node) -> dict:
    """`hagring trust status --json`, whatever its exit code says."""
    done = trust(node, "status", "--json", "--admin-socket", "/run/hagring/agent.sock", check=False)
    document = json.loads(done.stdout)
    assert done.returncode == (0 if document["ok"] else 1), done
    return document


class TrustCommandTest(unittest.TestCase):
    """Debian's own layout, seen from a container, before, with and without an agent."""

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.origin = self.lab.origin()
        self.origin.publish(image.synthetic(seed="trust"), "library/demo", "1")
        self.node = self.lab.node("n")
        # Debian's bundle, links and links by hash; the second time without one for the lab's bundle.
        for _ in range(2):
            self.node.run("update-ca-certificates", "--fresh")
        self.node.run("sh", "-c", f"mkdir -p {HOST} {STATE} && mount --rbind / {HOST}")

    def test_installed_before_containerd_trusted_and_removed_without_a_trace(self):
        node = self.node
        before = sorted(path.name for path in node.path(CERTIFICATES).iterdir())
        self.assertFalse(status(node)["ok"])
        self.assertIn("valid to", trust(node, "install").stdout)
        node.run("update-ca-certificates", "--fresh")
        self.assertEqual(len([name for name in ours(node) if name.endswith(".0")]), 1, ours(node))
        node.start_containerd("2.1")
        found = status(node)
        self.assertTrue(found["ok"], found)
        self.assertEqual([r["started_before_install"] for r in found["runtimes"]], [False], found)
        self.assertFalse(found["agent_runs"])
        node.start_agent(arguments=["--host-root", HOST])
        wait_for_trust(node)
        node.pull(NAME)
        assert_came_by_mirror(self, node, NAME, "origin")
        found = status(node)
        self.assertEqual((found["ok"], found["clients"][0]["trust"]), (True, "trusted"), found)
        # An agent puts back what is taken away.
        trust(node, "remove")
        wait_until(lambda: ours(node), 40, "the agent puts the file back")
        node.agent.stop()
        node.agent = None
        trust(node, "remove")
        self.assertEqual(sorted(path.name for path in node.path(CERTIFICATES).iterdir()), before)
        self.assertTrue(node.path(f"{STATE}/ca.key").exists())

    def test_containerd_that_was_there_before_is_named(self):
        node = self.node
        node.start_containerd("1.6")
        trust(node, "install")
        found = status(node)
        self.assertFalse(found["ok"], found)
        self.assertEqual([(r["pid"], r["started_before_install"]) for r in found["runtimes"]],
                         [(node.containerd.pid, True)])
        told = trust(node, "status", check=False)
        self.assertEqual(told.returncode, 1)
        self.assertIn("restart it", told.stdout)
        # Its roots haven't been read yet, so it trusts the CA all the same: proof outweighs times.
        node.start_agent(arguments=["--host-root", HOST])
        wait_for_trust(node)
        found = status(node)
        self.assertTrue(found["ok"], found)

    def test_read_only_directory_is_told_and_means_splicing(self):
        node = self.node
        node.run("sh", "-c", f"mount --bind {CERTIFICATES} {CERTIFICATES} && "
                             f"mount -o remount,bind,ro {CERTIFICATES}")
        node.run("sh", "-c", f"umount -l {HOST} && mount --rbind / {HOST}")
        for command in ("install", "status"):
            done = trust(node, command, check=False)
            self.assertEqual(done.returncode, 1)
        done = trust(node, "install", check=False)
        self.assertIn("read-only", done.stderr)
        self.assertIn("spliced", done.stderr)
        node.start_agent(arguments=["--host-root", HOST])
        node.start_containerd("2.1")
        node.agent.wait_for(lambda s: s["clients"] and s["clients"][0]["trust"] == "refused", 30,
                            "the probe fails")
        self.assertIn("could not be put", node.agent.status()["clients"][0]["reason"])
        node.pull(NAME)
        node.verify_content(NAME, self.origin)
        self.assertEqual(blob_sources(node, "library/demo"), {})
        self.assertEqual(ours(node), [])

    def test_mistakes_are_told(self):
        for arguments, words, code in (
                (["--ca-cert", "/etc/x.pem"], "--ca-key", 2),
                (["--ca-cert", "/no/x", "--ca-key", "/no/y"], "/no/y", 1),
                (["--registry", "*"], "registry", 2)):
            done = trust(self.node, "install", *arguments, check=False)
            self.assertEqual(done.returncode, code, done)
            self.assertIn(words, done.stderr)


class SuccessionTest(unittest.TestCase):
    """A CA that no longer covers what is mirrored goes on until its successor is trusted."""

    def test_pulls_are_mirrored_all_the_time(self):
        with Lab() as lab:
            origin = lab.origin()
            for number in range(3):
                origin.publish(image.synthetic(seed=f"s{number}"), f"library/demo{number}", "1")
            node = lab.node("n")
            node.start_agent()
            node.start_containerd("2.1")
            wait_for_trust(node)

            def pull(number):
                node.pull(f"docker.io/library/demo{number}:1")
                assert_came_by_mirror(self, node, f"docker.io/library/demo{number}:1", "origin")

            def certificates() -> int:
                file, = node.path(CERTIFICATES).glob("hagring-*.pem")
                return file.read_text().count("BEGIN CERTIFICATE")

            pull(0)
            first = node.read(f"{STATE}/ca.crt")
            node.agent.stop()
            node.start_agent(registries=["registry.example.com"])
            wait_for_trust(node)
            self.assertEqual((certificates(), node.read(f"{STATE}/ca.crt")), (2, first))
            pull(1)
            node.containerd.restart()
            wait_until(lambda: not node.path(f"{STATE}/next.crt").exists(), 30,
                       "the successor takes over")
            wait_until(lambda: certificates() == 1, 10, "the old CA is taken away")
            self.assertNotEqual(node.read(f"{STATE}/ca.crt"), first)
            wait_for_trust(node)
            pull(2)


class GivenAuthorityTest(unittest.TestCase):
    """A CA from a Secret."""

    def test_signs_and_stays_where_it_is(self):
        with Lab() as lab:
            origin = lab.origin()
            origin.publish(image.synthetic(seed="given"), "library/demo", "1")
            node = lab.node("n")
            node.path("/etc/secret").mkdir()
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                 "-nodes", "-days", "30", "-subj", "/CN=Cluster CA",
                 "-keyout", str(node.path("/etc/secret/tls.key")),
                 "-out", str(node.path("/etc/secret/tls.crt")),
                 "-addext", "keyUsage=critical,keyCertSign",
                 "-addext", "nameConstraints=critical,permitted;DNS:docker.io"],
                check=True, capture_output=True)
            node.start_agent(arguments=["--ca-cert", "/etc/secret/tls.crt",
                                        "--ca-key", "/etc/secret/tls.key"])
            node.start_containerd("2.1")
            wait_for_trust(node)
            node.pull(NAME)
            assert_came_by_mirror(self, node, NAME, "origin")
            self.assertIn("does not cover all mirrored names", node.agent.process.log_text())
            file, = node.path(CERTIFICATES).glob("hagring-*.pem")
            self.assertIn(node.read("/etc/secret/tls.crt"), file.read_text())
            self.assertEqual([p.name for p in node.path(STATE).iterdir() if "ca." in p.name], [])


if __name__ == "__main__":
    unittest.main()
