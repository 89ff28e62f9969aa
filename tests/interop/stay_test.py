# SPDX-License-Identifier: Apache-2.0
"""Each keeps the other in its routing table, over one connection, idle and under traffic, in an open
and in a private network. All four pairs of a class are watched at the same time."""

import concurrent.futures
import dataclasses
import itertools
import time

from lab.testing import main
from mesh import MeshTest
from peer import GoPeer, JsPeer, Peer


@dataclasses.dataclass
class Watch:
    """A pair that is being watched."""

    peers: list[Peer]
    outcome: concurrent.futures.Future = None


class HagringWithGo(MeshTest):
    """With our peer, for as long as CI can wait."""

    stay_s = 30

    @classmethod
    def build(cls) -> None:
        super().build()
        pairs = list(itertools.product((False, True), repeat=2))
        machines = {pair: [cls.machine(f"{cls.name_of(*pair)}-{end}") for end in "ab"]
                    for pair in pairs}
        threads = cls.enterClassContext(concurrent.futures.ThreadPoolExecutor(len(machines)))
        cls.watches = {}
        for private, busy in pairs:
            watch = cls.watches[private, busy] = Watch([])
            watch.outcome = threads.submit(cls.watch_pair, watch.peers, private, busy)

    @staticmethod
    def name_of(private: bool, busy: bool) -> str:
        """What a pair's machines are called."""
        return ("psk-" if private else "") + ("busy" if busy else "idle")

    @classmethod
    def watch_pair(cls, peers: list[Peer], private: bool, busy: bool) -> None:
        """Starts two peers, and fails if anything changes for `stay_s` after they have met."""
        name = cls.name_of(private, busy)
        options = {"psk_file": cls.network_key if private else ""}
        try:
            theirs = cls.start(cls.theirs, f"{name}-a", **options)
            peers.append(theirs)
            ours = cls.start(cls.ours, f"{name}-b", theirs, **options)
            peers.append(ours)
            cls.wait_until_neighbours(ours, theirs)
            cls.check_stays(ours, theirs, cls.traffic if busy else cls.no_traffic)
        finally:
            for peer in peers:
                peer.stop()

    @classmethod
    def check_stays(cls, ours: Peer, theirs: Peer, each_time) -> None:
        """Each must stay in the other's table, over one connection."""
        for peer in (ours, theirs):
            peer.provide(f"of {peer.kind}")
        until = time.monotonic() + cls.stay_s
        while time.monotonic() < until:
            each_time(ours, theirs)
            for one, other in ((ours, theirs), (theirs, ours)):
                seen = (one.kind, one.table(), one.connections())
                expected = (one.kind, [other.peer_id], {other.peer_id: 1})
                if seen != expected:
                    raise AssertionError(f"{seen} instead of {expected}")
            time.sleep(1)
        # Records are still there, and so is the way to them.
        cls.traffic(ours, theirs)

    @staticmethod
    def no_traffic(_ours: Peer, _theirs: Peer) -> None:
        """Leaves the pair alone."""

    @staticmethod
    def traffic(ours: Peer, theirs: Peer) -> None:
        """Lookups of what there is, and of what there isn't."""
        for number in range(5):
            for one, other in ((ours, theirs), (theirs, ours)):
                one.find_until(f"of {other.kind}", other)
            theirs.find(f"nobody's {number}", within_s=5)

    def check(self, private: bool, busy: bool) -> None:
        """Fails as the watch of this pair did."""
        watch = self.watches[private, busy]
        self.started = watch.peers
        watch.outcome.result()

    def test_each_stays_while_nothing_happens(self):
        self.check(private=False, busy=False)

    def test_each_stays_under_traffic(self):
        self.check(private=False, busy=True)

    def test_each_stays_in_private_while_nothing_happens(self):
        self.check(private=True, busy=False)

    def test_each_stays_in_private_under_traffic(self):
        self.check(private=True, busy=True)


class HagringWithJs(HagringWithGo):
    """With js-libp2p, which drops whoever fails its ping every 10 s."""

    theirs = JsPeer


class GoWithGo(HagringWithGo):
    """The control, which needn't wait so long."""

    ours = GoPeer
    stay_s = 5


class GoWithJs(HagringWithJs):
    """The control."""

    ours = GoPeer
    stay_s = 12


class HagringWithGoForLong(HagringWithGo):
    """Five minutes: Go refreshes its table, and yamux's pings must have been answered."""

    stay_s = 300


class HagringWithJsForLong(HagringWithJs):
    """Five minutes."""

    stay_s = 300


if __name__ == "__main__":
    main()
