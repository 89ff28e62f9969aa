# SPDX-License-Identifier: Apache-2.0
"""The lab itself: a switch, the machines on it, and the removal of all of it, whatever happens."""

import atexit
import contextlib
import itertools
import json
import os
import pathlib
import secrets
import shutil
import signal
import subprocess
import sys
import threading
from typing import Optional, Sequence

from . import paths
from .cdn import Cdn
from .cgroup import Cgroup, cgroup1_mounts, remove_tree
from .certificates import Authority
from .egress_proxy import EgressProxy
from .host import Host, _unshare
from .node import Node
from .origin import Origin
from .process import clean_environment, start_time
from .tokens import TokenService

_SWITCH = r"""
set -e
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
ip link set lo up
ip link add br0 type bridge
ip addr add $GATEWAY4/16 dev br0
ip -6 addr add $GATEWAY6/64 dev br0 nodad
ip link set br0 up
ip route add unreachable default
ip -6 route add unreachable default
ip route add blackhole $BLACK_HOLE4
ip -6 route add blackhole $BLACK_HOLE6
"""

_numbers = itertools.count(1)


class Lab:
    """A network of its own with machines on it. Use it as a context manager:

        with Lab() as lab:
            origin = lab.origin()
            node = lab.node("a", containerd="2.1")

    Nothing of the host's network changes and nothing can leave: the switch has no uplink, and answers
    for the rest of the world with "unreachable".
    """

    gateway4 = "198.18.255.254"
    gateway6 = "2001:db8:1::fffe"
    #: Addresses from which nothing ever comes back: connects to them time out.
    black_hole4 = "198.51.100.1"
    black_hole6 = "2001:db8:dead::1"

    def __init__(self, keep_logs: Optional[pathlib.Path] = None):
        sweep_leftovers()
        self.name = f"{paths.RUN_PREFIX}{os.getpid()}-{next(_numbers)}"
        self.work = paths.WORK / self.name
        #: Where close() copies every log, if set.
        self.keep_logs = keep_logs
        self.cgroup = Cgroup(self.name)
        self.hosts: list[Host] = []
        self._servers: list = []  # of them, those that nodes are introduced to
        #: Of the mesh that the lab's agents are members of, in the short form.
        self.mesh_key = secrets.token_hex(32)
        self.keep = _kept_folders()
        self._numbers = itertools.count(1)
        self._run = paths.RUN / self.name
        self._switch = None
        self._closed = False
        _end_in_order()
        atexit.register(self.close)
        try:
            self._mark()
            self.cgroup.create()
            self.authority = Authority(self.work / "authority")
            self._make_switch()
        except BaseException:
            self.close()
            raise

    def _mark(self) -> None:
        self._run.mkdir()
        (self._run / "owner.json").write_text(json.dumps(
            {"pid": os.getpid(), "start": start_time(os.getpid()), "work": str(self.work)}))
        self.work.mkdir(parents=True)

    def _make_switch(self) -> None:
        self._switch = _unshare(self.cgroup.child("switch"), ["--net"], self.work / "switch.log",
                                "switch")
        done = subprocess.run(
            ["nsenter", "--target", str(self._switch.pid), "--net", "/bin/sh", "-c", _SWITCH],
            env=clean_environment() | {
                "GATEWAY4": self.gateway4, "GATEWAY6": self.gateway6,
                "BLACK_HOLE4": self.black_hole4, "BLACK_HOLE6": self.black_hole6},
            capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"The lab can't make its switch: {done.stderr.strip()}")

    @property
    def switch_pid(self) -> int:
        """The process that holds the switch's network namespace."""
        return self._switch.pid

    def host(self, name: str) -> Host:
        """A bare machine: for clients, foreign listeners, peers."""
        host = Host(self, name, next(self._numbers))
        self.hosts.append(host)
        return host

    def origin(self, name: str = "origin", **options) -> Origin:
        """An origin registry (see Origin for options). Nodes made later resolve its names and trust
        the lab's authority; for nodes made before, call origin.introduce(node)."""
        return self._server(Origin(self, name, next(self._numbers), **options))

    def token_service(self, name: str = "tokens", **options) -> TokenService:
        """A token service, for Lab.origin(tokens=…) (see TokenService for options); nodes come to know it
        as they do an origin."""
        return self._server(TokenService(self, name, next(self._numbers), **options))

    def cdn(self, name: str = "cdn", **options) -> Cdn:
        """Where blobs are, for Lab.origin(cdn=…) (see Cdn for options)."""
        return self._server(Cdn(self, name, next(self._numbers), **options))

    def _server(self, host):
        self.hosts.append(host)
        host.start()
        self._servers.append(host)
        return host

    def egress_proxy(self, name: str = "proxy", credentials: str = "") -> EgressProxy:
        """A machine with a proxy, started; see EgressProxy.be_the_only_way()."""
        proxy = EgressProxy(self, name, next(self._numbers), credentials)
        self.hosts.append(proxy)
        proxy.server.start()
        return proxy

    def node(self, name: str, containerd: Optional[str] = None, **options) -> Node:
        """A node, with containerd of that version started if one is named (see Node for options)."""
        node = Node(self, name, next(self._numbers), **options)
        self.hosts.append(node)
        for server in self._servers:
            server.introduce(node)
        if containerd:
            node.start_containerd(containerd)
        return node

    def remove(self, host: Host) -> None:
        """Removes one machine."""
        self.hosts.remove(host)
        self._servers = [server for server in self._servers if server is not host]
        host.close()

    def close(self) -> None:
        """Removes everything, newest first. Called by the context manager, at exit and by signals."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        failures = []
        if self.keep_logs:
            self._copy_logs(self.keep_logs)
        for host in reversed(self.hosts):
            try:
                host.close()
            except Exception as error:  # The rest must go all the same.
                failures.append(f"{host.name}: {error}")
        if self._switch:
            self._switch.kill()
        failures += _remove(self.name, self.work)
        if failures:
            raise RuntimeError("The lab could not be removed whole: " + "; ".join(failures))

    def _copy_logs(self, target: pathlib.Path) -> None:
        for log in self.work.glob("*/*.log"):
            with contextlib.suppress(OSError):
                (target / log.parent.name).mkdir(parents=True, exist_ok=True)
                shutil.copy(log, target / log.parent.name / log.name)

    def __enter__(self) -> "Lab":
        return self

    def __exit__(self, kind, value, traceback) -> None:
        if value is not None and not self._closed and not self.keep_logs:
            self.show_logs()
        self.close()

    def show_logs(self) -> None:
        """Prints the end of each daemon's log."""
        for host in self.hosts:
            for process in host.processes:
                with contextlib.suppress(OSError):
                    print(process.log_tail(15), file=sys.stderr)


def _kept_folders() -> Sequence[pathlib.Path]:
    """Folders that a machine sees as they are on the host, wherever they lie."""
    kept = [paths.REPOSITORY, paths.CACHE, paths.WORK]
    binary = os.environ.get("HAGRING_BINARY")
    if binary:
        kept.append(pathlib.Path(binary).resolve().parent)
    for folder in kept:
        folder.mkdir(parents=True, exist_ok=True)
    return kept


def _remove(name: str, work: pathlib.Path) -> list[str]:
    """Removes a lab's groups, folders and mark; returns what failed."""
    failures = []
    group = Cgroup(name)
    steps = [group.kill, group.remove]
    # On a hybrid machine runc puts containers into the version 1 hierarchies, under the same name.
    steps += [lambda top=top: remove_tree(top / name) for top in cgroup1_mounts()]
    for step in steps:
        try:
            step()
        except (OSError, TimeoutError) as error:
            failures.append(str(error))
    shutil.rmtree(work, ignore_errors=True)
    if not failures:
        shutil.rmtree(paths.RUN / name, ignore_errors=True)
    return failures


def sweep_leftovers() -> list[str]:
    """Removes what labs left whose owner is dead (killed with SIGKILL, say); returns their names."""
    swept = []
    for mark in paths.RUN.glob(f"{paths.RUN_PREFIX}*/owner.json"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            owner = json.loads(mark.read_text(encoding="utf-8"))
            if start_time(owner["pid"]) != owner["start"]:
                _remove(mark.parent.name, pathlib.Path(owner["work"]))
                swept.append(mark.parent.name)
    return swept


def _end_in_order() -> None:
    """Makes SIGTERM and SIGHUP end the program by an exception, so that labs are removed."""
    def end(number, _frame):
        raise SystemExit(128 + number)
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, end)
