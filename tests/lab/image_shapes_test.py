# SPDX-License-Identifier: Apache-2.0
"""Images and artifacts of every shape, beside what containerd does with them by itself."""

import base64
import unittest

import schema1
from events import EventTest
from expectations import VERSIONS, wait_for_trust
from lab import image
from lab.cri import CallError
from lab.image import digest_of
from lab.registry_client import RegistryClient

HUB = "registry-1.docker.io"
FOREIGN = "foreign.lab.test"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"

HELM_CHART = image.artifact(
    "application/vnd.cncf.helm.config.v1+json", b'{"name": "app", "version": "1.0.0"}',
    "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
    image.gzipped(image.tar_of({"app/Chart.yaml": b"name: app\nversion: 1.0.0\n"})).data)
COSIGN_SIGNATURE = image.artifact(
    "application/vnd.oci.image.config.v1+json", b'{"architecture": "", "os": "", "config": {}}',
    "application/vnd.dev.cosign.simplesigning.v1+json",
    b'{"critical": {"type": "cosign container image signature"}, "optional": null}',
    {"dev.cosignproject.cosign/signature": "MEUCIQ=="}.items())


class ImageShapesTest(EventTest):
    """A node that has content, one on each containerd that asks, and the same without an agent."""

    @classmethod
    def build(cls):
        cls.foreign = cls.lab.origin("foreign", names=[FOREIGN], plain_names=[])
        cls.origin = cls.lab.origin()
        cls.has = cls.member("has")
        cls.nodes = cls.member_of_each_version(cls.has)
        cls.bare = {version: cls.lab.node(f"bare-{version}", containerd=version)
                    for version in VERSIONS}

    def publish(self, made: image.Image, repository: str) -> str:
        """Publishes as tag 1; the image's name."""
        self.origin.publish(made, repository, "1")
        return f"docker.io/{repository}:1"

    def first_node_has(self, name: str, **options) -> None:
        """Has it pulled there, and known to the mesh."""
        self.assertEqual(self.pull(self.has, name, **options).error, "")
        self.has.agent.wait_until_told(name)

    def bare_error(self, version: str, name: str) -> str:
        """What containerd tells of it without an agent; "" if it can pull it."""
        try:
            self.bare[version].pull(name)
            return ""
        except CallError as error:
            return error.details

    def assert_as_without_agent(self, name: str, **options) -> dict[str, str]:
        """Asserts that each containerd does the same with an agent as without; the errors by version."""
        errors = {version: self.bare_error(version, name) for version in VERSIONS}
        self.for_each(self.pull_on_all(self.nodes, name, **options), lambda outcome:
                      self.assertEqual(outcome.error, errors[outcome.node.containerd.version]))
        return errors

    def test_multi_platform_index(self):
        for kind, docker in (("docker", True), ("oci", False)):
            with self.subTest(kind):
                name = self.publish(image.synthetic(seed=kind, docker=docker, index=True),
                                    f"index/{kind}")
                self.first_node_has(name)
                self.for_each(self.pull_on_all(self.nodes, name),
                              lambda outcome: self.assert_from_peers(outcome, name))

    def test_foreign_layers(self):
        base, other = (image.random_layer(200_000, f"foreign/{i}") for i in (1, 2))
        self.foreign.publish(image.assemble([other]), "layers", "1")
        made = image.assemble([base, other._replace(
            media_type="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            urls=(f"https://{FOREIGN}/v2/layers/blobs/{other.digest}",))])
        name = self.publish(made, "windows/app")
        self.first_node_has(name, compare=False)

        def check(outcome):
            self.assertEqual(outcome.error, "")
            self.assertEqual([r for r in outcome.requests if r.method == "GET"], [])
            self.assertTrue(outcome.sources[base.digest].startswith("peer"))
        self.for_each(self.pull_on_all(self.nodes, name, compare=False), check)

    def test_schema_1(self):
        layer = image.random_layer(100_000, "schema 1")
        self.origin.publish(image.assemble([layer]), "legacy/app", "other")
        digest, text = schema1.manifest("legacy/app", "1", layer)
        file = self.origin.folder / "schema1.json"
        file.write_bytes(text)
        self.origin.set_faults(schema1.location("legacy/app", digest, file))
        self.addCleanup(self.origin.set_faults, "")
        # containerd stores what it makes of it: there is no blob of that digest to compare.
        errors = self.assert_as_without_agent("docker.io/legacy/app:1", compare=False)
        self.assertEqual((errors["1.6"], errors["1.7"]), ("", ""))
        self.assertRegex(errors["2.1"], "schema 1|prettyjws")

    def test_artifact_as_an_image(self):
        # As for an image volume. containerd 1.6 has no use for what it can't unpack.
        for kind, made in (("chart", HELM_CHART), ("signature", COSIGN_SIGNATURE)):
            with self.subTest(kind):
                name = self.publish(made, f"artifacts/{kind}")
                self.first_node_has(name)
                since = self.origin.now()
                errors = self.assert_as_without_agent(name)
                self.assertRegex(errors["1.6"], "mismatched image rootfs and manifest layers")
                self.assertEqual((errors["1.7"], errors["2.1"]), ("", ""))
                self.assertEqual([r for node in self.nodes for r in self.origin.requests(since, node)
                                  if r.is_blob], [])

    def test_layer_of_no_byte(self):
        made = image.assemble([image.random_layer(50_000, "beside it"),
                               image.Layer(b"", digest_of(b""), 0, digest_of(b""))])
        errors = self.assert_as_without_agent(self.publish(made, "tiny/layer"))
        for error in errors.values():
            self.assertIn("reports content size of zero", error)


class ContentTest(EventTest):
    """What no image needs, but clients of the distribution API ask for: by a redirected client."""

    @classmethod
    def build(cls):
        cls.origin = cls.lab.origin()
        cls.has = cls.member("has")
        cls.node = cls.lab.node("n")
        cls.client = RegistryClient(cls.node)
        # No containerd commits what is read here: what the herd keeps until then is in the way.
        cls.node.start_agent(peers=[cls.has], arguments=["--herd", "false"])
        wait_for_trust(cls.node, cls.client.pid)
        cls.has.agent.wait_for_mesh(1)

    def ask(self, path: str, method: str = "GET", **headers):
        """(status, headers, body, source)."""
        answer = self.client.ask("message", address=self.origin.ipv4, host=HUB, path=path,
                                 method=method, headers=headers)
        fields = {name.lower(): value for name, value in answer["headers"]}
        return (answer["status"], fields, base64.b64decode(answer["body"]),
                self.node.agent.status()["recent"][0]["source"])

    def assert_reads(self, path: str, data: bytes, source: str) -> None:
        """Asserts what GET and HEAD say of content."""
        status, fields, body, came_from = self.ask(path)
        self.assertEqual((status, body, fields["content-length"]), (200, data, str(len(data))))
        self.assertTrue(came_from.startswith(source), came_from)
        status, fields, body, _ = self.ask(path, "HEAD")
        self.assertEqual((status, body, fields["content-length"]), (200, b"", str(len(data))))

    def test_blobs_of_no_byte_and_of_one(self):
        for data in (b"", b"1"):
            made = image.artifact("application/vnd.oci.empty.v1+json", b"{}", "text/plain", data)
            self.origin.publish(made, "tiny/app", str(len(data)))
            path = f"/v2/tiny/app/blobs/{digest_of(data)}"
            with self.subTest(size=len(data), by="origin"):
                self.assert_reads(path, data, "origin")
            # containerd fetches no blob of no byte: it must be given it.
            self.has.containerd.ctr("content", "ingest", f"tiny-{len(data)}", input_text=data.decode())
            self.has.containerd.ctr("content", "label", digest_of(data), "containerd.io/gc.root=lab")
            self.has.agent.wait_until_told(digest_of(data))
            self.origin.set_faults("location ~ /blobs/ { return 404; }")
            self.addCleanup(self.origin.set_faults, "")
            with self.subTest(size=len(data), by="peer"):
                self.assert_reads(path, data, "peer")
                status, _, body, _ = self.ask(path, Range="bytes=0-")
                self.assertEqual((status, body), (206, data) if data else (200, b""))
            self.origin.set_faults("")

    def test_artifacts_from_a_peer(self):
        for kind, made in (("chart", HELM_CHART), ("signature", COSIGN_SIGNATURE)):
            with self.subTest(kind):
                self.origin.publish(made, f"artifacts/{kind}", "1")
                # ctr is no client of the agent's: it goes to the origin by itself.
                self.has.containerd.ctr("content", "fetch", f"docker.io/artifacts/{kind}:1")
                self.has.agent.wait_until_told(f"docker.io/artifacts/{kind}:1", *made.blobs)
                since = self.origin.now()
                status, fields, body, _ = self.ask(f"/v2/artifacts/{kind}/manifests/1",
                                                   Accept=OCI_MANIFEST)
                self.assertEqual((status, fields["content-type"], digest_of(body)),
                                 (200, OCI_MANIFEST, made.digest))
                for digest in set(made.blobs) - made.manifests:
                    self.assert_reads(f"/v2/artifacts/{kind}/blobs/{digest}", made.blobs[digest],
                                      "peer")
                self.assertEqual([r.path for r in self.origin.requests(since, self.node)
                                  if r.is_blob], [])


if __name__ == "__main__":
    unittest.main()
