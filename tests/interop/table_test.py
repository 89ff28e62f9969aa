# SPDX-License-Identifier: Apache-2.0
"""Each keeps the other in its routing table, over one connection."""

import time

from lab.testing import main
from mesh import MeshTest
from peer import GoPeer, JsPeer, Peer


class HagringWithGo(MeshTest):
    """With our peer, for as long as CI can wait."""

    stay_s = 30

    def neighbours(self) -> tuple[Peer, Peer]:
        """Two peers that have just come to know each other."""
        theirs = self.peer(self.theirs, "a")
        return self.peer(self.ours, "b", theirs), theirs

    @staticmethod
    def know_each_other(ours: Peer, theirs: Peer) -> bool:
        """Whether each has the other in its table."""
        return theirs.peer_id in ours.table() and ours.peer_id in theirs.table()

    def check_stays(self, ours: Peer, theirs: Peer, each_time=lambda: None) -> None:
        """Nothing may change for `stay_s`."""
        until = time.monotonic() + self.stay_s
        while time.monotonic() < until:
            each_time()
            self.assertTrue(self.know_each_other(ours, theirs), (ours.table(), theirs.table()))
            self.check_one_connection(ours, theirs)
            time.sleep(1)

    def check_one_connection(self, ours: Peer, theirs: Peer) -> None:
        """The pair has one connection."""
        self.assertEqual(ours.connections(), {theirs.peer_id: 1})
        self.assertEqual(theirs.connections(), {ours.peer_id: 1})

    def test_each_stays_in_the_others_table_while_nothing_happens(self):
        self.check_stays(*self.neighbours())

    def test_each_stays_in_the_others_table_under_traffic(self):
        ours, theirs = self.neighbours()
        ours.provide("of ours")
        theirs.provide("of theirs")

        def traffic():
            for number in range(5):
                theirs.find_until("of ours", ours)
                ours.find_until("of theirs", theirs)
                theirs.find(f"nobody's {number}", within_s=5)

        self.check_stays(ours, theirs, traffic)

    def test_fifty_lookups_use_one_connection(self):
        ours, theirs = self.neighbours()
        for number in range(50):
            lookups = [peer.begin("find_providers", key=f"nobody's {number}", limit=1, within_s=5)
                       for peer in (ours, theirs)]
            for lookup in lookups:
                self.assertEqual(lookup.result(15)["providers"], [])
            self.check_one_connection(ours, theirs)

    def test_a_peer_that_comes_back_is_taken_again(self):
        ours, theirs = self.neighbours()
        theirs.stop()
        again = self.peer(self.theirs, "a", ours)
        again.provide("of the new one")
        ours.find_until("of the new one", again)


class HagringWithGoInPrivate(HagringWithGo):
    """In a private network."""

    private = True


class HagringWithJs(HagringWithGo):
    """With js-libp2p."""

    theirs = JsPeer


class GoWithGo(HagringWithGo):
    """The control."""

    ours = GoPeer


class GoWithJs(HagringWithJs):
    """The control."""

    ours = GoPeer


class HagringWithGoForLong(HagringWithGo):
    """Five minutes: Go refreshes its table, and yamux's pings must have been answered."""

    stay_s = 300


class HagringWithGoInPrivateForLong(HagringWithGoForLong):
    """In a private network."""

    private = True


class HagringWithJsForLong(HagringWithGoForLong):
    """With js-libp2p, which drops whoever fails its ping every 10 s."""

    theirs = JsPeer


if __name__ == "__main__":
    main()
