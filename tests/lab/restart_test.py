# SPDX-License-Identifier: Apache-2.0
"""A containerd that was started before the node's authority was there: what is said of it, and its
restart through systemd, once, where that is wanted and harmless."""

import concurrent.futures

from expectations import VERSIONS, assert_came_by_mirror, wait_for_trust
from lab import image, wait_until
from lab.containerd import Containerd
from lab.systemd import Systemd
from lab.testing import AgentTest, main

UNIT = "containerd.service"
ONCE = ["--restart-runtime", "once", "--restart-delay", "0ms"]


class RestartTest(AgentTest):
    """Nodes whose containerd is in the control group of a unit, and has read its roots too early."""

    @classmethod
    def build(cls):
        cls.origin = cls.lab.origin()
        for tag in ("1", "2"):
            cls.origin.publish(image.synthetic(seed=f"restart {tag}"), f"library/demo{tag}", tag)

    def early(self, name: str, version: str = "2.1", unit: str = UNIT, env=None):
        """A node with such a containerd."""
        node = self.lab.node(name)
        node.containerd = Containerd(node, version, name=unit).start(env)
        node.pull("docker.io/library/demo1:1")
        self.addCleanup(self.lab.remove, node)
        return node

    def systemd(self, node, unit: str = UNIT, **properties) -> Systemd:
        """Its systemd, which really restarts containerd."""
        group = node.containerd.cgroup_path
        systemd = Systemd(node, {unit: {"ControlGroup": group} | properties},
                          lambda _: node.containerd.restart())
        self.addCleanup(systemd.close)
        return systemd

    def wait_for_restart_text(self, node, *texts: str) -> str:
        """Waits until status says of a restart that is due what `texts` are."""
        def said(status):
            client = (status["clients"] or [{}])[0]
            return client.get("restart") if all(t in client.get("restart", "") for t in texts) \
                else None
        return said(node.agent.wait_for(said, 30, f"a restart is due: {texts}"))

    def test_restarted_once_and_the_next_pull_is_mirrored(self):
        for version in VERSIONS:
            with self.subTest(containerd=version):
                node = self.early(f"once{version.replace('.', '')}", version)
                systemd = self.systemd(node)
                before = node.containerd.pid
                node.start_agent(arguments=ONCE)
                wait_until(lambda: systemd.restarts, 30, "systemd is asked")
                wait_until(lambda: node.containerd.pid != before, 30, "containerd is another")
                wait_for_trust(node)
                self.assertEqual(systemd.restarts, [(UNIT, "replace")])
                node.pull("docker.io/library/demo2:2")
                assert_came_by_mirror(self, node, "docker.io/library/demo2:2", "origin")
                self.assertNotIn("restart", node.agent.status()["clients"][0])

    def test_not_twice_in_a_boot_whatever_agent(self):
        node = self.early("twice")
        systemd = self.systemd(node)
        before = node.containerd.pid
        systemd.restart = None  # it takes the job and does nothing
        node.start_agent(arguments=ONCE)
        wait_until(lambda: systemd.restarts, 30, "systemd is asked")
        self.wait_for_restart_text(node, "not again")
        node.agent.kill()
        node.agent.start()
        self.wait_for_restart_text(node, "not again")
        self.assertEqual(len(systemd.restarts), 1)
        # Another boot, by the id that the mark has.
        node.agent.stop()
        node.write(f"{node.agent.state_dir}/runtime-restarted", "0" * 36 + "\n")
        systemd.restart = lambda _: node.containerd.restart()
        node.agent.start()
        wait_for_trust_of_another(node, before)
        self.assertEqual(len(systemd.restarts), 2)

    def test_without_the_option_it_is_said_and_not_done(self):
        node = self.early("never")
        systemd = self.systemd(node)
        node.start_agent()
        self.wait_for_restart_text(node, UNIT, "`--restart-runtime once` would do it")
        shown = node.agent.hagring("status", "--admin-socket", node.agent.admin_socket).stdout
        self.assertRegex(shown, r"(?m)^ +restart +due: containerd\.service must be restarted")
        self.assertEqual(systemd.restarts, [])
        self.assertIn(UNIT, systemd.asked)

    def test_waits_for_pulls(self):
        node = self.early("busy")
        systemd = self.systemd(node, ActiveState="deactivating")
        before = node.containerd.pid
        self.origin.publish(image.synthetic((3 << 20,), seed="busy"), "library/busy", "1")
        self.origin.limit(4)
        self.addCleanup(self.origin.limit, None)
        node.start_agent(arguments=ONCE)
        self.wait_for_restart_text(node, "deactivating")
        with concurrent.futures.ThreadPoolExecutor() as pool:
            pull = pool.submit(node.pull, "docker.io/library/busy:1")
            node.agent.wait_for(lambda s: s["connections"]["open"] > 0, 20, "the pull is under way")
            systemd.units[UNIT]["ActiveState"] = "active"
            self.wait_for_restart_text(node, "as soon as none of its connections is open")
            self.assertEqual((systemd.restarts, pull.done()), ([], False))
            self.origin.limit(None)
            pull.result()
        # containerd keeps idle connections for half a minute.
        wait_for_trust_of_another(node, before)
        self.assertEqual(systemd.restarts, [(UNIT, "replace")])
        node.verify_content("docker.io/library/busy:1", self.origin)

    def test_refused(self):
        cases = [
            ("required", UNIT, {"RequiredBy": ["docker.service"]}, [], "docker.service"),
            ("bound", UNIT, {"BoundBy": ["pods.service"]}, [], "pods.service"),
            ("part", UNIT, {"ConsistsOf": ["kube.service"]}, [], "kube.service"),
            ("server", "k3s.service", {}, [], "API server"),
            ("unknown", "my-runtime.service", {}, [], "--restart-unit my-runtime.service"),
            ("other", UNIT, {}, ["--restart-unit", "k3s.service"], "belongs to containerd.service"),
            ("elsewhere", UNIT, {"ControlGroup": "/system.slice/containerd.service"}, [],
             "control group"),
            ("stopped", UNIT, {"ActiveState": "deactivating"}, [], "deactivating"),
        ]
        node, running = None, ""
        for name, unit, properties, arguments, text in cases:
            with self.subTest(name):
                if unit != running:
                    node, running = self.early(f"no-{name}", unit=unit), unit
                systemd = Systemd(node, {unit: {"ControlGroup": node.containerd.cgroup_path}
                                         | properties})
                node.start_agent(arguments=ONCE + arguments)
                self.wait_for_restart_text(node, "by hand", text)
                node.agent.stop()
                systemd.close()
                self.assertEqual(systemd.restarts, [])

    def test_of_no_use(self):
        node = self.early("ssl", env={"SSL_CERT_DIR": "/opt/certs"})
        systemd = self.systemd(node)
        node.start_agent(arguments=ONCE)
        self.wait_for_restart_text(node, "SSL_CERT_DIR, /opt/certs")
        self.assertEqual(systemd.restarts, [])

    def test_server_that_is_named(self):
        node = self.early("named", unit="k3s.service")
        systemd = self.systemd(node, "k3s.service")
        node.start_agent(arguments=ONCE + ["--restart-unit", "k3s.service"])
        wait_for_trust_of_another(node, node.containerd.pid)
        self.assertEqual(systemd.restarts, [("k3s.service", "replace")])

    def test_no_systemd(self):
        node = self.early("nobody")
        node.start_agent(arguments=ONCE)
        self.wait_for_restart_text(node, "D-Bus socket isn't there")
        node.agent.stop()
        systemd = Systemd(node, {})
        node.agent.start()
        self.wait_for_restart_text(node, "no such unit")
        node.agent.stop()
        systemd.close()
        # A bus that takes connections and never says a word holds up nothing but the answer.
        node.path("/run/dbus/system_bus_socket").unlink(missing_ok=True)
        mute = node.spawn("mute", ["/usr/bin/python3", "-c", _MUTE])
        wait_until(mute.log_text, 10, "the mute bus listens")
        node.agent.start()
        self.wait_for_restart_text(node, "can't be asked", "time")
        self.assertEqual(node.agent.status()["kernel"]["passed_stale_heartbeat"], 0)


_MUTE = """
import socket, time
listener = socket.socket(socket.AF_UNIX)
listener.bind("/run/dbus/system_bus_socket")
listener.listen()
print("listening", flush=True)
time.sleep(3600)
"""


def wait_for_trust_of_another(node, pid: int) -> None:
    """Waits until a containerd other than `pid` trusts the agent."""
    node.agent.wait_for(lambda s: any(c["pid"] != pid and c["trust"] == "trusted"
                                      for c in s["clients"]), 60, "another containerd trusts it")


if __name__ == "__main__":
    main()
