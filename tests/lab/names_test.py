# SPDX-License-Identifier: Apache-2.0
"""Pulls where names don't resolve, and what becomes of queries that clients send."""

import base64
import signal
import time
import unittest

from expectations import (VERSIONS, assert_came_by_mirror, assert_no_content_from_origin,
                          wait_for_trust)
from lab import Lab, image, wait_until
from lab.name_server import A, AAAA, NameServer, addresses_in, query
from lab.origin import DOCKER_HUB
from lab.registry_client import RegistryClient

REPOSITORY = "docker.io/library/demo"
INVENTED = "192.0.2.2"
#: Of no mirrored registry.
OTHER = "auth.lab.test"
#: The heartbeat's time-out, and what the test allows for reading the clock.
HUNG_AFTER_S = 0.6
RESOLV_TIMEOUT_S = 2
#: Of a small image; each query to a dead name server costs two of them.
MAX_PULL_S = 20


def other_node_with(lab):
    """An origin and a node that has docker.io/library/demo:1 from there."""
    origin = lab.origin()
    origin.publish(image.synthetic((100_000, 1 << 20), seed="names"), "library/demo", "1")
    node = lab.node("a")
    node.start_agent()
    node.start_containerd("2.1")
    wait_for_trust(node)
    node.pull(f"{REPOSITORY}:1")
    return origin, node


def start(node, version, peer):
    """A trusted agent and containerd."""
    node.start_agent(peers=[peer])
    peer.agent.wait_until_told(f"{REPOSITORY}:1")
    node.start_containerd(version)
    wait_for_trust(node)


class AirGapTest(unittest.TestCase):
    """No route, no name server, no name in /etc/hosts, the origin gone: one other node has the
    image."""

    def test_pull_of_each_version(self):
        with Lab() as lab:
            origin, a = other_node_with(lab)
            origin.unplug()
            name = f"{REPOSITORY}:1"
            for version in VERSIONS:
                with self.subTest(version=version):
                    node = lab.node(f"b{version}")
                    node.cut_off()
                    start(node, version, a)
                    node.pull(name)
                    assert_came_by_mirror(self, node, name, "peer")
                    names = node.agent.status()["names"]
                    self.assertEqual(names["name_servers"], ["127.0.0.1", "::1"])
                    self.assertGreater(names["answered_by_us"]["unreachable"], 0)


class NameServerTest(unittest.TestCase):
    """A node whose name servers fail; another node has the image."""

    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab())
        cls.origin, cls.a = other_node_with(cls.lab)
        cls.node = cls.lab.node("b")
        cls.node.set_hosts({})
        cls.machine = cls.lab.host("dns")
        cls.server = NameServer(cls.machine)
        cls.local = NameServer(cls.node, ["127.0.0.53"])
        start(cls.node, "2.1", cls.a)
        cls.tags = 1

    #: containerd's.
    environment: dict = {}

    def list_servers(self, *addresses, options=""):
        """Has a new containerd (Go looks at the file every 5 s, and dials ahead) ask these."""
        self.node.set_name_servers(addresses, options)
        self.node.agent.wait_for(lambda s: set(s["names"]["name_servers"]) == set(addresses), 10,
                                 "the agent knows the name servers")
        self.node.containerd.restart(self.environment)
        wait_for_trust(self.node)

    def answered(self):
        """What the agent has answered itself, by reason."""
        return self.node.agent.status()["names"]["answered_by_us"]

    def pull_from_peer(self):
        """Pulls by a tag of its own; why the agent answered itself meanwhile."""
        type(self).tags += 1
        name = f"{REPOSITORY}:tag{self.tags}"
        self.a.containerd.ctr("images", "tag", f"{REPOSITORY}:1", name)
        self.a.agent.wait_until_told(name)
        before, since, begun = self.answered(), self.origin.now(), time.monotonic()
        self.node.pull(name)
        self.assertLess(time.monotonic() - begun, MAX_PULL_S)
        assert_no_content_from_origin(self, self.origin, since, self.node)
        return {why for why, count in self.answered().items() if count > before.get(why, 0)}

    def pull_from_origin(self):
        """Pulls what the origin alone has; the agent may not answer any name."""
        type(self).tags += 1
        tag = f"new{self.tags}"
        self.origin.publish(image.synthetic((50_000,), seed=tag), "library/demo", tag)
        before = self.answered()
        self.node.pull(f"{REPOSITORY}:{tag}")
        self.assertEqual(self.answered(), before)


class FailuresTest(NameServerTest):
    """Asked by Go's own resolver."""

    def test_each_failure(self):
        for mode in ("silent", "nxdomain", "servfail", "refused"):
            with self.subTest(mode=mode):
                self.server.set(mode)
                self.list_servers(self.machine.ipv4)
                why = self.pull_from_peer()
                # An answer that a busy machine makes late counts as silence, too.
                self.assertIn(mode, why)
                self.assertLessEqual(why, {mode, "silent"})

    def test_search_domains(self):
        self.server.set("answer", {})
        self.list_servers(self.machine.ipv4, options="ndots:5\nsearch cluster.lab.test lab.test")
        self.assertEqual(self.pull_from_peer(), {"nxdomain"})
        self.assertTrue(self.server.queries(f"{DOCKER_HUB}.cluster.lab.test"))


class CgoFailuresTest(FailuresTest):
    """Asked by glibc's getaddrinfo, as Go does where nsswitch.conf has what it doesn't know."""

    environment = {"GODEBUG": "netdns=cgo+1"}

    def test_each_failure(self):
        super().test_each_failure()
        self.assertIn("forcing use of the cgo resolver",
                      self.node.containerd.process.log.read_text())


class PlacesTest(NameServerTest):
    """Where name servers may be, and how many."""

    def test_ipv6_and_loopback(self):
        for server, machine in ((self.machine.ipv6, self.server), ("127.0.0.53", self.local)):
            for mode in ("servfail", "silent"):
                with self.subTest(server=server, mode=mode):
                    machine.set(mode)
                    self.list_servers(server)
                    why = self.pull_from_peer()
                    # An answer that a busy machine makes late counts as silence, too.
                    self.assertIn(mode, why)
                    self.assertLessEqual(why, {mode, "silent"})

    def test_all_of_several_dead(self):
        self.list_servers(self.lab.black_hole4, self.lab.black_hole6, "198.51.100.2")
        self.assertIn("silent", self.pull_from_peer())

    def test_second_one_that_answers_is_asked_first(self):
        self.server.set("answer", {DOCKER_HUB: [self.origin.ipv4, self.origin.ipv6]})
        self.local.set("servfail")
        for dead in ("127.0.0.53", self.lab.black_hole4):
            with self.subTest(dead=dead):
                self.list_servers(dead, self.machine.ipv4)
                self.pull_from_origin()

    def test_truncated_answer(self):
        self.server.set("truncate", {DOCKER_HUB: [self.origin.ipv4]})
        self.list_servers(self.machine.ipv4)
        self.pull_from_origin()
        self.assertIn("tcp", [q["transport"] for q in self.server.queries(DOCKER_HUB)])


class QueriesTest(unittest.TestCase):
    """Queries of a client that the lab itself has made."""

    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab())
        cls.machine = cls.lab.host("dns")
        cls.server = NameServer(cls.machine, zone={
            DOCKER_HUB: ["203.0.113.7", "2001:db8:7::7"], OTHER: ["203.0.113.8"] * 30})
        cls.node = cls.lab.node("n")
        cls.local = NameServer(cls.node, ["127.0.0.53", "::1"], zone={OTHER: ["203.0.113.9"]})
        cls.servers = [cls.machine.ipv4, cls.machine.ipv6, "127.0.0.53"]
        cls.node.set_name_servers(cls.servers, f"timeout:{RESOLV_TIMEOUT_S}")
        cls.client = RegistryClient(cls.node)

    def setUp(self):
        self.server.set("answer")
        self.local.set("answer")

    def ask(self, server, message, transport="udp", **more):
        answer = self.client.ask("ask_name_server", server=server, transport=transport,
                                 message=base64.b64encode(message).decode(), **more)
        response = answer["response"]
        return answer | {"response": response and base64.b64decode(response)}

    def start_agent(self):
        self.node.start_agent()
        self.addCleanup(self.node.agent.kill)
        wait_for_trust(self.node, self.client.pid)

    def names(self):
        return self.node.agent.status()["names"]

    def test_answers_are_the_servers_own_byte_for_byte(self):
        questions = [(server, transport, mode, query(name, kind, edns, 7))
                     for server in self.servers for transport in ("udp", "tcp")
                     for mode in ("answer", "truncate") for edns in (False, True)
                     for name, kind in ((DOCKER_HUB.title(), A), (DOCKER_HUB, AAAA), (OTHER, A),
                                        (OTHER, 16), ("nobody.lab.test", AAAA))
                     if server != "127.0.0.53" or DOCKER_HUB not in name.lower()]
        questions += [(self.machine.ipv4, "udp", mode, query(name, kind, True))
                      for mode in ("nxdomain", "servfail", "refused")
                      for name, kind in ((OTHER, A), (DOCKER_HUB, 65), (DOCKER_HUB + ".lab.test", A))]

        def ask_all():
            answers = []
            for server, transport, mode, message in questions:
                self.server.set(mode)
                self.local.set(mode)
                answers.append(self.ask(server, message, transport))
            return answers
        direct = ask_all()
        self.start_agent()
        before = self.names()
        for question, by_itself, by_agent in zip(questions, direct, ask_all()):
            self.assertIsNotNone(by_itself["response"], question)
            self.assertEqual(by_agent["response"], by_itself["response"], question)
            self.assertEqual(by_agent["peer"], by_itself["peer"])
        after = self.names()
        self.assertEqual(after["passed_on"] - before["passed_on"], len(questions))
        self.assertEqual(after["answered_by_us"], before["answered_by_us"])

    def test_glibc_takes_what_the_stub_says(self):
        self.start_agent()
        known = ["2001:db8:7::7", "203.0.113.7"]
        for mode, addresses in (("answer", known), ("truncate", known), ("nxdomain", [INVENTED]),
                                ("servfail", [INVENTED]), ("silent", [INVENTED])):
            self.server.set(mode)
            self.local.set("servfail" if mode in ("answer", "truncate") else mode)
            answer = self.client.ask("resolve", name=DOCKER_HUB)
            self.assertEqual(answer["addresses"], addresses, mode)
            # A second attempt would mean that the first answer was thrown away.
            self.assertLess(answer["seconds"], RESOLV_TIMEOUT_S, mode)

    def test_only_mirrored_names_are_answered(self):
        self.start_agent()
        for mode in ("nxdomain", "servfail", "refused", "silent"):
            self.server.set(mode)
            self.local.set(mode)
            for server in self.servers:
                with self.subTest(mode=mode, server=server):
                    answer = self.ask(server, query(DOCKER_HUB, edns=True))["response"]
                    self.assertEqual(addresses_in(answer), [INVENTED])
                    answer = self.ask(server, query(DOCKER_HUB, AAAA))["response"]
                    self.assertEqual((answer[3] & 15, addresses_in(answer)), (0, []))
            for name in (OTHER, f"x.{DOCKER_HUB}", f"{DOCKER_HUB}.lab.test", "docker.io"):
                answer = self.ask(self.machine.ipv4, query(name), deadline_s=2.5)["response"]
                if mode == "silent":
                    self.assertIsNone(answer, name)
                else:
                    self.assertNotEqual(answer[3] & 15, 0, name)

    def test_server_that_is_not_listed_is_asked_directly(self):
        self.start_agent()
        before = self.names()["queries"]
        answer = self.ask("::1", query(OTHER))
        self.assertEqual(addresses_in(answer["response"]), ["203.0.113.9"])
        self.assertEqual(self.names()["queries"], before)
        self.assertGreater(self.node.agent.status()["kernel"]["passed_other_name_server"], 0)

    def test_untrusted_agent_answers_nothing(self):
        self.node.start_agent(arguments=["--install-ca", "false"], name="untrusted")
        self.addCleanup(self.node.agent.kill)
        self.node.agent.wait_for(
            lambda s: any(c["intercepted"] for c in s["clients"]), 30, "it is redirected")
        self.server.set("nxdomain")
        self.local.set("nxdomain")
        self.assertEqual(self.ask(self.machine.ipv4, query(DOCKER_HUB))["response"][3] & 15, 3)

    def test_names_off(self):
        self.node.start_agent(arguments=["--names", "false"])
        self.addCleanup(self.node.agent.kill)
        wait_for_trust(self.node, self.client.pid)
        self.server.set("nxdomain")
        self.assertEqual(self.ask(self.machine.ipv4, query(DOCKER_HUB))["response"][3] & 15, 3)
        self.assertEqual(self.names()["queries"], 0)

    def test_killed_agent_is_in_nobodys_way(self):
        self.start_agent()
        for _ in range(5):
            before = self.names()["queries"]
            self.ask(self.machine.ipv4, query(OTHER))
            self.assertGreater(self.names()["queries"], before)
            self.node.agent.kill()
            for server in self.servers:
                for transport in ("udp", "tcp"):
                    answer = self.ask(server, query(OTHER), transport, deadline_s=1)
                    self.assertIsNone(answer["error"])
            self.node.agent.start()
            wait_for_trust(self.node, self.client.pid)

    def test_stopped_agent_is_passed_by(self):
        self.start_agent()
        self.node.agent.process.signal(signal.SIGSTOP)
        stopped = time.monotonic()
        self.addCleanup(self.node.agent.process.signal, signal.SIGCONT)
        wait_until(lambda: time.monotonic() > stopped + HUNG_AFTER_S, 5, "the heartbeat is stale")
        for server in self.servers:
            for transport in ("udp", "tcp"):
                answer = self.ask(server, query(OTHER), transport, deadline_s=1)
                self.assertIsNone(answer["error"])
        self.node.agent.process.signal(signal.SIGCONT)
        before = self.names()["queries"]

        def asked_again():
            self.ask(self.machine.ipv4, query(OTHER))
            return self.names()["queries"] > before
        wait_until(asked_again, 10, "an agent that goes on is asked again")

    def test_agent_that_ends_answers_what_is_under_way(self):
        self.start_agent()
        self.server.set("silent")
        self.local.set("silent")
        self.client.ask("start_query", server=self.machine.ipv4,
                        message=base64.b64encode(query(DOCKER_HUB)).decode())
        self.node.agent.wait_for(lambda s: s["names"]["queries"] > 0, 10, "it is asked")
        self.assertEqual(self.node.agent.stop(), 0)
        answer = self.client.ask("end_query")
        self.assertEqual(addresses_in(base64.b64decode(answer["response"] or "")), [INVENTED])


if __name__ == "__main__":
    unittest.main()
