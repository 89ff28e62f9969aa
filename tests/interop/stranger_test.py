# SPDX-License-Identifier: Apache-2.0
"""A stranger, without the mesh's key or with another, gets nothing: no record is taken from him, no
peer named to him."""

import re

from lab.testing import main
from mesh import MeshTest
from peer import PORT, GoPeer, HagringPeer, PeerError

SECRET = "docker.io/private/secret:1"
PLANTED = "docker.io/library/planted:1"

#: What a stranger may see at most: a nonce, and the (encrypted) header of multistream-select.
MAX_BYTES = 24 + 20


class HagringWithGo(MeshTest):
    """With our peer, in a mesh with a go-libp2p member that has provided something."""

    private = True

    def setUp(self) -> None:
        super().setUp()
        self.node = self.peer(self.ours, "a")
        self.member = self.peer(GoPeer, "b", self.node)
        self.member.provide(SECRET)
        self.check_found(self.node, SECRET, self.member)
        self.records = self.records_held()

    def records_held(self) -> int:
        """How many records our peer holds for others."""
        about = self.node.call("about")
        return about["records"] if isinstance(self.node, HagringPeer) else 0

    def check_nothing_changed(self) -> None:
        """The mesh must be as it was: its members know each other, and no planted record."""
        self.assertEqual(self.node.table(), [self.member.peer_id])
        self.assertEqual(self.member.table(), [self.node.peer_id])
        self.assertEqual(self.records_held(), self.records)
        for peer in (self.node, self.member):
            self.assertEqual(peer.find(PLANTED, within_s=5), {})
        self.check_found(self.node, SECRET, self.member)

    def check_gets_nothing(self, psk_file: str) -> None:
        """A go-libp2p peer with this key tries all that a member may do."""
        stranger = self.peer(GoPeer, "stranger", psk_file=psk_file)
        for address in (self.node.full_address, f"{self.node.address}/p2p/{stranger.peer_id}"):
            with self.assertRaises(PeerError):
                stranger.connect(address)
        with self.assertRaisesRegex(PeerError, "no peer ID could be learnt"):
            stranger.call("learn_id", address=self.node.address)
        for kind in ("FIND_NODE", "GET_PROVIDERS", "PING", "ADD_PROVIDER"):
            with self.assertRaises(PeerError):
                stranger.call("ask", peer_id=self.node.peer_id, type=kind, key=PLANTED)
        with self.assertRaises(PeerError):
            stranger.provide(PLANTED)
        self.assertEqual(stranger.table(), [])
        self.assertEqual(stranger.find(SECRET, within_s=3), {})
        self.check_nothing_changed()

    def test_a_stranger_without_a_key(self):
        self.check_gets_nothing("")

    def test_a_stranger_with_another_key(self):
        self.check_gets_nothing(self.swarm_key())

    def test_a_member_who_asks_is_answered(self):
        # The counter-check: the same requests of a peer that has the key.
        member = self.peer(GoPeer, "stranger", self.node)
        reply = member.call("ask", peer_id=self.node.peer_id, type="GET_PROVIDERS", key=SECRET)
        self.assertEqual([p["peer_id"] for p in reply["providers"]], [self.member.peer_id])
        member.call("ask", peer_id=self.node.peer_id, type="ADD_PROVIDER", key=PLANTED)
        self.check_found(self.node, PLANTED, member)

    def test_bytes_that_are_no_handshake(self):
        prober = self.peer(GoPeer, "stranger", psk_file="")
        # multistream-select's header with a proposal, a TLS record, HTTP, silence, a nonce and noise.
        openings = {
            "multistream": "132f6d756c746973747265616d2f312e302e300a0b2f746c732f312e302e300a",
            "tls": "1603010200010001fc0303" + 64 * "41",
            "http": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".hex(),
            "silence": "",
            "noise": 24 * "00" + 500 * "5a",
        }
        waits = {name: prober.begin("raw", host=f"{self.node.host.ipv4}:{PORT}", hex=text, within_s=20)
                 for name, text in openings.items()}
        for name, wait in waits.items():
            with self.subTest(opening=name):
                seen = wait.result(40)
                received = bytes.fromhex(seen["hex"])
                self.assertTrue(seen["ended"], "the connection must not be kept")
                self.assertLessEqual(len(received), MAX_BYTES)
                self.assertIsNone(re.search(rb"multistream|/tls|yamux|spegel|libp2p|CN=", received))
        self.check_nothing_changed()


class GoWithGo(HagringWithGo):
    """The control."""

    ours = GoPeer


if __name__ == "__main__":
    main()
