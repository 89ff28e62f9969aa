# SPDX-License-Identifier: Apache-2.0
"""The port for Prometheus and the kubelet's probes, with a real containerd behind it."""

import re
import unittest

from expectations import wait_for_trust
from lab import Lab, image, wait_until
from lab.agent import ADMIN_SOCKET

_SAMPLE = re.compile(r'^([a-z_]+)(?:\{([^}]*)\})? (\S+)$')


def _parse(text: str) -> dict:
    """Samples by name and labels; fails on a line that isn't of the text format."""
    samples = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        found = _SAMPLE.match(line)
        if not found:
            raise AssertionError(f"not a sample: {line!r}")
        samples[found[1], found[2] or ""] = float(found[3])
    return samples


class TelemetryTest(unittest.TestCase):
    """An agent that starts before its containerd, and then serves a pull."""

    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab())
        cls.origin = cls.lab.origin()
        cls.node = cls.lab.node("n")
        cls.node.start_agent()

    def _get(self, path: str):
        """Status and body, as another machine gets them."""
        done = self.origin.run("curl", "-s", "-w", "\n%{http_code}",
                               f"http://{self.node.ipv4}:9090{path}")
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body

    def test_probes_and_metrics_follow_what_happens(self):
        self.assertEqual(self._get("/livez"), (200, "ok\n"))
        status, why = self._get("/readyz")
        self.assertEqual(status, 503)
        self.assertIn("containerd", why)

        self.node.start_containerd("2.1")
        wait_until(lambda: self._get("/readyz")[0] == 200, 30, "the agent is ready")
        wait_for_trust(self.node)
        self.origin.publish(image.synthetic(seed=1), "library/demo", "1")
        self.node.pull("docker.io/library/demo:1")

        status, text = self._get("/metrics")
        self.assertEqual(status, 200)
        samples = _parse(text)
        self.assertEqual(samples["hagring_client_intercepted", ""], 1)
        self.assertEqual(samples["hagring_client_trusted", ""], 1)
        self.assertGreater(samples["hagring_connects_total", 'outcome="redirected"'], 0)
        self.assertIn(("hagring_name_queries_total", 'outcome="passed_on"'), samples)
        asked = sum(value for (name, labels), value in samples.items()
                    if name == "hagring_mirror_requests_total" and 'registry="docker.io"' in labels)
        recorded = [pull for pull in self.node.agent.status()["recent"]
                    if pull["registry"] == "docker.io"]
        self.assertEqual(asked, len(recorded))
        self.assertGreater(
            samples["hagring_mirror_response_bytes_total",
                    'registry="docker.io",source="origin"'], 0)
        self.assertGreater(samples["hagring_store_blobs", ""], 0)
        self.assertGreater(samples["process_resident_memory_bytes", ""], 1 << 20)
        self.assertEqual(self._get("/status")[0], 404)

    def test_then_the_log_level_is_changed(self):
        wait_for_trust(self.node)
        agent = self.node.agent
        log = agent.process.log_text

        def level(*arguments, check=True):
            return agent.hagring("log-level", *arguments, ADMIN_SOCKET, agent.admin_socket, check=check)

        self.origin.publish(image.synthetic(seed=2), "library/levels", "1")
        self.assertEqual(level().stdout, "info\n")
        self.assertEqual(level("debug").stdout, "debug\n")
        self.node.pull("docker.io/library/levels:1")
        wait_until(lambda: "debug mirror: GET docker.io/library/levels" in log(), 5, "a line of debugging")
        self.assertEqual(level("--json", "error").stdout, '{"level":"error"}\n')
        self.assertIn("error admin: log level error, was debug", log())
        lines = log().count("\n")
        self.node.pull("docker.io/library/levels:1")
        self.assertEqual(log().count("\n"), lines)
        wrong = level("loud", check=False)
        self.assertEqual((wrong.returncode, level().stdout), (2, "error\n"))
        self.assertIn("'loud' is not a level", wrong.stderr)
        refused = self.node.curl("--unix-socket", agent.admin_socket, "-X", "POST",
                                 "http://localhost/log-level?level=loud").stdout
        self.assertIn("level must be trace", refused)


if __name__ == "__main__":
    unittest.main()
