# SPDX-License-Identifier: Apache-2.0
"""Machines that lack what an agent needs: it says what and why, leaves nothing, and costs no pull."""

import concurrent.futures
import contextlib
import unittest

from expectations import assert_came_by_mirror, wait_for_trust
from lab import image, wait_until
from lab.agent import binary
from lab.cgroup import cgroup2_mount
from lab.testing import AgentTest

SOCKET = "/run/containerd/containerd.sock"
#: A program at a socket. deaf: it accepts nobody; silent: it says nothing; babbler: what makes no sense.
IMPOSTOR = """
import socket, sys, time
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen(0 if sys.argv[2] == "deaf" else 16)
print("listening", flush=True)
kept = []
while sys.argv[2] != "deaf":
    kept.append(listener.accept()[0])
    if sys.argv[2] == "babbler":
        try:
            kept[-1].sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nno" * 50)
        except OSError:
            pass
time.sleep(3600)
"""


class BadMachineTest(AgentTest):
    """A node for each."""

    @classmethod
    def build(cls):
        cls.origin = cls.lab.origin()

    def node(self):
        node = self.lab.node(self.id().rpartition("_")[2])
        self.addCleanup(self.lab.remove, node)
        return node

    def publish(self, name: str) -> str:
        self.origin.publish(image.synthetic((30_000, 900_000), seed=name), f"library/{name}", "1")
        return f"docker.io/library/{name}:1"

    def assert_pulls(self, node, name: str) -> None:
        node.pull(self.publish(name))
        node.verify_content(f"{name}:1", self.origin)

    def assert_refused(self, node, *words, through=(), arguments=()) -> None:
        """It doesn't start, says these words at last, and leaves nothing."""
        done = node.run("timeout", "10", *through, binary(), "agent", *arguments, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr.splitlines()[-1])
        self.assertEqual([str(p) for place in ("/sys/fs/bpf/hagring", "/run/hagring")
                          for p in node.path(place).glob("*")], [])

    def test_no_privilege(self):
        node = self.node()
        node.start_containerd("2.1")
        self.assert_refused(node, "CAP_BPF", through=(
            "setpriv", "--bounding-set=-bpf,-sys_admin", "--inh-caps=-bpf,-sys_admin"))
        self.assert_pulls(node, "privilege")

    def test_no_bpffs(self):
        node = self.node()
        node.start_containerd("2.1")
        node.run("mount", "-t", "tmpfs", "tmpfs", "/sys/fs/bpf")
        self.assert_refused(node, "/sys/fs/bpf", "BPF file system")
        self.assert_pulls(node, "bpffs")

    def test_no_cgroup2(self):
        node = self.node()
        place = str(cgroup2_mount())
        node.run("umount", "--lazy", place)
        node.start_agent()
        node.start_containerd("2.1")
        status = node.agent.wait_for(lambda s: "cgroup2" in (s["no_client"] or ""), 20,
                                     "it says what is wrong")
        self.assertEqual(status["clients"], [])
        self.assert_pulls(node, "cgroup2")
        node.run("mount", "-t", "cgroup2", "none", place)
        wait_for_trust(node)
        self.assert_pulls(node, "cgroup2-again")
        assert_came_by_mirror(self, node, "docker.io/library/cgroup2-again:1", "origin")

    def test_full_disk(self):
        node = self.node()
        state = "/var/lib/full"
        fill = f"cat /dev/zero > {state}/ballast 2>/dev/null; true"
        node.run("sh", "-c", f"mkdir {state}; mount -t tmpfs -o size=256k tmpfs {state}; {fill}")
        self.assert_refused(node, state, "No space left", arguments=("--state-dir", state))
        node.run("rm", f"{state}/ballast")
        node.start_containerd("2.1")
        node.start_agent(untold=True, arguments=["--state-dir", state])
        wait_for_trust(node)
        node.run("sh", "-c", fill)
        self.assert_pulls(node, "disk")
        assert_came_by_mirror(self, node, "docker.io/library/disk:1", "origin")
        node.containerd.stop()
        self.assertEqual(node.agent.stop(), 0)
        self.assertIn("No space left", node.agent.process.log_text())
        # What was whole stays whole: the next agent starts with it.
        node.run("rm", f"{state}/ballast")
        node.agent.start()

    def test_read_only_root(self):
        node = self.node()
        node.start_containerd("2.1")
        node.run("sh", "-c", "mkdir /run/host; mount --rbind / /run/host; "
                             "for top in '' /etc /opt /var/lib; do "
                             "mount -o remount,bind,ro /run/host$top; done")
        node.start_agent(arguments=["--host-root", "/run/host"])
        node.agent.wait_for(lambda s: s["clients"] and s["clients"][0]["trust"] == "refused", 20,
                            "it knows that it isn't trusted")
        self.assertIn("the certificate directory is read-only", node.agent.process.log_text())
        self.assert_pulls(node, "root")
        self.assertGreater(node.agent.status()["connections"]["spliced_client_untrusting"], 0)

    def test_few_descriptors(self):
        node = self.node()
        node.start_containerd("2.1")
        self.assert_refused(node, "64", "ulimit -n", through=("prlimit", "--nofile=64:64"))
        self.assert_pulls(node, "none")
        # The fewest with which it starts: what can't be carried is never led to it.
        node.start_agent(through=("prlimit", "--nofile=1024:1024"))
        self.assertIn("are enough for 37 connections", node.agent.process.log_text())
        node.containerd.restart()  # it has read its certificates
        wait_for_trust(node)
        names = [self.publish(f"few{number}") for number in range(24)]
        with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
            for done in [pool.submit(node.pull, name) for name in names]:
                done.result()
        for name in names:
            node.verify_content(name, self.origin)
        self.assertTrue(node.agent.process.running())

    def test_sockets(self):
        node = self.node()
        node.start_agent()
        place = node.path(SOCKET)
        place.parent.mkdir(parents=True, exist_ok=True)
        for what in ("missing", "file", "dangling", "folder", "deaf", "silent", "babbler"):
            with self.subTest(what), self.impostor(node, place, what):
                self.seen(node, what)
        node.start_containerd("2.1")
        wait_for_trust(node)
        self.assert_pulls(node, "sockets")
        assert_came_by_mirror(self, node, "docker.io/library/sockets:1", "origin")

    @staticmethod
    @contextlib.contextmanager
    def impostor(node, place, what: str):
        """Something that isn't containerd, at its socket's place."""
        program = None
        if what == "file":
            place.write_text("")
        elif what == "dangling":
            place.symlink_to("/nowhere/containerd.sock")
        elif what == "folder":
            place.mkdir()
        elif what != "missing":
            program = node.spawn("impostor", ["/usr/bin/python3", "-c", IMPOSTOR, SOCKET, what])
            wait_until(program.log_text, 10, "it listens")
        try:
            yield
        finally:
            if program:
                program.kill()
            if what == "folder":
                place.rmdir()
            else:
                place.unlink(missing_ok=True)

    def seen(self, node, what: str) -> None:
        """The agent lives on, tells what it has seen, and trusts nobody."""
        words = "no containerd socket" if what in ("missing", "dangling") else ""
        status = node.agent.wait_for(
            lambda s: not s["store"]["connected"] and words in s["store"].get("problem", "") and
            (s["clients"] or s["no_client"]), 10, what)
        self.assertTrue(status["store"]["problem"])
        self.assertFalse(any(client["trust"] == "trusted" for client in status["clients"]), status["clients"])
        self.assertTrue(node.agent.process.running())


if __name__ == "__main__":
    unittest.main()
