# SPDX-License-Identifier: Apache-2.0
"""What an agent remembers of registries and token services that are down or limit the rate: an outage
costs one time-out, and they are used again as soon as they are back."""

import time

from events import EventTest
from lab import image
from lab.agent import ADMIN_SOCKET
from lab.cri import CallError
from lab.testing import main

#: What an agent gives an origin to shake hands before it stands in for it.
TIME_OUT_S = 3
#: How long an agent may take to notice that a server is back: its longest pause between probes, and the
#: machine may be slow.
BACK_S = 60

#: Each event has a registry of its own, all of them names of one origin.
SILENT, LIMITING, TOKENS = "quay.io", "gcr.io", "docker.io"

LIMITED = """location ~ ^/v2/limited/ { default_type application/json; add_header Retry-After 300 always;
  return 429 '{"errors": [{"code": "TOOMANYREQUESTS", "message": "You have reached your pull rate limit."}]}'; }"""


class BreakerTest(EventTest):
    """One node has images; another asks for them."""

    @classmethod
    def build(cls):
        cls.origin = cls.lab.origin(names=[SILENT, LIMITING])
        cls.tokens = cls.lab.token_service()
        cls.hub = cls.lab.origin("hub", names=["registry-1.docker.io"], tokens=cls.tokens)
        cls.has = cls.member("has")
        cls.asks = cls.member("asks", cls.has)
        names = [cls.publish(cls.origin, registry, f"{which}/{number}")
                 for registry, which in ((SILENT, "silent"), (LIMITING, "limited"))
                 for number in ("first", "second")]
        names += [cls.publish(cls.hub, TOKENS, f"tokens/{number}") for number in ("first", "second")]
        for name in names:
            cls.has.pull(name)
        cls.has.agent.wait_until_told(*names)

    @staticmethod
    def publish(origin, registry: str, repository: str) -> str:
        """A small image of its own there; its name."""
        origin.publish(image.synthetic((20_000, 100_000), seed=repository), repository, "1")
        return f"{registry}/{repository}:1"

    def down(self) -> list[str]:
        """The servers that the asking agent takes for dead."""
        return [server["server"] for server in self.asks.agent.status()["origins"]["down"]]

    def told(self) -> str:
        """The asking agent's status as people read it."""
        agent = self.asks.agent
        return agent.hagring("status", ADMIN_SOCKET, agent.admin_socket).stdout

    def wait_until_back(self, server: str) -> None:
        """Waits until the asking agent no longer takes it for dead."""
        self.asks.agent.wait_for(
            lambda status: all(other["server"] != server for other in status["origins"]["down"]),
            BACK_S, f"{server} is back")

    def timed_pull(self, name: str):
        """The outcome of a pull, and the seconds that it took."""
        begun = time.monotonic()
        outcome = self.pull(self.asks, name)
        return outcome, time.monotonic() - begun

    def test_black_hole_costs_one_time_out_and_ends(self):
        addresses = self.asks.hosts[SILENT]
        self.addCleanup(self.asks.add_hosts, {SILENT: addresses})
        self.asks.add_hosts({SILENT: [self.lab.black_hole4]})
        first, seconds = self.timed_pull(f"{SILENT}/silent/first:1")
        self.assert_from_peers(first, f"{SILENT}/silent/first:1")
        self.assertGreater(seconds, TIME_OUT_S)
        self.assertEqual(self.down(), [f"{SILENT}:443"])
        second, again = self.timed_pull(f"{SILENT}/silent/second:1")
        self.assert_from_peers(second, f"{SILENT}/silent/second:1")
        # All else costs the same.
        self.assertLess(again, seconds - TIME_OUT_S / 2)
        self.assertIn(f"{SILENT}:443 unreachable since", self.told())

        self.asks.add_hosts({SILENT: addresses})
        self.wait_until_back(f"{SILENT}:443")
        name = self.publish(self.origin, SILENT, "silent/third")
        outcome = self.pull(self.asks, name)
        self.assertEqual(outcome.error, "")
        self.assertIn("HEAD /v2/silent/third/manifests/1 200", outcome.asked)

    def test_last_resort_is_the_origin_that_has_just_come_back(self):
        name = self.publish(self.origin, SILENT, "silent/fourth")
        self.origin.stop()
        with self.assertRaises(CallError) as caught:
            self.asks.pull(name)
        self.assertRegex(caught.exception.details, "refused|reset|502")
        self.origin.start()
        # Whatever is remembered by now: nobody else has it.
        self.assertEqual(self.pull(self.asks, name).error, "")
        self.wait_until_back(f"{SILENT}:443")

    def test_limits_are_honoured(self):
        self.origin.set_faults(LIMITED)
        self.addCleanup(self.origin.set_faults, "")
        name = f"{LIMITING}/limited/first:1"
        outcome = self.pull(self.asks, name)
        self.assert_from_peers(outcome, name)
        self.assertEqual([request.status for request in outcome.requests], [429])
        limit, = self.asks.agent.status()["origins"]["limited"]
        self.assertEqual((limit["server"], limit["requests"]), (f"{LIMITING}:443", "manifests"))
        self.assertGreater(limit["remaining_seconds"], 200)
        self.assertIn(f"{LIMITING}:443 refuses manifests for", self.told())

        name = f"{LIMITING}/limited/second:1"
        outcome = self.pull(self.asks, name)
        self.assert_from_peers(outcome, name)
        self.assertEqual(outcome.asked, [])

        # containerd tries at once, again and again; the registry hears of it once.
        outcome = self.pull(self.asks, f"{LIMITING}/limited/nobody-has-this:1")
        self.assertIn("429", outcome.error)
        self.assertEqual(len(outcome.requests), 1, outcome.asked)

    def test_token_service_that_is_down_loses_no_pull_of_what_peers_have(self):
        self.tokens.stop()
        for number in ("first", "second"):
            name = f"{TOKENS}/tokens/{number}:1"
            begun = time.time()
            self.assert_from_peers(self.pull(self.asks, name, self.hub), name)
            self.assertEqual(self.tokens.requests(begun, self.asks), [])
        self.assertIn("auth.docker.io:443", self.down())
        self.tokens.start()
        self.wait_until_back("auth.docker.io:443")
        name = self.publish(self.hub, TOKENS, "tokens/third")
        outcome = self.pull(self.asks, name, self.hub)
        self.assertEqual(outcome.error, "")
        self.assertNotEqual(self.tokens.requests(0, self.asks), [])


if __name__ == "__main__":
    main()
