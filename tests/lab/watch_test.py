# SPDX-License-Identifier: Apache-2.0
"""`hagring status --watch` while a blob is held back, on a terminal and without one."""

import json
import re
import signal
import threading
import unittest

from expectations import wait_for_trust
from lab import image, wait_until
from lab.agent import ADMIN_SOCKET, binary
from lab.terminal import Terminal
from lab.testing import AgentTest

BAR = re.compile(r"blob +(sha256:[0-9a-f]{12}) +\[(#*)(-*)\] +(\d+) % +([\d.]+ \S+) of +24\.0 MiB +"
                 r"([\d.]+ \S+)/s  origin")


class WatchTest(AgentTest):
    """A node that pulls over a slow link."""

    @classmethod
    def build(cls):
        cls.origin = cls.lab.origin()
        cls.node = cls.lab.node("n", containerd="2.1")
        cls.node.start_agent()
        wait_for_trust(cls.node)

    def watch(self, *more) -> list[str]:
        return self.node.command([binary(), "status", "--watch", ADMIN_SOCKET,
                                  self.node.agent.admin_socket, *more], env={"TERM": "xterm"})

    def slow_pull(self, name: str) -> threading.Thread:
        """Pulls a layer of 24 MiB, of which the most is yet to come."""
        self.origin.publish(image.synthetic((24 << 20,), seed=name), f"library/{name}", "1")
        self.origin.limit(6)
        pull = threading.Thread(target=lambda: self.node.pull(f"docker.io/library/{name}:1"))
        pull.start()
        self.addCleanup(pull.join, 120)
        self.addCleanup(self.origin.limit, None)
        return pull

    def test_1_terminal(self):
        terminal = Terminal(self.watch())
        self.addCleanup(terminal.close)
        terminal.wait_for(lambda text: "Pulls in progress: none" in text, 10, "nothing is pulled")
        pull = self.slow_pull("drawn")
        first = terminal.wait_for(BAR.search, 30, "a bar")
        later = terminal.wait_for(
            lambda text: (found := BAR.search(text)) and int(found[4]) > int(first[4]) + 2 and found,
            30, "the bar grows")
        for found in (first, later):
            share = len(found[2]) / len(found[2] + found[3])
            self.assertAlmostEqual(share * 100, int(found[4]), delta=100 / len(found[2] + found[3]) + 1)
        self.assert_shown_elsewhere(later[1])
        terminal.resize(60, 7)
        narrow = terminal.wait_for(lambda text: text.count("\n") < 7 and text, 10, "it fits the window")
        self.assertLessEqual(max(map(len, narrow.split("\n"))), 60)
        self.assertIn(later[1], narrow)
        terminal.resize(120, 30)
        self.origin.limit(None)
        pull.join(120)
        terminal.wait_for(lambda text: "Pulls in progress: none" in text
                          and later[1] in text.partition("Recent")[2], 10, "the pull has ended")
        self.survives_the_agent(terminal)
        self.assertFalse(terminal.echoes())
        terminal.type(b"\x03")
        self.assertEqual(terminal.process.wait(5), 0)
        self.assertTrue(terminal.echoes())
        wait_until(lambda: terminal.output.endswith("\x1b[?25h\x1b[?1049l"), 5, "the screen is given back")
        self.assertNotIn("\x1b[2J", terminal.output, "a screen that is cleared flickers")
        self.assertEqual(terminal.output.count("\x1b[?1049h"), 1)

    def assert_shown_elsewhere(self, digest: str) -> None:
        """In the status document, its text and the metrics."""
        one, = [p for p in self.node.agent.status()["in_progress"] if p["reference"].startswith(digest)]
        self.assertEqual((one["kind"], one["source"], one["first_byte"], one["repository"]),
                         ("blob", "origin", 0, "library/drawn"))
        self.assertGreaterEqual(one["length"], 24 << 20)
        self.assertGreater(one["bytes"], 0)
        self.assertGreater(one["bytes_per_second"], 10_000)
        metrics = self.node.curl("http://127.0.0.1:9090/metrics").stdout
        self.assertRegex(metrics, r'(?m)^hagring_mirror_requests_in_flight\{source="origin"\} [1-9]')
        self.assertRegex(metrics, r"(?m)^hagring_leases_images 0$")

    def survives_the_agent(self, terminal) -> None:
        """One that is killed and started again."""
        self.node.agent.kill()
        terminal.wait_for(lambda text: "no agent answers at" in text, 10, "it is said that it has gone")
        self.node.agent.start()
        terminal.wait_for(lambda text: f"pid {self.node.agent.pid}," in text, 10, "it is back")

    def test_2_lines_and_documents(self):
        wait_for_trust(self.node)
        lines = self.node.spawn("lines", [binary(), "status", "--watch", ADMIN_SOCKET,
                                          self.node.agent.admin_socket])
        documents = self.node.spawn("documents", [binary(), "status", "--watch", "--json", ADMIN_SOCKET,
                                                  self.node.agent.admin_socket])
        pull = self.slow_pull("listed")
        wait_until(lambda: re.search(r"(?m)^in progress docker.io/library/listed sha256:[0-9a-f]{12}: +\d+ %",
                                     lines.log_text()), 30, "a line of progress")
        wait_until(lambda: any(p["repository"] == "library/listed" for line in
                               documents.log_text().splitlines(keepends=True) if line.endswith("\n")
                               for p in json.loads(line)["in_progress"]), 30, "a document with it")
        self.origin.limit(None)
        pull.join(120)
        wait_until(lambda: re.search(r"(?m)^\S+Z  200 blob +docker.io/library/listed", lines.log_text()),
                   15, "the end of it")
        self.assertNotIn("\x1b", lines.log_text())
        for process in (lines, documents):
            process.signal(signal.SIGINT)
            self.assertEqual(process.wait(5), 0)

    def test_3_before_there_is_an_agent(self):
        lines = self.node.spawn("early", [binary(), "status", "--watch", ADMIN_SOCKET, "/run/none.sock"])
        wait_until(lambda: "no agent answers at /run/none.sock" in lines.log_text(), 10, "it says so")
        lines.signal(signal.SIGTERM)
        self.assertEqual(lines.wait(5), 0)


if __name__ == "__main__":
    unittest.main()
