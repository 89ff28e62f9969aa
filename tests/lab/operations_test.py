# SPDX-License-Identifier: Apache-2.0
"""What an operator sees: starts that fail, settings that are wrong, ends that are asked for twice."""

import os
import pathlib
import signal
import threading
import time
import unittest

from expectations import wait_for_trust
from lab import Lab, image, wait_until
from lab.agent import binary
from lab.containerd import Containerd
from lab.registry_client import RegistryClient

PIN_DIR = "/sys/fs/bpf/hagring"
#: A start that succeeds is ended by SIGTERM after this long, and then exits with 124 (timeout(1)).
START_S = 5


def descriptors(pid: int) -> int:
    """How many file descriptors the process has."""
    return len(os.listdir(f"/proc/{pid}/fd"))


class StartTest(unittest.TestCase):
    """Starts that can't succeed say why, tell by the exit code whose fault it is, and leave nothing."""

    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab())
        cls.node = cls.lab.node("n")

    def start(self, *arguments):
        return self.node.run("timeout", str(START_S), binary(), "agent", *arguments, check=False)

    def assert_refused(self, code: int, text: str, *arguments) -> None:
        with self.subTest(arguments=arguments):
            done = self.start(*arguments)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(text, done.stderr.splitlines()[-1])
            self.assertFalse(self.node.path(PIN_DIR).exists(), "pins stay behind")
            self.assertEqual(list(self.node.path("/run/hagring").glob("*")), [])

    def test_wrong_configuration(self):
        self.assert_refused(2, "--rescan-interval", "--rescan-interval", "0ms")
        self.assert_refused(2, "--containerd-namespace", "--containerd-namespace", "\u00e4")
        self.assert_refused(2, "--exclude", "--exclude", "192.0.2.0/33")
        self.assert_refused(2, "host[:port]", "--registry", "http://")
        self.assert_refused(2, "--bootstrap", "--bootstrap", "https://mesh.example.com/id")
        self.assert_refused(2, "--bootstrap", "--bootstrap", "/ip4/192.0.2.7/udp/5001/quic-v1")
        self.assert_refused(2, "--bootstrap", "--bootstrap", "nodes.example.com:port")
        self.assert_refused(2, "--peer-range", "--peer-range", "10.0.0.0/33")
        self.assert_refused(2, "--advertise", "--advertise", "0.0.0.0")
        self.assert_refused(2, "contradict", "--spegel-compat", "true", "--mesh-key-file", "/tmp/key")
        self.assert_refused(2, "no registry", "--default-registries", "false")
        self.node.write("/tmp/wrong.toml", "no-such-key = 1\n")
        self.assert_refused(2, "no-such-key", "--config", "/tmp/wrong.toml")

    def test_machine_that_lacks_something(self):
        self.node.run("mkdir", "-p", "/tmp/state")
        for name in ("ca.key", "ca.crt"):
            self.node.write(f"/tmp/state/{name}", "junk")
            self.node.run("chmod", "600", f"/tmp/state/{name}")
        self.assert_refused(1, "/tmp/state/ca.key", "--state-dir", "/tmp/state")
        self.assert_refused(1, "BPF file system", "--pin-dir", "/tmp/pins")
        self.assert_refused(1, "cannot be made", "--state-dir", "/proc/hagring")
        self.assert_refused(1, "/tmp/none.pem", "--origin-roots", "/tmp/none.pem")
        self.assert_refused(1, "another one", "--peer-listen", "192.0.2.77:5000")
        self.assert_refused(1, "192.0.2.77", "--dht-listen", "192.0.2.77:5001")
        for port in (5000, 5001, 9090):
            taken = self.node.take_port(port)
            self.assert_refused(1, str(port))
            taken.kill()
        self.assert_refused(1, "/tmp/none.key", "--mesh-key-file", "/tmp/none.key")
        self.node.write("/tmp/mesh.key", "0123\n")
        self.node.run("chmod", "600", "/tmp/mesh.key")
        self.assert_refused(1, "/tmp/mesh.key", "--mesh-key-file", "/tmp/mesh.key")

    def test_closed_standard_descriptors_are_nobody_elses(self):
        agent = self.node.spawn("closed", ["/bin/sh", "-c", 'exec "$0" agent <&- >&- 2>&-', binary()])
        self.addCleanup(agent.stop)
        wait_until(lambda: self.node.path(PIN_DIR).exists(), 10, "it runs")
        for number in (0, 1, 2):
            self.assertEqual(os.readlink(f"/proc/{agent.pid}/fd/{number}"), "/dev/null")
        self.assertEqual(agent.stop(), 0)

    def test_full_disk_under_the_log_is_no_failure(self):
        done = self.node.run("/bin/sh", "-c", f"timeout {START_S} {binary()} agent 2>/dev/full",
                             check=False)
        self.assertEqual(done.returncode, 124)

    def test_no_containerd_is_no_failure(self):
        done = self.start()
        self.assertEqual(done.returncode, 124, done.stderr)
        self.assertIn("its socket isn't there yet", done.stderr)
        self.assertIn("ended in order", done.stderr)


class ContainerdTest(unittest.TestCase):
    """What is told of a containerd that was there first, or can't be asked."""

    def setUp(self):
        self.lab = self.enterContext(Lab())

    def test_containerd_that_was_there_first_trusts_at_the_first_probe(self):
        node = self.lab.node("n")
        client = RegistryClient(node)
        node.start_agent()
        wait_for_trust(node, client.pid)
        status = node.agent.status()
        self.assertEqual(status["kernel"]["passed_stale_heartbeat"], 0)
        self.assertNotIn("is spliced", node.agent.process.log_text())

    def test_containerd_without_cri(self):
        node = self.lab.node("n")
        node.containerd = Containerd(node, "2.1", 'version = 3\ndisabled_plugins = ['
                                     '"io.containerd.grpc.v1.cri"]\n').start(cri=False)
        node.start_agent()
        status = node.agent.wait_for(
            lambda s: s["clients"] and s["clients"][0]["trust"] == "refused", 20, "it is refused")
        reason = status["clients"][0]["reason"]
        self.assertIn("no CRI", reason)
        self.assertNotIn("hook", reason)


class EndTest(unittest.TestCase):
    """SIGTERM lets streams end; a second one doesn't wait for them."""

    def test_second_sigterm_cuts_streams(self):
        with Lab() as lab:
            origin = lab.origin()
            origin.publish(image.synthetic((24 << 20,), seed="end"), "library/demo", "1")
            node = lab.node("n", containerd="2.1")
            node.start_agent()
            wait_for_trust(node)
            origin.limit(4)
            pull = threading.Thread(target=lambda: node.pull("docker.io/library/demo:1", 120))
            pull.start()
            ingest = pathlib.Path(node.containerd.store) / "ingest"
            wait_until(lambda: sum(f.stat().st_size for f in ingest.glob("*/data")) > 0, 60,
                       "a body is under way")
            process = node.agent.process
            process.signal(signal.SIGTERM)
            wait_until(lambda: "streams may end" in process.log_text(), 5, "it was asked to end")
            again = time.monotonic()
            process.signal(signal.SIGTERM)
            self.assertEqual(process.wait(9), 0)
            self.assertLess(time.monotonic() - again, 5, process.log_tail())
            self.assertIn("ended in order", process.log_text())
            origin.limit(None)
            pull.join(120)
            node.verify_content("demo:1", origin)


class LeakTest(unittest.TestCase):
    """Connections leave nothing behind."""

    def test_descriptors_of_connections_of_every_kind(self):
        with Lab() as lab:
            origin = lab.origin()
            node = lab.node("n")
            client = RegistryClient(node)
            node.start_agent()
            wait_for_trust(node, client.pid)
            pid = node.agent.pid

            def connections(rounds: int) -> None:
                for _ in range(rounds):
                    client.request(origin.ipv4, "registry-1.docker.io")
                    client.request(origin.ipv4, "unknown.lab.test")
                    for port in (443, 9):
                        try:
                            client.ask("plain", address=origin.ipv4, port=port, half_close=True,
                                       send="GET / HTTP/1.0\r\n\r\n")
                        except RuntimeError:
                            pass
                node.agent.wait_for(lambda s: s["connections"]["open"] == 0, 20, "all have ended")

            connections(10)  # pools of pipes and of origins' connections fill
            before = descriptors(pid)
            connections(60)
            self.assertLessEqual(descriptors(pid), before + 4)


if __name__ == "__main__":
    unittest.main()
