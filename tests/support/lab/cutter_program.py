# SPDX-License-Identifier: Apache-2.0
"""The program of cutter.py: passes TCP connections on to a Unix socket, and cuts them."""

import argparse
import socket
import struct
import threading

_BLOCK = 64 << 10
WAYS = ("fin", "rst", "stall")


class _Program:
    def __init__(self, behind: str, after_bytes: int, how: str, times):
        self._behind, self._after, self._how, self._left = behind, after_bytes, how, times
        self._lock = threading.Lock()

    def serve(self, listener: socket.socket) -> None:
        while True:
            client, address = listener.accept()
            threading.Thread(target=self._connection, args=(client, address), daemon=True).start()

    def _connection(self, client: socket.socket, address) -> None:
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._behind)
        remote, family = address[0], "TCP6"
        if remote.startswith("::ffff:"):
            remote, family = remote.removeprefix("::ffff:"), "TCP4"
        nobody = "127.0.0.1" if family == "TCP4" else "::1"
        server.sendall(f"PROXY {family} {remote} {nobody} {address[1]} 443\r\n".encode())
        threading.Thread(target=_pump, args=(client, server), daemon=True).start()
        self._to_client(server, client)

    def _to_client(self, server: socket.socket, client: socket.socket) -> None:
        passed = 0
        try:
            while data := server.recv(_BLOCK):
                keep = max(0, self._after - passed)
                if len(data) >= keep and self._may_cut():
                    client.sendall(data[:keep])
                    self._cut(client, server)
                    return
                client.sendall(data)
                passed += len(data)
            client.shutdown(socket.SHUT_WR)
        except OSError:
            server.close()

    def _may_cut(self) -> bool:
        with self._lock:
            if self._left is None:
                return True
            self._left -= 1
            return self._left >= 0

    def _cut(self, client: socket.socket, server: socket.socket) -> None:
        print("cut", flush=True)
        if self._how == "stall":
            threading.Event().wait()
        if self._how == "fin":
            # Not closed: that would answer what the client still sends with RST.
            client.shutdown(socket.SHUT_WR)
            server.shutdown(socket.SHUT_RD)
            return
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # The other thread's recv would keep the socket alive.
        client.shutdown(socket.SHUT_RD)
        client.close()
        server.shutdown(socket.SHUT_RDWR)


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(_BLOCK):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def main() -> None:
    """Serves until it is killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ports", type=int, nargs="+", required=True)
    parser.add_argument("--behind", required=True)
    parser.add_argument("--after", type=int, required=True)
    parser.add_argument("--how", choices=WAYS, required=True)
    parser.add_argument("--times", type=int)
    options = parser.parse_args()
    program = _Program(options.behind, options.after, options.how, options.times)
    threads = []
    for port in options.ports:
        listener = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True,
                                        backlog=512)
        threads.append(threading.Thread(target=program.serve, args=(listener,)))
    for thread in threads:
        thread.start()
    print("listening", flush=True)


if __name__ == "__main__":
    main()
