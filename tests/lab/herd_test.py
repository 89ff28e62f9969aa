# SPDX-License-Identifier: Apache-2.0
"""Nodes that want the same new image at the same time: it is fetched from the origin once."""

import collections
import os
import pathlib
import signal
import threading
import unittest

from events import EventTest
from expectations import wait_for_trust
from lab import image, wait_until
from lab.content import ContentMismatch
from lab.cri import CallError

SIZE = 8 << 20
PIECE = 64 << 10
#: So many bytes of the layer come fast, the rest of it at that rate.
FAST = 3 << 20
RATE = 400_000
#: Pieces of the layer that all have then.
HELD_AT = 40


def herd_of(node, digest: str) -> dict:
    """What the node's agent says of its part in a blob's herd; {} if it has none."""
    herds = node.agent.status()["herds"] or {"now": []}
    return next((herd for herd in herds["now"] if herd["digest"] == digest), {})


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


class _Herd(EventTest):
    """Nodes of one mesh that have nothing of the image yet."""

    VERSIONS: tuple = ()
    #: The origin is held for longer than a test takes.
    ARGUMENTS = ("--stall-timeout", "60s")

    @classmethod
    def make_origin(cls):
        """The origin of the image."""
        return cls.lab.origin()

    @classmethod
    def arguments(cls, _number: int) -> tuple:
        """Of the agent of the node with that number."""
        return cls.ARGUMENTS

    @classmethod
    def build(cls):
        cls.origin = cls.make_origin()
        cls.nodes = []
        for number, version in enumerate(cls.VERSIONS):
            cls.nodes.append(cls.member(f"node-{number}", *cls.nodes[:1], version=version,
                                        arguments=cls.arguments(number)))
        for node in cls.nodes:
            node.agent.wait_for_mesh(len(cls.nodes) - 1)

    def setUp(self):
        super().setUp()
        self.repository = "herd/" + self.id().rsplit(".", 1)[1].replace("_", "-")
        self.name = f"docker.io/{self.repository}:1"
        made = image.synthetic((SIZE, 100_000), seed=self.id())
        self.origin.publish(made, self.repository, "1")
        self.layer = made.layers[0]

    def tearDown(self):
        self.origin.set_faults("")

    def fetched(self, since: float, nodes=None) -> dict:
        """How often the origin has been asked for each piece of content, and has sent it."""
        remotes = {address for node in nodes or self.nodes for address in (node.ipv4, node.ipv6)}
        return collections.Counter(
            r.path.split("?")[0] for r in self.origin.requests(since)
            if r.method == "GET" and r.status in (200, 206, 307) and r.remote in remotes
            and (r.is_blob or r.is_manifest))

    def assert_fetched_once(self, since: float) -> None:
        """Asserts that the origin has sent everything once."""
        fetched = self.fetched(since)
        self.assertEqual(len(fetched), 4, fetched)  # a manifest, a config, two layers
        self.assertEqual(set(fetched.values()), {1}, fetched)

    def begin(self, nodes, credentials=lambda node: {}):
        """Pulls in the background on nodes; returns a function that waits, and gives what went wrong by
        node. Nodes whose pull succeeds have the image, byte for byte."""
        errors = {}

        def pull(node):
            try:
                node.pull(self.name, **credentials(node))
                node.verify_content(self.name, self.origin)
            except (CallError, ContentMismatch, ValueError) as error:  # the last: its channel is closed
                errors[node.name] = str(error)
        threads = [threading.Thread(target=pull, args=(node,)) for node in nodes]
        for thread in threads:
            thread.start()

        def end():
            for thread in threads:
                thread.join()
            return errors
        self.addCleanup(end)
        return end

    def begin_and_hold(self, nodes):
        """begin(), with an origin that gets slow in mid-layer, and for nothing else; when all have what
        has come fast there are some 12 s to do something."""
        self.origin.set_faults(
            f"location ~ /blobs/{self.layer} {{ limit_rate_after {FAST}; limit_rate {RATE};"
            f"{self.origin.location()} }}")
        end = self.begin(nodes)
        self.wait_until_all_have(nodes)
        return end

    def wait_until_all_have(self, nodes) -> None:
        """Waits until all nodes have a part of the layer."""
        wait_until(lambda: all(herd_of(node, self.layer).get("pieces", 0) >= HELD_AT
                               for node in nodes), 30, "all have what has come")

    def roles(self, nodes) -> dict:
        """The nodes by what they are in the layer's herd."""
        roles = collections.defaultdict(list)
        for node in nodes:
            roles[herd_of(node, self.layer).get("role")].append(node)
        return roles

    def asked_by(self, nodes, since: float) -> list:
        """The statuses of the requests for the layer that nodes have made."""
        remotes = [address for node in nodes for address in (node.ipv4, node.ipv6)]
        return [r.status for r in self.origin.requests(since)
                if self.layer in r.path and r.method == "GET" and r.remote in remotes]

    def revive(self, node) -> None:
        """Starts a killed agent again, and waits until it serves."""
        node.agent.start()
        node.agent.wait_for_mesh(len(self.nodes) - 1)
        wait_for_trust(node)


class HerdTest(_Herd):
    """Four nodes, one of them with the older containerd."""

    VERSIONS = ("2.1", "2.1", "2.1", "1.7")

    def test_1_all_at_once(self):
        since = self.origin.now()
        self.origin.limit(40)
        self.addCleanup(self.origin.limit, None)
        outcomes = self.pull_on_all(self.nodes, self.name)
        self.assertEqual([(o.node.name, o.error) for o in outcomes if o.error], [])
        self.assert_fetched_once(since)
        from_herd = [o.node.name for o in outcomes if o.sources[self.layer].startswith("herd")]
        self.assertEqual(len(from_herd), 3, [o.sources for o in outcomes])

    def test_2_one_comes_late(self):
        since = self.origin.now()
        end = self.begin_and_hold(self.nodes[:3])
        end_late = self.begin(self.nodes[3:])
        self.wait_until_all_have(self.nodes)
        self.assertEqual(end() | end_late(), {})
        self.assert_fetched_once(since)

    def test_3_the_fetcher_is_killed(self):
        since = self.origin.now()
        end = self.begin_and_hold(self.nodes)
        fetcher, = self.roles(self.nodes)["fetches"]
        others = [node for node in self.nodes if node is not fetcher]
        fetcher.agent.kill()
        self.addCleanup(self.revive, fetcher)
        self.assertEqual(end(), {})
        self.assertEqual(self.asked_by(others, since), [206])

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
        fetcher, = self.roles(self.nodes)["fetches"]
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
        fetcher, = self.roles(self.nodes)["fetches"]
        fetcher.containerd.kill()
        self.addCleanup(self.restart, fetcher)
        self.assertEqual(list(end()), [fetcher.name])
        # It goes on for the others.
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


class PrivateHerdTest(_Herd):
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
