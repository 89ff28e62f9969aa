# SPDX-License-Identifier: Apache-2.0
"""first-byte: how soon the answer to a hit begins, against nginx as a TLS proxy before the same peer."""

from .load import percentile
from .nginx import Nginx
from .nodes import pair

#: Small enough to be verified whole before its first byte: the dearest way.
LAYER_BYTES = 16 << 10
REQUESTS = 2000


def run(report) -> None:
    """On a kept connection, and with a new one for each request."""
    with pair(LAYER_BYTES, "first-byte", closed=False) as nodes:
        for keep_alive, what, reach in ((True, "kept connection", 1.0), (False, "new connection", 1.15)):
            ours = nodes.get(requests=REQUESTS, keep_alive=keep_alive).first_bytes_s
            with Nginx(nodes.node, upstream=f"{nodes.peer.ipv4}:5000") as nginx:
                theirs = nodes.client.get(
                    "127.0.0.1", nodes.peer_path, "bench.lab.test", port=nginx.tls_port,
                    requests=REQUESTS, keep_alive=keep_alive,
                    fields=("X-Spegel-Mirrored: true",)).first_bytes_s
            for percent in (50, 99):
                report.add("first-byte", f"hit at a peer, {what}, p{percent}",
                           percentile(ours, percent) * 1e6, "µs", against="nginx TLS→HTTP",
                           reference=percentile(theirs, percent) * 1e6, reach=reach)
