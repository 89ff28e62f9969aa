# SPDX-License-Identifier: Apache-2.0
"""Bytes from the network never crash the agent, hang it, or grow its memory without bound."""

import pathlib
import unittest

from expectations import two_nodes, wait_for_trust
from lab import Lab, image
from lab.registry_client import RegistryClient

MEMORY_LIMIT_KIB = 200 * 1024

#: Run on a machine, with address, port and digest: throws everything at a listener that speaks HTTP.
ASSAULT = r"""
import os, random, socket, sys, time
address, port, digest = sys.argv[1], int(sys.argv[2]), sys.argv[3]
path = f"/v2/library/demo/blobs/{digest}?ns=docker.io"
def connect():
    if address.startswith("/"):
        connection = socket.socket(socket.AF_UNIX); connection.settimeout(5)
        connection.connect(address); return connection
    return socket.create_connection((address, port), timeout=5)
def send(data, read=True):
    with connect() as connection:
        try:
            connection.sendall(data)
            return connection.recv(65536) if read else b""
        except OSError:
            return b""
rng = random.Random(1)
malformed = [
    b"\0" * 1000, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET  /v2/ HTTP/1.1\r\n\r\n",
    b"GET /v2/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    b"GET /v2/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /v2/ HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    b"POST /v2/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    b"GET /v2/../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /v2/a/blobs/sha256:../../../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 1000000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"".join(b"X%d: y\r\n" % i for i in range(100000)) + b"\r\n",
    b"\x16\x03\x01\xff\xff" + b"\x01" * 70000, b"\x16\x03\x01\x00\x05\x01\x00\xff\xff\xff",
] + [rng.randbytes(rng.randrange(1, 4000)) for _ in range(200)]
for data in malformed:
    send(data)
for value in ("bytes=0-", "bytes=5-1", "bytes=99999999999999999999999-", "bytes=-0", "bytes=-1",
              "bytes=18446744073709551615-18446744073709551615", "bytes=" + "0-0," * 5000 + "0-0",
              "lines=1-2", "bytes=a-b", "bytes=--5", "bytes=9223372036854775807-"):
    send(f"GET {path} HTTP/1.1\r\nHost: a\r\nRange: {value}\r\nConnection: close\r\n\r\n".encode())
pipelined = (f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()) * 2000
send(pipelined)
slow = []
for _ in range(300):
    try:
        connection = connect(); connection.sendall(b"GET /v2/ HTTP/1.1\r\nHost"); slow.append(connection)
    except OSError:
        break
for _ in range(20):  # readers that stop reading
    try:
        connection = connect()
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()); slow.append(connection)
    except OSError:
        break
print("held", len(slow), flush=True)
for connection in slow:
    try:
        connection.sendall(b":")
    except OSError:
        pass
    connection.close()
"""


class HostileInputTest(unittest.TestCase):
    """Each listener of the agent under malformed, oversized, absurd and slow input."""

    def assert_unharmed(self, node, pid: int) -> None:
        self.assertEqual(node.agent.pid, pid)
        self.assertTrue(node.agent.process.running(), node.agent.process.log_tail())
        status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        resident = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        self.assertLess(int(resident.split()[1]), MEMORY_LIMIT_KIB, resident)
        node.agent.status()

    def assault(self, machine, address: str, port: int, digest: str) -> None:
        machine.run("/usr/bin/python3", "-c", ASSAULT, address, str(port), digest, timeout_s=120)

    def test_peer_server_and_admin_socket_and_mirror_port(self):
        with two_nodes("2.1") as (_, origin, a, b):
            layer = next(blob for blob in a.verify_content("demo:1") if blob.kind == "layer")
            pid = a.agent.pid
            self.assault(b, a.ipv4, 5000, layer.digest)
            self.assert_unharmed(a, pid)
            self.assault(a, a.agent.admin_socket, 0, layer.digest)
            self.assert_unharmed(a, pid)
            for listener in ("mirror_v4", "mirror_v6"):
                # Connections that no hook made: the mirror doesn't know where they want to go.
                address, _, port = a.agent.status()["listeners"][listener].rpartition(":")
                self.assault(a, address.strip("[]"), int(port), layer.digest)
                self.assert_unharmed(a, pid)
            since = origin.now()
            b.pull("docker.io/library/only-here:1")
            b.verify_content("only-here:1", origin)
            self.assertEqual(origin.bytes_sent(since, b), 0)

    def test_redirected_connections(self):
        with Lab() as lab:
            origin = lab.origin()
            origin.publish(image.synthetic(seed="hostile"), "library/demo", "1")
            node = lab.node("n")
            client = RegistryClient(node)
            node.start_agent()
            wait_for_trust(node, client.pid)
            pid = node.agent.pid
            for text in ("\x16\x03\x01\xff\xff" + "\x01" * 70000, "\x16\x03\x01\x00\x05\x01\x00\xff\xff\xff",
                         "GET " + "a" * 100000, "\0" * 5000):
                for port in (443, 80):
                    try:
                        client.ask("plain", address=origin.ipv4, port=port, send=text,
                                   half_close=True)
                    except RuntimeError:
                        pass  # Refused by whoever answered: the origin, mostly.
            self.assert_unharmed(node, pid)
            for path in ("/v2/" + "a/" * 3000, "/v2/../../../etc/passwd", "/v2/%00/blobs/x",
                         "/v2/library/demo/blobs/sha256:" + "0" * 64, "/" + "x" * 60000):
                client.request(origin.ipv4, "registry-1.docker.io", path)
            self.assert_unharmed(node, pid)
            self.assertTrue(client.request(origin.ipv4, "registry-1.docker.io")["ok"])


if __name__ == "__main__":
    unittest.main()
