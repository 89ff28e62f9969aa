# SPDX-License-Identifier: Apache-2.0
"""The agent's container image, built by deploy/Dockerfile with buildah on a Debian 12 made by debootstrap.

Storage is a folder of the cache: nothing of the host's own containers is touched.
"""

import hashlib
import pathlib
import shutil
import subprocess
from typing import Optional, Sequence

from . import apt, paths

#: What the base is called in the lab's storage.
BASE = "localhost/hagring-lab/debian:12"
#: What the built image is called, in the lab's storage and in containerd.
IMAGE = "localhost/hagring:lab"

#: The image's entry point, before a container's `args`.
PROGRAM = "/usr/bin/hagring"

_STORAGE = paths.CACHE / "buildah"
#: Of a release build; the Dockerfile's stage "prebuilt" takes it from there.
_TREE = paths.REPOSITORY / "build" / "runtime-tree"


class BuildError(RuntimeError):
    """buildah or debootstrap could not do what was asked; the message has its last lines."""


def _run(argv: Sequence, timeout_s: float, log: Optional[pathlib.Path] = None) -> str:
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8",
           "TMPDIR": str(paths.CACHE)}
    argv = [str(word) for word in argv]
    done = subprocess.run(argv, env=env, cwd=paths.REPOSITORY, capture_output=True, text=True,
                          errors="replace", timeout=timeout_s, check=False)
    if log:
        log.write_text(done.stdout + done.stderr, encoding="utf-8")
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-25:])
        raise BuildError(f"'{' '.join(argv)}' exited with {done.returncode}:\n{tail}")
    return done.stdout


def buildah(*arguments, timeout_s: float = 300, log: Optional[pathlib.Path] = None) -> str:
    """Runs `buildah …` on the lab's storage; BuildError if it fails. vfs works on any file system."""
    return _run(["buildah", "--root", _STORAGE / "root", "--runroot", _STORAGE / "run",
                 "--storage-driver", "vfs", *arguments], timeout_s, log)


def _has(image: str) -> bool:
    return bool(buildah("images", "--quiet", "--filter", f"reference={image}").strip())


def debian_base() -> str:
    """Makes the base image, once: debootstrap's smallest Debian 12, that fetches packages as this machine
    does. Returns its name."""
    with paths.cache_lock("buildah"):
        if not _has(BASE):
            source = apt.debian_source()
            container = buildah("from", "scratch").strip()
            try:
                root = pathlib.Path(buildah("mount", container).strip())
                _run(["debootstrap", "--variant=minbase", f"--keyring={source.signed_by}", "bookworm",
                      root, source.uri], 900)
                (root / "etc/apt/apt.conf.d/99lab").write_text(apt.inherited_options(),
                                                               encoding="utf-8")
                for deb in (root / "var/cache/apt/archives").glob("*.deb"):
                    deb.unlink()
                buildah("umount", container)
                buildah("commit", "--format", "oci", container, BASE)
            finally:
                buildah("rm", container)
    return BASE


def build(binary_from: str, binary: Optional[pathlib.Path] = None, timeout_s: float = 600,
          log: Optional[pathlib.Path] = None) -> str:
    """Builds deploy/Dockerfile: in the container (`binary_from` is "build"), or of the program `binary`
    ("prebuilt"). Returns the image's name. What was built before under that name goes."""
    base = debian_base()
    with paths.cache_lock("buildah"):
        if binary_from == "prebuilt":
            shutil.rmtree(_TREE, ignore_errors=True)
            _run([paths.REPOSITORY / "deploy/runtime_tree.sh", binary, _TREE], 60)
        try:
            buildah("build", "--isolation", "chroot", "--layers=false", "--pull=false",
                    "--format", "oci", "--file", "deploy/Dockerfile",
                    "--build-arg", f"BUILD_BASE={base}", "--build-arg", f"BINARY_FROM={binary_from}",
                    "--tag", IMAGE, ".", timeout_s=timeout_s, log=log)
        finally:
            _remove_dangling()
            shutil.rmtree(_TREE, ignore_errors=True)
    return IMAGE


def archive_of(binary: pathlib.Path) -> pathlib.Path:
    """An OCI archive of the image of the program `binary`, kept in the cache until there is another."""
    inputs = hashlib.sha256()
    for path in (binary, paths.REPOSITORY / "deploy/Dockerfile",
                 paths.REPOSITORY / "deploy/runtime_tree.sh"):
        inputs.update(path.read_bytes())
    archive = paths.CACHE / f"agent-image-{inputs.hexdigest()[:16]}.tar"
    with paths.cache_lock("agent-image"):
        if not archive.exists():
            for former in paths.CACHE.glob("agent-image-*.tar"):
                former.unlink()
            partial = save(build("prebuilt", binary), archive.with_suffix(".new"))
            partial.rename(archive)
    return archive


def _remove_dangling() -> None:
    """Containers of builds that were stopped, and images that lost their name to a newer one."""
    for container in buildah("containers", "--quiet").split():
        buildah("rm", container)
    buildah("rmi", "--prune", "--force")


def save(image: str, archive: pathlib.Path) -> pathlib.Path:
    """Writes an image of the lab's storage as an OCI archive, as `ctr images import` takes it."""
    archive.unlink(missing_ok=True)
    buildah("push", "--quiet", image, f"oci-archive:{archive}:{image}")
    return archive
