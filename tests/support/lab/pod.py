# SPDX-License-Identifier: Apache-2.0
"""A container of a DaemonSet of deploy/kubernetes on a node, run by the node's own containerd as kubelet has it
run: `ctr run` with what the manifest says of privileges, namespaces, mounts, environment and memory."""

import contextlib
import os
import pathlib
import signal
import subprocess
import time
from typing import Optional, Sequence

from . import manifests
from .agent import Agent
from .container_image import IMAGE, PROGRAM
from .process import Timeout, start_time, wait_until

#: Where a pod's own files are on a node, as in /var/lib/kubelet.
_PODS = "/var/lib/kubelet-of-the-lab"
#: containerd's for whoever isn't privileged (pkg/oci/spec.go, defaultUnixCaps).
_DEFAULT_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID",
                         "SETFCAP", "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE")


class ClusterDns:
    """What kubelet writes for `dnsPolicy: ClusterFirstWithHostNet`: the cluster's name server and the search list
    of `namespace`."""

    def __init__(self, address: str, namespace: str):
        self.resolv_conf = (f"search {namespace}.svc.cluster.local svc.cluster.local cluster.local\n"
                            f"nameserver {address}\noptions ndots:5\n")


class PodContainer:
    """A running container, with the parts of Process that agents' tests use."""

    def __init__(self, node, pod: dict, container: dict, secrets: dict[str, dict[str, str]],
                 dns: Optional[ClusterDns] = None):
        self.node = node
        self.name = f"{container['name']}-{os.urandom(4).hex()}"
        self.log = node.folder / f"{self.name}.log"
        self.log.touch()
        self._pod = pod
        self._container = container
        self._secrets = secrets
        self._dns = dns
        self.pid = 0
        self._start_time: Optional[str] = None

    def start(self) -> "PodContainer":
        """Starts it."""
        pid_file = self.node.folder / f"{self.name}.pid"
        self.node.containerd.ctr(
            "run", "--detach", "--snapshotter", "overlayfs", "--log-uri", f"file://{self.log}",
            "--pid-file", str(pid_file), *self._flags(), IMAGE, self.name, PROGRAM,
            *self._container["args"])
        self.pid = int(pid_file.read_text())
        self._start_time = start_time(self.pid)
        return self

    def run(self, timeout_s: float = 60) -> subprocess.CompletedProcess:
        """Runs it to its end, as kubelet does an init container."""
        try:
            return self.node.containerd.ctr(
                "run", "--rm", "--snapshotter", "overlayfs", *self._flags(), IMAGE, self.name, PROGRAM,
                *self._container["args"], timeout_s=timeout_s, check=False)
        finally:
            self._forget()

    def _flags(self) -> Sequence[str]:
        pod, container, containerd = self._pod, self._container, self.node.containerd
        flags = ["--cgroup", f"{self.node.cgroup.path}/pods/{self.name}"]
        flags += [flag for name, value in manifests.environment(container).items()
                  for flag in ("--env", f"{name}={value}")]
        # Of the machine on which containerd is. With the host's network CRI takes its UTS namespace, too.
        kinds = (["network", "uts"] if pod.get("hostNetwork") else []) + \
            (["pid"] if pod.get("hostPID") else [])
        files = {"network": "net"}
        for kind in kinds:
            flags += ["--with-ns", f"{kind}:/proc/{containerd.pid}/ns/{files.get(kind, kind)}"]
        security = container["securityContext"]
        if security.get("privileged"):
            flags += ["--privileged"]
        else:
            flags += ["--with-ns", f"cgroup:/proc/{self._own_cgroup_namespace()}/ns/cgroup"]
        flags += self._capabilities(security.get("capabilities", {}))
        flags += ["--read-only"] if security.get("readOnlyRootFilesystem") else []
        limit = manifests.memory_limit(container)
        flags += ["--memory-limit", str(limit)] if limit else []
        for mount in manifests.mounts(pod, container):
            flags += ["--mount", self._bind(self._source(mount), mount.target, mount.read_only,
                                            mount.propagated)]
        for target, text in self._kubelets_files().items():
            source = f"{_PODS}/{self.name}{target}"
            self.node.write(source, text)
            flags += ["--mount", self._bind(source, target, False, False)]
        return flags

    def _own_cgroup_namespace(self) -> int:
        """A process that holds a control group namespace such as CRI gives to whoever isn't privileged: others'
        groups are outside of it, with paths such as /../../containerd."""
        holder = self.node.spawn(f"{self.name}-cgroup", ["unshare", "--cgroup", "sleep", "infinity"],
                                 group=f"pods/{self.name}")
        command = pathlib.Path(f"/proc/{holder.pid}/comm")
        wait_until(lambda: command.read_text(encoding="utf-8").strip() == "sleep", 10,
                   "a control group namespace")
        return holder.pid

    @staticmethod
    def _capabilities(capabilities: dict) -> Sequence[str]:
        flags = []
        if capabilities.get("drop") == ["ALL"]:
            flags += [flag for name in _DEFAULT_CAPABILITIES for flag in ("--cap-drop", f"CAP_{name}")]
        for name in capabilities.get("add", []):
            flags += ["--cap-add", f"CAP_{name}"]
        return flags

    @staticmethod
    def _bind(source: str, target: str, read_only: bool, propagated: bool) -> str:
        options = f"rbind:{'ro' if read_only else 'rw'}:{'rslave' if propagated else 'rprivate'}"
        return f"type=bind,src={source},dst={target},options={options}"

    def _source(self, mount: manifests.Mount) -> str:
        """The mount's source on the node, made as kubelet makes it."""
        if mount.kind == "Secret":
            return self._write_secret(mount.source)
        if mount.kind == "DirectoryOrCreate":
            self.node.path(mount.source).mkdir(parents=True, exist_ok=True)
        elif not self.node.path(mount.source).is_dir():
            raise RuntimeError(f"kubelet wouldn't start it: no directory {mount.source} on the node")
        return mount.source

    def _write_secret(self, name: str) -> str:
        """Links to links, as kubelet's atomic writer has them."""
        folder = f"{_PODS}/{self.name}/secrets/{name}"
        for key, text in self._secrets[name].items():
            self.node.write(f"{folder}/..2026/{key}", text)
            self.node.path(f"{folder}/..2026/{key}").chmod(0o400)
            self.node.path(f"{folder}/{key}").symlink_to(f"..data/{key}")
        self.node.path(f"{folder}/..data").symlink_to("..2026")
        return folder

    def _kubelets_files(self) -> dict[str, str]:
        # kubelet copies the host's hosts file when the pod starts; names that come later aren't in it.
        files = {"/etc/hosts": "127.0.0.1 localhost\n"}
        if self._dns:
            files["/etc/resolv.conf"] = self._dns.resolv_conf
        return files

    def exec(self, *argv, timeout_s: float = 30) -> subprocess.CompletedProcess:
        """`kubectl exec … -- argv`."""
        return self.node.containerd.ctr("task", "exec", "--exec-id", f"x{os.urandom(4).hex()}",
                                        self.name, *argv, timeout_s=timeout_s, check=False)

    # Like Process

    def running(self) -> bool:
        """Whether it hasn't ended."""
        return start_time(self.pid) == self._start_time

    def poll(self) -> Optional[str]:
        """What is known of its end; None while it runs."""
        return None if self.running() else "ended"

    def wait(self, deadline_s: float = 10) -> int:
        """Waits for its end; returns the exit code, as containerd knows it."""
        wait_until(lambda: not self.running(), deadline_s, f"{self.name} ends")
        def ended():
            row = next((line.split() for line in self.node.containerd.ctr("task", "ls").stdout.splitlines()
                        if line.startswith(self.name)), None)
            return row and row[2] == "STOPPED"
        wait_until(ended, 10, f"containerd knows that {self.name} has ended")
        done = self.node.containerd.ctr("task", "delete", self.name, check=False)
        self._forget()
        return done.returncode

    def signal(self, number: int) -> None:
        """Sends it a signal."""
        if self.running():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def stop(self, deadline_s: float = 15) -> int:
        """SIGTERM and, as kubelet after the grace period, SIGKILL. Also when containerd is gone."""
        self.signal(signal.SIGTERM)
        until = time.monotonic() + deadline_s
        while self.running():
            if time.monotonic() > until:
                self.signal(signal.SIGKILL)
                raise Timeout(f"{self.name} still ran {deadline_s} s after SIGTERM.\n"
                              + self.log_tail())
            time.sleep(0.02)
        return 0

    def kill(self) -> int:
        """kill -9."""
        self.signal(signal.SIGKILL)
        wait_until(lambda: not self.running(), 10, f"{self.name} is killed")
        return -signal.SIGKILL

    def log_text(self) -> str:
        """All that it has written so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def log_tail(self, lines: int = 30) -> str:
        """The end of its log, for error messages."""
        return f"--- end of {self.log}:\n" + "\n".join(self.log_text().splitlines()[-lines:])

    def _forget(self) -> None:
        with contextlib.suppress(Exception):
            self.node.containerd.ctr("task", "delete", "--force", self.name, check=False)
            self.node.containerd.ctr("container", "delete", self.name, check=False)


class PodAgent(Agent):
    """The agent as its DaemonSet (or `daemon_set`) runs it."""

    def __init__(self, node, dns: ClusterDns, daemon_set: Optional[dict] = None):
        super().__init__(node)
        self.admin_socket = "/run/hagring/hagring.sock"
        self.state_dir = "/var/lib/hagring"
        self._dns = dns
        self.pod = manifests.pod_of(daemon_set or manifests.of_kind("DaemonSet"))
        self.container = self.pod["containers"][0]

    def launch(self) -> "PodAgent":
        """Starts its container, without waiting for the agent to answer."""
        secrets = {"hagring-mesh-key": {"mesh.key": self._mesh_key + "\n"}}
        self._process = PodContainer(self.node, self.pod, self.container, secrets, self._dns).start()
        return self

    def probe(self, name: str) -> int:
        """The HTTP status of "livenessProbe" or "readinessProbe", as kubelet asks."""
        get = self.container[name]["httpGet"]
        return int(self.node.curl("-o", "/dev/null", "-w", "%{http_code}",
                                  f"http://{self.node.ipv4}:{get['port']}{get['path']}",
                                  check=False).stdout or 0)
