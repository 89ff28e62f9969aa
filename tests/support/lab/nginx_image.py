# SPDX-License-Identifier: Apache-2.0
"""An nginx image of about 70 MB, as the one that people pull, made from Debian's packages.

No maintainer script runs and no root file system is unpacked: layers are written straight from the
packages' own archives. It's made once and kept in the cache.
"""

import hashlib
import io
import json
import pathlib
import shutil
import subprocess
import tarfile
from typing import Iterable, Optional, Sequence

from . import apt, image, paths

#: Raised when what is built here changes: the cache's image of another version isn't used.
_VERSION = 2

_BASE = ["apt", "base-files", "base-passwd", "bash", "coreutils", "dash", "debian-archive-keyring",
         "debianutils", "diffutils", "dpkg", "findutils", "grep", "gzip", "hostname", "libc-bin",
         "login", "mawk", "mount", "ncurses-base", "ncurses-bin", "passwd", "perl-base", "sed",
         "sysvinit-utils", "tar", "tzdata", "util-linux"]
_TOOLS = ["ca-certificates", "curl", "gettext-base"]
_NGINX = ["nginx", "libnginx-mod-http-geoip", "libnginx-mod-http-image-filter", "libnginx-mod-stream",
          "libnginx-mod-http-xslt-filter", "libnginx-mod-mail", "geoip-database"]

#: What a slim image leaves out.
_LEFT_OUT = ("usr/share/doc/", "usr/share/man/", "usr/share/locale/", "usr/share/info/",
             "usr/share/lintian/")

PORT = 8080
PAGE = "An nginx that came from a neighbour.\n"

_CONFIG = f"""user www-data;
worker_processes 1;
pid /run/nginx.pid;
error_log stderr;
events {{ worker_connections 64; }}
http {{ access_log off; server {{ listen {PORT}; root /srv/page; }} }}
"""

_MERGED = {"bin", "sbin", "lib", "lib32", "lib64", "libx32"}


def _merged(name: str) -> str:
    """Debian's merged /usr: bin/x is usr/bin/x."""
    name = name.removeprefix("./").rstrip("/")
    return f"usr/{name}" if name.split("/", 1)[0] in _MERGED else name


class _LayerWriter:
    """Writes a layer's tar: entries in the order of their names, each once, of a fixed time."""

    def __init__(self):
        self._out = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._out, mode="w", format=tarfile.GNU_FORMAT)
        self._seen: set[str] = set()

    def add(self, entry: tarfile.TarInfo, data: Optional[bytes] = None) -> None:
        """Adds an entry; of two with one name the first stays."""
        if not entry.name or entry.name in self._seen or entry.name.startswith(_LEFT_OUT):
            return
        self._seen.add(entry.name)
        entry.mtime, entry.uname, entry.gname = 1735689600, "", ""  # 2025-01-01
        self._tar.addfile(entry, io.BytesIO(data) if data is not None else None)

    def symlink(self, name: str, target: str) -> None:
        """Adds a symbolic link."""
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, target, 0o777
        self.add(entry)

    def file(self, name: str, data: bytes) -> None:
        """Adds a file."""
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(data), 0o644
        self.add(entry, data)

    def package(self, deb: pathlib.Path) -> None:
        """Adds all files of a package."""
        command = ["dpkg-deb", "--fsys-tarfile", str(deb)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as tool, \
                tarfile.open(fileobj=tool.stdout, mode="r|") as source:
            for entry in source:
                data = source.extractfile(entry).read() if entry.isreg() else None
                entry.name = _merged(entry.name)
                if entry.islnk():
                    entry.linkname = _merged(entry.linkname)
                self.add(entry, data)
        if tool.returncode != 0:
            raise RuntimeError(f"dpkg-deb can't read {deb}; remove it to fetch it again.")

    def layer(self) -> image.Layer:
        """The finished layer."""
        self._tar.close()
        return image.gzipped(self._out.getvalue(), 6)


def _package_layer(debs: Iterable[pathlib.Path]) -> image.Layer:
    writer = _LayerWriter()
    for deb in debs:
        writer.package(deb)
    return writer.layer()


def _base_layer(debs: Sequence[pathlib.Path]) -> image.Layer:
    writer = _LayerWriter()
    for name in sorted(_MERGED):
        writer.symlink(name, f"usr/{name}")
    for deb in debs:
        writer.package(deb)
        if deb.name.startswith("base-passwd_"):
            for kind in ("passwd", "group"):
                path = f"./usr/share/base-passwd/{kind}.master"
                text = subprocess.run(f"dpkg-deb --fsys-tarfile '{deb}' | tar -xO {path}", shell=True,
                                      capture_output=True, check=True).stdout
                writer.file(f"etc/{kind}", text)
    return writer.layer()


def _page_layer() -> image.Layer:
    writer = _LayerWriter()
    writer.file("etc/nginx/nginx.conf", _CONFIG.encode())
    writer.file("srv/page/index.html", PAGE.encode())
    return writer.layer()


def _build() -> image.Image:
    archive = apt.Archive("bookworm")
    base = archive.download_closure(_BASE)
    tools = [d for d in archive.download_closure(_BASE + _TOOLS) if d not in base]
    server = [d for d in archive.download_closure(_BASE + _TOOLS + _NGINX) if d not in base + tools]
    layers = [_base_layer(base), _package_layer(tools), _package_layer(server), _page_layer()]
    return image.assemble(layers, config={
        "Cmd": ["nginx", "-g", "daemon off;"], "ExposedPorts": {f"{PORT}/tcp": {}},
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "StopSignal": "SIGQUIT"}.items(), index=True)


def nginx_image() -> image.Image:
    """The image, from the cache, or built into it."""
    folder = paths.CACHE / f"nginx-image-{_VERSION}"
    with paths.cache_lock("nginx-image"):
        if not folder.exists():
            _save(_build(), folder)
    listing = json.loads((folder / "image.json").read_text(encoding="utf-8"))
    return image.Image(listing["digest"], {digest: folder / digest.split(":")[1]
                                           for digest in listing["blobs"]},
                       frozenset(listing["manifests"]), tuple(listing["layers"]))


def _save(built: image.Image, folder: pathlib.Path) -> None:
    partial = folder.with_name("." + folder.name)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for digest, data in built.blobs.items():
        assert "sha256:" + hashlib.sha256(data).hexdigest() == digest
        (partial / digest.split(":")[1]).write_bytes(data)
    (partial / "image.json").write_text(json.dumps({
        "digest": built.digest, "blobs": list(built.blobs), "manifests": sorted(built.manifests),
        "layers": built.layers}))
    partial.rename(folder)
