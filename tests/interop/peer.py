# SPDX-License-Identifier: Apache-2.0
"""A peer of the mesh, whoever wrote it, and the lines of JSON that tell it what to do (README.md)."""

import concurrent.futures
import contextlib
import itertools
import json
import os
import pathlib
import shutil
import threading
from typing import Optional, Sequence

from lab.process import Process, Timeout, wait_until

PORT = 5001

#: The folder that build_go_peer.sh and build_js_peer.sh filled; CTest sets it.
PEERS_VARIABLE = "HAGRING_INTEROP_PEERS"
#: Our own peer's binary; CTest sets it where there is one.
OURS_VARIABLE = "HAGRING_INTEROP_OURS"


class PeerError(Exception):
    """A command's answer was an error."""


def _named(variable: str, below: str = "") -> Optional[pathlib.Path]:
    folder = os.environ.get(variable)
    path = pathlib.Path(folder).resolve() / below if folder else None
    return path if path and path.exists() else None


class Peer:
    """One peer on a machine of the lab. It listens on all addresses of both families."""

    #: For names of tests and messages.
    kind = ""
    #: Whether it tells others its loopback addresses.
    names_loopback = False
    #: Whether it makes nothing of loopback addresses that others name.
    drops_loopback = False
    #: How much of its log a failed test shows.
    log_lines = 15
    _numbers = itertools.count(1)

    def __init__(self, host, psk_file: str = "", bootstrap: Sequence[str] = (), **options):
        self.host = host
        self._waiting: dict[int, concurrent.futures.Future] = {}
        self._lock = threading.Lock()
        argv = self.argv(psk_file, bootstrap, options)
        name = f"{self.kind}-{next(self._numbers)}"
        self.process = Process(f"{host.name}/{name}", host.command(argv, name),
                               host.folder / f"{name}.log", talks=True)
        host.processes.append(self.process)
        threading.Thread(target=self._read, daemon=True).start()
        self.peer_id = self.call("about")["peer_id"]
        self.join(bootstrap)

    # What the kinds differ in

    @classmethod
    def missing(cls) -> Optional[str]:
        """Why there is no such peer on this machine; None if there is."""
        raise NotImplementedError

    def argv(self, psk_file: str, bootstrap: Sequence[str], options: dict) -> list[str]:
        """Its command line."""
        raise NotImplementedError

    def join(self, bootstrap: Sequence[str]) -> None:
        """Connects it to its first peers."""
        for address in bootstrap:
            self.connect(address)

    # Talk

    def begin(self, do: str, **fields) -> concurrent.futures.Future:
        """Sends a command without waiting for its answer."""
        number = next(self._numbers)
        answer = concurrent.futures.Future()
        line = json.dumps({"id": number, "do": do} | fields) + "\n"
        with self._lock:
            self._waiting[number] = answer
            try:
                self.process.stdin.write(line.encode())
                self.process.stdin.flush()
            except OSError:
                self._fail_all()
        return answer

    def call(self, do: str, timeout_s: float = 60, **fields) -> dict:
        """Sends a command and returns its answer. PeerError if that is an error."""
        try:
            return self.begin(do, **fields).result(timeout_s)
        except concurrent.futures.TimeoutError:
            raise Timeout(f"{self.process.name} didn't answer '{do}' in {timeout_s} s.\n"
                          + self.process.log_tail()) from None

    def _read(self) -> None:
        for line in self.process.stdout:
            answer = json.loads(line)
            with self._lock:
                waiting = self._waiting.pop(answer["id"], None)
            if waiting is None:
                continue
            if answer.get("error"):
                waiting.set_exception(PeerError(answer["error"]))
            else:
                waiting.set_result(answer["ok"])
        with self._lock:
            self._fail_all()

    def _fail_all(self) -> None:
        for waiting in self._waiting.values():
            waiting.set_exception(RuntimeError(f"{self.process.name} has ended.\n"
                                               + self.process.log_tail()))
        self._waiting.clear()

    def stop(self) -> None:
        """Ends it, and fails if it didn't end by itself and well."""
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        code = self.process.wait(15)
        if code != 0:
            raise RuntimeError(f"{self.process.name} exited with {code}.\n"
                               + self.process.log_tail())

    # Commands

    @property
    def address(self) -> str:
        """Where the others reach it, without its name."""
        return f"/ip4/{self.host.ipv4}/tcp/{PORT}"

    @property
    def full_address(self) -> str:
        """Where the others reach it, with its name."""
        return f"{self.address}/p2p/{self.peer_id}"

    def connect(self, address: str) -> str:
        """Connects to a multiaddr; returns the ID of the peer there."""
        return self.call("connect", address=address)["peer_id"]

    def provide(self, *keys: str) -> None:
        """Tells the mesh that it has `keys`."""
        self.call("provide", keys=keys)

    def look_up(self, key: str, limit: int = 20, within_s: float = 10) -> dict:
        """All that it tells of a search for those that provide `key`."""
        return self.call("find_providers", within_s + 10, key=key, limit=limit, within_s=within_s)

    def find(self, key: str, limit: int = 20, within_s: float = 10) -> dict[str, list[str]]:
        """Who provides `key`: peer ID → addresses."""
        found = self.look_up(key, limit, within_s)["providers"]
        return {provider["peer_id"]: provider["addresses"] for provider in found}

    def find_until(self, key: str, provider: "Peer", deadline_s: float = 15, at: str = "") -> set[str]:
        """Looks for `key` until `provider` is among those found, at the IP address `at` if it is given;
        returns the IP addresses that it was found at."""
        def found():
            ips = {address.split("/")[2] for address in self.find(key, within_s=5).get(provider.peer_id, ())}
            return ips if not at or at in ips else None
        return wait_until(found, deadline_s, f"{self.process.name} finds that "
                          f"{provider.process.name} has '{key}', at {at or 'any address'}", 0.2)

    def table(self) -> list[str]:
        """The IDs in its routing table."""
        return self.call("table")["peers"]

    def connections(self) -> dict[str, int]:
        """How many connections it has with each peer."""
        return {peer["peer_id"]: peer["connections"] for peer in self.call("connections")["peers"]}


class GoPeer(Peer):
    """go-libp2p with go-libp2p-kad-dht, set up as Spegel does. Options: identity, security, sweep."""

    kind = "go"

    @classmethod
    def missing(cls) -> Optional[str]:
        if _named(PEERS_VARIABLE, "go_peer"):
            return None
        return f"{PEERS_VARIABLE} names no folder with go_peer: see tests/interop/build_go_peer.sh"

    def argv(self, psk_file: str, bootstrap: Sequence[str], options: dict) -> list[str]:
        argv = [_named(PEERS_VARIABLE, "go_peer"), f"--listen=/ip6/::/tcp/{PORT},/ip4/0.0.0.0/tcp/{PORT}"]
        argv += [f"--psk-file={psk_file}"] if psk_file else []
        return argv + [f"--{name}={value}" for name, value in options.items()]


class JsPeer(Peer):
    """js-libp2p."""

    kind = "js"
    names_loopback = True

    @classmethod
    def missing(cls) -> Optional[str]:
        if shutil.which("node") and _named(PEERS_VARIABLE, "js_peer/installed-lock.json"):
            return None
        return f"{PEERS_VARIABLE} names no folder with js_peer: see tests/interop/build_js_peer.sh"

    def argv(self, psk_file: str, bootstrap: Sequence[str], options: dict) -> list[str]:
        # Two sockets on all addresses would be one too many: Node's IPv6 socket takes IPv4 too.
        argv = [shutil.which("node"), _named(PEERS_VARIABLE, "js_peer/main.mjs"),
                f"--listen=/ip4/0.0.0.0/tcp/{PORT}"]
        return argv + ([f"--psk-file={psk_file}"] if psk_file else [])


class HagringPeer(Peer):
    """Our own node. It joins by itself; connect() tries an address without joining."""

    kind = "hagring"
    drops_loopback = True
    log_lines = 100

    @classmethod
    def missing(cls) -> Optional[str]:
        return None if _named(OURS_VARIABLE) else f"{OURS_VARIABLE} doesn't name hagring_peer"

    def argv(self, psk_file: str, bootstrap: Sequence[str], options: dict) -> list[str]:
        argv = [_named(OURS_VARIABLE), f"--port={PORT}"]
        argv += [f"--psk-file={psk_file}"] if psk_file else []
        argv += [f"--bootstrap={address}" for address in bootstrap]
        return argv + [f"--{name}={value}" for name, value in options.items()]

    def join(self, bootstrap: Sequence[str]) -> None:
        """It has been told on its command line."""
