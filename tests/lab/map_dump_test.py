# SPDX-License-Identifier: Apache-2.0
"""What root reads with bpftool: names, enumerators, addresses and ports, no knowledge of ours needed."""

import json
import unittest

from expectations import two_nodes


class MapDumpTest(unittest.TestCase):
    """`bpftool map dump pinned /sys/fs/bpf/hagring/<map>` after a pull."""

    @classmethod
    def setUpClass(cls):
        _, cls.origin, _, cls.node = cls.enterClassContext(two_nodes("2.1"))
        cls.node.pull("docker.io/library/only-here:1")
        cls.status = cls.node.agent.status()
        cls.text = {name: cls.node.agent.dump_map(name)
                    for name in ("flows", "rules", "clients", "config", "name_servers",
                                 "counters")}
        cls.entries = {name: json.loads(text) for name, text in cls.text.items()}

    def port_of(self, listener: str) -> int:
        return int(self.status["listeners"][listener].rpartition(":")[2])

    def test_flows_say_who_went_where(self):
        flows = [entry["value"] for entry in self.entries["flows"]]
        probes = [f for f in flows if f["original_address"] == "192.0.2.1"]
        # The origin has both addresses; Go prefers IPv6.
        pulls = [f for f in flows if f["original_address"].startswith("2001:0db8:0001:")]
        self.assertTrue(probes and pulls, self.text["flows"])
        for flow in flows:
            self.assertEqual((flow["original_port"], flow["client_comm"], flow["client_tgid"]),
                             (443, "containerd", self.node.containerd.pid))
            self.assertIn(flow["state"], ("open", "closed"))
            self.assertGreaterEqual(flow["client_port"], 1024)
        self.assertEqual((probes[0]["family"], probes[0]["client_address"], probes[0]["mirror_port"]),
                         ("ipv4", "127.0.0.1", self.port_of("mirror_v4")))
        self.assertEqual((pulls[0]["family"], pulls[0]["mirror_port"]),
                         ("ipv6", self.port_of("mirror_v6")))

    def test_rules_name_prefix_port_and_action(self):
        rules = {(r["value"]["destination"], r["value"]["port"], r["value"]["action"])
                 for r in self.entries["rules"]}
        self.assertLessEqual({("0.0.0.0/0", 80, "redirect"), ("0.0.0.0/0", 443, "redirect"),
                              ("::/0", 80, "redirect"), ("::/0", 443, "redirect")}, rules)

    def test_clients_name_the_process_and_its_cgroup(self):
        client, = self.entries["clients"]
        self.assertEqual(client["key"], self.node.containerd.pid)
        self.assertEqual((client["value"]["comm"], client["value"]["policy"]),
                         ("containerd", "redirected"))
        self.assertTrue(client["value"]["cgroup"].endswith(self.node.containerd.cgroup_path))

    def test_name_servers_name_their_stubs(self):
        server, = (entry["value"] for entry in self.entries["name_servers"])
        self.assertEqual((server["name_server"], server["stub"]), ("127.0.0.1", "127.0.0.1"))
        self.assertGreater(server["stub_udp_port"], 1024)
        self.assertGreater(server["stub_tcp_port"], 1024)

    def test_config_names_the_mirror(self):
        config = self.entries["config"][0]["value"]
        self.assertEqual((config["mirror_ipv4"], config["mirror_ipv4_port"], config["mirror_ipv6"],
                          config["mirror_ipv6_port"], config["agent_pid"]),
                         ("127.0.0.1", self.port_of("mirror_v4"), "::1", self.port_of("mirror_v6"),
                          self.node.agent.pid))
        self.assertEqual(config["heartbeat_timeout_ns"], 500_000_000)

    def test_counters_are_named_and_add_up_to_the_status(self):
        cpus = [cpu["value"] for cpu in self.entries["counters"][0]["values"]]
        for name in ("redirected", "flows_recorded", "passed_foreign_listener"):
            self.assertEqual(sum(cpu[name] for cpu in cpus), self.status["kernel"][name], name)
        self.assertGreater(self.status["kernel"]["redirected"], 0)


if __name__ == "__main__":
    unittest.main()
