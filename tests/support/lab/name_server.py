# SPDX-License-Identifier: Apache-2.0
"""A small name server for the lab, UDP and TCP, whose faults a test chooses while it runs.

Run as a program on a machine; class NameServer is the test's end."""

import argparse
import json
import pathlib
import select
import socket
import struct
import time
from typing import Mapping, Optional, Sequence

PORT = 53
A, AAAA, OPT = 1, 28, 41
CODES = {"servfail": 2, "nxdomain": 3, "refused": 5}


class NameServer:
    """The test's end. `zone`: name → addresses. `mode`: "answer", "silent", "truncate" (by UDP, the
    whole answer by TCP) or one of CODES for every query."""

    def __init__(self, host, addresses: Sequence[str] = (), zone: Optional[Mapping] = None,
                 name: str = "dns"):
        self.host = host
        self.addresses = list(addresses) or [host.ipv4, host.ipv6]
        self._state = host.path(f"/run/{name}.json")
        self._zone: dict = {}
        self._mode = "answer"
        self.set(zone=zone or {})
        self.process = host.spawn(name, ["/usr/bin/python3", "-u", str(pathlib.Path(__file__).resolve()),
                                         "--state", f"/run/{name}.json", *self.addresses])
        until = time.monotonic() + 20
        while "listening" not in self.process.log.read_text():
            if not self.process.running() or time.monotonic() > until:
                raise RuntimeError("the name server doesn't start\n" + self.process.log_tail())
            time.sleep(0.02)

    def set(self, mode: Optional[str] = None, zone: Optional[Mapping] = None) -> None:
        """Changes what it answers from the next query on."""
        self._mode = mode or self._mode
        self._zone = self._zone if zone is None else {n: list(a) for n, a in zone.items()}
        new = self._state.with_suffix(".new")
        new.write_text(json.dumps({"mode": self._mode, "zone": self._zone}))
        new.replace(self._state)

    def queries(self, name: str = "") -> list[dict]:
        """What it has been asked: {"name", "type", "transport", "mode"}."""
        lines = [line for line in self.process.log.read_text().splitlines() if line[:1] == "{"]
        return [query for query in map(json.loads, lines) if query["name"].lower() == (
            name or query["name"].lower())]


def query(name: str, kind: int = A, edns: bool = False, number: int = 0x1234) -> bytes:
    """A query as stub resolvers send it."""
    message = struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, int(edns))
    for label in filter(None, name.split(".")):
        message += bytes([len(label)]) + label.encode()
    message += b"\0" + struct.pack(">HH", kind, 1)
    return message + (struct.pack(">BHHIH", 0, OPT, 4096, 0x8000, 0) if edns else b"")


def addresses_in(response: bytes) -> list[str]:
    """The addresses in a response whose answers point back to the question's name."""
    count, offset = struct.unpack_from(">H", response, 6)[0], _question(response)[2]
    found = []
    for _ in range(count):
        kind, _, _, size = struct.unpack_from(">HHIH", response, offset + 2)
        data = response[offset + 12:offset + 12 + size]
        found.append(socket.inet_ntop(socket.AF_INET if kind == A else socket.AF_INET6, data))
        offset += 12 + size
    return found


def _question(message: bytes) -> tuple[str, int, int]:
    """Name, type, and where the question ends."""
    labels, offset = [], 12
    while message[offset]:
        labels.append(message[offset + 1:offset + 1 + message[offset]].decode())
        offset += 1 + message[offset]
    return ".".join(labels), struct.unpack_from(">H", message, offset + 1)[0], offset + 5


def answer(state: dict, message: bytes, tcp: bool) -> Optional[bytes]:
    """The response, the same each time; None for silence."""
    mode = state["mode"]
    if mode == "silent":
        return None
    name, kind, end = _question(message)
    code, known = CODES.get(mode, 0), state["zone"].get(name.lower())
    if not code and known is None:
        code = CODES["nxdomain"]
    family = {A: socket.AF_INET, AAAA: socket.AF_INET6}.get(kind)
    records = [socket.inet_pton(family, a) for a in known or []
               if family and (":" in a) == (kind == AAAA)] if not code else []
    flags = 0x8180 | code
    if mode == "truncate" and not tcp:
        records, flags = [], flags | 0x0200
    edns = message[11]
    response = message[:2] + struct.pack(">HHHHH", flags, 1, len(records), 0, edns) + message[12:end]
    for record in records:
        # A time to live that nobody else would think of.
        response += struct.pack(">HHHIH", 0xC00C, kind, 1, 4321, len(record)) + record
    return response + (struct.pack(">BHHIH", 0, OPT, 1232, 0x8000, 0) if edns else b"")


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = connection.recv(size, socket.MSG_WAITALL)
    if len(data) != size:
        raise EOFError
    return data


class _Program:
    def __init__(self, state: pathlib.Path, addresses: Sequence[str]):
        self._state = state
        self._open = []
        for address in addresses:
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind((address, PORT))
                if kind == socket.SOCK_STREAM:
                    listener.listen(64)
                self._open.append(listener)

    def serve(self) -> None:
        """Serves until it is killed."""
        print("listening")
        while True:
            for ready in select.select(self._open, [], [])[0]:
                try:
                    self._serve(ready)
                except (OSError, EOFError, IndexError, struct.error):
                    if ready.type == socket.SOCK_STREAM:
                        self._open.remove(ready)
                        ready.close()

    def _serve(self, ready: socket.socket) -> None:
        if ready.type == socket.SOCK_DGRAM:
            message, client = ready.recvfrom(65535)
            response = self._answer(message, False)
            if response is not None:
                ready.sendto(response, client)
        elif ready.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            self._open.append(ready.accept()[0])
        else:
            message = _exactly(ready, struct.unpack(">H", _exactly(ready, 2))[0])
            response = self._answer(message, True)
            if response is not None:
                ready.sendall(struct.pack(">H", len(response)) + response)

    def _answer(self, message: bytes, tcp: bool) -> Optional[bytes]:
        state = json.loads(self._state.read_text())
        name, kind, _ = _question(message)
        print(json.dumps({"name": name, "type": kind, "transport": "tcp" if tcp else "udp",
                          "mode": state["mode"]}))
        return answer(state, message, tcp)


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=pathlib.Path, required=True)
    parser.add_argument("addresses", nargs="+")
    options = parser.parse_args()
    _Program(options.state, options.addresses).serve()


if __name__ == "__main__":
    main()
