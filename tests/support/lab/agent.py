# SPDX-License-Identifier: Apache-2.0
"""The agent under test, on a node."""

import copy
import json
import os
import pathlib
import re
from typing import Callable, Optional, Sequence

from .process import Process, wait_until

# The agent's flags, here and nowhere else.
CONTAINERD_SOCKET = "--containerd-socket"
REGISTRY = "--registry"
BOOTSTRAP = "--bootstrap"
MESH_KEY_FILE = "--mesh-key-file"
STATE_DIR = "--state-dir"
PIN_DIR = "--pin-dir"
ADMIN_SOCKET = "--admin-socket"
PEER_LISTEN = "--peer-listen"
CONFIG = "--config"
#: deploy/systemd/hagring.service, TimeoutStopSec.
STOP_S = 20

#: The environment's variable that names the binary; CTest sets it.
BINARY_VARIABLE = "HAGRING_BINARY"

PEER_PORT = 5000
DHT_PORT = 5001

#: What a sanitizer's report in the agent's log has in it.
SANITIZER_REPORT = re.compile(
    r"(ERROR|WARNING): \w+Sanitizer|runtime error:|SUMMARY: \w+Sanitizer")
MAX_REPORT_CHARACTERS = 16000


def binary() -> Optional[pathlib.Path]:
    """The agent's binary, None if it isn't named or not there."""
    named = os.environ.get(BINARY_VARIABLE, "")
    path = pathlib.Path(named).resolve() if named else None
    return path if path and path.exists() else None


class Agent:
    """`hagring agent` on a node.

    peers: nodes (or what --bootstrap takes) by which it joins the mesh; mesh_key: the mesh's key,
    without it the lab's, "" for none (then say --spegel-compat); registries: further registries to
    mirror; arguments: more of the command line; env: more of its environment; untold: it is told
    nothing of where its things go, and makes them itself; through: a program that starts it, such as
    ("prlimit", "--nofile=64:64")."""

    def __init__(self, node, peers: Sequence = (), registries: Sequence[str] = (),
                 arguments: Sequence[str] = (), env: Optional[dict] = None, name: str = "agent",
                 mesh_key: Optional[str] = None, untold: bool = False, through: Sequence[str] = ()):
        self.node = node
        self.name = name
        self.admin_socket = f"/run/hagring/{name}.sock"
        self.pin_dir = "/sys/fs/bpf/hagring" if name == "agent" else f"/sys/fs/bpf/hagring-{name}"
        self.state_dir = f"/var/lib/hagring/{name}"
        self._env = env
        self._untold = untold
        self._through = list(through)
        self._arguments = [
            STATE_DIR, self.state_dir, PIN_DIR, self.pin_dir, ADMIN_SOCKET, self.admin_socket]
        self._mesh_key = node.lab.mesh_key if mesh_key is None else mesh_key
        if untold:
            self.state_dir, self.admin_socket = "/var/lib/hagring", "/run/hagring/hagring.sock"
            self._arguments, self._mesh_key = [], ""
        if self._mesh_key:
            self._arguments += [MESH_KEY_FILE, f"{self.state_dir}/mesh.key"]
        for peer in peers:
            self._arguments += [BOOTSTRAP, peer if isinstance(peer, str) else peer.ipv4]
        for registry in registries:
            self._arguments += [REGISTRY, registry]
        self._arguments += list(arguments)
        self._process: Optional[Process] = None
        #: Counts those who took over from each other.
        self.generation = 0

    def _process_name(self) -> str:
        return f"{self.name}-{self.generation}" if self.generation else self.name

    @property
    def process(self) -> Process:
        """The running agent."""
        return self._process

    @property
    def pid(self) -> int:
        """The agent's process id."""
        return self._process.pid

    def start(self, deadline_s: float = 30) -> "Agent":
        """Starts it and waits until its admin socket answers."""
        self.launch()
        self.wait_for(lambda status: True, deadline_s, "the agent answers")
        return self

    def launch(self) -> "Agent":
        """Starts it, without waiting."""
        program = binary()
        if program is None:
            raise RuntimeError(f"{BINARY_VARIABLE} must name the agent's binary, for example "
                               "build/dev/userspace/cli/hagring.")
        for folder in () if self._untold else (self.state_dir, os.path.dirname(self.admin_socket)):
            self.node.path(folder).mkdir(parents=True, exist_ok=True)
        if self._mesh_key:
            self.node.write(f"{self.state_dir}/mesh.key", self._mesh_key + "\n")
            self.node.path(f"{self.state_dir}/mesh.key").chmod(0o600)
        self._process = self.node.spawn(
            self._process_name(), [*self._through, program, "agent", *self._arguments],
            env=self._env)
        return self

    def take_over(self, deadline_s: float = 40) -> "Agent":
        """Starts another agent in the place of this one, and waits until this one has ended in order;
        returns the other."""
        successor = copy.copy(self)
        successor.generation += 1
        if "--takeover" not in self._arguments:
            successor._arguments = self._arguments + ["--takeover", "true"]
        successor.launch()
        successor.wait_for(lambda status: status["pid"] == successor.pid, deadline_s,
                           "the successor answers")
        code = self._process.wait(deadline_s)
        if code != 0:
            raise AssertionError(f"The former agent ended with {code}: "
                                 + self._process.log_tail(20))
        return successor

    def hagring(self, *arguments, timeout_s: float = 20, check: bool = True):
        """Runs `hagring …` on the node, as a person would."""
        return self.node.run(binary(), *arguments, timeout_s=timeout_s, check=check)

    def status(self) -> dict:
        """`hagring status --json`."""
        return json.loads(self.hagring("status", "--json", ADMIN_SOCKET, self.admin_socket).stdout)

    def wait_for(self, predicate: Callable[[dict], object], deadline_s: float, what: str):
        """Waits until `predicate(status)` is true of the agent's status; returns that status."""
        def holds():
            if not self._process.running():
                raise RuntimeError(f"The agent exited with {self._process.poll()}.\n"
                                   + self._process.log_tail())
            done = self.hagring("status", "--json", ADMIN_SOCKET, self.admin_socket, check=False)
            if done.returncode != 0:
                return None
            status = json.loads(done.stdout)
            return status if predicate(status) else None
        try:
            return wait_until(holds, deadline_s, what)
        except AssertionError as error:
            raise type(error)(f"{error}\n{self._process.log_tail()}") from None

    def wait_until_told(self, *names: str, deadline_s: float = 90) -> dict:
        """Waits until the mesh has been told of all that this node has, `names` among it. Nodes that
        have gone from the lab hold that up until they are found dead."""
        return self.wait_for(
            lambda s: all(self.lookup(name)["own"] for name in names)
            and self.status()["mesh"]["untold_keys"] == 0,
            deadline_s, f"{self.node.name}'s agent has told the mesh of {', '.join(names)}")

    def wait_for_mesh(self, nodes: int, deadline_s: float = 30) -> dict:
        """Waits until it knows `nodes` other nodes."""
        return self.wait_for(lambda s: len(s["mesh"]["nodes"]) >= nodes, deadline_s,
                             f"{self.node.name}'s agent knows {nodes} other nodes")

    def lookup(self, what: str) -> dict:
        """`hagring lookup --json`."""
        done = self.hagring("lookup", "--json", ADMIN_SOCKET, self.admin_socket, what, check=False)
        if done.returncode not in (0, 1):
            raise AssertionError(done.stderr)
        return json.loads(done.stdout)

    def stop(self) -> int:
        """SIGTERM: drains and ends, as the unit lets it within TimeoutStopSec; a connection that nobody uses holds
        that up for the whole of its 10 s. Fails if a sanitizer has reported something, leaks included."""
        code = self._process.stop(STOP_S)
        self.assert_sane()
        return code

    def assert_sane(self) -> None:
        """Fails if the log has a sanitizer's report, of this run or of an earlier one."""
        text = self._process.log_text()
        report = SANITIZER_REPORT.search(text)
        if report:
            start = text.rfind("\n", 0, report.start()) + 1
            raise AssertionError(f"{self._process.name}: a sanitizer reported:\n"
                                 + text[start:start + MAX_REPORT_CHARACTERS])

    def kill(self) -> int:
        """kill -9."""
        return self._process.kill()

    def dump_map(self, name: str) -> str:
        """`bpftool map dump pinned <pin directory>/<name>`, as a person would read it."""
        return self.node.run("bpftool", "map", "dump", "pinned", f"{self.pin_dir}/{name}").stdout
