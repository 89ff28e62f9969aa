# SPDX-License-Identifier: Apache-2.0
"""Debian packages of any suite, fetched and unpacked without touching the host's own apt.

Each suite has a private apt configuration (source list, package lists, dpkg status, archives) under
the cache. The archive's address comes from the machine's own apt sources, so that a mirror that is
configured there is used here too.
"""

import glob
import os
import pathlib
import re
import shutil
import subprocess
from typing import Iterable, NamedTuple

from . import paths

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class AptError(RuntimeError):
    """apt could not do what was asked; the message has its last lines."""


class Source(NamedTuple):
    """The machine's Debian archive: its address, and the key ring that signs it."""

    uri: str
    signed_by: str


def _deb822_entries(text: str) -> Iterable[dict]:
    for paragraph in re.split(r"\n\s*\n", text):
        fields: dict = {}
        name = None
        for line in paragraph.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace() and name:
                fields[name] += " " + line.strip()
            elif ":" in line:
                name, value = line.split(":", 1)
                name = name.strip().lower()
                fields[name] = value.strip()
        if fields:
            yield {
                "types": fields.get("types", "").split(),
                "uris": fields.get("uris", "").split(),
                "suites": fields.get("suites", "").split(),
                "components": fields.get("components", "").split(),
                "signed_by": fields.get("signed-by", ""),
                "enabled": fields.get("enabled", "yes").lower() not in ("no", "false", "0"),
            }


def _one_line_entries(text: str) -> Iterable[dict]:
    pattern = re.compile(r"^\s*(deb|deb-src)\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s*([^#]*)")
    for line in text.splitlines():
        match = pattern.match(line)
        if match:
            options = dict(o.split("=", 1) for o in (match[2] or "").split() if "=" in o)
            yield {
                "types": [match[1]],
                "uris": [match[3]],
                "suites": [match[4]],
                "components": match[5].split(),
                "signed_by": options.get("signed-by", ""),
                "enabled": True,
            }


def debian_source(etc_apt: str = "/etc/apt") -> Source:
    """The Debian archive of the machine's apt sources, one-line and deb822. AptError if they name none."""
    entries = []
    for path in [f"{etc_apt}/sources.list"] + sorted(glob.glob(f"{etc_apt}/sources.list.d/*")):
        try:
            text = pathlib.Path(path).read_text(encoding="utf-8")
        except OSError:
            continue
        if path.endswith(".sources"):
            entries += _deb822_entries(text)
        elif path.endswith(".list"):
            entries += _one_line_entries(text)
    for entry in entries:
        if not entry["enabled"] or "deb" not in entry["types"] or "main" not in entry["components"]:
            continue
        # Not the security archive, whose suites are of another tree, and not somebody else's.
        if any(suite in ("bookworm", "stable", "oldstable") for suite in entry["suites"]):
            key = entry["signed_by"]
            uri = next((u for u in entry["uris"] if re.match(r"(http|https|file|copy):", u)), None)
            if uri:
                return Source(uri, key if key.startswith("/") else KEYRING)
    raise AptError(f"{etc_apt} names no Debian archive (a deb line with a bookworm suite and main): the "
                   "lab fetches containerd, nginx and docker-registry from there.")


def inherited_options() -> str:
    """The machine's own Acquire options (a proxy, say), without its hooks and index targets."""
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
    keep = re.compile(r"^Acquire::(http|https|ftp|Retries|ForceIPv)", re.IGNORECASE)
    return "".join(line + "\n" for line in dump.splitlines() if keep.match(line))


class Archive:
    """One suite of Debian's archive, for example ``Archive("trixie")``."""

    def __init__(self, suite: str):
        self.suite = suite
        self.root = paths.CACHE / "apt" / suite
        self._conf = self.root / "apt.conf"

    def _configure(self) -> None:
        source = debian_source()
        for folder in ("lists/partial", "archives/partial", "etc", "log"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        (self.root / "status").touch()
        (self.root / "etc" / "sources.list").write_text(
            f"deb [signed-by={source.signed_by} check-valid-until=no] {source.uri} {self.suite} main\n",
            encoding="utf-8",
        )
        self._conf.write_text(
            inherited_options()
            + f"""Dir "/";
Dir::State "{self.root}";
Dir::State::lists "{self.root}/lists";
Dir::State::status "{self.root}/status";
Dir::State::extended_states "{self.root}/extended_states";
Dir::Cache "{self.root}";
Dir::Cache::archives "{self.root}/archives";
Dir::Etc "{self.root}/etc";
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::sourcelist "{self.root}/etc/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::netrc "/etc/apt/auth.conf";
Dir::Etc::netrcparts "/etc/apt/auth.conf.d";
Dir::Log "{self.root}/log";
APT::Sandbox::User "root";
APT::Install-Recommends "false";
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
Acquire::Retries "3";
""",
            encoding="utf-8",
        )

    def _apt(self, *arguments: str, cwd=None) -> str:
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root",
               "APT_CONFIG": str(self._conf), "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(arguments, cwd=cwd, env=env, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
            raise AptError(
                f"'{' '.join(arguments)}' failed for Debian {self.suite}, fetched from "
                f"{debian_source().uri}:\n{tail}\nCheck that the machine reaches that address "
                "(`apt-get update`); it is taken from /etc/apt/sources.list and sources.list.d.")
        return done.stdout

    def update(self) -> None:
        """Fetches the suite's package lists, unless they're here."""
        if (self.root / "updated").exists():
            return
        self._configure()
        self._apt("apt-get", "update", "-q")
        (self.root / "updated").touch()

    def candidate(self, package: str) -> str:
        """The version of `package` in this suite, without its epoch; "" if it has none."""
        self.update()
        match = re.search(r"Candidate: (\S+)", self._apt("apt-cache", "policy", package))
        return "" if not match or match[1] == "(none)" else match[1].split(":", 1)[-1]

    def download(self, packages: Iterable[str], folder: pathlib.Path) -> list[pathlib.Path]:
        """Downloads just these packages' .debs into `folder`."""
        self.update()
        folder.mkdir(parents=True, exist_ok=True)
        before = set(folder.glob("*.deb"))
        self._apt("apt-get", "download", "-q", *packages, cwd=folder)
        return sorted(set(folder.glob("*.deb")) - before)

    def download_closure(self, packages: Iterable[str]) -> list[pathlib.Path]:
        """Downloads `packages` with everything that they need, as for an empty machine."""
        self.update()
        wanted = ["install", "-y", "-q", *packages]
        # Asked with an empty cache: what was downloaded earlier is not printed.
        empty = self.root / "empty"
        (empty / "partial").mkdir(parents=True, exist_ok=True)
        uris = self._apt("apt-get", "--print-uris", "-o", f"Dir::Cache::archives={empty}", *wanted)
        names = re.findall(r"^'[^']*' (\S+\.deb) ", uris, re.MULTILINE)
        self._apt("apt-get", "--download-only", *wanted)
        return sorted(self.root / "archives" / name for name in names)


def unpack(debs: Iterable[pathlib.Path], folder: pathlib.Path) -> None:
    """Unpacks packages' files into `folder`; no maintainer script runs."""
    folder.mkdir(parents=True, exist_ok=True)
    for deb in debs:
        subprocess.run(["dpkg-deb", "-x", str(deb), str(folder)], check=True)


def unpacked(name: str, suite: str, packages: Iterable[str]) -> pathlib.Path:
    """The cache's folder `name`, with `packages` of `suite` unpacked into it (once)."""
    target = paths.CACHE / name
    with paths.cache_lock(name):
        if not target.exists():
            partial = paths.CACHE / f".{name}.{os.getpid()}"
            shutil.rmtree(partial, ignore_errors=True)
            debs = Archive(suite).download(packages, partial / ".debs")
            unpack(debs, partial)
            shutil.rmtree(partial / ".debs")
            partial.rename(target)
    return target
