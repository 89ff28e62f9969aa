# SPDX-License-Identifier: Apache-2.0
"""The origin: names, ports, faults, and a log that can be trusted."""

from lab import image
from lab.cri import CallError
from lab.testing import LabTest, main


class OriginTest(LabTest):
    """One origin, one bare client."""

    @classmethod
    def build(cls):
        cls.origin = cls.lab.origin(names=["registry-1.docker.io", "ghcr.io"], tls_ports=[443, 8443])
        cls.client = cls.lab.node("client")
        cls.image = image.synthetic([10_000, 2_000_000], seed="origin")
        cls.origin.publish(cls.image, "library/demo", "1")
        cls.blob = max(cls.image.blobs, key=lambda d: len(cls.image.blobs[d]))
        cls.path = f"/v2/library/demo/blobs/{cls.blob}"

    def setUp(self):
        super().setUp()
        if not self.origin.running():
            self.origin.start()
        self.addCleanup(lambda: self.origin.set_faults(""))

    def _get(self, url: str, *options) -> str:
        return self.client.curl("-o", "/dev/null", "-w", "%{http_code} %{size_download}", *options,
                                url, check=False).stdout

    def test_answers_under_all_names_and_ports(self):
        size = len(self.image.blobs[self.blob])
        for base in ("https://registry-1.docker.io", "https://ghcr.io", "https://ghcr.io:8443",
                     "http://plain.lab.test", "http://plain.lab.test:5000"):
            for family in ("-4", "-6"):
                since = self.origin.now()
                self.assertEqual(self._get(base + self.path, family), f"200 {size}", base)
                request, = self.origin.requests(since, self.client)
                self.assertEqual((request.method, request.path, request.status, request.bytes,
                                  request.complete), ("GET", self.path, 200, size, True))
                self.assertEqual(request.remote, getattr(self.client, f"ipv{family[1]}"))
        self.assertGreaterEqual(self.origin.bytes_sent(), 10 * size)

    def test_serves_ranges(self):
        since = self.origin.now()
        self.assertEqual(self._get(f"https://ghcr.io{self.path}", "-r", "1000-"),
                         f"206 {len(self.image.blobs[self.blob]) - 1000}")
        self.assertEqual(self.origin.requests(since)[0].range, "bytes=1000-")

    def test_faults(self):
        self.origin.set_faults("location ~ /blobs/ { return 429; }")
        self.assertTrue(self._get(f"https://ghcr.io{self.path}").startswith("429"))
        self.assertTrue(self._get("https://ghcr.io/v2/library/demo/manifests/1").startswith("200"))
        self.origin.set_faults("")
        self.assertTrue(self._get(f"https://ghcr.io{self.path}").startswith("200"))

    def test_down_and_up_again(self):
        self.origin.stop()
        self.assertTrue(self._get(f"https://ghcr.io{self.path}").startswith("000"))
        before = len(self.origin.requests())
        self.origin.start()
        self.assertTrue(self._get(f"https://ghcr.io{self.path}").startswith("200"))
        self.assertEqual(len(self.origin.requests()), before + 1)

    def test_a_tag_can_go(self):
        self.origin.publish(self.image, "library/gone", "1")
        self.origin.unpublish("library/gone", "1")
        self.assertTrue(self._get("https://ghcr.io/v2/library/gone/manifests/1").startswith("404"))

    def test_a_pull_fails_when_it_fails(self):
        self.client.start_containerd("2.1")
        self.origin.set_faults("location ~ /blobs/ { return 502; }")
        with self.assertRaises(CallError) as caught:
            self.client.pull("docker.io/library/demo:1")
        self.assertIn("502", caught.exception.details)
        self.origin.set_faults("")
        self.client.pull("docker.io/library/demo:1")
        self.client.verify_content("demo:1", self.origin)


if __name__ == "__main__":
    main()
