# SPDX-License-Identifier: Apache-2.0
"""fail-open: what fails when agents die, and how long one that hangs is in the way."""

import signal
import time

from lab import Lab, wait_until

from .load import LoadClient
from .nodes import REGISTRY, wait_for_trust

KILLS = 50
THREADS = 8
HANGS = 5
DEADLINE_S = 5.0


def run(report) -> None:
    """Handshakes and requests in 8 loops; the agent is killed, and started again, 50 times."""
    with Lab() as lab:
        origin = lab.origin()
        node = lab.node("n")
        client = LoadClient(node)
        node.start_agent()
        wait_for_trust(node, client.pid)
        made, failed = _kills(origin, node, client)
        report.add("fail-open", f"of {made} requests over {KILLS} kills, begun after one, failed",
                   failed, "", reach=0)
        report.add("fail-open", f"SIGSTOP → direct, longest of {HANGS}",
                   max(_hang(origin, node, client) for _ in range(HANGS)) * 1e3, "ms", reach=500)


def _kills(origin, node, client) -> tuple[int, int]:
    client.ask("start_loop", threads=THREADS, address=origin.ipv4, host=REGISTRY,
               deadline_s=DEADLINE_S)
    killed = []
    for _ in range(KILLS):
        before = node.agent.status()["connections"]["terminated"]
        node.agent.wait_for(lambda s, b=before: s["connections"]["terminated"] > b + THREADS, 20,
                            "requests go through the agent")
        signalled = time.monotonic()
        node.agent.kill()
        killed.append((signalled, time.monotonic()))
        node.agent.start()
        wait_for_trust(node, client.pid)
    results = client.ask("end_loop", timeout_s=120)["results"]

    def went_down_with_it(result) -> bool:
        return any(result["begun"] < reaped and result["begun"] + result["seconds"] >= signalled
                   for signalled, reaped in killed)
    return len(results), sum(1 for r in results if not r["ok"] and not went_down_with_it(r))


def _hang(origin, node, client) -> float:
    """Seconds from SIGSTOP until a connect goes to the origin: until its heartbeat is stale the agent
    gets them all, which wait there."""
    node.agent.process.signal(signal.SIGSTOP)
    stopped = time.monotonic()
    try:
        _, direct = client.first_connect(origin.ipv4, 443, 10, direct=True)
        answer = client.request(origin.ipv4, REGISTRY)
        if not answer["ok"] or "agring" in answer["issuer"]:
            raise AssertionError(f"an agent that hangs isn't passed by: {answer}")
        return direct - stopped
    finally:
        node.agent.process.signal(signal.SIGCONT)
        wait_until(lambda: "agring" in (client.request(origin.ipv4, REGISTRY)["issuer"] or ""), 20,
                   "an agent that goes on is used again")
