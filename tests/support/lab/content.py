# SPDX-License-Identifier: Apache-2.0
"""Checks what a node's containerd has stored, byte for byte."""

import hashlib
import json
import pathlib
from typing import Callable, NamedTuple, Optional

INDEXES = ("application/vnd.oci.image.index.v1+json",
           "application/vnd.docker.distribution.manifest.list.v2+json")


class ContentMismatch(AssertionError):
    """A node's content is missing, is not what its digest says, or not what the origin has."""


class Blob(NamedTuple):
    """One verified piece of an image."""

    digest: str
    size_bytes: int
    kind: str  #: "index", "manifest", "config" or "layer"


class _Walk:
    def __init__(self, store: pathlib.Path, original: Optional[Callable[[str], pathlib.Path]]):
        self._store = store
        self._original = original
        self.blobs: list[Blob] = []

    def present(self, digest: str) -> bool:
        return self._file(digest).exists()

    def _file(self, digest: str) -> pathlib.Path:
        algorithm, _, value = digest.partition(":")
        return self._store / "blobs" / algorithm / value

    def check(self, digest: str, kind: str, size: Optional[int] = None) -> bytes:
        """Verifies a blob; returns it if it's not a layer."""
        if not self.present(digest):
            raise ContentMismatch(f"The {kind} {digest} isn't in {self._store}.")
        data = self._file(digest).read_bytes()
        actual = "sha256:" + hashlib.sha256(data).hexdigest()
        if actual != digest:
            raise ContentMismatch(f"The {kind} {digest} has other bytes: they are {actual}.")
        if size is not None and len(data) != size:
            raise ContentMismatch(f"The {kind} {digest} has {len(data)} bytes, not {size}.")
        if self._original and self._original(digest).read_bytes() != data:
            raise ContentMismatch(f"The {kind} {digest} differs from the origin's bytes.")
        self.blobs.append(Blob(digest, len(data), kind))
        return data if kind != "layer" else b""

    def image(self, digest: str) -> None:
        """Walks an image from its index or manifest."""
        document = json.loads(self.check_document(digest))
        for platform in document.get("manifests", []):
            # Of an index, containerd fetches its own platform only.
            if self.present(platform["digest"]):
                self.image(platform["digest"])
        if "config" in document:
            self.check(document["config"]["digest"], "config", document["config"]["size"])
            for layer in document["layers"]:
                self.check(layer["digest"], "layer", layer["size"])
        if not any(blob.kind == "config" for blob in self.blobs):
            raise ContentMismatch(f"No platform of {digest} is in {self._store}.")

    def check_document(self, digest: str) -> bytes:
        """Verifies an index or a manifest, whichever it is."""
        data = self.check(digest, "manifest")
        if json.loads(data).get("mediaType") in INDEXES or "manifests" in json.loads(data):
            self.blobs[-1] = self.blobs[-1]._replace(kind="index")
        return data


def verify(store: pathlib.Path, digest: str,
           original: Optional[Callable[[str], pathlib.Path]] = None) -> list[Blob]:
    """Hashes every blob of the image `digest` in the content store `store` (containerd's
    …/io.containerd.content.v1.content), and compares it with the file `original(digest)` if given.
    Returns the blobs; ContentMismatch if any is missing or wrong."""
    walk = _Walk(store, original)
    walk.image(digest)
    return walk.blobs
