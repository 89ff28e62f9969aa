# SPDX-License-Identifier: Apache-2.0
"""Whoever listens where, and however a socket is used: a connection reaches what it was meant for."""

import contextlib
import unittest

from expectations import wait_for_trust
from lab import Lab, wait_until
from lab.registry_client import RegistryClient

#: Listens on the address and port given, says its name to whoever comes, and reports each on stdout.
NAMED_SERVER = r"""
import socket, sys, threading
address, port, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
listener = socket.socket(family)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
if address == "::":
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
listener.bind((address, port))
listener.listen(64)
print("listening", flush=True)
def serve(connection):
    with connection:
        said = connection.recv(1000)
        print("said", said.decode(), flush=True)
        connection.sendall(name.encode())
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""


class MisdirectionTest(unittest.TestCase):
    """A redirected client, the real agent, and things in the way."""

    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab())
        cls.origin = cls.lab.origin()
        cls.node = cls.lab.node("n")
        cls.first, cls.second, cls.silent = map(cls.lab.host, ("first", "second", "silent"))
        for host in (cls.first, cls.second, cls.node):
            cls.listen(host, "::", 80, host.name)
        cls.client = RegistryClient(cls.node)
        cls.node.start_agent()
        wait_for_trust(cls.node, cls.client.pid)

    @staticmethod
    def listen(host, address: str, port: int, name: str):
        """A server on `host` that says its name."""
        server = host.spawn(f"server-{name}", ["/usr/bin/python3", "-c", NAMED_SERVER, address, str(port), name])
        wait_until(lambda: "listening" in server.log_text(), 10, f"{name} listens")
        return server

    def kernel(self, counter: str) -> int:
        return self.node.agent.status()["kernel"][counter]

    def mirror_port(self, listener: str = "mirror_v4") -> int:
        return int(self.node.agent.status()["listeners"][listener].rpartition(":")[2])

    def assert_direct(self) -> None:
        for address in (self.origin.ipv4, self.origin.ipv6):
            answer = self.client.request(address, "registry-1.docker.io")
            self.assertTrue(answer["ok"], answer)
            self.assertNotIn("agring", answer["issuer"])
            self.assertEqual(answer["peer"], address)

    def test_killed_agents_port_is_taken_by_another_program(self):
        ports = {"127.0.0.1": self.mirror_port(), "::1": self.mirror_port("mirror_v6")}
        self.node.agent.kill()
        foreign = [self.listen(self.node, address, port, f"foreign{number}")
                   for number, (address, port) in enumerate(ports.items())]
        self.assert_direct()
        # The next agent finds the pins that the killed one left; its own ports are others.
        self.node.agent.start()
        wait_for_trust(self.node, self.client.pid)
        answer = self.client.request(self.origin.ipv4, "registry-1.docker.io")
        self.assertIn("agring", answer["issuer"])
        for server in foreign:
            self.assertNotIn("said", server.log_text())

    def test_foreign_listener_on_the_mirrors_port_in_the_clients_network(self):
        elsewhere = self.lab.host("elsewhere")
        sink = self.first
        ask = {"namespaces_pid": elsewhere.pid, "address": sink.ipv4, "port": 80, "send": "hello",
               "half_close": True}
        with self.subTest("nobody listens there"):
            before = self.kernel("passed_no_listener")
            self.assertEqual(self.client.ask("plain_elsewhere", **ask)["received"], "first")
            self.assertGreater(self.kernel("passed_no_listener"), before)
        for number, address in enumerate(("127.0.0.1", "0.0.0.0")):
            with self.subTest("somebody listens there", address=address):
                foreign = self.listen(elsewhere, address, self.mirror_port(), f"foreign{number}")
                before = self.kernel("passed_foreign_listener")
                answer = self.client.ask("plain_elsewhere", **ask)
                self.assertEqual((answer["received"], answer["peer"]), ("first", sink.ipv4))
                self.assertGreater(self.kernel("passed_foreign_listener"), before)
                self.assertNotIn("said", foreign.log_text())
                foreign.kill()
        with self.subTest("the same over IPv6"):
            foreign = self.listen(elsewhere, "::1", self.mirror_port("mirror_v6"), "foreign6")
            answer = self.client.ask("plain_elsewhere", **ask | {"address": sink.ipv6})
            self.assertEqual(answer["received"], "first")
            self.assertNotIn("said", foreign.log_text())

    def test_socket_bound_to_a_device_is_left_alone(self):
        before = self.kernel("passed_bound_device")
        for address in (self.origin.ipv4, self.origin.ipv6):
            answer = self.client.request(address, "registry-1.docker.io", device="eth0")
            self.assertTrue(answer["ok"], answer)
            self.assertNotIn("agring", answer["issuer"])
        self.assertEqual(self.kernel("passed_bound_device"), before + 2)

    def test_socket_that_is_dissolved_and_connected_again(self):
        first, second = self.first, self.second
        for begin, end in ((first, second), (self.silent, second), (second, first)):
            with self.subTest(begin=begin.name, end=end.name):
                before = self.kernel("redirected")
                answer = self.client.ask("reconnect", first=begin.ipv4, second=end.ipv4, port=80,
                                         text="hello")
                self.assertEqual((answer["received"], answer["peer"]), (end.name, end.ipv4))
                self.assertEqual(self.kernel("redirected"), before + 2)
        with self.subTest("first redirected, then loopback"):
            answer = self.client.ask("reconnect", first=first.ipv4, second="127.0.0.1", port=80,
                                     text="hello")
            self.assertEqual((answer["received"], answer["peer"]), (self.node.name, "127.0.0.1"))
        with self.subTest("first loopback, then redirected"):
            answer = self.client.ask("reconnect", first="127.0.0.1", second=second.ipv4, port=80,
                                     text="hello")
            self.assertEqual((answer["received"], answer["peer"]), ("second", second.ipv4))

    def test_source_port_that_is_used_again_for_another_destination(self):
        for host in (self.first, self.second, self.first):
            # The server closes first, so that the client's port is free at once.
            answer = self.client.ask("plain", address=host.ipv4, port=80, send="hello",
                                     source_port=44444)
            self.assertEqual(answer["received"], host.name)

    def test_mapped_addresses_reach_what_they_map(self):
        answer = self.client.request(f"::ffff:{self.origin.ipv4}", "registry-1.docker.io")
        self.assertTrue(answer["ok"], answer)
        self.assertIn("agring", answer["issuer"])
        self.assertEqual(answer["peer"], f"::ffff:{self.origin.ipv4}")

    def test_mirrors_own_address_is_never_served_directly(self):
        for address, port in (("127.0.0.1", self.mirror_port()),
                              ("::1", self.mirror_port("mirror_v6"))):
            with contextlib.suppress(RuntimeError):  # reset is as good as an empty answer
                answer = self.client.ask("plain", address=address, port=port,
                                         send="GET /v2/ HTTP/1.1\r\nHost: ghcr.io\r\n\r\n")
                self.assertEqual(answer["received"], "")
        self.assertGreaterEqual(self.node.agent.status()["connections"]["without_flow"], 2)


if __name__ == "__main__":
    unittest.main()
