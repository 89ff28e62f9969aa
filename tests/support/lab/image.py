# SPDX-License-Identifier: Apache-2.0
"""Images made by the lab: deterministic, no build tool."""

import gzip
import hashlib
import io
import json
import pathlib
import platform
import random
import tarfile
from typing import Iterable, NamedTuple, Sequence, Union

Bytes = Union[bytes, pathlib.Path]

_BLOCK = 1 << 24

EPOCH = "2025-01-01T00:00:00Z"

_DOCKER = {
    "manifest": "application/vnd.docker.distribution.manifest.v2+json",
    "index": "application/vnd.docker.distribution.manifest.list.v2+json",
    "config": "application/vnd.docker.container.image.v1+json",
    "layer": "application/vnd.docker.image.rootfs.diff.tar.gzip",
}
_OCI = {
    "manifest": "application/vnd.oci.image.manifest.v1+json",
    "index": "application/vnd.oci.image.index.v1+json",
    "config": "application/vnd.oci.image.config.v1+json",
    "layer": "application/vnd.oci.image.layer.v1.tar+gzip",
}


def full_name(image: str) -> str:
    """The name that containerd stores for what a person types: docker.io/library/nginx:latest for
    nginx."""
    first, slash, _ = image.partition("/")
    if not slash:
        image = f"docker.io/library/{image}"
    elif not ("." in first or ":" in first or first == "localhost"):
        image = f"docker.io/{image}"
    if "@" not in image and ":" not in image.rsplit("/", 1)[1]:
        image += ":latest"
    return image


def architecture() -> str:
    """This machine's architecture, as images call it."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def digest_of(data: bytes) -> str:
    """sha256:…"""
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Layer(NamedTuple):
    """A layer: its gzipped tar, that one's digest and size, and the plain tar's digest."""

    data: Bytes
    digest: str
    size_bytes: int
    diff_id: str
    media_type: str = ""  #: if it isn't the usual one
    urls: tuple = ()  #: of a foreign layer: where it is instead of in the registry


class Image(NamedTuple):
    """An image: its blobs by digest, and the digest of the document that a tag names."""

    digest: str
    blobs: dict[str, Bytes]
    manifests: frozenset  #: the digests of manifests and indexes
    layers: tuple[str, ...]  #: the layers' digests, the lowest first

    @property
    def total_bytes(self) -> int:
        """The size of all blobs together."""
        return sum(_size(data) for data in self.blobs.values())


def _size(data: Bytes) -> int:
    return len(data) if isinstance(data, bytes) else data.stat().st_size


def gzipped(tar: bytes, level: int = 6) -> Layer:
    """A layer from a tar's bytes."""
    data = gzip.compress(tar, level, mtime=0)
    return Layer(data, digest_of(data), len(data), digest_of(tar))


def tar_of(files: dict[str, bytes], mode: int = 0o644) -> bytes:
    """A tar of regular files by path."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def random_layer(size_bytes: int, seed: object) -> Layer:
    """A layer of about `size_bytes` that doesn't compress, the same for the same seed."""
    source = random.Random(f"{seed}/{size_bytes}")
    # Random makes 256 MiB at the most at once.
    data = b"".join(source.randbytes(min(_BLOCK, size_bytes - start))
                    for start in range(0, size_bytes, _BLOCK))
    # Stored: deflate would come to the same after 20 times as long.
    return gzipped(tar_of({f"data-{digest_of(data)[7:19]}": data}), 0)


def _document(value: dict) -> bytes:
    return json.dumps(value, indent=1).encode()


def assemble(layers: Sequence[Layer], docker: bool = True, config: Iterable = (),
             index: bool = False) -> Image:
    """An image of these layers for this machine's architecture: Docker schema 2 or OCI, with a
    multi-platform index above it if `index` (another platform's manifest is named and absent)."""
    kinds = _DOCKER if docker else _OCI
    document = _document({
        "architecture": architecture(), "os": "linux", "created": EPOCH, "config": dict(config),
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [{"created": EPOCH, "created_by": "lab"} for _ in layers]})
    blobs: dict[str, Bytes] = {layer.digest: layer.data for layer in layers if not layer.urls}
    blobs[digest_of(document)] = document
    manifest = _document({
        "schemaVersion": 2, "mediaType": kinds["manifest"],
        "config": {"mediaType": kinds["config"], "size": len(document), "digest": digest_of(document)},
        "layers": [_layer_entry(layer, kinds["layer"]) for layer in layers]})
    blobs[digest_of(manifest)] = manifest
    top = digest_of(manifest)
    manifests = {top}
    if index:
        other = "s390x" if architecture() != "s390x" else "amd64"
        absent = digest_of(b"no such platform" + manifest)
        listing = _document({"schemaVersion": 2, "mediaType": kinds["index"], "manifests": [
            _entry(kinds, absent, len(manifest), other),
            _entry(kinds, top, len(manifest), architecture())]})
        top = digest_of(listing)
        blobs[top] = listing
        manifests.add(top)
    return Image(top, blobs, frozenset(manifests), tuple(layer.digest for layer in layers))


def _layer_entry(layer: Layer, media_type: str) -> dict:
    entry = {"mediaType": layer.media_type or media_type, "size": layer.size_bytes,
             "digest": layer.digest}
    return entry | ({"urls": list(layer.urls)} if layer.urls else {})


def artifact(config_type: str, config: bytes, media_type: str, data: bytes, annotations=()) -> Image:
    """An OCI artifact, nothing to run: a config of one type and one blob of another."""
    manifest = _document({
        "schemaVersion": 2, "mediaType": _OCI["manifest"],
        "config": {"mediaType": config_type, "size": len(config), "digest": digest_of(config)},
        "layers": [{"mediaType": media_type, "size": len(data), "digest": digest_of(data),
                    "annotations": dict(annotations)}]})
    blobs = {digest_of(part): part for part in (config, data, manifest)}
    return Image(digest_of(manifest), blobs, frozenset({digest_of(manifest)}), (digest_of(data),))


def _entry(kinds: dict, digest: str, size: int, arch: str) -> dict:
    return {"mediaType": kinds["manifest"], "digest": digest, "size": size,
            "platform": {"architecture": arch, "os": "linux"}}


def synthetic(layer_sizes: Sequence[int] = (100_000, 400_000), seed: object = 0, docker: bool = True,
              index: bool = False) -> Image:
    """A small image of random bytes: one layer of each size, all of it determined by `seed`."""
    layers = [random_layer(size, f"{seed}/{i}") for i, size in enumerate(layer_sizes)]
    return assemble(layers, docker, index=index)
