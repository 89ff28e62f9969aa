# SPDX-License-Identifier: Apache-2.0
"""A node with ten thousand images: the agent starts, tells the mesh of them, serves them, and stays small."""

import concurrent.futures
import hashlib
import io
import json
import pathlib
import tarfile
import time
import unittest

from expectations import assert_no_content_from_origin, wait_for_trust
from lab import cri, image
from lab.containerd import SOCKET
from lab.testing import AgentTest

IMAGES = 10_000
#: Of these manifests; containerd takes some milliseconds for each blob.
MANIFESTS = 1_000
#: Of a namespace that CRI doesn't look at, which takes a minute for so many at each start.
NAMESPACE = "many"
_IMAGES_CREATE = "/containerd.services.images.v1.Images/Create"
#: What the agent may take of memory.
MOST_PSS_MIB = 100
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def name_of(number: int) -> str:
    """An image's name."""
    return f"docker.io/many/app{number}:1"


def archive(path: pathlib.Path) -> list[tuple[str, int]]:
    """An OCI image layout (tar) of MANIFESTS images, with one layer and one configuration for all; the
    manifests' digests and sizes."""
    one = image.synthetic((20_000,), seed="many", docker=False)
    manifest = json.loads(one.blobs[one.digest])
    manifests = []
    with tarfile.open(path, "w") as tar:
        def add(name: str, data: bytes) -> None:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))

        add("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        for digest, data in one.blobs.items():
            if digest != one.digest:
                add(f"blobs/sha256/{digest[7:]}", data if isinstance(data, bytes) else data.read_bytes())
        for number in range(MANIFESTS):
            data = json.dumps(manifest | {"annotations": {"number": str(number)}}).encode()
            manifests.append(("sha256:" + hashlib.sha256(data).hexdigest(), len(data)))
            add(f"blobs/sha256/{manifests[-1][0][7:]}", data)
        add("index.json", json.dumps({"schemaVersion": 2, "manifests": [
            {"mediaType": _MANIFEST, "digest": digest, "size": size,
             "annotations": {"io.containerd.image.name": name_of(number)}}
            for number, (digest, size) in enumerate(manifests)]}).encode())
    return manifests


def fill(node) -> None:
    """Puts them into the node's containerd."""
    file = node.folder / "many.tar"
    manifests = archive(file)
    node.containerd.ctr("images", "import", "--local", "--no-unpack", str(file), timeout_s=120,
                        namespace=NAMESPACE)
    file.unlink()
    client = cri.Client(node.path(SOCKET), NAMESPACE)

    def name(number: int) -> None:
        digest, size = manifests[number % MANIFESTS]
        client.call(_IMAGES_CREATE, [(1, [
            (1, name_of(number)), (3, [(1, _MANIFEST), (2, digest), (3, size)])])])

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for _ in pool.map(name, range(MANIFESTS, IMAGES)):
            pass
    client.close()


def pss_mib(pid: int) -> float:
    """A process's share of memory."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
    return next(int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("Pss:"))


class ManyImagesTest(AgentTest):
    """Two nodes; the first has them all."""

    @classmethod
    def build(cls):
        cls.origin = cls.lab.origin()
        cls.a, cls.b = cls.lab.node("a"), cls.lab.node("b", containerd="2.1")
        # containerd syncs each blob.
        cls.a.keep_content_in_memory()
        cls.a.start_containerd("2.1")
        fill(cls.a)

    def test_starts_advertises_serves(self):
        self.b.start_agent(peers=[self.a])
        begin = time.monotonic()
        self.a.start_agent(peers=[self.b], arguments=["--containerd-namespace", NAMESPACE])
        wait_for_trust(self.a)
        trusted = time.monotonic() - begin
        self.a.agent.wait_for(lambda s: s["store"]["images"] >= IMAGES, 60, "it has seen them all")
        seen = time.monotonic() - begin
        last = name_of(IMAGES - 1)
        status = self.a.agent.wait_until_told(last)
        told = time.monotonic() - begin
        self.assertGreaterEqual(status["mesh"]["provided_keys"], IMAGES + MANIFESTS)
        wait_for_trust(self.b)
        since = self.origin.now()
        self.b.pull(last)
        assert_no_content_from_origin(self, self.origin, since, self.b)
        for node in (self.a, self.b):
            size = pss_mib(node.agent.pid)
            print(f"{node.name}: PSS {size:.0f} MiB")
            self.assertLess(size, MOST_PSS_MIB)
        print(f"trusted after {trusted:.1f} s, all seen after {seen:.1f} s, told after {told:.1f} s")


if __name__ == "__main__":
    unittest.main()
