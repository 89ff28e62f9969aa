# SPDX-License-Identifier: Apache-2.0
"""The lab proves itself: containerd without an agent pulls from the origin, and tests can tell."""

from lab import content, image, wait_until
from lab.containerd import CONFIG, config_with
from lab.cri import CallError
from lab.testing import LabTest, main


class _Pull:
    version = ""

    @classmethod
    def build(cls):
        cls.origin = cls.lab.origin()
        cls.node = cls.lab.node("a", containerd=cls.version)

    def test_pulls_from_the_origin(self):
        for kind, options in (("docker", {}), ("oci", {"docker": False}), ("index", {"index": True})):
            with self.subTest(kind):
                made = image.synthetic([50_000, 300_000], seed=f"{self.version}/{kind}", **options)
                self.origin.publish(made, "library/demo", kind)
                since = self.origin.now()
                self.node.pull(f"docker.io/library/demo:{kind}")
                blobs = self.node.verify_content(f"demo:{kind}", self.origin)
                self.assertEqual({b.digest for b in blobs}, set(made.blobs))
                requests = self.origin.requests(since, self.node)
                self.assertTrue(all(r.status == 200 and r.complete for r in requests), requests)
                got = {r.path.rsplit("/", 1)[1] for r in requests if r.method == "GET"}
                self.assertEqual(got, set(made.blobs))
                self.assertTrue(all(f"containerd/{self.version}." in r.agent.replace("/v", "/")
                                    for r in requests), requests)

    def test_has_no_configuration_file(self):
        self.assertFalse(self.node.path(CONFIG).exists())
        self.assertIn(self.version, self.node.containerd.client.cri_version()[1])

    def test_image_service(self):
        client = self.node.containerd.client
        self.origin.publish(image.synthetic([1000], seed="service"), "library/service", "1")
        name = "docker.io/library/service:1"
        self.assertIsNone(client.image_status(name))
        self.assertEqual(self.node.pull(name), client.image_status(name).id)
        self.assertIn(name, [tag for found in client.list_images() for tag in found.tags])
        self.node.containerd.ctr("images", "tag", name, "docker.io/library/other:2")
        self.assertIn("docker.io/library/other:2", client.image_names())
        client.remove_image(name)
        self.assertIsNone(client.image_status(name))

    def test_errors_carry_the_message(self):
        with self.assertRaises(CallError) as caught:
            self.node.pull("docker.io/library/absent:1")
        self.assertIn("docker.io/library/absent:1", caught.exception.details)

    def test_wrong_bytes_are_noticed(self):
        made = image.synthetic([2000], seed="wrong")
        self.origin.publish(made, "library/wrong", "1")
        self.node.pull("docker.io/library/wrong:1")
        victim = next(d for d in made.blobs if d not in made.manifests)
        path = self.node.containerd.store / "blobs" / "sha256" / victim.split(":")[1]
        right = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
        with self.assertRaises(content.ContentMismatch):
            self.node.verify_content("wrong:1", self.origin)
        path.write_bytes(right)
        self.node.verify_content("wrong:1", self.origin)

    def test_restart_has_another_pid_and_keeps_images(self):
        self.origin.publish(image.synthetic([3000], seed="restart"), "library/restart", "1")
        self.node.pull("docker.io/library/restart:1")
        for how in (self.node.containerd.stop, self.node.containerd.kill):
            before = self.node.containerd.pid
            how()
            self.node.containerd.start()
            self.assertNotEqual(before, self.node.containerd.pid)
            self.assertIsNotNone(
                self.node.containerd.client.image_status("docker.io/library/restart:1"))

    def test_plain_http_by_configuration(self):
        node = self.lab.node(f"plain{self.version.replace('.', '')}")
        node.write("/etc/containerd/certs.d/plain.lab.test:5000/hosts.toml",
                   '[host."http://plain.lab.test:5000"]\n')
        node.start_containerd(self.version, config_with(self.version, "/etc/containerd/certs.d"))
        self.origin.publish(image.synthetic([4000], seed="plain"), "team/app", "1")
        since = self.origin.now()
        node.pull("plain.lab.test:5000/team/app:1")
        node.verify_content("plain.lab.test:5000/team/app:1", self.origin)
        self.assertEqual({r.port for r in self.origin.requests(since, node)}, {5000})
        self.lab.remove(node)

    def test_discarded_layers_by_configuration(self):
        node = self.lab.node(f"discard{self.version.replace('.', '')}")
        node.start_containerd(self.version, config_with(self.version, discard_unpacked_layers=True))
        made = image.synthetic([5000], seed="discard")
        self.origin.publish(made, "library/discard", "1")
        node.pull("docker.io/library/discard:1")
        blobs = node.containerd.store / "blobs" / "sha256"
        layers = {digest.split(":")[1] for digest in made.layers}
        wait_until(lambda: not layers & {path.name for path in blobs.iterdir()}, 20,
                   "the unpacked layers are collected")
        self.assertEqual({f"sha256:{path.name}" for path in blobs.iterdir()},
                         set(made.blobs) - set(made.layers))
        self.lab.remove(node)


class Containerd16(_Pull, LabTest):
    version = "1.6"


class Containerd17(_Pull, LabTest):
    version = "1.7"


class Containerd21(_Pull, LabTest):
    version = "2.1"


if __name__ == "__main__":
    main()
