# SPDX-License-Identifier: Apache-2.0
"""A herd whose origin gives no ranges, is slow, limits requests, revokes credentials, or dies in mid-blob."""

import time
import unittest

from herds import SIZE, HerdsTest, addresses
from lab import wait_until

#: Below what a head is replaced for (CoordinatorOptions::head_floor), and above what a member goes alone
#: for (MemberOptions::floor).
SLOW = 160_000
#: Heads that are replaced for being slow (CoordinatorOptions::most_slow_heads).
MOST_SLOW_HEADS = 2
#: How many ask an origin that limits requests before the herd believes it.
MOST_LIMITED = 2
#: What a limit lasts.
LIMITED_S = 2
STALL_TIMEOUT_S = 3
#: When all pulls have failed at the latest after the origin's end: no byte for the time-out and 5 s more
#: ends a member's part, 10 s more its client's.
FAILED_S = STALL_TIMEOUT_S + 10 + 5


class HerdOriginTest(HerdsTest):
    """Four nodes, one of them with the older containerd."""

    VERSIONS = ("2.1", "2.1", "2.1", "1.7")
    ARGUMENTS = ("--stall-timeout", f"{STALL_TIMEOUT_S}s")

    def test_1_without_ranges_and_the_fetcher_is_killed(self):
        since = self.origin.now()
        end = self.begin_and_hold(self.nodes, ranges=False, times=None)
        fetcher = self.fetcher(self.nodes)
        others = [node for node in self.nodes if node is not fetcher]
        fetcher.agent.kill()
        self.addCleanup(self.revive, fetcher)
        self.assertEqual(end(), {})
        # A new fetcher starts over, and skips what it has.
        asked = self.requests_by(others, since)
        self.assertEqual([(r.status, r.complete) for r in asked], [(200, True)])
        sent = sum(r.bytes for r in self.requests_by(self.nodes, since))
        self.assertLess(sent, 3 * SIZE)

    def test_2_slow(self):
        since = self.origin.now()
        fault = self.slow(fast=0, rate=SLOW, times=None)
        end = self.begin(self.nodes)
        wait_until(lambda: fault.taken == 1 + MOST_SLOW_HEADS, 20, "others have been tried")
        fault.release()
        self.assertEqual(end(), {})
        self.assertEqual(len(self.asked_by(self.nodes, since)), 1 + MOST_SLOW_HEADS)

    def test_3_one_node_is_limited(self):
        since = self.origin.now()
        limited = self.nodes[0]
        fault = self.gate.fault(self.layer, status=429, fields={"Retry-After": "60"},
                                clients=addresses([limited]))
        first = self.begin([limited])
        wait_until(lambda: fault.taken, 20, "it has been refused")
        rest = self.begin(self.nodes[1:])
        self.assertEqual(rest(), {})
        self.assertEqual(self.asked_by(self.nodes[1:], since), [200])
        # containerd has asked again at once, and the others' has come in time, or it hasn't.
        self.assertRegex(first().get(limited.name, "429"), "429")
        self.assertEqual(self.asked_by([limited], since), [429])

    def test_4_all_are_limited(self):
        since = self.origin.now()
        fault = self.gate.fault(self.layer, status=429, fields={"Retry-After": str(LIMITED_S)})
        errors = self.begin(self.nodes)()
        self.assertEqual(len(errors), len(self.nodes), errors)
        for error in errors.values():
            self.assertIn("429", error)
        self.assertEqual(fault.taken, MOST_LIMITED)
        self.gate.mend()

        def pulled():
            """kubelet's next try."""
            return not self.begin(self.nodes)()
        wait_until(pulled, 10 + LIMITED_S, "the limit is over", 0.5)
        self.assertEqual(self.asked_by(self.nodes, since), [429] * MOST_LIMITED + [200])

    def test_5_the_next_ones_credentials_are_revoked(self):
        since = self.origin.now()
        end = self.begin_and_hold(self.nodes)
        fetcher = self.fetcher(self.nodes)
        others = [node for node in self.nodes if node is not fetcher]
        self.gate.fault(self.layer, status=401, times=1, rest_only=True, clients=addresses(others))
        fetcher.agent.kill()
        self.addCleanup(self.revive, fetcher)
        self.assertEqual(end(), {})
        self.assertEqual(self.asked_by(others, since), [401, 206])

    def test_6_dies_and_comes_back(self):
        since = self.origin.now()
        end = self.begin_and_hold(self.nodes)
        self.origin.stop()
        self.origin.start()
        self.assertEqual(end(), {})
        # One for the herd; it may have fallen on the first ones that nobody answered.
        asked = self.asked_by(self.nodes, since)
        self.assertEqual([status for status in asked if status == 206], [206], asked)

    def test_7_dies_and_stays_down(self):
        end = self.begin_and_hold(self.nodes)
        self.origin.stop()
        begun = time.monotonic()
        errors = end()
        self.origin.start()
        self.assertLess(time.monotonic() - begun, FAILED_S)
        self.assertEqual(len(errors), len(self.nodes), errors)
        # kubelet's next try.
        self.assertEqual(self.begin(self.nodes)(), {})


if __name__ == "__main__":
    unittest.main()
