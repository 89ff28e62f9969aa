# SPDX-License-Identifier: Apache-2.0
"""memory: proportional set size of an idle agent that knows much, with many streams, and after much has
been relayed."""

import os
import statistics
import threading
import time

from lab import Lab, wait_until

from . import cpu
from .nginx import Nginx
from .nodes import pair

from many_images_test import IMAGES, NAMESPACE, fill, name_of  # of tests/lab, where nodes.py looks

LAYER_BYTES = 256 << 20
STREAMS = 64
#: Relayed before the growth is taken, in GiB; --gib says otherwise.
RELAY_GIB = 20
#: Other nodes of the mesh.
NODES = 100
#: Of which a table of 20 in a bucket has room for some 60.
LEAST_KNOWN = 45
#: An agent is idle that has used less than this of a processor for so long.
IDLE_SHARE, IDLE_S, IDLE_DEADLINE_S = 0.01, 20, 300
#: What it takes then is what it takes most of the time: the median of so many looks, one a second.
IDLE_LOOKS = 90
#: What Spegel 0.7.4 takes when idle is from 37 to 43 MiB: measured once, not in this run.
SPEGEL_MIB = 37
#: The environment's variable that names the program of many nodes; scripts/bench.sh sets it.
MESH_NODES_VARIABLE = "HAGRING_MESH_NODES"


def run(report, relay_gib: int = RELAY_GIB) -> None:
    """All of it."""
    _idle(report)
    _busy(report, relay_gib)


def _idle(report) -> None:
    with Lab() as lab:
        node, others = lab.node("n"), lab.host("others")
        # containerd syncs each blob.
        node.keep_content_in_memory()
        node.start_containerd("2.1")
        fill(node)
        node.start_agent(arguments=["--containerd-namespace", NAMESPACE])
        mesh = _start_nodes(node, others)
        node.agent.wait_for_mesh(LEAST_KNOWN, deadline_s=120)
        node.agent.wait_until_told(name_of(IMAGES - 1), deadline_s=300)
        _wait_until_idle(node.agent.pid)
        known = len(node.agent.status()["mesh"]["nodes"])
        what = f"agent, idle, {IMAGES} images, {NODES} nodes in the mesh ({known} in the table)"
        sizes = []
        for _ in range(IDLE_LOOKS):
            sizes.append(cpu.pss_mib(node.agent.pid))
            time.sleep(1)
        size = statistics.median(sizes)
        if not mesh.running():
            raise RuntimeError(mesh.log_tail())
        report.add("memory", what, size, "MiB", reach=24)
        report.add("memory", "the same", size, "MiB", reference=SPEGEL_MIB,
                   against="Spegel 0.7.4, idle: 37 to 43, not of this run")


def _wait_until_idle(pid: int) -> None:
    """What it was told of is still to be told to other nodes, for instance."""
    used = []

    def is_idle() -> bool:
        used.append(cpu.of_processes([pid]))
        return len(used) > 1 and used[-1] - used[-2] < IDLE_SHARE * IDLE_S
    wait_until(is_idle, IDLE_DEADLINE_S, "the agent, which knows all images, is idle", interval_s=IDLE_S)


def _start_nodes(node, others):
    """NODES nodes of the mesh that know the agent of `node`, on `others`, each with an address."""
    addresses = [f"198.18.1.{number}" for number in range(1, NODES + 1)]
    others.run("sh", "-ec", "".join(f"ip addr add {one}/16 dev eth0\n" for one in addresses))
    key = "/run/mesh.key"
    others.write(key, node.lab.mesh_key + "\n")
    others.path(key).chmod(0o600)
    return others.spawn("mesh", [
        os.environ[MESH_NODES_VARIABLE], "--first-address", addresses[0], "--count", NODES,
        "--mesh-key-file", key, "--bootstrap", f"/ip4/{node.ipv4}/tcp/5001"])


def _busy(report, relay_gib: int) -> None:
    """Of the node in the middle: peer → agent → client."""
    with pair(LAYER_BYTES, "memory", closed=False) as nodes:
        pid = nodes.node.agent.pid
        ours = _highest(lambda: cpu.pss_mib(pid), lambda: nodes.get(streams=STREAMS))
        # From a server that lets as many connections of one address in.
        with Nginx(nodes.peer, root=nodes.blob_folder) as files, \
                Nginx(nodes.node, upstream=f"{nodes.peer.ipv4}:{files.plain_port}") as nginx:
            theirs = _highest(lambda: sum(map(cpu.pss_mib, nginx.pids())), lambda: nodes.client.get(
                "127.0.0.1", "/" + nodes.layer.replace(":", "/"), "bench.lab.test",
                port=nginx.tls_port, streams=STREAMS))
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
