# SPDX-License-Identifier: Apache-2.0
"""Who is refused, and with what words; and who must not be."""

import re

from lab.process import wait_until
from lab.testing import main
from mesh import MeshTest
from peer import GoPeer, HagringPeer, JsPeer, Peer, PeerError

#: What each kind says of a peer that turns out to be another than was dialled.
WRONG_PEER = {
    "go": r"peer id mismatch: expected .+, but remote key matches",
    "js": r"Unexpected Peer",
    "hagring": r"the peer is not the one that was dialled",
}

#: What each kind says when it dials into another network, and sees garbage, an end, or nothing at
#: all. js-libp2p's words depend on which comes first; ours are in the log too.
OTHER_NETWORK = {
    "go": r"failed to negotiate security protocol",
    "js": r"\w",
    "hagring": r"\w",
}

#: What our log must say then, in a private network and in an open one, of each connection's direction.
OUR_REFUSALS = {
    True: r"doesn't share this network's key, or has none \(.+\); compare both nodes' network keys",
    False: r"doesn't answer as a libp2p node \(.+\); if it has a network key, this node needs the same",
}


class HagringWithGo(MeshTest):
    """With our peer."""

    def nobody(self) -> str:
        """The ID of a peer that is nowhere."""
        peer = self.peer(GoPeer, "nowhere")
        return peer.peer_id

    def check_unknown_to_each_other(self, one: Peer, other: Peer) -> None:
        """Neither may have taken the other into its table, or kept a connection."""
        self.assertEqual((one.table(), other.table()), ([], []))
        wait_until(lambda: not one.connections() and not other.connections(), 20,
                   "no connection is left between them")

    def check_logged(self, peer: Peer, private: bool) -> None:
        """Our peer's log must tell its operator why it refused, as dialler and as the one dialled."""
        if not isinstance(peer, HagringPeer):
            return
        for way in ("a connection from", "the connection to"):
            line = re.compile(rf"{way} \S+ failed: the other side {OUR_REFUSALS[private]}")
            wait_until(lambda line=line: line.search(peer.process.log_text()), 20,
                       f"{line.pattern} in {peer.process.log}")

    def test_a_peer_that_is_another_than_was_dialled(self):
        ours, theirs = self.peer(self.ours, "a"), self.peer(self.theirs, "b")
        wrong = self.nobody()
        for dialler, dialled in ((ours, theirs), (theirs, ours)):
            with self.subTest(dialler=dialler.kind), \
                    self.assertRaisesRegex(PeerError, WRONG_PEER[dialler.kind]):
                dialler.connect(f"{dialled.address}/p2p/{wrong}")
        self.check_unknown_to_each_other(ours, theirs)

    def test_another_network_key(self):
        self.check_networks_apart(self.network_key, self.swarm_key())

    def test_no_network_key_where_there_is_one(self):
        self.check_networks_apart(self.network_key, "")

    def test_a_network_key_where_there_is_none(self):
        self.check_networks_apart("", self.network_key)

    def check_networks_apart(self, our_key: str, their_key: str) -> None:
        """Peers of two networks can't connect, whoever dials, and say so."""
        ours = self.peer(self.ours, "a", psk_file=our_key)
        theirs = self.peer(self.theirs, "b", psk_file=their_key)
        for dialler, dialled in ((theirs, ours), (ours, theirs)):
            with self.subTest(dialler=dialler.kind), \
                    self.assertRaisesRegex(PeerError, OTHER_NETWORK[dialler.kind]):
                dialler.connect(dialled.full_address)
        self.check_logged(ours, bool(our_key))
        self.check_unknown_to_each_other(ours, theirs)

    def test_over_ipv6(self):
        theirs = self.peer(self.theirs, "a")
        ours = self.peer(self.ours, "b")
        if self.theirs is GoPeer:
            address = f"/ip6/{theirs.host.ipv6}/tcp/5001/p2p/{theirs.peer_id}"
            self.assertEqual(ours.connect(address), theirs.peer_id)
        address = f"/ip6/{ours.host.ipv6}/tcp/5001/p2p/{ours.peer_id}"
        self.assertEqual(theirs.connect(address), ours.peer_id)


class HagringWithJs(HagringWithGo):
    """With js-libp2p."""

    theirs = JsPeer


class GoWithGo(HagringWithGo):
    """The control."""

    ours = GoPeer


class GoWithJs(HagringWithJs):
    """The control."""

    ours = GoPeer


class GoWithGosWays(MeshTest):
    """Go's own ways: kinds of host keys and of security, and Spegel's bootstrap. The control."""

    ours = GoPeer

    def test_host_keys_of_all_kinds(self):
        for kind in ("ed25519", "ecdsa", "rsa", "secp256k1"):
            with self.subTest(kind=kind):
                ours = self.peer(self.ours, "a")
                theirs = self.peer(GoPeer, "b", ours, identity=kind)
                self.check_exchange(ours, theirs)
                ours.stop()
                ours = self.peer(self.ours, "a", theirs)
                self.check_exchange(ours, theirs)
                ours.stop()
                theirs.stop()

    def test_an_ecdsa_key_in_a_private_network(self):
        # K3s' embedded registry.
        ours = self.peer(self.ours, "a", psk_file=self.network_key)
        k3s = self.peer(GoPeer, "b", ours, psk_file=self.network_key, identity="ecdsa", sweep="true")
        self.check_exchange(ours, k3s)

    def test_go_with_tls_alone(self):
        ours = self.peer(self.ours, "a")
        self.check_exchange(ours, self.peer(GoPeer, "b", ours, security="tls"))

    def test_spegel_learns_our_id_from_a_refused_handshake(self):
        for key in ("", self.network_key):
            with self.subTest(private=bool(key)):
                ours = self.peer(self.ours, "a", psk_file=key)
                spegel = self.peer(GoPeer, "b", psk_file=key)
                learnt = spegel.call("learn_id", address=ours.address)["peer_id"]
                self.assertEqual(learnt, ours.peer_id)
                self.wait_until_neighbours(ours, spegel)
                self.check_exchange(ours, spegel)
                ours.stop()
                spegel.stop()

    def test_what_identify_told(self):
        theirs = self.peer(GoPeer, "a")
        ours = self.peer(self.ours, "b", theirs)
        about = theirs.call("peer", peer_id=ours.peer_id)
        self.assertLessEqual({"/spegel/kad/1.0.0", "/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0",
                              "/ipfs/ping/1.0.0"}, set(about["protocols"]))
        self.assertIn(ours.address, about["addresses"])
        self.assertFalse([a for a in about["addresses"] if "/127.0.0.1/" in a or "/::1/" in a])
        self.assertLess(theirs.call("ping", peer_id=ours.peer_id)["milliseconds"], 1000)


class HagringWithGosWays(GoWithGosWays):
    """With our peer."""

    ours = HagringPeer

    def test_go_with_noise_alone_has_nothing_in_common_with_us(self):
        ours = self.peer(self.ours, "a")
        noisy = self.peer(GoPeer, "b", security="noise")
        with self.assertRaisesRegex(PeerError, "failed to negotiate security protocol"):
            noisy.connect(ours.full_address)
        with self.assertRaisesRegex(PeerError, "none of the protocols"):
            ours.connect(noisy.full_address)

    def test_we_learn_their_id_as_spegel_does(self):
        theirs = self.peer(GoPeer, "a")
        ours = self.peer(self.ours, "b", theirs.address)
        self.wait_until_neighbours(ours, theirs)
        self.check_exchange(ours, theirs)


if __name__ == "__main__":
    main()
