# SPDX-License-Identifier: Apache-2.0
"""`hagring preflight`: what it says of machines that lack one thing after the other."""

import json
import unittest

from expectations import wait_for_trust
from lab import Lab
from lab.agent import binary
from lab.containerd import Containerd, config_with
from lab.systemd import Systemd

HOSTS = "/etc/certs.d"
STATE = "/var/lib/hagring/agent"


class PreflightTest(unittest.TestCase):
    """A node without containerd, then with one, then with an agent."""

    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab())
        cls.node = cls.lab.node("n")
        cls.other = cls.lab.node("other")

    def preflight(self, *arguments, through=()):
        """Exit code and checks by name."""
        done = self.node.run(*through, binary(), "preflight", "--json", *arguments, check=False)
        document = json.loads(done.stdout)
        self.assertEqual(done.returncode, 0 if document["ok"] else 1)
        return done.returncode, {check["name"]: check for check in document["checks"]}

    def assert_level(self, level: str, name: str, found: str, *arguments, through=()):
        code, checks = self.preflight(*arguments, through=through)
        self.assertEqual(checks[name]["level"], level, checks[name])
        self.assertIn(found, checks[name]["found"])
        if level == "failure":
            self.assertEqual(code, 1)
        return checks[name]

    def test_1_without_containerd(self):
        self.assert_level("failure", "containerd", "no socket at")
        self.node.write("/run/not-containerd.sock", "")
        self.assert_level("failure", "containerd", "/run/not-containerd.sock", "--containerd-socket",
                          "/run/not-containerd.sock")

    def test_2_all_is_well(self):
        self.node.start_containerd("1.7")
        code, checks = self.preflight()
        self.assertEqual(code, 0)
        for name in ("privileges", "kernel", "cgroup v2", "BPF file system", "containerd",
                     "runtime's cgroup", "content store", "unpacked layers", "trust", "peer port",
                     "DHT port", "metrics port"):
            self.assertEqual(checks[name]["level"], "ok", checks[name])
        self.assertIn("1.7", checks["containerd"]["found"])
        self.assertIn("none is due", checks["restart"]["found"])
        self.assertFalse(self.node.path("/var/lib/hagring").exists(), "it has changed something")
        self.assertFalse(self.node.path("/sys/fs/bpf/hagring").exists(), "it has pinned something")

    def test_3_one_thing_is_missing(self):
        self.assert_level("failure", "privileges", "CAP_BPF", through=(
            "setpriv", "--bounding-set=-bpf,-sys_admin", "--inh-caps=-bpf,-sys_admin"))
        self.assert_level("failure", "BPF file system", "not in a BPF file system", "--pin-dir",
                          "/tmp/pins")
        self.assert_level("failure", "state", "no directory", "--state-dir", "/etc/hosts/state")
        self.node.write("/tmp/mesh.key", "00" * 32)
        self.node.path("/tmp/mesh.key").chmod(0o644)
        self.assert_level("failure", "mesh key", "/tmp/mesh.key", "--mesh-key-file", "/tmp/mesh.key")
        self.assert_level("warning", "mesh key", "open", "--spegel-compat", "true")
        self.assert_level("warning", "descriptors", "1024", through=("prlimit", "--nofile=1024:1024"))
        self.assert_level("failure", "descriptors", "64", through=("prlimit", "--nofile=64:64"))
        self.addCleanup(self.node.take_port(5000).stop)
        taken = self.assert_level("failure", "peer port", "5000")
        self.assertIn("ss -ltnp", taken["advice"])

    def test_4_other_nodes(self):
        self.assert_level("warning", "bootstrap", "no other node")
        self.assert_level("warning", "bootstrap", "names nobody", "--bootstrap", "nodes.lab.invalid")
        self.assert_level("warning", "bootstrap", "0 of 1", "--bootstrap", self.other.ipv4)
        self.other.start_agent()
        self.assert_level("ok", "bootstrap", "1 of 1", "--bootstrap", self.other.ipv4)

    def test_5_with_an_agent(self):
        self.node.start_agent()
        wait_for_trust(self.node)
        code, checks = self.preflight("--admin-socket", self.node.agent.admin_socket)
        self.assertEqual(code, 0)
        self.assertIn("an agent runs here", checks["ports"]["found"])
        self.assertEqual(checks["trust"]["level"], "ok", checks["trust"])
        self.assertIn("by the host's certificates", checks["trust"]["found"])
        self.assertIn("none is due", checks["restart"]["found"])

    def test_6_for_people_and_wrong_configuration(self):
        done = self.node.run(binary(), "preflight", "--admin-socket", "/run/hagring/agent.sock",
                             check=False)
        self.assertRegex(done.stdout, r"(?m)^ok +kernel +Linux ")
        done = self.node.run(binary(), "preflight", "--exclude", "nonsense", check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--exclude", done.stderr)

    def test_7_ways_of_trust(self):
        """By the host's certificates, here on an overlay as on COS and Flatcar, or by config_path."""
        node = self.lab.node("ways")
        node.containerd = Containerd(node, "2.1", name="containerd.service").start()

        def checks() -> dict:
            done = node.run(binary(), "preflight", "--json", "--state-dir", STATE, "--admin-socket",
                            "/run/hagring/agent.sock", check=False)
            return {check["name"]: check for check in json.loads(done.stdout)["checks"]}

        lost = checks()["after a reboot"]
        self.assertEqual(lost["level"], "warning", lost)
        self.assertIn("may begin anew", lost["found"])
        self.assertIn("before containerd", lost["advice"])
        # A certificate that is younger than containerd, and no agent to say that it doesn't matter.
        node.run(binary(), "trust", "install", "--state-dir", STATE)
        due = checks()["restart"]
        self.assertEqual(due["level"], "warning", due)
        self.assertIn("D-Bus socket isn't there", due["found"])
        systemd = Systemd(node, {"containerd.service": {
            "ControlGroup": node.containerd.cgroup_path}})
        self.addCleanup(systemd.close)
        self.assertIn("`--restart-runtime once` would do it", checks()["restart"]["found"])
        # The agent knows better: this containerd hasn't read its roots yet.
        node.start_agent()
        wait_for_trust(node)
        self.assertIn("none is due; --restart-runtime would restart containerd.service",
                      checks()["restart"]["found"])
        node.agent.stop()
        self.assertEqual(systemd.restarts, [])
        node.path(HOSTS).mkdir(parents=True)
        node.containerd.configure(config_with("2.1", HOSTS))
        node.containerd.restart()
        by_files = checks()
        self.assertIn(f"by files in containerd's config_path, {HOSTS}", by_files["trust"]["found"])
        self.assertEqual(by_files["after a reboot"]["level"], "ok")
        node.start_agent()
        wait_for_trust(node)
        node.agent.wait_for(lambda s: HOSTS in s["clients"][0]["reason"], 20, "that is proven, too")
        self.assertIn(f"by files in {HOSTS}", checks()["trust"]["found"])


if __name__ == "__main__":
    unittest.main()
