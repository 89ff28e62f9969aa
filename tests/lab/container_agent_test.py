# SPDX-License-Identifier: Apache-2.0
"""The agent in a container: the image, the DaemonSet's pod under the very containerd that it intercepts, its
upgrade and its removal."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

from expectations import assert_came_by_mirror, wait_for_trust
from lab import container_image, image, manifests, paths, wait_until
from lab.agent import binary
from lab.name_server import NameServer
from lab.pod import ClusterDns, PodAgent, PodContainer
from lab.testing import AgentTest, main

NAMESPACE = manifests.of_kind("DaemonSet")["metadata"]["namespace"]
REPOSITORY = "docker.io/library/demo"
#: A build of the agent takes 8 minutes of two cores.
FULL_BUILD_LIMIT_S = 3600


def prepare(node) -> None:
    """As an init system does: what is mounted later is seen in containers."""
    node.run("mount", "--make-rshared", "/")


def load_image(node, archive) -> None:
    """Makes the image known to the node's containerd."""
    node.containerd.ctr("images", "import", "--snapshotter", "overlayfs", str(archive))


class ImageTest(AgentTest):
    """What deploy/Dockerfile makes of a program that was built outside."""

    @classmethod
    def build(cls):
        container_image.build("prebuilt", binary())
        cls.document = json.loads(container_image.buildah("inspect", "--type", "image",
                                                          container_image.IMAGE))

    def test_is_labelled(self):
        config = self.document["OCIv1"]["config"]
        self.assertEqual(config["Entrypoint"], [container_image.PROGRAM])
        self.assertEqual(config["Cmd"], ["agent"])
        for name in ("title", "description", "licenses", "version", "revision"):
            self.assertTrue(config["Labels"][f"org.opencontainers.image.{name}"])

    def test_has_the_program_its_libraries_and_nothing_else(self):
        container = container_image.buildah("from", container_image.IMAGE).strip()
        try:
            root = pathlib.Path(container_image.buildah("mount", container).strip())
            files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
            size = sum((root / name).stat().st_size for name in files)
        finally:
            container_image.buildah("rm", container)
        programs = {name for name in files if "/bin/" in name or "/sbin/" in name}
        self.assertEqual(programs, {container_image.PROGRAM[1:]})
        self.assertIn("usr/share/doc/libssl3/copyright", files)
        self.assertIn("var/lib/dpkg/status.d/libssl3", files)
        self.assertLess(size, 50e6)

    def test_a_machine_with_many_libraries_makes_the_same_tree(self):
        """ldconfig lists more than a pipe holds after the one library that is looked for."""
        with tempfile.TemporaryDirectory() as folder:
            known = subprocess.run(["/sbin/ldconfig", "-p"], check=True, capture_output=True, text=True).stdout
            listing = pathlib.Path(folder, "listing")
            listing.write_text(known + "\tlibmore.so.1 (libc6) => /lib/libmore.so.1\n" * 20_000, encoding="utf-8")
            ldconfig = pathlib.Path(folder, "ldconfig")
            ldconfig.write_text(f"#!/bin/sh\nexec cat {listing}\n", encoding="utf-8")
            ldconfig.chmod(0o755)
            tree = pathlib.Path(folder, "tree")
            subprocess.run(["unshare", "--mount", "sh", "-ec", 'mount --bind "$1" /sbin/ldconfig; exec "$2" "$3" "$4"',
                            "sh", ldconfig, paths.REPOSITORY / "deploy/runtime_tree.sh", binary(), tree],
                           check=True, timeout=60)
            self.assertTrue(list(tree.rglob("libsystemd.so.0")))


@unittest.skipUnless(os.environ.get("HAGRING_BUILD_IMAGE"),
                     "set HAGRING_BUILD_IMAGE=1 to build the agent in the container, on a bare Debian 12")
class FullBuildTest(AgentTest):
    """The agent built in the container with nothing but what the Dockerfile installs."""

    def test_builds_and_runs(self):
        log = container_image.paths.CACHE / "image-build.log"
        built = container_image.build("build", timeout_s=FULL_BUILD_LIMIT_S, log=log)
        origin = self.lab.origin()
        origin.publish(image.synthetic(seed="full build"), "library/demo", "1")
        node = self.lab.node("a")
        prepare(node)
        node.start_containerd("2.1")
        load_image(node, container_image.save(built, self.lab.work / "image.tar"))
        node.agent = PodAgent(node, ClusterDns(self.lab.black_hole4, NAMESPACE)).start()
        wait_for_trust(node)
        node.pull(f"{REPOSITORY}:1")
        assert_came_by_mirror(self, node, f"{REPOSITORY}:1", "origin")


class LeastPrivilegeTest(AgentTest):
    """Three capabilities instead of a privileged container, and a cluster whose DNS never answers."""

    @classmethod
    def build(cls):
        cls.origin = cls.lab.origin(cdn=cls.lab.cdn())
        cls.origin.publish(image.synthetic(seed="least privilege"), "library/demo", "1")
        cls.node = cls.lab.node("a")
        prepare(cls.node)
        cls.node.start_containerd("2.1")
        load_image(cls.node, container_image.archive_of(binary()))
        cls.node.agent = PodAgent(cls.node, ClusterDns(cls.lab.black_hole4, NAMESPACE),
                                  manifests.with_least_privilege()).start()

    def test_intercepts_and_lacks_nothing(self):
        agent = self.node.agent
        own = pathlib.Path(f"/proc/{agent.pid}/ns/cgroup").readlink()
        self.assertNotEqual(own, pathlib.Path("/proc/self/ns/cgroup").readlink())
        status = pathlib.Path(f"/proc/{agent.pid}/status").read_text(encoding="utf-8")
        # CAP_NET_ADMIN 12, CAP_SYS_PTRACE 19, CAP_BPF 39 (linux/capability.h).
        self.assertIn(f"CapEff:\t{1 << 12 | 1 << 19 | 1 << 39:016x}\n", status)
        wait_for_trust(self.node)
        self.node.pull(f"{REPOSITORY}:1")
        assert_came_by_mirror(self, self.node, f"{REPOSITORY}:1", "origin")
        done = agent.process.exec("hagring", "preflight", "--json")
        failures = [check for check in json.loads(done.stdout)["checks"]
                    if check["level"] == "failure"]
        self.assertEqual(failures, [])
        # Without CAP_SYS_PTRACE it says that it can't read containerd's environment, before it is trusted.
        self.assertNotIn("CAP_", agent.process.log_text())


class ContainerAgentTest(AgentTest):
    """Node a's agent is the DaemonSet's pod, node b's a process. The origin sends to another host for blobs, whose
    name only the nodes' own files tell; the cluster's DNS knows nothing but the headless Service."""

    @classmethod
    def build(cls):
        cls.origin = cls.lab.origin(cdn=cls.lab.cdn())
        for number in range(3):
            cls.origin.publish(image.synthetic((200_000, 6 << 20), seed=f"container {number}"),
                               "library/demo", str(number))
        cls.b = cls.lab.node("b", containerd="2.1")
        cls.b.start_agent()
        name = f"{manifests.of_kind('Service')['metadata']['name']}.{NAMESPACE}.svc.cluster.local"
        cls.dns = NameServer(cls.lab.host("dns"), zone={name: [cls.b.ipv4]})
        cls.a = cls.lab.node("a")
        prepare(cls.a)
        cls.a.start_containerd("2.1")
        load_image(cls.a, container_image.archive_of(binary()))
        cls.a.agent = PodAgent(cls.a, ClusterDns(cls.dns.host.ipv4, NAMESPACE)).start()
        for node in (cls.a, cls.b):
            wait_for_trust(node)

    def assert_probes_succeed(self):
        for probe in ("livenessProbe", "readinessProbe"):
            wait_until(lambda probe=probe: self.a.agent.probe(probe) == 200, 20, f"{probe} succeeds")

    def test_1_intercepts_the_containerd_that_runs_it(self):
        status = self.a.agent.status()
        self.assertEqual([client["pid"] for client in status["clients"]], [self.a.containerd.pid])
        self.assert_probes_succeed()
        self.a.pull(f"{REPOSITORY}:0")
        assert_came_by_mirror(self, self.a, f"{REPOSITORY}:0", "origin")
        self.a.verify_content(f"{REPOSITORY}:0", self.origin)

    def test_2_registries_names_are_the_hosts_and_nodes_names_the_clusters(self):
        asked = {query["name"] for query in self.dns.queries()}
        self.assertTrue(asked)
        service = manifests.of_kind("Service")["metadata"]["name"]
        self.assertEqual({name for name in asked if name.split(".")[0] != service}, set())

    def test_2_sees_what_the_host_mounts_later(self):
        self.a.run("sh", "-ec", "mkdir /run/disk && mount -t tmpfs tmpfs /run/disk && touch /run/disk/x")
        self.assertTrue(pathlib.Path(f"/proc/{self.a.agent.pid}/root/host/run/disk/x").exists())

    def test_3_gives_its_layers_to_other_nodes(self):
        self.a.agent.wait_until_told(f"{REPOSITORY}:0")
        self.b.pull(f"{REPOSITORY}:0")
        assert_came_by_mirror(self, self.b, f"{REPOSITORY}:0", f"peer {self.a.ipv4}:5000")
        self.b.pull(f"{REPOSITORY}:1")
        self.b.agent.wait_until_told(f"{REPOSITORY}:1")
        self.a.pull(f"{REPOSITORY}:1")
        assert_came_by_mirror(self, self.a, f"{REPOSITORY}:1", f"peer {self.b.ipv4}:5000")

    def test_4_commands_work_in_the_container(self):
        container = self.a.agent.process
        done = container.exec("hagring", "status")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(str(self.a.containerd.pid), done.stdout)
        done = container.exec("hagring", "preflight", "--json")
        checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
        self.assertEqual({name: check for name, check in checks.items()
                          if check["level"] == "failure"}, {})
        self.assertEqual(done.returncode, 0)
        self.assertIn("2.1", checks["containerd"]["found"])
        self.assertEqual(checks["bootstrap"]["level"], "ok", checks["bootstrap"])
        self.assertEqual(container.exec("hagring", "trust", "status").returncode, 0)

    def test_5_is_upgraded_beside_the_old_pod(self):
        old = self.a.agent
        new = PodAgent(self.a, ClusterDns(self.dns.host.ipv4, NAMESPACE))
        new.launch()
        self.a.agent = new
        new.wait_for(lambda status: status["pid"] == new.pid, 40, "the new pod's agent answers")
        wait_until(lambda: "waiting for SIGTERM" in old.process.log_text(), 20,
                   "the old pod's agent waits to be deleted")
        self.assertTrue(old.process.running(), "kubelet would start it again")
        self.assert_probes_succeed()
        self.a.pull(f"{REPOSITORY}:2")
        assert_came_by_mirror(self, self.a, f"{REPOSITORY}:2", "origin")
        old.process.stop()
        self.assertEqual(old.process.wait(), 0)
        self.assert_probes_succeed()

    def test_6_is_removed_without_a_trace(self):
        agent = self.a.agent
        agent.stop()
        self.assertEqual(agent.process.wait(), 0)
        places = ("/var/lib/hagring", "/run/hagring", "/etc/ssl/certs/hagring-node-ca.pem")
        for place in places:
            self.assertTrue(self.a.path(place).exists(), f"{place} isn't there to be removed")
        pod = manifests.pod_of(manifests.of_kind("DaemonSet", manifests.UNINSTALL))
        done = PodContainer(self.a, pod, pod["initContainers"][0], {}).run()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for place in (*places, "/sys/fs/bpf/hagring"):
            self.assertFalse(self.a.path(place).exists(), place)
        waiting = PodContainer(self.a, pod, pod["containers"][0], {}).start()
        wait_until(lambda: "waiting for SIGTERM" in waiting.log_text(), 20, "it waits")
        waiting.stop()
        self.assertEqual(waiting.wait(), 0)
        self.assertFalse(self.a.path("/run/hagring").exists())


if __name__ == "__main__":
    main()
