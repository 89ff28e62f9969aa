# SPDX-License-Identifier: Apache-2.0
"""The distribution API through the mirror, beside the origin's own answers."""

import base64
import hashlib
import json
import unittest

from expectations import assert_came_by_mirror, is_trusted, wait_for_trust
from lab import Lab, image
from lab.image import digest_of
from lab.registry_client import RegistryClient

HUB = "registry-1.docker.io"
ACCEPT = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"

#: Of one connection or of one moment: may differ between two answers to the same request.
_VOLATILE = {"connection", "date", "keep-alive", "transfer-encoding", "docker-upload-uuid"}

#: What clients of the distribution API act on.
_MEANING = {"content-type", "content-length", "content-range", "docker-content-digest",
            "docker-distribution-api-version", "accept-ranges"}


class DistributionTest(unittest.TestCase):
    """A redirected client's requests, answered from a peer, by the origin, and straight."""

    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab())
        cls.origin = cls.lab.origin()
        cls.image = image.synthetic((70_000, 5 << 20), seed="api", docker=False, index=True)
        cls.origin.publish(cls.image, "library/demo", "1")
        cls.peer = cls.lab.node("peer", containerd="2.1")
        cls.peer.start_agent()
        cls.peer.pull("docker.io/library/demo:1")
        # Only the origin has this one.
        cls.other = image.synthetic((80_000,), seed="other", docker=False)
        cls.origin.publish(cls.other, "library/other", "1")
        cls.node = cls.lab.node("n")
        cls.client = RegistryClient(cls.node)
        # No containerd commits what is read here: what the herd keeps until then is in the way.
        cls.node.start_agent(peers=[cls.peer], arguments=["--herd", "false"])
        wait_for_trust(cls.node, cls.client.pid)
        cls.node.agent.wait_for_mesh(1)
        cls.peer.agent.wait_until_told("docker.io/library/demo:1")

    def ask(self, path: str, method: str = "GET", headers=None, body: bytes = b""):
        """(status, headers, body) by the mirror."""
        answer = self.client.ask("message", address=self.origin.ipv4, host=HUB, path=path,
                                 method=method, headers=headers or {},
                                 body=base64.b64encode(body).decode())
        self.assertIn("agring", answer["issuer"])
        fields = {name.lower(): value for name, value in answer["headers"]}
        return answer["status"], fields, base64.b64decode(answer["body"])

    def ask_origin(self, path: str, method: str = "GET", headers=None):
        """The same, past the mirror."""
        response = self.origin.http(method, path, headers={"Host": HUB} | (headers or {}))
        return (response.status, {n.lower(): v for n, v in response.getheaders()}, response.data)

    def source(self) -> str:
        return self.node.agent.status()["recent"][0]["source"]

    def assert_same(self, path: str, method: str = "GET", headers=None, fields=None):
        """Both answers mean the same; of `fields` None, all fields are."""
        by_mirror = self.ask(path, method, headers)
        straight = self.ask_origin(path, method, headers)
        self.assertEqual(by_mirror[0], straight[0], path)
        self.assertEqual(by_mirror[2], straight[2], path)

        def of_interest(answer):
            # Of manifests the mirror serves parts as well, and says so.
            ignored = _VOLATILE | ({"accept-ranges"} if fields and "/manifests/" in path else set())
            return {n: v for n, v in answer[1].items()
                    if n not in ignored and (fields is None or n in fields)}
        self.assertEqual(of_interest(by_mirror), of_interest(straight), f"{method} {path} {headers}")
        return by_mirror

    def blobs(self, made):
        manifests = made.manifests
        return [f"{'manifests' if d in manifests else 'blobs'}/{d}" for d in made.blobs]

    def test_reads_by_digest_from_a_peer(self):
        for what in self.blobs(self.image):
            for method in ("GET", "HEAD"):
                with self.subTest(method, what=what[:20]):
                    status, _, body = self.assert_same(f"/v2/library/demo/{what}", method,
                                                       {"Accept": ACCEPT}, _MEANING)
                    self.assertEqual(status, 200)
                    if method == "GET":
                        self.assertEqual(digest_of(body), what.split("/")[1])
                        self.assertTrue(self.source().startswith("peer"), self.source())

    def test_reads_by_digest_from_the_origin(self):
        for what in self.blobs(self.other):
            for method in ("GET", "HEAD"):
                with self.subTest(method, what=what[:20]):
                    self.assert_same(f"/v2/library/other/{what}", method, {"Accept": ACCEPT}, _MEANING)
                    self.assertEqual(self.source(), "origin")

    def test_ranges(self):
        # Those that can't be satisfied are in tests/registry: docker-registry answers them with the
        # length of the whole blob and a body of a few bytes.
        for repository, made in (("demo", self.image), ("other", self.other)):
            layer = made.layers[-1]
            size = len(made.blobs[layer])
            for value in ("bytes=0-", "bytes=1000-1999", f"bytes={size - 10}-", "bytes=-100",
                          f"bytes=5-{size + 5}"):
                with self.subTest(repository=repository, range=value):
                    self.assert_same(f"/v2/library/{repository}/blobs/{layer}",
                                     headers={"Range": value}, fields=_MEANING - {"content-type"})

    def test_reads_by_tag(self):
        for method in ("GET", "HEAD"):
            for tag, expected in (("1", 200), ("absent", 404)):
                with self.subTest(method, tag=tag):
                    status, _, _ = self.assert_same(f"/v2/library/demo/manifests/{tag}", method,
                                                    {"Accept": ACCEPT}, _MEANING)
                    self.assertEqual(status, expected)

    def test_everything_else_is_the_origins_own_answer(self):
        for path in ("/v2/", "/v2/library/demo/tags/list", "/v2/library/demo/tags/list?n=1",
                     f"/v2/library/demo/referrers/{self.image.digest}", "/v2/_catalog", "/nowhere",
                     "/v2/library/absent/tags/list"):
            with self.subTest(path):
                since = self.origin.now()
                self.assert_same(path)
                self.assertEqual(len(self.origin.requests(since, self.node)), 1)

    def test_absent_content_is_the_origins_refusal(self):
        absent = "sha256:" + "0" * 64
        for path in (f"/v2/library/demo/blobs/{absent}", f"/v2/library/demo/manifests/{absent}"):
            self.assertEqual(self.assert_same(path, fields=_MEANING)[0], 404)

    def test_identity_is_asked_for_by_digest_and_the_clients_fields_otherwise(self):
        mine = {"Accept-Encoding": "gzip", "Accept": ACCEPT, "User-Agent": "containerd/lab",
                "Authorization": "Bearer of-the-client"}
        layer, = self.other.layers
        for path, encoding in ((f"/v2/library/other/blobs/{layer}", "identity"),
                               (f"/v2/library/other/manifests/{self.other.digest}", "identity"),
                               ("/v2/library/other/manifests/1", "gzip"),
                               ("/v2/library/other/tags/list", "gzip")):
            with self.subTest(path):
                since = self.origin.now()
                self.ask(path, headers=mine)
                # A GET by tag is a HEAD, and a read by the digest that it told.
                # The agent asks by itself, too, without credentials, whether others may see that.
                request = next(request for request in self.origin.requests(since, self.node)
                               if request.authorization)
                self.assertEqual(
                    (request.accept_encoding, request.accept, request.agent, request.authorization),
                    (encoding, ACCEPT, "containerd/lab", "Bearer of-the-client"))

    def test_push(self):
        blob = hashlib.shake_256(b"pushed").digest(3 << 20)
        config = json.dumps({"architecture": "amd64", "os": "linux"}).encode()
        for data in (blob, config):
            status, fields, _ = self.ask("/v2/team/pushed/blobs/uploads/", "POST")
            self.assertEqual(status, 202)
            where = fields["location"].removeprefix(f"https://{HUB}")
            status, fields, _ = self.ask(where, "PATCH", {"Content-Type": "application/octet-stream"},
                                         data)
            self.assertEqual(status, 202)
            where = fields["location"].removeprefix(f"https://{HUB}")
            status, fields, _ = self.ask(f"{where}&digest={digest_of(data)}", "PUT")
            self.assertEqual((status, fields["docker-content-digest"]), (201, digest_of(data)))
        kind = "application/vnd.oci.image.manifest.v1+json"
        manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json", "size": len(config),
            "digest": digest_of(config)}, "layers": [{
                "mediaType": "application/vnd.oci.image.layer.v1.tar", "size": len(blob),
                "digest": digest_of(blob)}]}).encode()
        status, _, _ = self.ask("/v2/team/pushed/manifests/1", "PUT", {"Content-Type": kind}, manifest)
        self.assertEqual(status, 201)
        self.assertEqual(self.origin.blob_file(digest_of(blob)).read_bytes(), blob)
        self.assertEqual(self.ask_origin("/v2/team/pushed/manifests/1", headers={"Accept": kind})[2],
                         manifest)


TOKENS = """
location = /token {
  default_type application/json;
  return 200 '{"token": "lab-token", "access_token": "lab-token", "expires_in": 300}';
}
location /v2/ {
  if ($http_authorization != "Bearer lab-token") {
    add_header WWW-Authenticate 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io"' always;
    return 401 '{"errors": [{"code": "UNAUTHORIZED", "message": "the lab wants a token"}]}';
  }
  proxy_pass http://127.0.0.1:5001;
  proxy_set_header Host $http_host;
  proxy_set_header X-Forwarded-Proto $scheme;
}
"""


class TokenTest(unittest.TestCase):
    """A registry that wants tokens, as Docker Hub does."""

    def test_challenge_and_token_pass(self):
        for version in ("1.6", "1.7", "2.1"):
            with self.subTest(containerd=version), Lab() as lab:
                origin = lab.origin(names=[HUB, "auth.docker.io"])
                origin.publish(image.synthetic(seed="token"), "library/demo", "1")
                origin.set_faults(TOKENS)
                node = lab.node("n")
                node.start_agent()
                node.start_containerd(version)
                wait_for_trust(node)
                since = origin.now()
                node.pull("docker.io/library/demo:1", username="somebody", password="secret")
                assert_came_by_mirror(self, node, "docker.io/library/demo:1", "origin")
                requests = origin.requests(since, node)
                self.assertEqual(requests[0].status, 401)
                token = [r for r in requests if r.path.startswith("/token")]
                self.assertEqual({r.host for r in token}, {"auth.docker.io"})
                got = [r for r in requests if r.method == "GET" and r.status == 200 and r not in token]
                self.assertGreaterEqual(len(got), 4)
                self.assertEqual({r.authorization for r in got}, {"Bearer lab-token"})
                # The token's host is no registry: its connection passed, and no secret was written.
                status = node.agent.status()
                self.assertGreater(status["connections"]["spliced_not_mirrored"], 0)
                self.assertTrue(is_trusted(status, node.containerd.pid))
                for text in (node.agent.process.log_text(), str(status)):
                    self.assertNotIn("lab-token", text)


class DaemonPushTest(unittest.TestCase):
    """`ctr images push`, which containerd 2.1 does in the daemon (its transfer service)."""

    def test_push_by_containerd(self):
        with Lab() as lab:
            origin = lab.origin()
            made = image.synthetic((300_000, 2 << 20), seed="push")
            origin.publish(made, "library/demo", "1")
            node = lab.node("n")
            node.start_agent()
            node.start_containerd("2.1")
            wait_for_trust(node)
            node.pull("docker.io/library/demo:1")
            node.containerd.ctr("images", "tag", "docker.io/library/demo:1",
                                "docker.io/team/pushed:1")
            before = node.agent.status()["sources"]["passthrough"]["requests"]
            since = origin.now()
            node.containerd.ctr("images", "push", "docker.io/team/pushed:1")
            self.assertEqual(origin.http("GET", "/v2/team/pushed/manifests/1", headers={
                "Accept": "application/vnd.docker.distribution.manifest.v2+json"}).status, 200)
            writes = [r for r in origin.requests(since, node) if r.method in ("POST", "PUT", "PATCH")]
            self.assertTrue(writes)
            self.assertGreaterEqual(node.agent.status()["sources"]["passthrough"]["requests"] - before,
                                    len(writes))


if __name__ == "__main__":
    unittest.main()
