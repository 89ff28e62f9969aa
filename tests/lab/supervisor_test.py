# SPDX-License-Identifier: Apache-2.0
"""Under a supervisor such as systemd: it is told when the agent is ready and when it ends, and kills
one that hangs. The unit that comes with hagring is right."""

import os
import pathlib
import re
import shutil
import signal
import time
import unittest

from expectations import assert_came_by_mirror, wait_for_trust
from lab import image, paths, wait_until
from lab.agent import Agent, binary
from lab.stopped_thread import StoppedThread, threads
from lab.supervisor import Supervisor
from lab.testing import AgentTest, main

UNIT = paths.REPOSITORY / "deploy/systemd/hagring.service"
WATCHDOG_S = 2.0


class SupervisorTest(AgentTest):
    """Agents whose supervisor is the test."""

    @classmethod
    def build(cls):
        cls.origin = cls.lab.origin()

    def supervise(self, name: str, containerd: str = "", **options):
        """A node, its supervisor, and the agent, launched."""
        node = self.lab.node(name, containerd=containerd or None)
        supervisor = Supervisor(node, WATCHDOG_S)
        node.agent = Agent(node, env=supervisor.env, **options).launch()
        return node, supervisor

    def test_ready_when_connections_are_led_here_and_stopping_at_sigterm(self):
        node, supervisor = self.supervise("ready", "2.1")
        ready = supervisor.wait_for("READY=1")
        self.assertIn("STATUS=ok", ready.text)
        # Not waited for: at READY it is so.
        client, = node.agent.status()["clients"]
        self.assertTrue(client["intercepted"], client)
        self.assertEqual(client["pid"], node.containerd.pid)
        supervisor.wait_for("WATCHDOG=1", more_than=3)
        self.assertEqual(supervisor.said("STOPPING=1"), [])
        self.assertEqual(node.agent.stop(), 0)
        self.assertEqual([len(supervisor.said(text)) for text in ("READY=1", "STOPPING=1")], [1, 1])
        self.assertEqual(supervisor.said("")[-1].text, "STOPPING=1")
        node.agent = None

    def test_ready_without_a_containerd_which_it_starts_before(self):
        node, supervisor = self.supervise("early")
        self.assertIn("containerd", supervisor.wait_for("READY=1").text)
        node.start_containerd("2.1")
        wait_for_trust(node)

    def test_each_thread_that_hangs_silences_it(self):
        node, supervisor = self.supervise("hung", "2.1", arguments=["--data-threads", "2"])
        supervisor.wait_for("READY=1")
        named = threads(node.agent.pid)
        watched = [node.agent.pid] + [tid for tid, name in named.items() if name.startswith("data")]
        self.assertEqual(len(watched), 3, named)
        for tid in watched:
            with self.subTest(thread=named[tid]):
                with StoppedThread(tid):
                    supervisor.wait_for_silence()
                supervisor.wait_for("WATCHDOG=1", more_than=len(supervisor.said("WATCHDOG=1")))

    def test_thread_that_hangs_in_the_kernel_costs_a_restart_and_no_pull(self):
        node, supervisor = self.supervise("killed", "2.1", mesh_key="",
                                          arguments=["--spegel-compat", "true"])
        for tag in ("1", "2", "3"):
            self.origin.publish(image.synthetic(seed=f"supervisor {tag}"), "library/demo", tag)
        wait_for_trust(node)
        node.pull("docker.io/library/demo:1")
        self.hang(node, node.verify_content("docker.io/library/demo:1")[-1].digest)
        supervisor.wait_for_silence()
        # It hangs, and the pull goes by; then its supervisor does what systemd does.
        node.pull("docker.io/library/demo:2", timeout_s=30)
        hung = node.agent.pid
        self.assertEqual(node.agent.kill(), -signal.SIGKILL)
        node.agent.launch()
        supervisor.wait_for("READY=1", more_than=1)
        wait_for_trust(node)
        self.assertNotEqual(node.agent.pid, hung)
        node.pull("docker.io/library/demo:3")
        assert_came_by_mirror(self, node, "docker.io/library/demo:3", "origin")
        node.verify_content("docker.io/library/demo:2", self.origin)

    @staticmethod
    def hang(node, digest: str) -> None:
        """Has a thread of the agent's wait in open(2) for ever, as it would for a disk that is gone."""
        blob = node.containerd.store / "blobs/sha256" / digest.removeprefix("sha256:")
        blob.unlink()
        os.mkfifo(blob)
        node.curl(f"http://127.0.0.1:5000/v2/library/demo/blobs/{digest}?ns=docker.io",
                  timeout_s=1, check=False)
        waiting = re.compile("wait_for_partner|fifo_open")
        stacks = [task / "stack" for task in pathlib.Path(f"/proc/{node.agent.pid}/task").iterdir()]
        wait_until(lambda: any(waiting.search(stack.read_text()) for stack in stacks), 10,
                   "a thread waits for the FIFO")


class UnitTest(AgentTest):
    """deploy/systemd/hagring.service."""

    @unittest.skipUnless(shutil.which("systemd-analyze"), "there is no systemd-analyze")
    def test_systemd_understands_it(self):
        node = self.lab.node("verify")
        text = UNIT.read_text(encoding="utf-8")
        self.assertIn("ExecStart=/usr/local/bin/hagring agent\n", text)
        node.write("/tmp/hagring.service", text.replace("/usr/local/bin/hagring", str(binary())))
        done = node.run("systemd-analyze", "verify", "--man=no", "/tmp/hagring.service", check=False)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))
        # That a wrong one is found.
        node.write("/tmp/wrong.service", text.replace("WatchdogSec=", "WatchdogSeconds="))
        self.assertIn("WatchdogSeconds", node.run(
            "systemd-analyze", "verify", "--man=no", "/tmp/wrong.service", check=False).stderr)

    def test_its_capabilities_are_enough(self):
        unit = UNIT.read_text(encoding="utf-8")
        wanted = re.search("^CapabilityBoundingSet=(.*)$", unit, re.MULTILINE).group(1).split()
        bounding = ",".join(["-all"] + [f"+{name.removeprefix('CAP_').lower()}" for name in wanted])
        origin = self.lab.origin()
        origin.publish(image.synthetic(seed="capabilities"), "library/demo", "1")
        node = self.lab.node("capabilities")
        node.start_agent(through=["setpriv", "--bounding-set", bounding, "--inh-caps", "-all",
                                  "--no-new-privs"])
        node.start_containerd("2.1")
        wait_for_trust(node)
        node.pull("docker.io/library/demo:1")
        assert_came_by_mirror(self, node, "docker.io/library/demo:1", "origin")
        log = node.agent.process.log_text()
        self.assertNotRegex(log, r"(?i)permi|CAP_")
        # It runs with no more than that.
        status = pathlib.Path(f"/proc/{node.agent.pid}/status").read_text(encoding="utf-8")
        effective = re.search(r"CapEff:\s*(\w+)", status).group(1)
        has = node.run("capsh", f"--decode={effective}").stdout.strip().partition("=")[2].split(",")
        self.assertIn("cap_bpf", has)
        self.assertLessEqual(set(has), {name.lower() for name in wanted})


if __name__ == "__main__":
    main()
