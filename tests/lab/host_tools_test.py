# SPDX-License-Identifier: Apache-2.0
"""The lab's parts that need no lab: apt's source lists, the wire format, image names."""

import pathlib
import tempfile
import unittest

from lab import apt, image, protobuf
from lab.testing import main


class AptSources(unittest.TestCase):
    """The archive's address comes from the machine, whichever format it writes."""

    def _source(self, **files) -> apt.Source:
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "sources.list.d").mkdir()
            for name, text in files.items():
                path = "sources.list" if name == "list" else f"sources.list.d/{name.replace('_', '.')}"
                (pathlib.Path(folder) / path).write_text(text, encoding="utf-8")
            return apt.debian_source(folder)

    def test_one_line(self):
        source = self._source(list="# deb http://no.example/ bookworm main\n"
                              "deb-src http://src.example/ bookworm main\n"
                              "deb http://security.example/ bookworm-security main\n"
                              "deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian "
                              "bookworm main\n")
        self.assertEqual(source, apt.Source("http://mirror.example/debian", "/k.gpg"))

    def test_deb822(self):
        source = self._source(
            debian_sources="Types: deb\nURIs: http://security.example/\nSuites: bookworm-security\n"
            "Components: main\n\nTypes: deb\n# a comment\nURIs:\n http://mirror.example/debian\n"
            "Suites: bookworm bookworm-updates\nComponents: main\n",
            off_sources="Enabled: no\nTypes: deb\nURIs: http://off.example/\nSuites: bookworm\n"
            "Components: main\n", other_list="deb http://other.example/apt stuff main\n")
        self.assertEqual(source, apt.Source("http://mirror.example/debian", apt.KEYRING))

    def test_none(self):
        with self.assertRaisesRegex(apt.AptError, "names no Debian archive"):
            self._source()


class Protobuf(unittest.TestCase):
    """The wire format, there and back."""

    def test_round_trip(self):
        data = protobuf.encode([(1, "a"), (2, [(1, "b"), (3, 300)]), (4, True), (5, 1 << 40), (1, "c")])
        fields = protobuf.decode(data)
        self.assertEqual(protobuf.texts(fields, 1), ["a", "c"])
        self.assertEqual(protobuf.message(fields, 2)[3], [300])
        self.assertEqual((fields[4], fields[5]), ([1], [1 << 40]))
        self.assertEqual(protobuf.text(fields, 9), "")

    def test_known_bytes(self):
        # The examples of protobuf.dev/programming-guides/encoding.
        self.assertEqual(protobuf.encode([(1, 150)]), bytes.fromhex("089601"))
        self.assertEqual(protobuf.encode([(2, "testing")]), bytes.fromhex("120774657374696e67"))
        self.assertEqual(protobuf.encode([(3, [(1, 150)])]), bytes.fromhex("1a03089601"))

    def test_image_names(self):
        for typed, full in (("nginx", "docker.io/library/nginx:latest"),
                            ("a/b:1", "docker.io/a/b:1"),
                            ("ghcr.io/a/b@sha256:0", "ghcr.io/a/b@sha256:0"),
                            ("localhost:5000/a", "localhost:5000/a:latest")):
            self.assertEqual(image.full_name(typed), full)


if __name__ == "__main__":
    main()
