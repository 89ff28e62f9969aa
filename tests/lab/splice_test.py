# SPDX-License-Identifier: Apache-2.0
"""What the agent must not touch passes through it intact."""

import pathlib
import unittest

from expectations import wait_for_trust
from lab import Lab, image, wait_until
from lab.registry_client import RegistryClient

GIB = 1 << 30
SUPPORT = pathlib.Path(__file__).resolve().parents[1] / "support"

#: Run on a host: accepts one connection, sends as many bytes as asked while reading to the end.
EXCHANGE_SERVER = r"""
import hashlib, socket, sys, threading
sys.path.insert(0, sys.argv[3])
from lab.registry_client import blocks
size = int(sys.argv[2])
listener = socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)
print("listening", flush=True)
connection, _ = listener.accept()
sent = hashlib.sha256()
def send():
    for block in blocks(size, 2):
        connection.sendall(block); sent.update(block)
    connection.shutdown(socket.SHUT_WR)
sender = threading.Thread(target=send); sender.start()
received = hashlib.sha256(); count = 0
while data := connection.recv(1 << 20):
    received.update(data); count += len(data)
sender.join()
print(received.hexdigest(), sent.hexdigest(), count, flush=True)
"""


class SpliceTest(unittest.TestCase):
    """Connections of a redirected client that aren't the mirror's business."""

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.origin = self.lab.origin(names=["registry-1.docker.io", "not-mirrored.lab.test"])
        self.origin.publish(image.synthetic(seed="splice"), "library/demo", "1")
        self.node = self.lab.node("n")

    def start(self, roots: str = "all") -> RegistryClient:
        client = RegistryClient(self.node, roots)
        self.node.start_agent()
        self.node.agent.wait_for(
            lambda s: any(c["pid"] == client.pid and c["intercepted"] for c in s["clients"]), 20,
            "the client is intercepted")
        return client

    def redirected(self) -> int:
        return self.node.agent.status()["kernel"]["redirected"]

    def test_name_that_is_not_mirrored_keeps_its_own_certificate(self):
        client = self.start()
        wait_for_trust(self.node, client.pid)
        before = self.redirected()
        answer = client.request(self.origin.ipv4, "not-mirrored.lab.test")
        self.assertTrue(answer["ok"], answer)
        self.assertNotIn("agring", answer["issuer"])
        self.assertEqual(answer["peer"], self.origin.ipv4)
        self.assertGreater(self.redirected(), before)
        mirrored = client.request(self.origin.ipv4, "registry-1.docker.io")
        self.assertIn("agring", mirrored["issuer"])

    def test_client_that_does_not_trust_the_authority(self):
        client = self.start(roots="bundle")
        self.node.agent.wait_for(
            lambda s: any(c["pid"] == client.pid and c["trust"] == "refused" for c in s["clients"]),
            30, "the client refuses the probe's certificate")
        before = self.redirected()
        for address in (self.origin.ipv4, self.origin.ipv6):
            answer = client.request(address, "registry-1.docker.io")
            self.assertTrue(answer["ok"], answer)
            self.assertNotIn("agring", answer["issuer"])
        self.assertGreaterEqual(self.redirected(), before + 2)

    def test_gibibyte_each_way_at_once_and_half_close(self):
        client = self.start()
        sink = self.lab.host("sink")
        for address in (sink.ipv4, sink.ipv6):
            with self.subTest(address=address):
                server = sink.spawn("exchange", ["/usr/bin/python3", "-c", EXCHANGE_SERVER, "80",
                                                 str(GIB), str(SUPPORT)])
                wait_until(lambda: "listening" in server.log_text(), 10, "the server listens")
                before = self.redirected()
                answer = client.ask("exchange", timeout_s=300, address=address, port=80, size=GIB)
                self.assertGreater(self.redirected(), before)
                server.wait(60)
                received, sent, count = server.log_text().split()[-3:]
                self.assertEqual((answer["count"], int(count)), (GIB, GIB))
                self.assertEqual((received, answer["received"]), (answer["sent"], sent))
                server.log.unlink()

    def test_black_holed_address_is_raced_by_the_names_others(self):
        client = self.start()
        # Nobody answers for this address: the switch drops what is sent there.
        black_hole = "2001:db8:1::dead"
        self.node.run("ip", "-6", "neigh", "add", black_hole, "lladdr", "02:00:00:00:00:01", "dev",
                      "eth0", "nud", "permanent")
        for host in ("not-mirrored.lab.test", "registry-1.docker.io"):
            self.node.add_hosts({host: [black_hole, self.origin.ipv4]})
            answer = client.request(black_hole, host)
            self.assertTrue(answer["ok"], answer)
            self.assertEqual(answer["peer"], black_hole)
            self.assertLess(answer["seconds"], 5)


if __name__ == "__main__":
    unittest.main()
