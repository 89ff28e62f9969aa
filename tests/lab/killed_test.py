# SPDX-License-Identifier: Apache-2.0
"""kill -9 in each phase of a pull: what the agent had no hand in any more goes on, what hadn't been
answered yet fails at the most once."""

import concurrent.futures
import pathlib
import signal
import socket
import threading

from expectations import wait_for_trust
from lab import image, wait_until
from lab.cri import CallError
from lab.gate import GATED, Gate
from lab.testing import AgentTest, main

KILLS = 20
#: containerd stores what it gets a MiB at a time: of this layer one, and then the rest.
LAYER = 1_300_000
MOST = 0.9
SMALL_LAYER = 50_000
LOOK_S = 0.005


class Pull(threading.Thread):
    """A pull in the background, and what became of it."""

    def __init__(self, node, name: str):
        super().__init__()
        self._node, self._name = node, name
        self.error = ""
        self.start()

    def run(self) -> None:
        try:
            self._node.pull(self._name, timeout_s=60)
        except CallError as error:
            self.error = str(error)


def asks_origin(node, origin) -> bool:
    """Whether the node's agent has sent a SYN to the origin that isn't answered."""
    wanted = f"{_hex(socket.AF_INET, origin.ipv4)}:01BB", f"{_hex(socket.AF_INET6, origin.ipv6)}:01BB"
    for family in ("tcp", "tcp6"):
        lines = pathlib.Path(f"/proc/{node.pid}/net/{family}").read_text(encoding="utf-8").splitlines()
        for line in lines[1:]:
            _, _, remote, state = line.split()[:4]
            if state == "02" and remote in wanted:  # TCP_SYN_SENT
                return True
    return False


def _hex(family: int, address: str) -> str:
    """An address as the kernel writes it: words of 32 bits, in the order of the machine."""
    data = socket.inet_pton(family, address)
    return "".join(data[i:i + 4][::-1].hex().upper() for i in range(0, len(data), 4))


class KilledPullTest(AgentTest):
    """A node of each containerd, pulling images of its own through its agent."""

    @classmethod
    def build(cls):
        cls.origin = cls.lab.origin()
        cls.gate = cls.enterClassContext(Gate(cls.origin))
        cls.nodes = [cls.node(version) for version in ("1.7", "2.1")]

    @classmethod
    def node(cls, version: str):
        """A node with a trusted agent."""
        node = cls.lab.node(f"c{version.replace('.', '')}")
        node.start_agent()
        node.start_containerd(version)
        wait_for_trust(node)
        return node

    def publish(self, node, phase: str, number: int):
        """An image of its own for a kill: its repository and the digests of manifest and layer."""
        repository = f"{GATED}/{node.name}-{phase}-{number}"
        size = LAYER if phase in ("body", "commit") else SMALL_LAYER
        made = image.synthetic((size,), seed=repository)
        self.origin.publish(made, repository, "1")
        return repository, made.digest, made.layers[0]

    # The phases: each begins a pull, returns when the agent is in that phase of it, and gives what is
    # to be done when the agent is dead.

    def handshake(self, node, repository, _manifest, _layer):
        """containerd waits for the mirror's ServerHello, the mirror for the origin."""
        node.unplug()
        pull = Pull(node, f"docker.io/{repository}:1")
        wait_until(lambda: asks_origin(node, self.origin), 20, "the origin is asked", LOOK_S)
        return pull, node.plug

    def headers(self, node, repository, _manifest, _layer):
        """The first request has reached the origin."""
        return self.held(node, repository, "HEAD", "/manifests/1", None)

    def manifest(self, node, repository, manifest, _layer):
        """The origin has sent half of the manifest."""
        return self.held(node, repository, "GET", f"/manifests/{manifest}", 0.5)

    def held(self, node, repository, method, path, after):
        """The origin holds a request of the pull's."""
        hold = self.gate.hold(method, f"/v2/{repository}{path}", after)
        pull = Pull(node, f"docker.io/{repository}:1")
        hold.wait()
        return pull, hold.release

    def body(self, node, repository, _manifest, layer):
        """containerd has a part of the layer."""
        begun = self.ingests(node)
        pull, release = self.held(node, repository, "GET", f"/blobs/{layer}", MOST)
        wait_until(lambda: any(f.stat().st_size > 0 for f in self.ingests(node) - begun), 20,
                   "containerd has a part of the layer", LOOK_S)
        return pull, release

    def commit(self, node, repository, manifest, layer):
        """The agent has handed on all, which containerd hasn't taken yet."""
        pull, release = self.body(node, repository, manifest, layer)
        node.containerd.process.signal(signal.SIGSTOP)
        release()
        node.agent.wait_for(lambda s: any(r["reference"] == layer for r in s["recent"]), 20,
                            "all of the layer is handed on")
        return pull, lambda: node.containerd.process.signal(signal.SIGCONT)

    @staticmethod
    def ingests(node) -> set:
        """What containerd is about to store."""
        return set((node.containerd.store / "ingest").glob("*/data"))

    def kill_in(self, phase: str, may_fail: bool) -> None:
        """Kills each node's agent KILLS times in a phase."""
        with concurrent.futures.ThreadPoolExecutor() as pool:
            for outcome in [pool.submit(self.kill_all, node, phase, may_fail)
                            for node in self.nodes]:
                outcome.result()

    def kill_all(self, node, phase: str, may_fail: bool) -> None:
        """Kills one node's agent again and again."""
        failed = 0
        for number in range(KILLS):
            repository, manifest, layer = self.publish(node, phase, number)
            maps = self.pinned_map(node)
            pull, go_on = getattr(self, phase)(node, repository, manifest, layer)
            try:
                self.assertEqual(node.agent.kill(), -signal.SIGKILL)
            finally:
                go_on()
            pull.join()
            if pull.error:
                failed += 1
                self.assertTrue(may_fail, f"{node.name}: {pull.error}")
                # What kubelet does next begins after the kill: it must not fail.
                node.pull(f"docker.io/{repository}:1", timeout_s=60)
            node.verify_content(f"docker.io/{repository}:1", self.origin)
            self.assertEqual(self.pinned_map(node), maps, "what a killed agent leaves behind")
            node.agent.start()
            self.assertNotEqual(self.pinned_map(node), maps, "a map that the next one has replaced")
            wait_for_trust(node)
        print(f"{node.name}, killed in '{phase}': {failed} of {KILLS} pulls took a second try")

    @staticmethod
    def pinned_map(node) -> int:
        """The inode of the pinned map of flows."""
        return node.path(f"{node.agent.pin_dir}/flows").stat().st_ino

    def test_handshake(self):
        self.kill_in("handshake", may_fail=True)

    def test_before_headers(self):
        self.kill_in("headers", may_fail=True)

    def test_manifest(self):
        self.kill_in("manifest", may_fail=True)

    def test_body(self):
        self.kill_in("body", may_fail=False)

    def test_commit(self):
        self.kill_in("commit", may_fail=False)


if __name__ == "__main__":
    main()
