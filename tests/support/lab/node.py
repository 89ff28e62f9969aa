# SPDX-License-Identifier: Apache-2.0
"""A Kubernetes node, as far as an image pull knows: a machine with containerd and, maybe, an agent."""

import subprocess
from typing import Optional

from . import content
from .agent import Agent
from .containerd import ROOT, Containerd
from .host import Host
from .image import full_name


class Node(Host):
    """A machine that runs containerd. Made by Lab.node()."""

    def __init__(self, lab, name: str, number: int):
        super().__init__(lab, name, number)
        self.containerd: Optional[Containerd] = None
        self.agent: Optional[Agent] = None
        self._mount_root()

    def _mount_root(self) -> None:
        """A place on disk for containerd's root; overlayfs can't have its upper layer on overlayfs."""
        disk = self.folder / "containerd"
        disk.mkdir()
        kind = subprocess.run(["stat", "-f", "-c", "%T", str(disk)], capture_output=True, text=True,
                              check=True).stdout.strip()
        if kind == "overlayfs":
            self.keep_content_in_memory()
        else:
            self.run("mount", "--bind", str(disk), ROOT)

    def keep_content_in_memory(self, size: str = "") -> None:
        """All that containerd keeps, before it is started; `size`: no more than that (tmpfs(5))."""
        self.run("mount", "-t", "tmpfs", *(["-o", f"size={size}"] if size else []), "tmpfs", ROOT)

    def start_containerd(self, version: str, config: Optional[str] = None, env=None,
                         **places) -> Containerd:
        """Starts containerd `version`; `config` is its configuration file's text, None: no file;
        `places` are Containerd's."""
        self.containerd = Containerd(self, version, config, **places).start(env)
        return self.containerd

    def start_agent(self, **options) -> Agent:
        """Starts the agent (see Agent for options)."""
        self.agent = Agent(self, **options).start()
        return self.agent

    def close(self) -> None:
        """Ends the agent in order, so that a leak checker has its say, then removes the machine."""
        try:
            if self.agent:
                # Its clients first: it waits for connections that they keep open.
                for process in self.processes:
                    if process is not self.agent.process:
                        process.kill()
                self.agent.stop()
        finally:
            super().close()

    def pull(self, image: str, timeout_s: float = 180, **credentials) -> str:
        """Pulls as kubelet does: CRI PullImage. Returns the image's id."""
        return self.containerd.client.pull(image, timeout_s, **credentials)

    def verify_content(self, image: str, origin=None) -> list[content.Blob]:
        """Hashes every blob of `image` in containerd's content store, and compares it with `origin`'s
        file if given. Returns the blobs; content.ContentMismatch if any is missing or wrong."""
        _, digest = self.containerd.client.image_target(full_name(image))
        return content.verify(self.containerd.store, digest, origin.blob_file if origin else None)
