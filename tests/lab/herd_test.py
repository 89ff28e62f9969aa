# SPDX-License-Identifier: Apache-2.0
"""Nodes that want the same new image at the same time: it is fetched from the origin once."""

import os
import pathlib
import signal
import unittest

from expectations import wait_for_trust
from herds import HELD_AT, PIECE, SIZE, HerdsTest, herd_of
from lab import wait_until


def spoil_spool(node) -> None:
    """Overwrites the beginning of what the node's agent has of layers, earlier ones among them."""
    spoilt = 0
    for link in pathlib.Path(f"/proc/{node.agent.pid}/fd").iterdir():
        target = os.readlink(link)
        if target.startswith(node.agent.state_dir) and target.endswith("(deleted)") \
                and link.stat().st_size > SIZE // 8:
            with open(link, "r+b") as spool:
                spool.write(bytes(4 * PIECE))
            spoilt += 1
    if not spoilt:
        raise AssertionError(f"{node.name} has no spool")


class _Basics:
    """What each containerd is asked."""

    def test_1_all_at_once(self):
        since = self.origin.now()
        self.origin.limit(40)
        self.addCleanup(self.origin.limit, None)
        outcomes = self.pull_on_all(self.nodes, self.name)
        self.assertEqual([(o.node.name, o.error) for o in outcomes if o.error], [])
        self.assert_fetched_once(since)
        from_herd = [o.node.name for o in outcomes if o.sources[self.layer].startswith("herd")]
        self.assertEqual(len(from_herd), len(self.nodes) - 1, [o.sources for o in outcomes])

    def test_3_the_fetcher_is_killed(self):
        since = self.origin.now()
        end = self.begin_and_hold(self.nodes)
        fetcher = self.fetcher(self.nodes)
        others = [node for node in self.nodes if node is not fetcher]
        fetcher.agent.kill()
        self.addCleanup(self.revive, fetcher)
        self.assertEqual(end(), {})
        self.assertEqual(self.asked_by(others, since), [206])


class Herd17Test(_Basics, HerdsTest):
    """Nodes with the older containerd alone."""

    VERSIONS = ("1.7", "1.7", "1.7")


class HerdTest(_Basics, HerdsTest):
    """Four nodes, one of them with the older containerd."""

    VERSIONS = ("2.1", "2.1", "2.1", "1.7")

    def test_2_one_comes_late(self):
        since = self.origin.now()
        end = self.begin_and_hold(self.nodes[:3])
        end_late = self.begin(self.nodes[3:])
        self.wait_until_all_have(self.nodes)
        self.assertEqual(end() | end_late(), {})
        self.assert_fetched_once(since)

    def test_4_one_in_the_middle_is_killed(self):
        since = self.origin.now()
        end = self.begin_and_hold(self.nodes)
        middle = next(node for node in self.roles(self.nodes)["streams"]
                      if herd_of(node, self.layer)["children"] > 0)
        others = [node for node in self.nodes if node is not middle]
        middle.agent.kill()
        self.addCleanup(self.revive, middle)
        self.assertEqual(end(), {})
        self.assertEqual(self.asked_by(others, since), [200])

    def test_5_the_fetcher_hangs(self):
        since = self.origin.now()
        end = self.begin_and_hold(self.nodes)
        fetcher = self.fetcher(self.nodes)
        others = [node for node in self.nodes if node is not fetcher]
        fetcher.agent.process.signal(signal.SIGSTOP)
        self.addCleanup(fetcher.agent.process.signal, signal.SIGCONT)
        for node in others:
            wait_until(lambda n=node: n.containerd.client.image_status(self.name), 60,
                       f"{node.name} has the image")
        self.assertEqual(self.asked_by(others, since), [206])
        fetcher.agent.process.signal(signal.SIGCONT)
        self.assertEqual(end(), {})

    def test_6_the_fetcher_has_no_client_any_more(self):
        since = self.origin.now()
        end = self.begin_and_hold(self.nodes)
        fetcher = self.fetcher(self.nodes)
        fetcher.containerd.kill()
        self.addCleanup(self.restart, fetcher)
        # It goes on for the others.
        wait_until(lambda: all(herd_of(node, self.layer).get("pieces", 0) > HELD_AT + 20
                               for node in self.nodes if node is not fetcher), 20, "more has come")
        self.assertEqual(list(end()), [fetcher.name])
        self.assertEqual(self.asked_by([fetcher], since), [200])
        self.assertEqual(self.asked_by(self.nodes, since), [200])

    def restart(self, node) -> None:
        """Starts a killed containerd again."""
        node.containerd.start()
        wait_for_trust(node)

    def test_7_no_room_on_the_disks(self):
        for node in self.nodes:
            folder = node.agent.state_dir
            node.run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder)
            self.addCleanup(node.run, "umount", folder)
        # Nothing is shared, and every pull is as without the others.
        self.assertEqual(self.begin(self.nodes)(), {})

    def test_8_liars_are_found_out(self):
        since = self.origin.now()
        end = self.begin_and_hold(self.nodes[:3])
        late = self.nodes[3]
        # Their own clients have had these bytes.
        for liar in self.nodes[:3]:
            spoil_spool(liar)
        end_late = self.begin([late])
        wait_until(lambda: any("false pieces" in entry["state"]
                               for entry in late.agent.status()["shunned"]), 20,
                   "the late one has found out a liar")
        # What is wrong is neither committed nor passed on.
        self.assertEqual(end() | end_late(), {})
        self.assertEqual(len(self.asked_by(self.nodes[:3], since)), 1)
        self.assertEqual(self.asked_by([late], since), [206])


USERS = {"alice": "wonderland", "bob": "builder"}


class PrivateHerdTest(HerdsTest):
    """A private image, and nodes with credentials of their own, or none."""

    VERSIONS = ("2.1", "2.1", "2.1")

    @classmethod
    def make_origin(cls):
        cls.tokens = cls.lab.token_service(users=USERS, private={})
        return cls.lab.origin(tokens=cls.tokens)

    def setUp(self):
        super().setUp()
        self.tokens.private[self.repository] = list(USERS)
        self.tokens.write_settings()

    def test_each_with_its_own_credentials_and_one_with_none(self):
        since = self.origin.now()
        users = dict(zip([node.name for node in self.nodes], USERS))

        def credentials(node):
            user = users.get(node.name)
            return {"username": user, "password": USERS[user]} if user else {}
        self.origin.limit(40)
        self.addCleanup(self.origin.limit, None)
        errors = self.begin(self.nodes, credentials)()
        *allowed, stranger = self.nodes
        self.assertEqual(list(errors), [stranger.name], errors)
        self.assertEqual(self.fetched(since, [stranger]), {})
        self.assert_fetched_once(since)
        store = stranger.containerd.store / "blobs/sha256"
        self.assertFalse((store / self.layer.removeprefix("sha256:")).exists())
        # Whose credentials it was fetched with stays with the node that they came to.
        tokens = {r.authorization for r in self.origin.requests(since, allowed[0])} & \
                 {r.authorization for r in self.origin.requests(since, allowed[1])}
        self.assertLessEqual(tokens, {""})


if __name__ == "__main__":
    unittest.main()
