# SPDX-License-Identifier: Apache-2.0
"""pull: CRI PullImage by an unchanged containerd, through the agent, against the same pull without one and
through nginx as a TLS proxy. No link is limited: what is compared is the work in between."""

import statistics
import time

from lab import Lab, image

from .nginx import Nginx
from .nodes import REGISTRY, wait_for_trust

VERSIONS = ("1.6", "1.7", "2.1")
#: Layers, and how many pulls of each kind.
SIZES = {"64 MiB": ([16 << 20] * 4, 5), "1 GiB": ([256 << 20] * 4, 1)}


def run(report) -> None:
    """Each version, each size; the kinds of pull in turns."""
    for version in VERSIONS:
        for name, (layers, pulls) in SIZES.items():
            _measure(report, version, name, layers, pulls)


def _measure(report, version: str, size: str, layers, pulls: int) -> None:
    with Lab() as lab:
        origin = lab.origin()
        origin.publish(image.synthetic(layers, seed=f"pull/{size}"), "library/bench", "1")
        peer, node = lab.node("peer"), lab.node("node")
        for each, other in ((peer, node), (node, peer)):
            each.start_containerd(version)
            each.start_agent(peers=[other])
            wait_for_trust(each)
        peer.agent.wait_for_mesh(1)
        times = {"direct": [], "nginx": [], "origin": [], "peer": []}
        # The peer's agent would give what it has: it begins without.
        for _ in range(pulls):
            times["origin"].append(_pull(node, origin, asked=True))
        node.agent.stop()
        node.agent = None
        for _ in range(pulls):
            times["direct"].append(_pull(node, origin, asked=True))
        with _nginx_in_between(node, origin):
            for _ in range(pulls):
                times["nginx"].append(_pull(node, origin, asked=True))
        node.start_agent(peers=[peer])
        wait_for_trust(node)
        peer.pull("docker.io/library/bench:1")
        peer.agent.wait_until_told("docker.io/library/bench:1")
        for _ in range(pulls):
            times["peer"].append(_pull(node, origin, asked=False))
        median = {kind: statistics.median(taken) for kind, taken in times.items()}
        report.add("pull", f"{version}, {size}, origin", median["origin"], "s",
                   against="through nginx", reference=median["nginx"], reach=1.0)
        report.add("pull", f"{version}, {size}, from a peer", median["peer"], "s", against="direct",
                   reference=median["direct"], reach=1.03)
        report.add("pull", f"{version}, {size}, nginx in between", median["nginx"], "s",
                   against="direct", reference=median["direct"])


class _nginx_in_between(Nginx):  # pylint: disable=invalid-name
    """nginx on the node, where the registry's name leads to."""

    def __init__(self, node, origin):
        super().__init__(node, [REGISTRY], upstream=f"{origin.ipv4}:443", upstream_tls=REGISTRY,
                         tls_port=443)

    def __enter__(self):
        self._hosts = dict(self.node.hosts)
        self.node.set_hosts(self._hosts | {REGISTRY: ["127.0.0.1"]})
        return super().__enter__()

    def __exit__(self, *arguments):
        self.node.set_hosts(self._hosts)
        super().__exit__(*arguments)


def _pull(node, origin, asked: bool) -> float:
    """Seconds; the image is gone from the node afterwards. `asked`: whether the origin should have
    sent the layers."""
    since = origin.now()
    begun = time.monotonic()
    node.pull("docker.io/library/bench:1", timeout_s=600)
    taken = time.monotonic() - begun
    if (origin.bytes_sent(since) > 0) != asked:
        raise AssertionError(f"the origin sent {origin.bytes_sent(since)} bytes")
    node.containerd.ctr("images", "remove", "--sync", *_names(node))
    return taken


def _names(node):
    return node.containerd.ctr("images", "list", "--quiet").stdout.split()
