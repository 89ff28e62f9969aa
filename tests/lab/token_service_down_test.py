# SPDX-License-Identifier: Apache-2.0
"""A registry that wants tokens, and nobody who gives them."""

import unittest

from events import EventTest
from lab import image

#: How long the agents here wait for an origin.
ORIGIN_TIMEOUT_S = 2
EVENTS = ("refuses", "fails", "hangs")


class TokenServiceDownTest(EventTest):
    """One node has public images; one on each containerd asks for them."""

    @classmethod
    def build(cls):
        cls.tokens = cls.lab.token_service()
        cls.origin = cls.lab.origin(tokens=cls.tokens)
        cls.has = cls.member("has")
        cls.nodes = cls.member_of_each_version(
            cls.has, arguments=["--origin-timeout", f"{ORIGIN_TIMEOUT_S}s"])
        for event in EVENTS:
            cls.origin.publish(image.synthetic((20_000, 300_000), seed=event), f"{event}/app", "1")
            cls.has.pull(cls.name(event))
        cls.has.agent.wait_until_told(*map(cls.name, EVENTS))

    @staticmethod
    def name(event: str) -> str:
        """The image that is on the first node."""
        return f"docker.io/{event}/app:1"

    def assert_costs_no_pull(self, event: str) -> None:
        self.for_each(self.pull_on_all(self.nodes, self.name(event)),
                      lambda outcome: self.assert_from_peers(outcome, self.name(event)))

    def test_refuses(self):
        self.tokens.stop()
        self.addCleanup(self.tokens.start)
        self.assert_costs_no_pull("refuses")

    def test_fails(self):
        self.tokens.fail(503)
        self.addCleanup(self.tokens.fail, 0)
        self.assert_costs_no_pull("fails")

    def test_hangs(self):
        self.tokens.hang()
        self.addCleanup(self.tokens.go_on)
        self.assert_costs_no_pull("hangs")


if __name__ == "__main__":
    unittest.main()
