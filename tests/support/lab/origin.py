# SPDX-License-Identifier: Apache-2.0
"""An origin registry: Debian's docker-registry behind nginx, under the public registries' own names."""

import os
import pathlib
import shutil
from typing import Optional, Sequence

from . import binaries
from .access_log import Request
from .front import Front
from .image import Image
from .process import Process

__all__ = ["DOCKER_HUB", "Origin", "Request"]

DOCKER_HUB = "registry-1.docker.io"

_REGISTRY = """
version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: "{storage}"}}
  delete: {{enabled: true}}
  maintenance: {{uploadpurging: {{enabled: false}}}}
http: {{addr: "127.0.0.1:5001", relativeurls: true, secret: "of no use here"}}
"""

_LOCATION = """
      proxy_pass http://127.0.0.1:5001;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_read_timeout 600s;
"""


class Origin(Front):
    """The origin. Made by Lab.origin(); the options of Front, and

    tokens: the TokenService (tokens.py) without whose tokens it answers 401;
    cdn: the Cdn (cdn.py) to which it sends who asks for a blob."""

    def __init__(self, lab, name: str, number: int, names: Sequence[str] = (DOCKER_HUB,), tokens=None,
                 cdn=None, **options):
        super().__init__(lab, name, number, names, **options)
        self.tokens = tokens
        self.cdn = cdn
        self.storage = self.folder / "storage"
        self.storage.mkdir()
        self._registry: Optional[Process] = None

    def location(self) -> str:
        return _LOCATION + (self.cdn.signing() if self.cdn else "")

    def start_back(self) -> None:
        text = _REGISTRY.format(storage=self.storage)
        if self.tokens:
            text += self.tokens.registry_configuration()
        if self.cdn:
            text += self.cdn.registry_configuration()
            self.cdn.serve(self.storage)
        (self.folder / "registry.yml").write_text(text)
        self._registry = self.spawn("registry", [binaries.docker_registry(), "serve",
                                                 self.folder / "registry.yml"])

    def stop_back(self) -> None:
        self._registry.stop()

    def back_serves(self) -> bool:
        if not self._registry.running():
            raise RuntimeError(f"{self._registry.name} exited.\n{self._registry.log_tail()}")
        try:
            return self.http("GET", "/v2/").status in (200, 401)
        except OSError:
            return False

    # Content

    def blob_file(self, digest: str) -> pathlib.Path:
        """The file that holds a blob."""
        value = digest.removeprefix("sha256:")
        return self.storage / "docker/registry/v2/blobs/sha256" / value[:2] / value / "data"

    def publish(self, image: Image, repository: str = "library/demo", tag: str = "1") -> str:
        """Puts an image into the registry's storage; returns its digest."""
        base = self.storage / "docker/registry/v2/repositories" / repository
        for digest, data in image.blobs.items():
            target = self.blob_file(digest)
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                _store(data, target)
            _link(base / "_layers", digest)
            if digest in image.manifests:
                _link(base / "_manifests/revisions", digest)
        _link(base / "_manifests/tags" / tag / "index", image.digest)
        (base / "_manifests/tags" / tag / "current").mkdir(parents=True, exist_ok=True)
        (base / "_manifests/tags" / tag / "current/link").write_text(image.digest)
        return image.digest

    def unpublish(self, repository: str, tag: str) -> None:
        """Removes a tag; content stays."""
        shutil.rmtree(self.storage / "docker/registry/v2/repositories" / repository / "_manifests/tags"
                      / tag)


def _store(data, target: pathlib.Path) -> None:
    if isinstance(data, bytes):
        target.write_bytes(data)
        return
    try:
        os.link(data, target)
    except OSError:
        shutil.copyfile(data, target)


def _link(folder: pathlib.Path, digest: str) -> None:
    algorithm, _, value = digest.partition(":")
    (folder / algorithm / value).mkdir(parents=True, exist_ok=True)
    (folder / algorithm / value / "link").write_text(digest)
