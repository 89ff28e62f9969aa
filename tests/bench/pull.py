# SPDX-License-Identifier: Apache-2.0
"""pull: CRI PullImage by an unchanged containerd, through the agent, against the same pull without one and
through nginx as a TLS proxy. No link is limited: what is compared is the work in between."""

import random
import statistics
import time

from lab import Lab, image

from .nginx import Nginx
from .nodes import REGISTRY, assert_terminated, wait_for_trust

VERSIONS = ("1.6", "1.7", "2.1")
#: Layers, and how many pulls of each kind.
SIZES = {"64 MiB": ([16 << 20] * 4, 8), "1 GiB": ([256 << 20] * 4, 4)}


def run(report) -> None:
    """Each version, each size."""
    for version in VERSIONS:
        for name, (layers, pulls) in SIZES.items():
            _measure(report, version, name, layers, pulls)


def _measure(report, version: str, size: str, layers, pulls: int) -> None:
    """A node for each kind of pull; they take turns, so that none has the machine's better minute."""
    with Lab() as lab:
        origin = lab.origin()
        nodes = {kind: lab.node(f"from-{kind}") for kind in ("direct", "nginx", "origin", "peer")}
        provider = lab.node("provider")
        with _nginx_in_between(nodes["nginx"], origin):
            for node in (*nodes.values(), provider):
                # A disk that is busy with what was pulled before would be what is measured.
                node.keep_content_in_memory()
                node.start_containerd(version)
            # Alone in its mesh, or it would be given what the provider has.
            nodes["origin"].start_agent()
            nodes["peer"].start_agent(peers=[provider])
            provider.start_agent(peers=[nodes["peer"]])
            for node in (nodes["origin"], nodes["peer"], provider):
                wait_for_trust(node)
            nodes["peer"].agent.wait_for_mesh(1)
            times = {kind: [] for kind in nodes}
            for number in range(pulls):
                name = _publish(origin, layers, str(number))
                provider.pull(name, timeout_s=600)
                provider.agent.wait_until_told(name)
                # Another one begins each time: the first has to get its memory from the machine.
                turns = list(nodes)
                for kind in turns[number % len(turns):] + turns[:number % len(turns)]:
                    times[kind].append(_pull(nodes[kind], origin, name, asked=kind != "peer"))
                _remove_images(provider)
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
        self.node.add_hosts({REGISTRY: ["127.0.0.1"]})
        return super().__enter__()


def _publish(origin, layers, tag: str) -> str:
    """An image that is nowhere else; its name."""
    made = image.synthetic(layers, seed=f"pull/{random.random()}")
    origin.publish(made, "library/bench", tag)
    return f"docker.io/library/bench:{tag}"


def _pull(node, origin, name: str, asked: bool) -> float:
    """Seconds; the image is gone from the node afterwards. `asked`: whether the origin should have
    sent the layers."""
    since = origin.now()
    begun = time.monotonic()
    node.pull(name, timeout_s=600)
    taken = time.monotonic() - begun
    if (origin.bytes_sent(since) > 0) != asked:
        raise AssertionError(f"the origin sent {origin.bytes_sent(since)} bytes")
    if node.agent is not None:
        assert_terminated(node, name)
    _remove_images(node)
    return taken


def _remove_images(node) -> None:
    names = node.containerd.ctr("images", "list", "--quiet").stdout.split()
    node.containerd.ctr("images", "remove", "--sync", *names)
