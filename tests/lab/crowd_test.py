# SPDX-License-Identifier: Apache-2.0
"""Much at once, and much in one piece."""

import concurrent.futures
import hashlib
import shutil
import unittest

from events import EventTest, peak_memory_kib
from lab import image

IMAGES = 50
#: More than 32 bits can count, and a bit that no block ends with.
LARGE_BYTES = (4 << 30) + (100 << 20) + 512
#: On two nodes, and in the origin's storage nothing of it: a file of holes.
LARGE_NEEDS_BYTES = 2 * LARGE_BYTES + (2 << 30)
#: What an agent may take for it: content streams.
MEMORY_LIMIT_KIB = 200 << 10


class CrowdTest(EventTest):
    """Two nodes."""

    @classmethod
    def build(cls):
        cls.origin = cls.lab.origin()
        cls.first = cls.member("first")
        cls.second = cls.member("second", cls.first)

    def test_fifty_images_at_once(self):
        for i in range(IMAGES):
            self.origin.publish(image.synthetic((30_000,), seed=f"crowd/{i}"), f"crowd/{i}", "1")
        names = [f"docker.io/crowd/{i}:1" for i in range(IMAGES)]

        def pull_all(node):
            with concurrent.futures.ThreadPoolExecutor(IMAGES) as pool:
                list(pool.map(node.pull, names))
            for name in names:
                node.verify_content(name, self.origin)
        since = self.origin.now()
        pull_all(self.first)
        # A HEAD by tag for each image, and each piece of content once.
        paths = [r.path for r in self.origin.requests(since, self.first) if r.method == "GET"]
        self.assertEqual(len(paths), len(set(paths)))
        self.assertEqual(len(paths), 3 * IMAGES)
        self.first.agent.wait_until_told(*names)
        since = self.origin.now()
        pull_all(self.second)
        self.assertEqual([r.path for r in self.origin.requests(since, self.second)
                          if r.method == "GET"], [])


def _large_layer(folder) -> image.Layer:
    """A small tar, and zeros, which a tar may end with: as large as can be and nothing to unpack."""
    file = folder / "large.tar"
    tar = image.tar_of({"small": b"and a large rest"})
    with open(file, "wb") as output:
        output.write(tar)
        output.truncate(LARGE_BYTES)
    hashed = hashlib.sha256(tar)
    zeros, left = bytes(1 << 24), LARGE_BYTES - len(tar)
    while left:
        hashed.update(zeros[:left])
        left -= min(left, len(zeros))
    digest = f"sha256:{hashed.hexdigest()}"
    return image.Layer(file, digest, LARGE_BYTES, digest,
                       media_type="application/vnd.oci.image.layer.v1.tar")


class LargeLayerTest(EventTest):
    """A layer of more than 4 GiB. It moves 9 GB to the disk."""

    @classmethod
    def build(cls):
        free = shutil.disk_usage(cls.lab.work).free
        if free < LARGE_NEEDS_BYTES:
            raise unittest.SkipTest(f"needs {LARGE_NEEDS_BYTES >> 30} GiB of disk, there are "
                                    f"{free >> 30}")
        cls.origin = cls.lab.origin()
        cls.first = cls.member("first")
        cls.second = cls.member("second", cls.first)

    def test_layer_of_more_than_4_gib(self):
        made = image.assemble([_large_layer(self.origin.folder)], docker=False)
        self.origin.publish(made, "large/app", "1")
        layer, = made.layers
        name = "docker.io/large/app:1"
        for node, source in ((self.first, "origin"), (self.second, "peer")):
            since = self.origin.now()
            node.pull(name, timeout_s=500)
            file = node.containerd.store / "blobs/sha256" / layer.split(":")[1]
            # containerd has hashed it when it committed it.
            self.assertEqual(file.stat().st_size, LARGE_BYTES)
            sent = [r.bytes for r in self.origin.requests(since, node) if layer in r.path]
            self.assertEqual(sent, [LARGE_BYTES] if source == "origin" else [])
            node.agent.wait_until_told(name)
            self.assertLess(peak_memory_kib(node.agent.pid), MEMORY_LIMIT_KIB)


if __name__ == "__main__":
    unittest.main()
