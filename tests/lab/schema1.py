# SPDX-License-Identifier: Apache-2.0
"""Images as registries had them before 2016: manifest schema 1, signed in its own way."""

import base64
import json

from lab import image

MEDIA_TYPE = "application/vnd.docker.distribution.manifest.v1+prettyjws"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def manifest(repository: str, tag: str, layer: image.Layer) -> tuple[str, bytes]:
    """The (digest, text) of an image of one layer. Its digest is that of what is signed: of the text
    without the signatures (docker/libtrust, "pretty signature")."""
    v1 = {"id": layer.digest[7:], "architecture": image.architecture(), "os": "linux",
          "created": image.EPOCH, "config": {}}
    payload = json.dumps({
        "schemaVersion": 1, "name": repository, "tag": tag, "architecture": image.architecture(),
        "fsLayers": [{"blobSum": layer.digest}],
        "history": [{"v1Compatibility": json.dumps(v1)}]}, indent=3)
    tail = "\n}"
    protected = json.dumps({"formatLength": len(payload) - len(tail),
                            "formatTail": _base64url(tail.encode()), "time": image.EPOCH})
    signatures = [{"header": {"alg": "ES256", "jwk": {"kty": "EC", "crv": "P-256", "kid": "lab"}},
                   "signature": _base64url(b"nobody looks at it"),
                   "protected": _base64url(protected.encode())}]
    signed = f'{payload.removesuffix(tail)},\n   "signatures": {json.dumps(signatures)}{tail}'
    return image.digest_of(payload.encode()), signed.encode()


def location(repository: str, digest: str, file) -> str:
    """nginx's location by which an origin serves the text in `file`."""
    return f"""location ~ ^/v2/{repository}/manifests/ {{
  types {{}} default_type {MEDIA_TYPE}; add_header Docker-Content-Digest {digest}; alias "{file}"; }}"""
