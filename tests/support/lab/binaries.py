# SPDX-License-Identifier: Apache-2.0
"""Programs that the lab runs but the host doesn't install: fetched from Debian, unpacked in the cache.

Installing Debian's containerd, nginx, docker-registry or tinyproxy would start daemons on the host.
"""

import pathlib
import re
import subprocess
import sys

from . import apt, paths

#: containerd's version → the suites to look in, the likeliest first. Debian 13's successor moves on:
#: if it has, its predecessors and unstable are asked too.
CONTAINERD_SUITES = {
    "1.6": ["bookworm"],
    "1.7": ["trixie"],
    "2.1": ["forky", "sid", "trixie-backports"],
}
CONTAINERD_VERSIONS = tuple(CONTAINERD_SUITES)
_CONTAINERD_PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr")


def _suite_with(version: str) -> str:
    seen = {}
    for suite in CONTAINERD_SUITES[version]:
        try:
            seen[suite] = apt.Archive(suite).candidate("containerd")
        except apt.AptError as error:
            seen[suite] = f"not readable: {error}"
            continue
        if seen[suite].startswith(version + "."):
            return suite
    found = "; ".join(f"{suite}: {what or 'no containerd'}" for suite, what in seen.items())
    raise apt.AptError(
        f"No suite of Debian has containerd {version} any more ({found}). Find a suite or a "
        "archive of older packages that has it and add it to CONTAINERD_SUITES in "
        "tests/support/lab/binaries.py.")


def containerd(version: str) -> pathlib.Path:
    """The folder with containerd, its shim and ctr of `version` ("1.6", "1.7", "2.1")."""
    folder = paths.CACHE / f"containerd-{version}"
    if not folder.exists():
        apt.unpacked(folder.name, _suite_with(version), ["containerd"])
    binaries = folder / "usr" / "bin"
    missing = [p for p in _CONTAINERD_PROGRAMS if not (binaries / p).exists()]
    if missing:
        raise apt.AptError(f"Debian's containerd {version} package has no {', '.join(missing)}; "
                           f"unpacked in {folder}.")
    said = subprocess.run([binaries / "containerd", "--version"], capture_output=True, text=True,
                          check=True).stdout
    if not re.search(rf"\bv?{re.escape(version)}\.\d", said):
        raise apt.AptError(f"{binaries}/containerd should be {version} and says: {said.strip()}. "
                           f"Remove {folder} to fetch it again.")
    return binaries


def nginx() -> pathlib.Path:
    """Debian 12's nginx: the origin's front."""
    return apt.unpacked("nginx", "bookworm", ["nginx"]) / "usr" / "sbin" / "nginx"


def docker_registry() -> pathlib.Path:
    """Debian 12's docker-registry: the origin's back."""
    return apt.unpacked("docker-registry", "bookworm", ["docker-registry"]) / "usr/bin/docker-registry"


def tinyproxy() -> pathlib.Path:
    """Debian 12's tinyproxy: an egress proxy."""
    return apt.unpacked("tinyproxy", "bookworm", ["tinyproxy-bin"]) / "usr/bin/tinyproxy"


def fetch_all() -> None:
    """Fetches everything that needs the network; prints a line for each thing. Ends the program with a
    message where that fails."""
    try:
        _fetch_all()
    except apt.AptError as failure:
        sys.exit(f"fetch_containerd: {failure}")


def _fetch_all() -> None:
    for version in CONTAINERD_VERSIONS:
        folder = containerd(version)
        said = subprocess.run([folder / "containerd", "--version"], capture_output=True, text=True,
                              check=True).stdout.split()
        print(f"containerd {version}: {said[2]} in {folder}", flush=True)
    print(f"nginx: {nginx()}", flush=True)
    print(f"docker-registry: {docker_registry()}", flush=True)
    print(f"tinyproxy: {tinyproxy()}", flush=True)
