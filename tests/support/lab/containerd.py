# SPDX-License-Identifier: Apache-2.0
"""An unmodified containerd on a node, as the distribution ships it."""

import contextlib
import os
import pathlib
import subprocess
from typing import Optional

from . import binaries
from .cri import CallError, Client
from .process import Process, wait_until

SOCKET = "/run/containerd/containerd.sock"
CONFIG = "/etc/containerd/config.toml"
ROOT = "/var/lib/containerd"
STATE = "/run/containerd"


def config_with(version: str, config_path: str = "", discard_unpacked_layers: bool = False) -> str:
    """A configuration file for containerd `version` that sets these of CRI's options."""
    if version.startswith("1."):
        number, images = 2, 'plugins."io.containerd.grpc.v1.cri"'
        unpacking = f"{images}.containerd"
    else:
        # 2.x reads version 2 as well, but loses discard_unpacked_layers on the way (seen on 2.1.9).
        number, images = 3, "plugins.'io.containerd.cri.v1.images'"
        unpacking = images
    text = f"version = {number}\n"
    if discard_unpacked_layers:
        text += f"[{unpacking}]\n  discard_unpacked_layers = true\n"
    if config_path:
        text += f'[{images}.registry]\n  config_path = "{config_path}"\n'
    return text


class Containerd:
    """containerd with its default paths inside the node, and by default without a configuration file.

    `config` is the text of /etc/containerd/config.toml; None: the file is absent. `socket`, `root` and
    `state` are for one that isn't the distribution's own; `name` is its control group's and its log's."""

    def __init__(self, node, version: str, config: Optional[str] = None, name: str = "containerd",
                 socket: str = SOCKET, root: str = ROOT, state: str = STATE):
        self.node = node
        self.version = version
        self.name = name
        self.socket = socket
        self.root = root
        self.state = state
        self._binaries = binaries.containerd(version)
        self._process: Optional[Process] = None
        self._client: Optional[Client] = None
        self.configure(config)

    def configure(self, config: Optional[str]) -> None:
        """Writes the configuration file, or removes it (None). Takes effect at the next start."""
        if config is None:
            self.node.path(CONFIG).unlink(missing_ok=True)
        else:
            self.node.write(CONFIG, config)

    @property
    def pid(self) -> int:
        """containerd's process id."""
        return self._process.pid

    @property
    def process(self) -> Process:
        """The daemon."""
        return self._process

    @property
    def cgroup_path(self) -> str:
        """Its control group, as in /proc/<pid>/cgroup."""
        return self.node.cgroup.child(self.name).path

    @property
    def store(self) -> pathlib.Path:
        """Its content store, as the lab's process reaches it."""
        return self.node.path(self.root) / "io.containerd.content.v1.content"

    @property
    def client(self) -> Client:
        """A client of its socket (namespace k8s.io)."""
        return self._client

    def start(self, env: Optional[dict] = None, deadline_s: float = 60,
              cri: bool = True) -> "Containerd":
        """Starts it and waits until CRI answers, or containerd alone if it has no `cri`."""
        program = ["containerd"]
        for flag, value, usual in (("--address", self.socket, SOCKET), ("--root", self.root, ROOT),
                                   ("--state", self.state, STATE)):
            if value != usual:
                program += [flag, value]
        self._process = self.node.spawn(self.name, program, path_first=str(self._binaries), env=env)
        wait_until(lambda: self._answers(cri), deadline_s,
                   f"{self.node.name}'s containerd {self.version} answers")
        return self

    def _answers(self, cri: bool) -> bool:
        if not self._process.running():
            raise RuntimeError(f"containerd {self.version} exited with {self._process.poll()}.\n"
                               + self._process.log_tail())
        socket = self.node.path(self.socket)
        if not socket.exists():
            return False
        if self._client is None:
            self._client = Client(socket)
        try:
            self._client.version(2)
            return not cri or bool(self._client.cri_version(2))
        except CallError as error:
            # UNIMPLEMENTED can't pass: the CRI plugin failed to load.
            if error.code == "UNIMPLEMENTED":
                raise RuntimeError(f"{error}\n{self._process.log_tail()}") from error
            # A channel that failed (a killed containerd's socket is still there) waits before it
            # tries again; a new one doesn't.
            self._client.close()
            self._client = None
            return False

    def stop(self) -> int:
        """SIGTERM; shims and their containers stay."""
        return self._end(Process.stop)

    def kill(self) -> int:
        """kill -9."""
        return self._end(Process.kill)

    def _end(self, how) -> int:
        if self._client:
            self._client.close()
            self._client = None
        return how(self._process)

    def restart(self, env: Optional[dict] = None) -> "Containerd":
        """Stops and starts it: a new pid."""
        self.stop()
        return self.start(env)

    def ctr(self, *arguments, namespace: str = "k8s.io", timeout_s: float = 120,
            check: bool = True, input_text: str = "") -> subprocess.CompletedProcess:
        """Runs `ctr -n <namespace> …` on the node."""
        return self.node.run("ctr", "--address", self.socket, "-n", namespace, *arguments,
                             path_first=str(self._binaries), timeout_s=timeout_s, check=check,
                             input_text=input_text)

    def run_container(self, image: str, *command, timeout_s: float = 60,
                      check: bool = True) -> subprocess.CompletedProcess:
        """Runs a container of `image` on the node's own network until `command` (by default the
        image's own) ends; its output and exit code are the result."""
        name = f"c{os.urandom(4).hex()}"
        try:
            return self.ctr("run", "--rm", "--net-host", "--snapshotter", "overlayfs", "--cgroup",
                            f"{self.node.cgroup.path}/containers/{name}", image, name, *command,
                            timeout_s=timeout_s, check=check)
        finally:
            self._forget_container(name)

    def start_container(self, image: str, *command) -> str:
        """Starts a container of `image` in the background, on the node's network; returns its name."""
        name = f"c{os.urandom(4).hex()}"
        self.ctr("run", "--detach", "--net-host", "--snapshotter", "overlayfs", "--cgroup",
                 f"{self.node.cgroup.path}/containers/{name}", image, name, *command)
        return name

    def stop_container(self, name: str) -> None:
        """Kills a container that start_container started."""
        self.ctr("task", "kill", "--signal", "SIGKILL", name, check=False)
        self._forget_container(name)

    def _forget_container(self, name: str) -> None:
        with contextlib.suppress(Exception):
            self.ctr("task", "delete", "--force", name, check=False, timeout_s=20)
            self.ctr("container", "delete", name, check=False, timeout_s=20)
