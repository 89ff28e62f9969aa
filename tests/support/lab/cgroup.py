# SPDX-License-Identifier: Apache-2.0
"""Control groups: the cgroup2 mount wherever it is (pure or hybrid), and groups of the lab's own."""

import contextlib
import os
import pathlib
import signal
import time


class NoCgroup2(RuntimeError):
    """The machine has no cgroup2 mount, so no cgroup BPF either."""


def _mounts(kind: str) -> list[pathlib.Path]:
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8") as mountinfo:
        for line in mountinfo:
            left, _, right = line.partition(" - ")
            if right.split()[0] == kind and left.split()[3] == "/":
                found.append(pathlib.Path(left.split()[4].replace("\\040", " ")))
    return found


def cgroup2_mount() -> pathlib.Path:
    """The whole cgroup2 hierarchy: /sys/fs/cgroup, or /sys/fs/cgroup/unified on a hybrid machine."""
    mounts = _mounts("cgroup2")
    if not mounts:
        raise NoCgroup2("No cgroup2 is mounted: see /proc/self/mountinfo. The lab needs one "
                        "(mount -t cgroup2 none /sys/fs/cgroup/unified).")
    return mounts[0]


def cgroup1_mounts() -> list[pathlib.Path]:
    """The version 1 hierarchies of a hybrid machine, where runc puts its containers."""
    return _mounts("cgroup")


class Cgroup:
    """A cgroup2 group, named by its path below the hierarchy's root."""

    def __init__(self, path: str):
        self.path = "/" + path.strip("/")
        self.folder = cgroup2_mount() / path.strip("/")

    def create(self) -> "Cgroup":
        """Makes the group, and its parents."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def child(self, name: str) -> "Cgroup":
        """The group `name` below this one, made if it isn't there."""
        return Cgroup(f"{self.path}/{name}").create()

    def pids(self) -> list[int]:
        """The processes of this group and all below it."""
        found = []
        for folder in _tree(self.folder):
            with contextlib.suppress(OSError):
                found += [int(p) for p in (folder / "cgroup.procs").read_text().split()]
        return found

    def kill(self, deadline_s: float = 20) -> None:
        """Kills every process below, stopped ones too, and waits until they're gone."""
        if not self.folder.exists():
            return
        until = time.monotonic() + deadline_s
        while self._populated():
            try:
                (self.folder / "cgroup.kill").write_text("1")  # Linux 5.14
            except OSError:
                for pid in self.pids():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            if time.monotonic() > until:
                raise TimeoutError(f"Processes {self.pids()} of {self.folder} survive SIGKILL.")
            time.sleep(0.01)

    def _populated(self) -> bool:
        try:
            return "populated 1" in (self.folder / "cgroup.events").read_text()
        except OSError:
            return False

    def remove(self) -> None:
        """Removes the group with those below it; it must be empty of processes."""
        remove_tree(self.folder)


def _tree(top: pathlib.Path) -> list[pathlib.Path]:
    return [pathlib.Path(folder) for folder, _, _ in os.walk(top)]


def remove_tree(top: pathlib.Path, deadline_s: float = 5) -> None:
    """rmdir, from the leaves up. A group whose last process is just exiting is busy for a moment."""
    until = time.monotonic() + deadline_s
    while top.exists():
        for folder in reversed(_tree(top)):
            with contextlib.suppress(OSError):
                folder.rmdir()
        if top.exists():
            if time.monotonic() > until:
                raise OSError(f"Can't remove the control group {top}: is something in it?")
            time.sleep(0.01)
