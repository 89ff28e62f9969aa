# SPDX-License-Identifier: Apache-2.0
"""Connections are used again, and whoever comes back is known again."""

from lab.process import wait_until
from lab.testing import main
from mesh import MeshTest
from peer import GoPeer, JsPeer, Peer


class HagringWithGo(MeshTest):
    """With our peer."""

    def neighbours(self) -> tuple[Peer, Peer]:
        """Two peers that have just come to know each other."""
        theirs = self.peer(self.theirs, "a")
        return self.peer(self.ours, "b", theirs), theirs

    def check_one_connection(self, ours: Peer, theirs: Peer) -> None:
        """The pair has one connection."""
        self.assertEqual(ours.connections(), {theirs.peer_id: 1})
        self.assertEqual(theirs.connections(), {ours.peer_id: 1})

    def test_fifty_lookups_use_one_connection(self):
        ours, theirs = self.neighbours()
        for number in range(50):
            lookups = [peer.begin("find_providers", key=f"nobody's {number}", limit=1, within_s=5)
                       for peer in (ours, theirs)]
            for lookup in lookups:
                self.assertEqual(lookup.result(15)["providers"], [])
            self.check_one_connection(ours, theirs)

    def test_a_connection_that_they_closed_is_opened_again(self):
        ours, theirs = self.neighbours()
        theirs.provide("of theirs")
        ours.provide("of ours")
        for finder, key, provider in 2 * [(ours, "of theirs", theirs), (theirs, "of ours", ours)]:
            theirs.call("disconnect", peer_id=ours.peer_id)
            finder.find_until(key, provider)
            self.wait_until_neighbours(ours, theirs)
            # Two, should both have dialled at the same moment.
            for peer in (ours, theirs):
                wait_until(lambda peer=peer: sum(peer.connections().values()) in (1, 2), 5,
                           f"{peer.process.name} has one connection or two")

    def test_both_may_dial_at_once(self):
        # Each may keep its own connection; neither may lose the other.
        for _ in range(3):
            theirs = self.peer(self.theirs, "a")
            ours = self.peer(self.ours, "b", theirs.full_address)
            theirs.connect(ours.full_address)
            self.wait_until_neighbours(ours, theirs)
            self.check_exchange(ours, theirs)
            self.wait_until_neighbours(ours, theirs)
            ours.stop()
            theirs.stop()

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


if __name__ == "__main__":
    main()
