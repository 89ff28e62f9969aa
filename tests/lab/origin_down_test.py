# SPDX-License-Identifier: Apache-2.0
"""An origin that is down, in each way in which one can be: peers answer, and where they have nothing
either, the origin's own error is what the client is told."""

import time
import unittest

from events import EventTest
from lab import image

#: Each event has a registry of its own, all of them names of one origin: what an agent has learned of
#: one says nothing about another.
REGISTRIES = {"refuses": "ghcr.io", "silent": "quay.io", "429": "gcr.io", "500": "registry.k8s.io",
              "502": "mcr.microsoft.com", "503": "nvcr.io", "504": "cgr.dev"}

LIMITED = """location /v2/ { default_type application/json; add_header Retry-After 60 always; return 429
  '{"errors": [{"code": "TOOMANYREQUESTS", "message": "You have reached your pull rate limit."}]}'; }"""

#: How long the agents here wait for an origin, and what a pull may take besides.
ORIGIN_TIMEOUT_S = 2
REST_S = 15


class OriginDownTest(EventTest):
    """One node has an image of each registry; one on each containerd asks for it."""

    @classmethod
    def build(cls):
        cls.origin = cls.lab.origin(names=list(REGISTRIES.values()))
        cls.has = cls.member("has")
        cls.nodes = cls.member_of_each_version(
            cls.has, arguments=["--origin-timeout", f"{ORIGIN_TIMEOUT_S}s"])
        for event in REGISTRIES:
            cls.origin.publish(image.synthetic((20_000, 300_000), seed=event), f"{event}/app", "1")
            cls.has.pull(cls.name(event))
        cls.has.agent.wait_until_told(*map(cls.name, REGISTRIES))
        for node in cls.nodes:
            node.add_hosts({REGISTRIES["silent"]: [cls.lab.black_hole4, cls.lab.black_hole6]})

    @staticmethod
    def name(event: str, image_name: str = "app") -> str:
        """The image that is on the first node."""
        return f"{REGISTRIES[event]}/{event}/{image_name}:1"

    def assert_costs_no_pull(self, event: str, most_requests: int, error: str,
                             most_requests_in_vain: int) -> None:
        """Asserts that the image is pulled from the peer with so many requests to the origin at most, and
        that one that nobody has fails with `error`, a regular expression."""
        def from_peers(outcome):
            self.assert_from_peers(outcome, self.name(event))
            self.assertLessEqual(len(outcome.requests), most_requests, outcome.asked)

        def in_vain(outcome):
            self.assertRegex(outcome.error, error)
            self.assertLessEqual(len(outcome.requests), most_requests_in_vain, outcome.asked)
        self.for_each(self.pull_on_all(self.nodes, self.name(event)), from_peers)
        self.for_each(self.pull_on_all(self.nodes, self.name(event, "nobody-has-this")), in_vain)

    def test_refuses(self):
        self.origin.stop()
        self.addCleanup(self.origin.start)
        self.assert_costs_no_pull("refuses", 0, "refused|reset|502", 0)

    def test_never_answers(self):
        begun = time.monotonic()
        self.assert_costs_no_pull("silent", 0, "50[234]|timeout", 0)
        self.assertLess(time.monotonic() - begun, 2 * ORIGIN_TIMEOUT_S + REST_S)

    def answers(self, fault: str) -> None:
        """Makes all that the origin answers a fault."""
        self.origin.set_faults(fault)
        self.addCleanup(self.origin.set_faults, "")

    def test_429_with_retry_after(self):
        self.answers(LIMITED)
        # containerd itself would try six times at once.
        self.assert_costs_no_pull("429", 1, "429", 6)

    def test_500_502_503_504(self):
        for status in ("500", "502", "503", "504"):
            with self.subTest(status=status):
                self.answers(f"location /v2/ {{ return {status}; }}")
                self.assert_costs_no_pull(status, 1, status, 2)


if __name__ == "__main__":
    unittest.main()
