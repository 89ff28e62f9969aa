# SPDX-License-Identifier: Apache-2.0
"""start: from exec to the first redirected connect, against nginx from exec to the first accept."""

import statistics
import time

from lab import Lab

from .load import LoadClient
from .nginx import Nginx

STARTS = 10


def run(report) -> None:
    """The origin refuses connections, so the first that succeeds is the first that is redirected."""
    with Lab() as lab:
        origin = lab.origin()
        node = lab.node("n")
        client = LoadClient(node)
        origin.stop()
        ours = []
        for _ in range(STARTS):
            begun = time.monotonic()
            # The first start makes keys; the others are what an upgrade or a crash costs.
            agent = (node.agent.launch() if node.agent else node.start_agent()) or node.agent
            _wait(client, origin.ipv4, 443)
            ours.append(time.monotonic() - begun)
            agent.stop()
        nginx = Nginx(node, upstream=f"{origin.ipv4}:443")
        theirs = []
        for _ in range(STARTS):
            begun = time.monotonic()
            nginx.launch()
            _wait(client, "127.0.0.1", nginx.plain_port)
            theirs.append(time.monotonic() - begun)
            nginx.process.stop()
    report.add("start", "exec → first redirected connect", statistics.median(ours[1:]) * 1e3, "ms",
               against="nginx, exec → accept", reference=statistics.median(theirs) * 1e3, reach=2.0)


def _wait(client: LoadClient, address: str, port: int, deadline_s: float = 20) -> None:
    until = time.monotonic() + deadline_s
    while not client.connect_times(address, port, 1):
        if time.monotonic() > until:
            raise TimeoutError(f"{address}:{port} takes no connection")
