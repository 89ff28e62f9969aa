# SPDX-License-Identifier: Apache-2.0
"""An agent that dies or hangs never costs a pull."""

import pathlib
import signal
import threading
import time
import unittest

from expectations import VERSIONS, blob_sources, two_nodes, wait_for_trust
from lab import Lab, image, wait_until
from lab.registry_client import RegistryClient

THREADS = 8
KILLS = 20
DEADLINE_S = 2.0
#: The heartbeat's time-out, and what the test allows for reading the clock.
HUNG_AFTER_S = 0.6


class FailOpenTest(unittest.TestCase):
    """Connections in loops, each a whole TLS handshake and HTTP request."""

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.origin = self.lab.origin()
        self.node = self.lab.node("n")
        self.client = RegistryClient(self.node)
        self.node.start_agent()
        wait_for_trust(self.node, self.client.pid)

    def start_loop(self) -> None:
        self.client.ask("start_loop", threads=THREADS, address=self.origin.ipv4,
                        host="registry-1.docker.io", deadline_s=DEADLINE_S)

    def redirected(self) -> int:
        return self.node.agent.status()["connections"]["terminated"]

    def wait_for_redirected_requests(self) -> None:
        before = self.redirected()
        self.node.agent.wait_for(lambda s: s["connections"]["terminated"] > before + THREADS, 20,
                                 "the loop's connections are terminated by the agent")

    def test_killed_twenty_times(self):
        self.start_loop()
        kills = []
        for _ in range(KILLS):
            self.wait_for_redirected_requests()
            # From the signal until the kernel has let go of the process (it frees the memory first)
            # a connection may go down with it; what begins later must succeed.
            signalled = time.monotonic()
            self.node.agent.kill()
            kills.append((signalled, time.monotonic()))
            direct = len(self.origin.requests(self.origin.now() - 3600, self.node))
            wait_until(lambda: len(self.origin.requests(0, self.node)) > direct + THREADS, 20,
                       "requests reach the origin without an agent")
            self.node.agent.start()
            wait_for_trust(self.node, self.client.pid)
        results = self.client.ask("end_loop")["results"]
        self.assertGreater(len(results), KILLS * THREADS * 2)
        self.assertTrue(any("agring" in (r["issuer"] or "") for r in results))
        for result in results:
            if result["ok"]:
                continue
            during = any(result["begun"] < dead and
                         result["begun"] + result["seconds"] >= signalled
                         for signalled, dead in kills)
            self.assertTrue(during, f"a connection begun after a kill failed: {result}")

    def test_stopped_agent_is_passed_by(self):
        self.node.agent.process.signal(signal.SIGSTOP)
        stopped = time.monotonic()
        self.addCleanup(self.node.agent.process.signal, signal.SIGCONT)
        wait_until(lambda: time.monotonic() > stopped + HUNG_AFTER_S, 5, "the heartbeat is stale")
        for address in (self.origin.ipv4, self.origin.ipv6):
            for _ in range(5):
                answer = self.client.request(address, "registry-1.docker.io", deadline_s=DEADLINE_S)
                self.assertTrue(answer["ok"], answer)
                self.assertNotIn("agring", answer["issuer"])
        self.node.agent.process.signal(signal.SIGCONT)
        self.wait_until_mirrored()

    def wait_until_mirrored(self):
        wait_until(lambda: "agring" in (self.client.request(
            self.origin.ipv4, "registry-1.docker.io")["issuer"] or ""), 10,
            "an agent that goes on is used again")

    def test_ended_agent_leaves_nothing_in_the_way(self):
        self.assertEqual(self.node.agent.stop(), 0)
        answer = self.client.request(self.origin.ipv4, "registry-1.docker.io")
        self.assertTrue(answer["ok"], answer)
        self.assertNotIn("agring", answer["issuer"])
        self.assertFalse(self.node.path("/sys/fs/bpf/hagring").exists())


class PullUnderWayTest(unittest.TestCase):
    """A pull whose bodies are under way when the agent is killed."""

    def test_body_under_way_resumes_at_the_origin(self):
        with Lab() as lab:
            origin = lab.origin()
            origin.publish(image.synthetic((24 << 20, 24 << 20), seed="kill"), "library/demo", "1")
            node = lab.node("n")
            node.start_agent()
            node.start_containerd("2.1")
            wait_for_trust(node)
            origin.limit(60)
            outcome = []
            pull = threading.Thread(target=lambda: outcome.append(
                node.pull("docker.io/library/demo:1", timeout_s=120)))
            pull.start()
            ingest = pathlib.Path(node.containerd.store) / "ingest"
            wait_until(lambda: sum(f.stat().st_size for f in ingest.glob("*/data")) > 4 << 20, 60,
                       "bodies are under way")
            status = node.agent.status()
            self.assertGreater(status["connections"]["terminated"], 0)
            node.agent.kill()
            pull.join(120)
            self.assertTrue(outcome, "the pull failed")
            node.verify_content("demo:1", origin)
            resumed = [r for r in origin.requests(0, node) if r.is_blob and r.range]
            self.assertTrue(resumed, "nothing was resumed at the origin")


class BadPeerTest(unittest.TestCase):
    """A peer with wrong bytes."""

    def spoil(self, how, kind: str = "layer", size: int = 9 << 20, tries: int = 2,
              versions=VERSIONS, blamed: bool = False) -> None:
        for version in versions:
            with self.subTest(containerd=version), two_nodes(version, layers=(size,)) as (
                    _, origin, a, b):
                blobs = a.verify_content("docker.io/library/demo:1")
                spoilt = next(blob for blob in blobs if blob.kind == kind)
                how(a.containerd.store / "blobs/sha256" / spoilt.digest.removeprefix("sha256:"))
                asked = a.agent.status()["peer_server"]
                self.assertLessEqual(self.pull_as_kubelet_does(b), tries)
                b.verify_content("docker.io/library/demo:1", origin)
                # The bad peer was asked, and what it gave was replaced by the mirror.
                now = a.agent.status()["peer_server"]
                self.assertGreater(now["served"] + now["failed"] + now["not_found"],
                                   asked["served"] + asked["failed"] + asked["not_found"])
                self.assertIn(spoilt.digest, blob_sources(b, "library/demo"))
                if blamed:
                    self.assert_blamed(b, a, spoilt.digest)

    def assert_blamed(self, node, peer, digest: str) -> None:
        """Asserts that the node's status says whom it doesn't ask any more, and why."""
        shunned = node.agent.status()["shunned"]
        self.assertTrue(any(peer.ipv4 in entry["peer"] or peer.ipv6 in entry["peer"]
                            for entry in shunned), shunned)
        self.assertTrue(any(digest in entry["state"] and "banned" in entry["state"]
                            for entry in shunned), shunned)

    def pull_as_kubelet_does(self, node) -> int:
        """Pulls until it succeeds; the number of tries."""
        for tries in (1, 2, 3):
            try:
                node.pull("docker.io/library/demo:1")
                return tries
            except RuntimeError as error:
                failure = error
        raise failure

    @staticmethod
    def corruption(offset: int):
        """Changes the byte at `offset`."""
        def corrupt(file):
            with open(file, "r+b") as blob:
                blob.seek(offset)
                byte = blob.read(1)
                blob.seek(offset)
                blob.write(bytes([byte[0] ^ 0xff]))
        return corrupt

    @staticmethod
    def truncation(size: int):
        """Leaves `size` bytes."""
        def truncate(file):
            with open(file, "r+b") as blob:
                blob.truncate(size)
        return truncate

    def test_corrupted_blob(self):
        self.spoil(self.corruption(5 << 20), blamed=True)

    def test_truncated_blob(self):
        self.spoil(self.truncation(5 << 20))

    # What is verified before its first byte is passed on costs no try, whatever the containerd.
    SMALL = {"size": 300_000, "tries": 1, "versions": ("2.1",)}

    def test_corrupted_small_blob(self):
        self.spoil(self.corruption(100_000), blamed=True, **self.SMALL)

    def test_truncated_small_blob(self):
        self.spoil(self.truncation(100_000), **self.SMALL)

    def test_corrupted_manifest(self):
        self.spoil(self.corruption(60), kind="manifest", **self.SMALL)

    def test_truncated_manifest(self):
        self.spoil(self.truncation(60), kind="manifest", **self.SMALL)


if __name__ == "__main__":
    unittest.main()
