# SPDX-License-Identifier: Apache-2.0
"""What tests of "What breaks, and what a pull then sees" have in common: a node that has images, nodes that
ask for them on each containerd, and what is asserted of each event."""

import concurrent.futures
import pathlib
from typing import Callable, NamedTuple, Sequence

from expectations import VERSIONS, blob_sources, wait_for_trust
from lab.cri import CallError
from lab.image import full_name
from lab.testing import AgentTest


class Outcome(NamedTuple):
    """What became of a pull."""

    node: object
    error: str  #: what kubelet would be told; "" if it succeeded
    requests: list  #: those that reached the origin, in the order in which they ended
    sources: dict  #: by digest: where the mirror had content from

    @property
    def blobs(self) -> list:
        """The requests for blobs among them."""
        return [r for r in self.requests if r.is_blob]

    @property
    def asked(self) -> list[str]:
        """The requests, as text."""
        return [f"{r.method} {r.path} {r.status}" for r in self.requests]


def peak_memory_kib(pid: int) -> int:
    """The most memory that a process has had resident."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


class EventTest(AgentTest):
    """Labs with one origin, `self.origin`, and nodes made by member()."""

    @classmethod
    def member(cls, name: str, *peers, version: str = "2.1", containerd_config=None, **options):
        """A node with a trusted agent that joins by `peers`."""
        return cls.join(cls.lab.node(name), *peers, version=version,
                        containerd_config=containerd_config, **options)

    @staticmethod
    def join(node, *peers, version: str = "2.1", containerd_config=None, **options):
        """Makes a node that is there already a member."""
        node.start_agent(peers=peers, **options)
        node.start_containerd(version, containerd_config)
        wait_for_trust(node)
        for peer in peers:
            if peer.agent:
                peer.agent.wait_for_mesh(1)
        return node

    @classmethod
    def member_of_each_version(cls, *peers, **options) -> list:
        """A node on each containerd."""
        return [cls.member(f"on-{version}", *peers, version=version, **options)
                for version in VERSIONS]

    def pull(self, node, name: str, origin=None, timeout_s: float = 120, compare: bool = True,
             **credentials) -> Outcome:
        """Pulls, and verifies what was pulled: by its digests and, if `compare`, byte for byte with what
        the origin has."""
        origin = origin or self.origin
        since = origin.now()
        try:
            node.pull(name, timeout_s, **credentials)
            error = ""
        except CallError as failure:
            error = failure.details or str(failure)
        if not error:
            node.verify_content(name, origin if compare else None)
        repository = full_name(name).split("/", 1)[1].rsplit(":", 1)[0].split("@")[0]
        # No client asks for /v2/: such are the agent's own probes of a server that was down.
        requests = [request for request in origin.requests(since, node) if request.path != "/v2/"]
        return Outcome(node, error, requests, blob_sources(node, repository))

    def pull_on_all(self, nodes: Sequence, name: str, **options) -> list[Outcome]:
        """Pulls on all nodes at the same time."""
        with concurrent.futures.ThreadPoolExecutor(len(nodes)) as pool:
            return list(pool.map(lambda node: self.pull(node, name, **options), nodes))

    def for_each(self, outcomes: Sequence[Outcome], check: Callable[[Outcome], None]) -> None:
        """Checks all outcomes, a subtest each."""
        for outcome in outcomes:
            with self.subTest(containerd=outcome.node.containerd.version, node=outcome.node.name):
                check(outcome)

    def assert_from_peers(self, outcome: Outcome, name: str) -> None:
        """Asserts that the pull succeeded and that each blob of it came from a peer, none of it and no
        manifest from the origin."""
        self.assertEqual(outcome.error, "")
        for blob in outcome.node.verify_content(name):
            source = outcome.sources.get(blob.digest, "nowhere")
            self.assertTrue(source.startswith(("peer", "herd")),
                            f"{blob.kind} {blob.digest} came from {source}")
        got = [f"{r.method} {r.path} {r.status}" for r in outcome.requests
               if r.method == "GET" and r.status in (200, 206, 307)]
        self.assertEqual(got, [])
