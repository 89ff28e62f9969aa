# SPDX-License-Identifier: Apache-2.0
"""Our node ends without a word, and comes back as the same peer: in the eyes of the others it has
hardly been away."""

import time

from lab.testing import main
from mesh import MeshTest
from peer import GoPeer, HagringPeer, JsPeer, Peer

#: Issue of the DHT: the longest gap in findability.
GAP_S = 5
IDENTITY = {"identity-file": "/var/lib/hagring-identity"}


class HagringAmongGo(MeshTest):
    """Beside two of Go's, the second of which reads."""

    private = True
    theirs = GoPeer

    def setUp(self) -> None:
        super().setUp()
        self.third = self.peer(self.theirs, "third")
        self.reader = self.peer(self.theirs, "reader", self.third)
        self.ours = self.our_node()
        self.ours.provide("provided before")
        self.check_found(self.reader, "provided before", self.ours)

    def our_node(self) -> Peer:
        """Our node, with the identity that its machine keeps."""
        node = self.start(HagringPeer, "ours", self.third, psk_file=self.network_key, **IDENTITY)
        self.started.append(node)
        self.addCleanup(node.process.stop)
        return node

    def check_comes_back(self) -> None:
        """What the node provides is found soon after its start, at a peer that is known again."""
        began = time.monotonic()
        again = self.our_node()
        self.assertEqual(again.peer_id, self.ours.peer_id)
        again.provide("provided before", "new")
        for key in ("new", "provided before"):
            self.check_found(self.reader, key, again, GAP_S - (time.monotonic() - began))
        self.wait_until_neighbours(again, self.reader)
        self.wait_until_neighbours(again, self.third)
        self.check_exchange(again, self.reader)
        again.stop()

    def test_killed_and_started_again(self):
        self.ours.process.kill()
        self.check_comes_back()

    def test_killed_while_its_machine_was_cut_off(self):
        # The others have not heard that their connections are gone.
        self.ours.host.unplug()
        self.ours.process.kill()
        self.ours.host.plug()
        self.check_comes_back()


class HagringAmongJs(HagringAmongGo):
    """Beside two of js-libp2p's."""

    theirs = JsPeer


if __name__ == "__main__":
    main()
