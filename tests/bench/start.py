# SPDX-License-Identifier: Apache-2.0
"""start: from exec to the first redirected connect, against nginx from exec to the first accept.

Both ends are taken where they happen: a program says when it is and becomes the agent, or nginx; the
client connects in a loop of C with 200 µs between two attempts, and says when one succeeded."""

import concurrent.futures
import statistics

from lab import Lab
from lab.agent import Agent

from .load import LoadClient
from .nginx import Nginx

STARTS = 20
DEADLINE_S = 20

#: Becomes the program that its arguments name, and has written down when.
_LAUNCHER = """
import os, sys, time
with open(sys.argv[1], "w") as file:
    file.write(str(time.monotonic()))
os.execv(sys.argv[2], sys.argv[2:])
"""
_BEGUN = "/run/bench-begun"
_THROUGH = ("/usr/bin/python3", "-ISc", _LAUNCHER, _BEGUN)


def run(report) -> None:
    """The origin refuses connections, so the first that succeeds is the first that is redirected. The
    two in turns, so that neither has the machine's better minute."""
    with Lab() as lab:
        origin = lab.origin()
        node = lab.node("n")
        client = LoadClient(node)
        origin.stop()
        agent = node.agent = Agent(node, through=_THROUGH)
        nginx = Nginx(node, upstream=f"{origin.ipv4}:443", through=_THROUGH)
        ours, theirs = [], []
        for _ in range(STARTS + 1):
            ours.append(_seconds(node, client, agent.launch, origin.ipv4, 443))
            agent.stop()
            theirs.append(_seconds(node, client, nginx.launch, "127.0.0.1", nginx.plain_port))
            nginx.process.stop()
    # The first start makes keys; the others are what an upgrade or a crash costs.
    report.add("start", "exec → first redirected connect", statistics.median(ours[1:]) * 1e3, "ms",
               against="nginx, exec → accept", reference=statistics.median(theirs[1:]) * 1e3,
               reach=2.0)


def _seconds(node, client: LoadClient, launch, address: str, port: int) -> float:
    with concurrent.futures.ThreadPoolExecutor(1) as waiting:
        connected = waiting.submit(client.first_connect, address, port, DEADLINE_S)
        launch()
        first_attempt, success = connected.result()
    begun = float(node.path(_BEGUN).read_text(encoding="utf-8"))
    if first_attempt > begun:
        raise AssertionError("the client began to connect after the program had begun to start")
    return success - begun
