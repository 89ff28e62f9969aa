# SPDX-License-Identifier: Apache-2.0
"""relay: peer → agent → TLS to the client on loopback, against nginx as a TLS proxy before the same peer.

What counts is the whole machine's work (client and peer included, which are the same in both). Hashed is a
blob from its beginning; not hashed, a range beyond it, which the agent takes from the origin by TLS and
can't verify: against nginx as a proxy to the same origin."""

from . import cpu
from .nginx import Nginx
from .nodes import REGISTRY, pair

LAYER_BYTES = 256 << 20
REQUESTS = 16
BEYOND = ("Range: bytes=1-",)


def run(report) -> None:
    """Hashed and not."""
    with pair(LAYER_BYTES, "relay", closed=False) as nodes:
        ours = _load(lambda: nodes.get(requests=REQUESTS))
        with Nginx(nodes.node, upstream=f"{nodes.peer.ipv4}:5000") as nginx:
            theirs = _load(lambda: nodes.client.get(
                "127.0.0.1", nodes.peer_path, "bench.lab.test", port=nginx.tls_port,
                requests=REQUESTS, fields=("X-Spegel-Mirrored: true",)))
        _report(report, "hashed, from a peer", ours, "nginx TLS→HTTP", theirs, 1.25)

        ours = _load(lambda: nodes.get(requests=REQUESTS, fields=BEYOND, status=206))
        with Nginx(nodes.node, upstream=f"{nodes.origin.ipv4}:443", upstream_tls=REGISTRY) as nginx:
            theirs = _load(lambda: nodes.client.get(
                "127.0.0.1", nodes.path, "bench.lab.test", port=nginx.tls_port,
                requests=REQUESTS, fields=BEYOND, status=206))
        _report(report, "not hashed, from the origin", ours, "nginx TLS→TLS", theirs, 0.9)


def _load(get):
    get()
    seconds, totals = cpu.spent(cpu.of_machine, get)
    return seconds / totals.gib, totals.gib / totals.seconds


def _report(report, what: str, ours, against: str, theirs, reach: float) -> None:
    report.add("relay", f"{what}: the machine's work", ours[0], "CPU-s/GiB", against=against,
               reference=theirs[0], reach=reach)
    report.add("relay", f"{what}: time", 1 / ours[1], "s/GiB", against=against,
               reference=1 / theirs[1])
