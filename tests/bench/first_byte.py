# SPDX-License-Identifier: Apache-2.0
"""first-byte: how soon the answer to a hit begins, against nginx as a TLS proxy before the same peer; and
how much later where the peer has to be found by the DHT.

Round trips to a provider are counted in the DHT's simulator, by the same code, in virtual time. What a
search costs besides them is measured on an agent in a mesh of so many that it holds the records of half
the keys itself and has to ask for the others."""

import json
import os
import subprocess

from .load import percentile
from .nginx import Nginx
from .nodes import REGISTRY, pair

#: Small enough to be verified whole before its first byte: the dearest way.
LAYER_BYTES = 16 << 10
REQUESTS = 2000

#: The environment's variable that names the DHT's simulator; scripts/bench.sh sets it.
SIMULATOR_VARIABLE = "HAGRING_DHT_SIM"
SIMULATED_NODES = 100
#: Of the simulator's model `constant`.
SIMULATED_ROUND_TRIP_MS = 2
#: So many blobs are asked for, each of them for the first time and then again.
SEARCHES = 100
#: Twice as many nodes as keep a record.
MEMBERS = 38


def run(report) -> None:
    """On a kept connection, with a new one for each request, and through the DHT."""
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
    _count_round_trips(report)
    _measure_searches(report)


def _count_round_trips(report) -> None:
    done = subprocess.run(
        [os.environ[SIMULATOR_VARIABLE], "--nodes", str(SIMULATED_NODES), "--keys-per-node", "5",
         "--searches", "2000", "--latency", "constant", "--seed", "1", "--json"],
        check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    searches = json.loads(done.stdout)["searches_for_one"]
    if searches["found_percent"] != 100:
        raise AssertionError(f"only {searches['found_percent']} % of the keys were found")
    for percent in (50, 99):
        report.add("first-byte", f"DHT, {SIMULATED_NODES} nodes in virtual time: to a provider, p{percent}",
                   searches[f"first_provider_p{percent}_ms"] / SIMULATED_ROUND_TRIP_MS, "RTT", reach=2)


def _measure_searches(report) -> None:
    """On one kept connection, so that all are on one data thread, whose connection to the peer is kept too."""
    with pair(LAYER_BYTES, "first-byte-dht", closed=False, layers=SEARCHES + 1, members=MEMBERS) as nodes:
        first, *others = nodes.paths
        # The peer asks its containerd about what it is asked for the first time: no part of the search.
        nodes.client.get(nodes.peer.ipv4, [f"{path}?ns=docker.io" for path in others], "bench.lab.test",
                         port=5000, tls=False, requests=len(others), fields=("X-Spegel-Mirrored: true",))
        warm = [first] * 50
        asked = [*warm, *others, *others]
        times = nodes.client.get(nodes.origin.ipv4, asked, REGISTRY, requests=len(asked)).first_bytes_s
        searched, known = times[len(warm):-SEARCHES], times[-SEARCHES:]
        for percent in (50, 99):
            report.add("first-byte", f"DHT, {MEMBERS + 2} nodes: a search, with its round trips, p{percent}",
                       (percentile(searched, percent) - percentile(known, percent)) * 1e3, "ms", reach=1)
