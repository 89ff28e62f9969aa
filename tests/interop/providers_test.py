# SPDX-License-Identifier: Apache-2.0
"""Each finds what the other provides: from one to the other, and through a third node."""

from lab.testing import main
from mesh import MeshTest
from peer import GoPeer, JsPeer


class HagringWithGo(MeshTest):
    """With our peer."""

    def test_each_finds_the_others_record(self):
        theirs = self.peer(self.theirs, "a")
        self.check_exchange(self.peer(self.ours, "b", theirs), theirs)

    def test_the_one_that_is_joined_may_be_ours(self):
        ours = self.peer(self.ours, "a")
        self.check_exchange(ours, self.peer(self.theirs, "b", ours))

    def test_through_a_third_node_of_theirs(self):
        self.exchange_through(self.theirs)

    def test_through_a_third_node_of_ours(self):
        self.exchange_through(self.ours)

    def exchange_through(self, kind: type) -> None:
        """Two peers that have heard of nobody but a third."""
        third = self.peer(kind, "third")
        self.check_exchange(self.peer(self.ours, "a", third), self.peer(self.theirs, "b", third))

    def test_a_record_outlives_its_provider_at_the_third_node(self):
        third = self.peer(self.ours, "third")
        provider = self.peer(self.theirs, "a", third)
        provider.provide("left behind")
        reader = self.peer(self.theirs, "b", third)
        self.check_found(reader, "left behind", provider)
        provider.host.unplug()
        self.addCleanup(provider.host.plug)
        late = self.peer(self.theirs, "c", third)
        self.check_found(late, "left behind", provider)

    def test_a_key_that_nobody_provides_is_found_nowhere(self):
        theirs = self.peer(self.theirs, "a")
        ours = self.peer(self.ours, "b", theirs)
        self.assertEqual(ours.find("nobody's", within_s=5), {})
        self.assertEqual(theirs.find("nobody's", within_s=5), {})

    def test_many_keys_at_once(self):
        theirs = self.peer(self.theirs, "a")
        ours = self.peer(self.ours, "b", theirs)
        ours.provide(*(f"ours-{i}" for i in range(100)))
        theirs.provide(*(f"theirs-{i}" for i in range(100)))
        for i in range(0, 100, 9):
            theirs.find_until(f"ours-{i}", ours)
            ours.find_until(f"theirs-{i}", theirs)


class HagringWithGoInPrivate(HagringWithGo):
    """In a private network."""

    private = True


class HagringWithJs(HagringWithGo):
    """With js-libp2p."""

    theirs = JsPeer


class HagringWithJsInPrivate(HagringWithJs):
    """With js-libp2p, in a private network."""

    private = True


class GoWithGo(HagringWithGo):
    """The control."""

    ours = GoPeer


class GoWithJsInPrivate(HagringWithJsInPrivate):
    """The control."""

    ours = GoPeer


class HagringWithSweepingGo(MeshTest):
    """Go's SweepingProvider, which Spegel provides with."""

    def test_records_that_are_swept_are_found(self):
        ours = self.peer(self.ours, "a")
        sweeping = self.peer(GoPeer, "b", ours, sweep="true")
        sweeping.provide(*(f"swept-{i}" for i in range(30)))
        reader = self.peer(GoPeer, "c", ours)
        for i in range(0, 30, 7):
            self.check_found(ours, f"swept-{i}", sweeping, 60)
            reader.find_until(f"swept-{i}", sweeping)


class GoWithSweepingGo(HagringWithSweepingGo):
    """The control."""

    ours = GoPeer


if __name__ == "__main__":
    main()
