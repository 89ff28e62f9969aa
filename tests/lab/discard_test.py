# SPDX-License-Identifier: Apache-2.0
"""A runtime that throws layers away once they are unpacked: the agent has them kept for its peers."""

import datetime
import shutil
import unittest

from expectations import (assert_came_by_mirror, assert_no_content_from_origin, wait_for_trust)
from lab import Lab, agent, image, wait_until
from lab.containerd import ROOT, config_with

#: How long containerd and the agent may take to let go of something.
DEADLINE_S = 30

OURS = "hagring-"


def start_node(lab, name: str, version: str, *peers, discard: bool = True, disk: str = "",
               arguments=("--keep-layers-until", "100")):
    """A node whose containerd discards layers, or not, beside an agent that it trusts and that
    knows which. By default the disk, which is the machine's own, may be full; `disk` is the size of
    one that is its own."""
    node = lab.node(name)
    if disk:
        node.keep_content_in_memory(disk)
    node.start_agent(peers=peers, arguments=arguments)
    node.start_containerd(version, config_with(version, discard_unpacked_layers=discard))
    wait_for_trust(node)
    wait_for_finding(node)
    return node


def wait_for_finding(node) -> dict:
    """Waits until the agent knows whether its containerd discards layers; returns what it says."""
    return node.agent.wait_for(lambda s: s["layers"]["runtime_discards"] != "unknown", DEADLINE_S,
                               f"{node.name}'s agent knows whether layers are discarded")["layers"]


def leases(node) -> set[str]:
    """The agent's leases at its containerd."""
    return {lease for lease in node.containerd.client.leases() if lease.startswith(OURS)}


def present(node, made) -> set[str]:
    """Which of an image's layers are in the node's content store."""
    blobs = node.containerd.store / "blobs" / "sha256"
    return {digest for digest in made.layers if (blobs / digest.split(":")[1]).exists()}


def publish(origin, name: str, *sizes, **options):
    """An image of layers of these sizes, docker.io/library/<name>:1."""
    made = image.synthetic(sizes, seed=name, **options)
    origin.publish(made, f"library/{name}", "1")
    return made


def full(name: str) -> str:
    """The name by which it is pulled."""
    return f"docker.io/library/{name}:1"


def marker_collected(node, origin, name: str) -> None:
    """Shows that this containerd has collected garbage since: of an image that is pulled by another
    way than the agent's, which none of its leases keeps, the layers go."""
    made = publish(origin, name, 3000)
    node.agent.stop()
    node.pull(full(name))
    wait_until(lambda: not present(node, made), DEADLINE_S, "containerd collects discarded layers")
    node.agent.start()
    wait_for_trust(node)


class _Discard:
    version = ""

    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab())
        cls.origin = cls.lab.origin()
        cls.a = start_node(cls.lab, "a", cls.version)
        cls.b = start_node(cls.lab, "b", cls.version, cls.a)
        cls.b.agent.wait_for_mesh(1)

    def test_1_second_node_pulls_every_layer_from_the_first(self):
        made = publish(self.origin, "shared", 50_000, 5 << 20, index=True)
        self.a.pull(full("shared"))
        self.a.agent.wait_until_told(full("shared"), *made.layers)
        lease, = leases(self.a)
        self.assertEqual(self.a.containerd.client.leased_blobs(lease), set(made.layers))
        labels = self.a.containerd.client.leases()[lease]
        self.assertEqual(labels["hagring.io/image"], "docker.io/library/shared")
        # By itself, should the agent never come back.
        expires = datetime.datetime.fromisoformat(labels["containerd.io/gc.expire"])
        days = (expires - datetime.datetime.now(datetime.timezone.utc)).total_seconds() / 86400
        self.assertTrue(7 < days < 8, labels)
        # The agent's restart waits for a collection on this containerd, and shows that layers stay.
        marker_collected(self.a, self.origin, "marker")
        self.assertEqual(present(self.a, made), set(made.layers))
        self.assertEqual(leases(self.a), {lease})
        self.a.agent.wait_until_told(full("shared"), *made.layers)
        kept = self.a.agent.wait_for(lambda s: s["layers"]["images"] == 1, DEADLINE_S,
                                     "the lease of its former life is known")["layers"]
        self.assertEqual(kept["bytes"], sum(len(made.blobs[digest]) for digest in made.layers))
        self.b.agent.wait_for_mesh(1)
        since = self.origin.now()
        self.b.pull(full("shared"))
        assert_no_content_from_origin(self, self.origin, since, self.b)
        assert_came_by_mirror(self, self.b, full("shared"), "peer")
        self.b.verify_content(full("shared"), self.origin)

    def test_2_how_it_is_known_is_shown(self):
        layers = self.a.agent.status()["layers"]
        self.assertEqual(layers["runtime_discards"], "yes")
        self.assertIn("CRI status" if self.version < "2" else "/etc/containerd/config.toml",
                      layers["how"])
        shown = self.a.agent.hagring("status", agent.ADMIN_SOCKET, self.a.agent.admin_socket).stdout
        self.assertIn("it does so   yes", shown)
        checked = self.a.agent.hagring("preflight", check=False).stdout
        self.assertRegex(checked, r"(?m)^ok +unpacked layers +containerd throws them away, the agent")

    def test_3_leases_outlive_containerds_restart(self):
        made = publish(self.origin, "outlives", 4000)
        self.a.pull(full("outlives"))
        before = leases(self.a)
        self.a.containerd.restart()
        wait_for_trust(self.a)
        count = len(before)
        self.a.agent.wait_for(
            lambda s: s["store"]["connected"] and s["layers"]["images"] == count, DEADLINE_S,
            "containerd's leases are known again")
        self.assertEqual(leases(self.a), before)
        self.assertEqual(present(self.a, made), set(made.layers))

    def test_4_layers_of_a_deleted_image_go(self):
        made = publish(self.origin, "deleted", 6000, index=True)
        self.a.pull(full("deleted"))
        self.assertEqual(present(self.a, made), set(made.layers))
        self.a.agent.wait_for(lambda s: s["layers"]["pulling"] == 0, DEADLINE_S,
                              "the agent knows that the pull has ended")
        before = leases(self.a)
        self.a.containerd.client.remove_image(full("deleted"))
        wait_until(lambda: not present(self.a, made), DEADLINE_S, "kubelet's deletion frees disk")
        self.assertEqual(len(before - leases(self.a)), 1)
        self.a.agent.wait_for(lambda s: "no such image" in s["layers"].get("last_released", ""),
                              DEADLINE_S, "the agent says why")

    def test_5_oldest_go_first_when_the_budget_is_passed(self):
        node = start_node(self.lab, f"budget{self.version[0]}", self.version,
                          arguments=["--keep-layers-bytes", "300KiB",
                                     "--keep-layers-until", "100"])
        images = [publish(self.origin, f"budget{i}", 120_000 + i) for i in range(3)]
        large = publish(self.origin, "large", 400_000)
        for i in range(3):
            node.pull(full(f"budget{i}"))
        wait_until(lambda: not present(node, images[0]), DEADLINE_S, "the oldest goes")
        node.pull(full("large"))
        wait_until(lambda: not present(node, large), DEADLINE_S, "what is beyond the budget goes")
        for made in images[1:]:
            self.assertEqual(present(node, made), set(made.layers))
        layers = node.agent.status()["layers"]
        self.assertEqual(layers["released"]["over the budget"], 1)
        self.assertIn("docker.io/library/large", layers["refused"])
        self.lab.remove(node)

    def test_6_all_go_when_the_disk_fills_up(self):
        node = start_node(self.lab, f"disk{self.version[0]}", self.version, disk="50m", arguments=())
        images = [publish(self.origin, f"disk{i}", 5 << 20) for i in range(2)]
        for i in range(2):
            node.pull(full(f"disk{i}"))
        for made in images:
            self.assertEqual(present(node, made), set(made.layers))
        # 20 MB of layers and snapshots, and so much more that it is full beyond 80 % until one
        # image's layers are gone.
        filler = node.path(ROOT) / "filler"
        free = shutil.disk_usage(filler.parent).free
        filler.write_bytes(bytes(free - (7 << 20)))
        wait_until(lambda: not present(node, images[0]), DEADLINE_S, "the oldest goes")
        layers = node.agent.wait_for(lambda s: s["layers"]["disk_percent"] < 80, DEADLINE_S,
                                     "the disk has room again")["layers"]
        self.assertEqual(present(node, images[1]), set(images[1].layers))
        self.assertEqual(layers["released"]["the image file system is filling up"], 1)
        filler.write_bytes(bytes(shutil.disk_usage(filler.parent).free + filler.stat().st_size
                                 - (4 << 20)))
        made = publish(self.origin, "late", 8000)
        node.pull(full("late"))
        wait_until(lambda: not present(node, images[1]), DEADLINE_S, "the last goes")
        self.assertEqual(leases(node), set())
        self.assertIn("% full", node.agent.status()["layers"]["refused"])
        self.lab.remove(node)

    def test_9_uninstall_removes_all_leases(self):
        images = [publish(self.origin, f"uninstall{i}", 7000 + i) for i in range(2)]
        for i in range(2):
            self.b.pull(full(f"uninstall{i}"))
        node = self.b
        places = [agent.ADMIN_SOCKET, node.agent.admin_socket, agent.STATE_DIR,
                  node.agent.state_dir, agent.PIN_DIR, node.agent.pin_dir]
        done = node.agent.hagring("uninstall", *places, check=False)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("stop it first", done.stderr)
        self.assertGreaterEqual(len(leases(node)), 2)
        node.agent.stop()
        done = node.agent.hagring("uninstall", "--dry-run", *places)
        self.assertIn("would remove", done.stdout)
        self.assertGreaterEqual(len(leases(node)), 2)
        done = node.agent.hagring("uninstall", *places, timeout_s=60)
        self.assertEqual(leases(node), set())
        for made in images:
            self.assertEqual(present(node, made), set(), done.stdout)
        self.assertEqual(list(node.path("/etc/ssl/certs").glob("hagring-*")), [])
        self.assertFalse(node.path(node.agent.state_dir).exists(), done.stdout)
        done = node.agent.hagring("uninstall", *places)
        self.assertIn("nothing", done.stdout)


class Discard17Test(_Discard, unittest.TestCase):
    """containerd 1.7."""
    version = "1.7"


class Discard21Test(_Discard, unittest.TestCase):
    """containerd 2.1."""
    version = "2.1"


class KeepNothingTest(unittest.TestCase):
    """When no layers are kept."""

    def test_never_is_as_without_us(self):
        with Lab() as lab:
            origin = lab.origin()
            a = start_node(lab, "a", "2.1", arguments=["--keep-layers", "never"])
            b = start_node(lab, "b", "2.1", a)
            made = publish(origin, "shared", 50_000)
            a.pull(full("shared"))
            wait_until(lambda: not present(a, made), DEADLINE_S, "the layer is thrown away")
            a.agent.wait_until_told(full("shared"))
            self.assertEqual(leases(a), set())
            b.agent.wait_for_mesh(1)
            since = origin.now()
            b.pull(full("shared"))
            fetched = {r.path.rsplit("/", 1)[1] for r in origin.requests(since, b)
                       if r.is_blob and r.method == "GET"}
            self.assertLessEqual(set(made.layers), fetched)

    def test_nothing_is_leased_where_the_runtime_keeps_layers(self):
        with Lab() as lab:
            origin = lab.origin()
            for version in ("1.6", "2.1"):
                with self.subTest(containerd=version):
                    node = start_node(lab, f"n{version[0]}", version, discard=False)
                    made = publish(origin, "plain", 50_000)
                    node.pull(full("plain"))
                    assert_came_by_mirror(self, node, full("plain"), "origin")
                    self.assertEqual(leases(node), set())
                    self.assertEqual(present(node, made), set(made.layers))
                    layers = node.agent.status()["layers"]
                    self.assertEqual((layers["runtime_discards"], layers["keeping"]), ("no", False))


if __name__ == "__main__":
    unittest.main()
