# SPDX-License-Identifier: Apache-2.0
"""Peers that die, lie or crawl while they send a blob."""

import contextlib
import pathlib
import threading
import time
import unittest

from events import EventTest
from lab import image, wait_until
from lab.cri import CallError

NAME = "docker.io/team/app:1"
#: Of its own: after a lie a node asks the origin for it for a while.
LIED_ABOUT = "docker.io/team/lied-about:1"
SIZE = 8 << 20
MEGABITS = 60  # a blob takes a second

STALL_TIMEOUT_S = 2
#: What a pull may take besides what the tests wait for.
REST_S = 20
#: When a peer that sends almost nothing is left (FetcherOptions::slow_after).
SLOW_AFTER_S = 5


def sent_bytes(node) -> int:
    """What a machine has sent."""
    for line in pathlib.Path(f"/proc/{node.pid}/net/dev").read_text(encoding="ascii").splitlines():
        name, _, fields = line.strip().partition(":")
        if name == "eth0":
            return int(fields.split()[8])
    raise AssertionError(f"{node.name} has no eth0")


class _ThreePeers(EventTest):
    """Three nodes have an image, and a fourth asks for it."""

    @classmethod
    def build(cls):
        cls.origin = cls.lab.origin()
        layers = []
        for name in (NAME, LIED_ABOUT):
            made = image.synthetic((SIZE,), seed=name)
            cls.origin.publish(made, name.split("/", 1)[1].removesuffix(":1"), "1")
            layers += made.layers
        cls.layer, cls.spoilt = layers
        cls.peers = [cls.lab.node(name) for name in ("one", "two", "three")]
        for peer in cls.peers:
            cls.join(peer, *(other for other in cls.peers if other is not peer))
            peer.pull(NAME)
            peer.pull(LIED_ABOUT)
        cls.node = cls.member("asks", *cls.peers, arguments=[
            "--stall-timeout", f"{STALL_TIMEOUT_S}s"])
        for peer in cls.peers:
            peer.agent.wait_until_told(NAME, LIED_ABOUT)

    def setUp(self):
        super().setUp()
        for peer in self.peers:
            peer.limit(MEGABITS)

    def tearDown(self):
        self.forget_image()

    def forget_image(self) -> None:
        """Has the asking node lose what it has pulled."""
        for name in (NAME, LIED_ABOUT):
            with contextlib.suppress(CallError):
                self.node.containerd.client.remove_image(name)
        folder = self.node.containerd.store / "blobs/sha256"
        wait_until(lambda: not list(folder.glob("*")), 20, "the image's content is gone")

    def revive(self, peer) -> None:
        """Starts a killed peer's agent again, and waits until it serves."""
        peer.agent.start()
        peer.agent.wait_for(lambda s: s["mesh"]["nodes"] and peer.agent.lookup(NAME)["own"], 30,
                            f"{peer.name} is back")

    @contextlib.contextmanager
    def when_sent(self, part: float, harm):
        """While a pull goes on, calls `harm(peer)` when a peer has sent that part of the layer; yields the
        list of those that were harmed."""
        before = {peer.name: sent_bytes(peer) for peer in self.peers}
        harmed, ended = [], threading.Event()

        def watch():
            while not ended.is_set():
                for peer in self.peers:
                    if sent_bytes(peer) - before[peer.name] > part * SIZE:
                        harmed.append(peer)
                        harm(peer)
                        return
                time.sleep(0.003)
        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield harmed
        finally:
            ended.set()
            thread.join()


class CrawlingPeersTest(_ThreePeers):
    """By itself: who was left for crawling isn't asked for a while."""

    def test_one_crawls(self):
        for peer in self.peers[:2]:
            # 10 KB/s. Of three, two: one of them is likely to be asked first.
            peer.limit(0.08)
        begun = time.monotonic()
        self.assert_from_peers(self.pull(self.node, NAME), NAME)
        self.assertLess(time.monotonic() - begun, 2 * SLOW_AFTER_S + REST_S)


class BadPeersTest(_ThreePeers):
    """In an order in which what a test leaves behind (nodes that were dead, say) doesn't matter to the
    next."""

    def test_2_one_dies_at_each_tenth(self):
        for tenth in range(1, 10):
            with self.subTest(tenth=tenth):
                with self.when_sent(tenth / 10, lambda peer: peer.agent.kill()) as dead:
                    outcome = self.pull(self.node, NAME)
                self.assertEqual(len(dead), 1, "nobody was killed")
                self.assert_from_peers(outcome, NAME)
                self.forget_image()
                self.revive(dead[0])

    def test_1_one_is_dead_already(self):
        dead = self.peers[0]
        dead.agent.kill()
        self.addCleanup(self.revive, dead)
        self.assert_from_peers(self.pull(self.node, NAME), NAME)

    def test_3_one_falls_silent(self):
        begun = time.monotonic()
        with self.when_sent(0.5, lambda peer: peer.unplug()) as silent:
            outcome = self.pull(self.node, NAME)
        self.assertEqual(len(silent), 1, "nobody was unplugged")
        silent[0].plug()
        self.assert_from_peers(outcome, NAME)
        self.assertLess(time.monotonic() - begun, STALL_TIMEOUT_S + REST_S)

    def test_5_all_die(self):
        def kill_all(_):
            for peer in self.peers:
                peer.agent.kill()
                self.addCleanup(self.revive, peer)
        with self.when_sent(0.5, kill_all) as dead:
            outcome = self.pull(self.node, NAME)
        self.assertTrue(dead, "nobody was killed")
        self.assertEqual(outcome.error, "")
        # The origin is asked for the rest alone, by one request.
        rest, = [r for r in outcome.blobs if self.layer in r.path]
        self.assertEqual((rest.status, rest.range[:6]), (206, "bytes="))
        self.assertLess(rest.bytes, SIZE * 0.9)

    def banned(self) -> bool:
        """Whether the asking node has banned somebody."""
        return any("banned" in entry["state"] for entry in self.node.agent.status()["shunned"])

    def test_6_one_lies(self):
        blob = "blobs/sha256/" + self.spoilt.removeprefix("sha256:")
        file = self.peers[0].containerd.store / blob
        good = file.read_bytes()
        file.write_bytes(good[:SIZE // 2] + bytes([good[SIZE // 2] ^ 1]) + good[SIZE // 2 + 1:])
        for _ in range(20):
            # Whom the node asks first isn't the test's to say.
            since = self.origin.now()
            outcome = self.pull(self.node, LIED_ABOUT)
            if self.banned():
                break
            self.assert_from_peers(outcome, LIED_ABOUT)
            self.forget_image()
        self.assertTrue(self.banned(), "the liar was never asked")
        if outcome.error:
            # kubelet's next try.
            self.assertEqual(self.pull(self.node, LIED_ABOUT).error, "")
        # The rest, for which containerd comes back at once, and the whole.
        asked = [r for r in self.origin.requests(since, self.node) if r.is_blob]
        self.assertLessEqual(len(asked), 2, asked)


if __name__ == "__main__":
    unittest.main()
