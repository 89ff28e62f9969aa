# SPDX-License-Identifier: Apache-2.0
"""memory: proportional set size with many streams, and after much has been relayed."""

import threading

from . import cpu
from .nginx import Nginx
from .nodes import pair

LAYER_BYTES = 256 << 20
STREAMS = 64
#: Relayed before the growth is taken; the goal speaks of 100 GiB, see --relay-gib.
RELAY_GIB = 20


def run(report, relay_gib: int = RELAY_GIB) -> None:
    """Of the node in the middle: peer → agent → client."""
    with pair(LAYER_BYTES, "memory", closed=False) as nodes:
        pid = nodes.node.agent.pid
        report.add("memory", "agent, idle, one image known", cpu.pss_mib(pid), "MiB", reach=24)
        ours = _highest(lambda: cpu.pss_mib(pid), lambda: nodes.get(streams=STREAMS))
        with Nginx(nodes.node, upstream=f"{nodes.peer.ipv4}:5000") as nginx:
            theirs = _highest(lambda: sum(map(cpu.pss_mib, nginx.pids())), lambda: nodes.client.get(
                "127.0.0.1", nodes.peer_path, "bench.lab.test", port=nginx.tls_port,
                streams=STREAMS, fields=("X-Spegel-Mirrored: true",)))
        report.add("memory", f"agent, {STREAMS} streams", ours, "MiB", reach=48)
        report.add("memory", f"agent, {STREAMS} streams", ours, "MiB", against="nginx TLS→HTTP",
                   reference=theirs)
        before = cpu.pss_mib(pid)
        nodes.get(requests=max(1, relay_gib * (1 << 30) // LAYER_BYTES))
        report.add("memory", f"agent, after {relay_gib} GiB relayed", cpu.pss_mib(pid), "MiB",
                   against="before them", reference=before, reach=1.05)


def _highest(measure, work) -> float:
    """The most that is seen while `work` runs."""
    seen = [measure()]
    done = threading.Event()

    def watch():
        while not done.wait(0.05):
            seen.append(measure())
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    return max(seen)
