# SPDX-License-Identifier: Apache-2.0
"""connect: what redirection costs a connect(), against the same without it and against iptables REDIRECT;
and that processes outside the client's control group don't meet our programs at all."""

import contextlib
import json
import pathlib

from lab import Lab

from .load import LoadClient, percentile
from .nginx import Nginx
from .nodes import wait_for_trust

CONNECTS = 3000
ROUNDS = 5
_STATS = pathlib.Path("/proc/sys/kernel/bpf_stats_enabled")


def run(report) -> None:
    """All of it, the three ways in turns, so that none has the machine's better minute."""
    with Lab() as lab:
        origin = lab.origin()
        node = lab.node("n")
        client = LoadClient(node)

        def p50():
            return percentile(client.connect_times(origin.ipv4, 443, CONNECTS), 50) * 1e6
        direct, redirected, iptables = [], [], []
        with Nginx(node, upstream=f"{origin.ipv4}:443") as nginx:
            for _ in range(ROUNDS):
                direct.append(p50())
                with _iptables_redirect(node, nginx.plain_port):
                    iptables.append(p50())
                node.start_agent()
                wait_for_trust(node, client.pid)
                redirected.append(p50())
                node.agent.stop()
        ours = min(redirected)
        report.add("connect", "connect() redirected, p50", ours, "µs", against="direct",
                   reference=min(direct), reach=1.25)
        report.add("connect", "connect() redirected, p50", ours, "µs", against="iptables REDIRECT",
                   reference=min(iptables), reach=1.0)
        node.start_agent()
        wait_for_trust(node, client.pid)
        report.add("connect", "runs of our programs for 100 connects outside the group",
                   _bystanders_runs(node, origin), "runs", reach=0)


@contextlib.contextmanager
def _iptables_redirect(node, port: int):
    rule = ["OUTPUT", "-t", "nat", "-p", "tcp", "--dport", "443", "-j", "REDIRECT", "--to-ports",
            str(port)]
    node.run("iptables", "-A", *rule)
    try:
        yield
    finally:
        node.run("iptables", "-D", *rule)


def _bystanders_runs(node, origin) -> int:
    before = _STATS.read_text(encoding="utf-8")
    _STATS.write_text("1", encoding="utf-8")
    try:
        runs = _runs(node)
        node.run("sh", "-c", "for i in $(seq 100); do "
                 f"curl -sk -o /dev/null --max-time 5 https://{origin.ipv4}/v2/ || exit 1; done",
                 group="bystander")
        return _runs(node) - runs
    finally:
        _STATS.write_text(before, encoding="utf-8")


def _runs(node) -> int:
    """Of the programs of this node's agent; those that the agent's own traffic runs aren't among them,
    since it isn't in its client's group."""
    group = node.cgroup.child("client").folder
    attached = json.loads(node.run("bpftool", "-j", "cgroup", "list", group).stdout or "[]")
    ids = {program["id"] for program in attached}
    if not ids:
        raise AssertionError(f"no program is attached to {group}")
    programs = json.loads(node.run("bpftool", "-j", "prog", "show").stdout)
    return sum(program.get("run_cnt", 0) for program in programs if program["id"] in ids)
