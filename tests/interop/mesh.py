# SPDX-License-Identifier: Apache-2.0
"""What the tests of this folder share: machines with addresses as in a cluster, and peers on them.

Each test is written once, for a pair of kinds: `ours` and `theirs`. Two kinds that others wrote make a
control: where it fails too, the test is wrong, or they are.
"""

import os
import pathlib
import secrets
import sys
import unittest

from lab.process import wait_until
from lab.testing import LabTest
from peer import OURS_VARIABLE, PEERS_VARIABLE, GoPeer, HagringPeer, Peer

#: go-libp2p checks a peer with a request first, js-libp2p with a ping.
TABLE_DEADLINE_S = 15


class MeshTest(LabTest):
    """Tests with peers that end with the test, on machines that end with the class."""

    ours: type = HagringPeer
    theirs: type = GoPeer
    #: Whether the mesh has a pre-shared key.
    private = False

    @classmethod
    def setUpClass(cls) -> None:
        for kind in {cls.ours, cls.theirs}:
            reason = kind.missing()
            if reason:
                raise unittest.SkipTest(reason)
        super().setUpClass()

    @classmethod
    def build(cls) -> None:
        for variable in (PEERS_VARIABLE, OURS_VARIABLE):
            path = pathlib.Path(os.environ.get(variable, "/nowhere")).resolve()
            if path.exists():
                cls.lab.keep.append(path if path.is_dir() else path.parent)
        cls._machines = {}
        cls.network_key = cls.swarm_key()

    @classmethod
    def swarm_key(cls) -> str:
        """A new swarm.key file, for all machines."""
        path = cls.lab.work / f"{secrets.token_hex(4)}.key"
        path.write_text(f"/key/swarm/psk/1.0.0/\n/base16/\n{secrets.token_hex(32)}\n")
        return str(path)

    @classmethod
    def machine(cls, name: str):
        """The machine `name`, made if there is none, with private addresses only: go-libp2p treats
        those of the lab's networks (for benchmarks and documentation) as no real cluster's."""
        if name not in cls._machines:
            host = cls.lab.host(name)
            number = len(cls._machines) + 1
            host.ipv4 = f"10.88.0.{number}"
            host.ipv6 = f"fd88::{number:x}"
            host.run("sh", "-ec", "ip addr flush dev eth0; ip addr add $0/16 dev eth0; "
                     "ip -6 addr add $1/64 dev eth0 nodad", host.ipv4, host.ipv6)
            cls._machines[name] = host
        return cls._machines[name]

    def setUp(self) -> None:
        super().setUp()
        self.started: list[Peer] = []

    def peer(self, kind: type, machine: str, *bootstrap: Peer | str, **options) -> Peer:
        """A new peer on a machine, in the test's network, that knows the peers `bootstrap`, or what is
        at these addresses, and is known to the former."""
        if self.private:
            options.setdefault("psk_file", self.network_key)
        peer = self.start(kind, machine, *bootstrap, **options)
        self.started.append(peer)
        self.addCleanup(peer.stop)
        for other in (first for first in bootstrap if isinstance(first, Peer)):
            self.wait_until_neighbours(peer, other)
        return peer

    @classmethod
    def start(cls, kind: type, machine: str, *bootstrap: Peer | str, **options) -> Peer:
        """A new peer that knows the peers `bootstrap`, or what is at these addresses. The caller
        stops it."""
        return kind(cls.machine(machine), bootstrap=[
            first if isinstance(first, str) else first.full_address for first in bootstrap], **options)

    def show_logs(self) -> None:
        """Prints the logs of this test's peers, ours at length."""
        for peer in self.started:
            print(peer.process.log_tail(peer.log_lines), file=sys.stderr)

    @staticmethod
    def wait_until_neighbours(*both: Peer) -> None:
        """Waits until each of the two is in the other's routing table."""
        for one, other in (both, both[::-1]):
            wait_until(lambda one=one, other=other: other.peer_id in one.table(), TABLE_DEADLINE_S,
                       f"{one.process.name} has {other.process.name} in its table", 0.05)

    def check_exchange(self, ours: Peer, theirs: Peer) -> None:
        """Each finds what the other provides, of which nobody has heard before."""
        key = secrets.token_hex(8)
        ours.provide(f"docker.io/library/ours:{key}")
        theirs.provide(f"sha256:{key}")
        self.check_found(theirs, f"docker.io/library/ours:{key}", ours)
        self.check_found(ours, f"sha256:{key}", theirs)

    def check_found(self, finder: Peer, key: str, provider: Peer, deadline_s: float = 15) -> None:
        """`finder` must find that `provider` has `key`, at an address where it can be reached, and at
        no loopback address."""
        # Right after a restart the finder may know one address only, that of its connection.
        ips = finder.find_until(key, provider, deadline_s, at=provider.host.ipv4)
        if finder.drops_loopback or not provider.names_loopback:
            self.assertFalse(ips & {"127.0.0.1", "::1"})
