# SPDX-License-Identifier: Apache-2.0
"""serve: what a node's agent costs that serves a peer, against nginx that serves the same file."""

from . import cpu
from .nginx import Nginx
from .nodes import pair

LAYER_BYTES = 256 << 20
TOTAL_BYTES = 4 << 30


def run(report) -> None:
    """Plain and TLS, 1 stream and 8."""
    for tls in (True, False):
        with pair(LAYER_BYTES, f"serve/{tls}", closed=tls) as nodes:
            for streams in (1, 8):
                _measure(report, nodes, tls, streams)


def _measure(report, nodes, tls: bool, streams: int) -> None:
    requests = max(1, TOTAL_BYTES // LAYER_BYTES // streams)

    def through_agent():
        return nodes.get(streams=streams, requests=requests)
    pids = [nodes.peer.agent.pid]
    ours, load = cpu.spent(lambda: cpu.of_processes(pids), through_agent)
    ours /= load.gib

    digest = nodes.layer.split(":")[1]
    with Nginx(nodes.peer, root=nodes.blob_folder) as nginx:
        def direct():
            return nodes.client.get(
                nodes.peer.ipv4, f"/sha256/{digest}", "bench.lab.test", tls=tls, streams=streams,
                requests=requests, port=nginx.tls_port if tls else nginx.plain_port)
        direct()
        theirs, load = cpu.spent(lambda: cpu.of_processes(nginx.pids()), direct)
    theirs /= load.gib
    report.add("serve", f"a peer, {'TLS' if tls else 'plain'}, {streams} streams", ours, "CPU-s/GiB",
               against=f"nginx, {'TLS' if tls else 'sendfile'}", reference=theirs, reach=1.0)
