# SPDX-License-Identifier: Apache-2.0
"""The demo: an image that only another node has, pulled by an unchanged containerd.

Run by scripts/demo.sh.
"""

import argparse
import contextlib
import shutil
import sys
import time

from . import Lab, agent, binaries, image, nginx_image, paths, preflight, wait_until
from .containerd import CONFIG
from .cri import CallError

REAL = "docker.io/library/nginx:1.27.4"
ONLY_HERE = "docker.io/library/nginx-not-exist:1.27.4"

_LOGS = paths.REPOSITORY / "build" / "demo-logs"


class DemoFailed(AssertionError):
    """A step did not show what it should."""


def _say(text: str = "") -> None:
    print(text, flush=True)


def _megabytes(size: float) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size:.0f} B"


def _check(holds, claim: str, detail: str = "") -> None:
    if not holds:
        raise DemoFailed(f"{claim}: it does not hold. {detail}".strip())
    _say(f"   ✓ {claim}")


class Demo:
    """The story, a method a step."""

    def __init__(self, lab: Lab, version: str):
        self.lab = lab
        self.version = version
        self._steps = 0

    @contextlib.contextmanager
    def _step(self, title: str):
        self._steps += 1
        _say(f"\n{self._steps}. {title}")
        began = time.monotonic()
        yield
        _say(f"   ({time.monotonic() - began:.1f} s)")

    def run(self) -> None:
        """Tells it all."""
        self.set_up()
        self.without_an_agent()
        self.start_agents()
        self.pull_on_a()
        self.tag_on_a()
        self.pull_on_b()
        self.pull_on_c()
        self.show_redirection()
        self.run_a_container()

    def set_up(self) -> None:
        """The origin and two nodes."""
        with self._step("An origin registry and three nodes, each with its own network and files"):
            self.origin = self.lab.origin()
            self.image = nginx_image.nginx_image()
            self.origin.publish(self.image, "library/nginx", "1.27.4")
            _say(f"   registry-1.docker.io is {self.origin.ipv4} and {self.origin.ipv6} here; it has "
                 f"library/nginx:1.27.4, {_megabytes(self.image.total_bytes)}")
            self.a, self.b, self.c = (self.lab.node(name, containerd=self.version)
                                      for name in ("a", "b", "c"))
            for node in (self.a, self.b, self.c):
                name, release = node.containerd.client.cri_version()
                _say(f"   node {node.name}: {node.ipv4}, {name} {release}, pid {node.containerd.pid}")
                _check(not node.path(CONFIG).exists(),
                       f"node {node.name} has no {CONFIG}: every default is in force")

    def without_an_agent(self) -> None:
        """What a node does by itself."""
        with self._step(f"Without an agent, node b is asked for {ONLY_HERE}"):
            try:
                self.b.pull(ONLY_HERE)
            except CallError as error:
                _say(f"   containerd: {error.details.rsplit(': ', 2)[-2]}: "
                     f"{error.details.rsplit(': ', 1)[-1]}")
                _check("not found" in error.details, "no registry has such an image")
                return
            raise DemoFailed(f"{ONLY_HERE} could be pulled before it was made.")

    def start_agents(self) -> None:
        """Agents on two nodes. A Go program reads the trusted certificates once in its life."""
        with self._step("hagring starts on nodes a and b; containerd restarts, to see its certificate"):
            _say(f"   node a knows nobody; node b is told of node a: --bootstrap {self.a.ipv4}")
            self._start_agent(self.a)
            self._start_agent(self.b, self.a)
            for node in (self.a, self.b):
                known = node.agent.wait_for_mesh(1)["mesh"]["nodes"][0]
                _say(f"   node {node.name} has {known['peer_id']} in its table")

    def _start_agent(self, node, *peers) -> None:
        """An agent that joins the mesh by `peers`, and a containerd that trusts it."""
        node.start_agent(peers=peers)
        node.containerd.restart()
        pid = node.containerd.pid
        status = node.agent.wait_for(
            lambda s: any(c["pid"] == pid and c["trust"] == "trusted" for c in s["clients"]),
            30, f"containerd of node {node.name} trusts the mirror")
        client = next(c for c in status["clients"] if c["pid"] == pid)
        _say(f"   node {node.name}: containerd pid {pid} in {client.get('cgroup', '?')}, "
             f"trusted: {client.get('reason', '')}")
        _check(not node.path(CONFIG).exists(), f"node {node.name} still has no {CONFIG}")

    def pull_on_a(self) -> None:
        """The origin serves the first node."""
        with self._step(f"Node a pulls {REAL} over CRI, as kubelet does"):
            since = self.origin.now()
            seconds = self._pull(self.a, REAL)
            sent = self.origin.bytes_sent(since, self.a)
            _say(f"   {seconds:.1f} s; the origin sent {_megabytes(sent)} of blobs")
            self._show_sources(self.a, REAL, "origin")

    def tag_on_a(self) -> None:
        """A name that no registry knows."""
        with self._step(f"On node a: ctr image tag … {ONLY_HERE}"):
            self.a.containerd.ctr("images", "tag", REAL, ONLY_HERE)
            self.a.agent.wait_until_told(ONLY_HERE)
            self._show_lookup(self.b, [self.a])
            answer = self.origin.http("GET", "/v2/library/nginx-not-exist/manifests/1.27.4").status
            _check(answer == 404, "the origin says of it: 404")

    def pull_on_b(self) -> None:
        """The point of it all."""
        with self._step(f"Node b pulls {ONLY_HERE} over CRI"):
            self._pull_from_peers(self.b)

    def pull_on_c(self) -> None:
        """A node that joins later, through one that isn't the first."""
        with self._step(f"A third node joins the mesh by node b, and pulls {ONLY_HERE}"):
            self._start_agent(self.c, self.b)
            self.c.agent.wait_for_mesh(2)
            self.b.agent.wait_until_told(ONLY_HERE)
            self._show_lookup(self.c, [self.a, self.b])
            self._pull_from_peers(self.c)

    def _show_lookup(self, node, having) -> None:
        """Who has the image, as `hagring lookup` says on `node`."""
        wanted = {other.agent.status()["mesh"]["peer_id"] for other in having}
        wait_until(lambda: {p["peer_id"] for p in node.agent.lookup(ONLY_HERE)["providers"]} == wanted,
                   20, f"node {node.name} finds the nodes that have {ONLY_HERE}")
        _say(f"   node {node.name} $ hagring lookup {ONLY_HERE}")
        shown = node.agent.hagring("lookup", agent.ADMIN_SOCKET, node.agent.admin_socket, ONLY_HERE)
        for line in shown.stdout.splitlines():
            _say(f"     {line}")

    def _pull_from_peers(self, node) -> None:
        """Pulls the image that only nodes have, and shows that they alone served it."""
        since = self.origin.now()
        seconds = self._pull(node, ONLY_HERE)
        _say(f"   {seconds:.1f} s")
        self._show_sources(node, ONLY_HERE, "peer")
        requests = self.origin.requests(since, node)
        _say("   The origin's log of it: " + ("" if requests else "nothing"))
        for request in requests:
            _say(f"     {request.method} {request.path} → {request.status}, {request.bytes} B")
        answered = [r for r in requests if r.method == "GET" and r.status in (200, 206)]
        _check(not answered, f"no GET of node {node.name} was answered 200 by the origin", str(answered))
        _check(self.origin.bytes_sent(since, node) == 0, "bytes of blobs from the origin: 0")

    def _pull(self, node, name: str) -> float:
        began = time.monotonic()
        node.pull(name)
        seconds = time.monotonic() - began
        blobs = node.verify_content(name, self.origin)
        _check(True, f"{len(blobs)} blobs, {_megabytes(sum(b.size_bytes for b in blobs))}, "
                     "byte for byte what the origin has")
        return seconds

    def _show_sources(self, node, name: str, expected: str) -> None:
        """Where each blob came from, by the agent's own record: a pull that passed it by fails here."""
        repository = image.full_name(name).split("/", 1)[1].rsplit(":", 1)[0]
        recent = {entry["reference"]: entry for entry in reversed(node.agent.status()["recent"])
                  if entry["repository"] == repository and entry["method"] == "GET"
                  and entry["status"] in (200, 206)}
        _say(f"   Where it came from, says the agent of node {node.name}:")
        for blob in node.verify_content(name):
            entry = recent.get(blob.digest)
            if entry is None:
                raise DemoFailed(f"The {blob.kind} {blob.digest} did not come through the agent.")
            _say(f"     {blob.kind:<8} {blob.digest[:19]}… {_megabytes(blob.size_bytes):>9}  "
                 f"{entry['source']}")
            if not entry["source"].startswith(expected):
                raise DemoFailed(f"{blob.digest} should have come from {expected}.")

    def show_redirection(self) -> None:
        """The kernel's side."""
        with self._step("What the kernel redirected on node b"):
            for name, entries in (("clients", 1), ("flows", 2), ("counters", 1)):
                _say(f"   $ bpftool map dump pinned {self.b.agent.pin_dir}/{name}")
                for line in _first_entries(self.b.agent.dump_map(name), entries):
                    _say(f"     {line}")
            _say("   $ hagring status")
            shown = self.b.agent.hagring("status", agent.ADMIN_SOCKET, self.b.agent.admin_socket).stdout
            for line in shown.splitlines():
                _say(f"     {line}")

    def run_a_container(self) -> None:
        """The image works."""
        with self._step(f"Node b runs a container of {ONLY_HERE}"):
            done = self.b.containerd.run_container(ONLY_HERE, "nginx", "-v")
            _check("nginx version" in done.stdout + done.stderr, (done.stdout + done.stderr).strip())
            name = self.b.containerd.start_container(ONLY_HERE)
            try:
                url = f"http://127.0.0.1:{nginx_image.PORT}/"
                page = wait_until(lambda: self.b.curl(url, check=False).stdout, 20, "nginx answers")
            finally:
                self.b.containerd.stop_container(name)
            _check(page == nginx_image.PAGE, f"its page says: {page.strip()}")


def _first_entries(dump: str, count: int) -> list[str]:
    """The first `count` entries of bpftool's dump of a map with BTF, and how many more there are."""
    lines = dump.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith(("[{", "    },{"))]
    if len(starts) <= count:
        return lines
    return lines[:starts[count]] + ["    }", f"    … and {len(starts) - count} more"]


def main() -> None:
    """Runs the demo; exit code 0 only if every step showed what it claims."""
    parser = argparse.ArgumentParser(prog="scripts/demo.sh", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--containerd", default="2.1", choices=binaries.CONTAINERD_VERSIONS,
                        help="the version of containerd (default %(default)s)")
    options = parser.parse_args()
    why = preflight.missing()
    if why:
        sys.exit(f"demo: {why}")
    if agent.binary() is None:
        sys.exit(f"demo: {agent.BINARY_VARIABLE} must name the agent's binary; scripts/demo.sh sets it")
    shutil.rmtree(_LOGS, ignore_errors=True)
    began = time.monotonic()
    try:
        with Lab(keep_logs=_LOGS) as lab:
            Demo(lab, options.containerd).run()
    except Exception as error:
        _say(f"\nThe demo failed: {type(error).__name__}: {error}\nAll logs are in {_LOGS}.")
        sys.exit(1)
    shutil.rmtree(_LOGS, ignore_errors=True)
    _say(f"\nDone in {time.monotonic() - began:.0f} s. Everything is removed again; downloads stay in "
         f"{paths.CACHE}.")


if __name__ == "__main__":
    main()
