# SPDX-License-Identifier: Apache-2.0
"""What a program has left on a machine: files with their modes and owners, BPF objects, leases."""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import stat
from typing import Iterable

#: Where programs leave things, but for what a machine of the lab is made of and containerd's own.
FOLDERS = ("/etc", "/opt", "/run", "/sys/fs/bpf", "/tmp", "/var/lib")
#: Files beyond this size are not read.
MAX_READ = 256 << 10
_LEFT_OUT = ("/run/.layers", "/run/containerd", "/run/runc", "/var/lib/containerd")
_ID = re.compile(r"^(prog|map|link)_id:\s*(\d+)$", re.M)


def files(node) -> dict[str, tuple]:
    """Path → kind, mode, owner, group and content (a link's: its target) of all files of the machine's."""
    root = pathlib.Path(f"/proc/{node.pid}/root")
    found = {}
    for top in FOLDERS:
        for folder, folders, names in os.walk(root / top.lstrip("/")):
            inside = "/" + str(pathlib.Path(folder).relative_to(root))
            folders[:] = [n for n in folders if f"{inside}/{n}" not in _LEFT_OUT]
            for path in (pathlib.Path(folder), *(pathlib.Path(folder) / n for n in names)):
                with contextlib.suppress(FileNotFoundError):
                    found["/" + str(path.relative_to(root))] = _describe(path)
            for name in folders:  # links to folders are walked by nobody
                path = pathlib.Path(folder) / name
                if path.is_symlink():
                    found["/" + str(path.relative_to(root))] = _describe(path)
    return found


def _describe(path: pathlib.Path) -> tuple:
    status = path.lstat()
    content = ""
    if stat.S_ISLNK(status.st_mode):
        content = os.readlink(path)
    elif stat.S_ISREG(status.st_mode):
        # Of programs and images the time must do.
        content = f"{status.st_size} bytes, {status.st_mtime_ns}"
        if status.st_size <= MAX_READ:
            with contextlib.suppress(OSError):  # of BPF's own file system
                content = hashlib.sha256(path.read_bytes()).hexdigest()
    return stat.filemode(status.st_mode), status.st_uid, status.st_gid, content


def difference(before: dict, after: dict) -> list[str]:
    """What has come, gone or changed."""
    return ([f"came: {path} {after[path]}" for path in sorted(after.keys() - before.keys())]
            + [f"went: {path} {before[path]}" for path in sorted(before.keys() - after.keys())]
            + [f"changed: {path} {before[path]} {after[path]}"
               for path in sorted(before.keys() & after.keys()) if before[path] != after[path]])


def bpf_objects(pid: int) -> set[tuple[str, int]]:
    """Kind ("prog", "map", "link") and id of the BPF objects that a process holds, in any of its
    threads' descriptor tables."""
    found = set()
    for file in pathlib.Path(f"/proc/{pid}/task").glob("*/fdinfo/*"):
        with contextlib.suppress(OSError):
            found |= {(kind, int(number)) for kind, number in _ID.findall(file.read_text())}
    return found


def living(node, objects: Iterable[tuple[str, int]]) -> set[tuple[str, int]]:
    """Those of `objects` that bpftool lists."""
    listed = set()
    for kind in ("prog", "map", "link"):
        text = node.run("bpftool", "-j", kind, "list").stdout
        listed |= {(kind, one["id"]) for one in json.loads(text or "[]")}
    return listed & set(objects)


def leases(containerd) -> set[str]:
    """The names of containerd's leases."""
    return set(containerd.client.leases())
