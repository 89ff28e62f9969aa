# SPDX-License-Identifier: Apache-2.0
"""An origin registry: Debian's docker-registry behind nginx, under the public registries' own names.

nginx ends TLS, keeps the access log that tests assert on, and makes the faults that tests ask for.
"""

import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
from typing import NamedTuple, Optional, Sequence

from . import binaries
from .host import Host
from .image import Image
from .process import Process, wait_until

DOCKER_HUB = "registry-1.docker.io"

_NGINX = """
daemon off;
user root;
worker_processes 1;  # one: the log is in the order in which requests ended
pid /run/origin.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
  log_format lab escape=json '{{"time":$msec,"remote":"$remote_addr","method":"$request_method",'
    '"path":"$request_uri","status":$status,"bytes":$body_bytes_sent,"agent":"$http_user_agent",'
    '"range":"$http_range","host":"$host","port":"$server_port","complete":"$request_completion",'
    '"authorization":"$http_authorization","accept":"$http_accept",'
    '"accept_encoding":"$http_accept_encoding"}}';
  access_log "{folder}/access.log" lab;
  client_body_temp_path /run/origin-body; proxy_temp_path /run/origin-proxy;
  fastcgi_temp_path /run/origin-1; uwsgi_temp_path /run/origin-2; scgi_temp_path /run/origin-3;
  client_max_body_size 0;
  proxy_max_temp_file_size 0;
  proxy_http_version 1.1;
  keepalive_timeout 75s;
  server {{
{listens}
    server_name _;
    location = /lab-marker {{ return 200 "{generation}"; }}
{faults}
    location / {{
      proxy_pass http://127.0.0.1:5001;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_read_timeout 600s;
    }}
  }}
}}
"""

_REGISTRY = """
version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: "{storage}"}}
  delete: {{enabled: true}}
  maintenance: {{uploadpurging: {{enabled: false}}}}
http: {{addr: "127.0.0.1:5001", relativeurls: true, secret: "of no use here"}}
"""


class Request(NamedTuple):
    """A line of the origin's access log: a request that has ended."""

    time: float  #: when it ended, seconds since the epoch
    remote: str
    method: str
    path: str  #: with the query
    status: int
    bytes: int  #: of the body, as sent
    agent: str  #: User-Agent
    range: str
    host: str
    port: int
    complete: bool  #: the client took all of it
    authorization: str
    accept: str
    accept_encoding: str

    @property
    def is_blob(self) -> bool:
        """Whether it asked for a blob."""
        return "/blobs/" in self.path

    @property
    def is_manifest(self) -> bool:
        """Whether it asked for a manifest."""
        return "/manifests/" in self.path


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: pathlib.Path, timeout: float):
        super().__init__("origin", timeout=timeout)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Origin(Host):
    """The origin. Made by Lab.origin().

    names: what it is called, on TLS ports (certificate by the lab's authority, or `authority`);
    plain_names and plain_ports: the same without TLS. trusted: whether nodes trust its authority;
    tls: more nginx directives, such as ssl_verify_client."""

    def __init__(self, lab, name: str, number: int, names: Sequence[str] = (DOCKER_HUB,),
                 tls_ports: Sequence[int] = (443,), plain_names: Sequence[str] = ("plain.lab.test",),
                 plain_ports: Sequence[int] = (80, 5000), authority=None,
                 trusted: bool = True, tls: Sequence[str] = ()):
        super().__init__(lab, name, number)
        self.names = list(names)
        self.plain_names = list(plain_names)
        self._tls_ports, self._plain_ports = list(tls_ports), list(plain_ports)
        self.authority = authority or lab.authority
        self._trusted = trusted
        self._tls = list(tls)
        self.storage = self.folder / "storage"
        self.storage.mkdir()
        self._faults = ""
        self._generation = 0
        self._registry: Optional[Process] = None
        self._front: Optional[Process] = None
        self._chain, self._key = self.authority.issue(name, self.names + [self.ipv4, self.ipv6])

    # Running

    def start(self) -> None:
        """Starts it, and waits until it serves."""
        (self.folder / "registry.yml").write_text(_REGISTRY.format(storage=self.storage))
        self._registry = self.spawn("registry", [binaries.docker_registry(), "serve",
                                                 self.folder / "registry.yml"])
        self._configure()
        self.path("/run/origin.sock").unlink(missing_ok=True)
        self._front = self.spawn("nginx", [binaries.nginx(), "-e", "stderr", "-p", self.folder, "-c",
                                           self.folder / "nginx.conf"])
        wait_until(self._serves, 30, f"{self.name} serves")

    def stop(self) -> None:
        """Stops it: connections are refused, those that are open end."""
        self._front.stop()
        self._registry.stop()

    def running(self) -> bool:
        """Whether it's started."""
        return self._front is not None and self._front.running()

    def set_faults(self, locations: str) -> None:
        """Puts nginx `location` blocks before the registry's ("" takes them away), for example
        'location ~ /blobs/ { return 503; }', and waits until new connections see them."""
        self._faults = locations
        self._configure()
        self._front.signal(signal.SIGHUP)
        wait_until(self._reloaded, 10, "nginx has reloaded")

    def _reloaded(self) -> bool:
        """Whether the new worker answers, and it alone: an old one goes on accepting for a moment."""
        if self._marker() != self._generation:
            return False
        listening = _listening_sockets(self.pid)
        accepting = [pid for pid in self.cgroup.child("nginx").pids()
                     if pid != self._front.pid and listening & _sockets(pid)]
        return len(accepting) == 1

    def _configure(self) -> None:
        self._generation += 1
        lines = ["listen unix:/run/origin.sock;"]
        for port in self._tls_ports:
            lines += [f"listen {port} ssl;", f"listen [::]:{port} ssl ipv6only=on;"]
        for port in self._plain_ports:
            lines += [f"listen {port};", f"listen [::]:{port} ipv6only=on;"]
        lines += [f'ssl_certificate "{self._chain}";', f'ssl_certificate_key "{self._key}";',
                  *self._tls]
        (self.folder / "nginx.conf").write_text(_NGINX.format(
            folder=self.folder, listens="\n".join("    " + line for line in lines),
            generation=self._generation, faults=self._faults))

    def _serves(self) -> bool:
        for process in (self._registry, self._front):
            if not process.running():
                raise RuntimeError(f"{process.name} exited.\n{process.log_tail()}")
        try:
            return self.http("GET", "/v2/").status == 200
        except OSError:
            return False

    def http(self, method: str, path: str, body: Optional[bytes] = None, headers=None,
             timeout_s: float = 30) -> http.client.HTTPResponse:
        """Asks the origin from outside the lab's network (remote "unix:" in the log). The response
        has been read; its bytes are `.data`."""
        connection = _UnixConnection(self.path("/run/origin.sock"), timeout_s)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            response.data = response.read()
            return response
        finally:
            connection.close()

    def _marker(self) -> int:
        try:
            return int(self.http("GET", "/lab-marker").data)
        except (OSError, ValueError):
            return -1

    def introduce(self, host: Host) -> None:
        """Lets a machine resolve the origin's names and, unless it's private, trust its certificates."""
        host.add_hosts({name: [self.ipv4, self.ipv6] for name in self.names + self.plain_names})
        if self._trusted:
            host.trust(f"{self.name}-authority", self.authority.pem)

    # The log

    def requests(self, since: float = 0, host: Optional[Host] = None) -> list[Request]:
        """The requests that have ended, after `since` (Origin.now()), from `host` if given."""
        if self.running():
            # One worker writes the log in order: what ended before this request stands before it.
            self.http("GET", "/lab-marker")
        found = []
        for line in (self.folder / "access.log").read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            request = Request(**entry | {"port": int(entry["port"] or 0), "status": int(entry["status"]),
                                         "complete": entry["complete"] == "OK"})
            if request.remote == "unix:" or request.time <= since:
                continue
            if host is None or request.remote in (host.ipv4, host.ipv6):
                found.append(request)
        return found

    def now(self) -> float:
        """A time for requests(since=…): what has ended until now is before it."""
        self.http("GET", "/lab-marker")
        last = (self.folder / "access.log").read_text(encoding="utf-8").splitlines()[-1]
        return json.loads(last)["time"]

    def bytes_sent(self, since: float = 0, host: Optional[Host] = None) -> int:
        """The bytes of blobs that it has sent since."""
        return sum(r.bytes for r in self.requests(since, host)
                   if r.method == "GET" and r.is_blob and r.status in (200, 206))

    # Content

    def blob_file(self, digest: str) -> pathlib.Path:
        """The file that holds a blob."""
        value = digest.removeprefix("sha256:")
        return self.storage / "docker/registry/v2/blobs/sha256" / value[:2] / value / "data"

    def publish(self, image: Image, repository: str = "library/demo", tag: str = "1") -> str:
        """Puts an image into the registry's storage; returns its digest."""
        base = self.storage / "docker/registry/v2/repositories" / repository
        for digest, data in image.blobs.items():
            target = self.blob_file(digest)
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                _store(data, target)
            _link(base / "_layers", digest)
            if digest in image.manifests:
                _link(base / "_manifests/revisions", digest)
        _link(base / "_manifests/tags" / tag / "index", image.digest)
        (base / "_manifests/tags" / tag / "current").mkdir(parents=True, exist_ok=True)
        (base / "_manifests/tags" / tag / "current/link").write_text(image.digest)
        return image.digest

    def unpublish(self, repository: str, tag: str) -> None:
        """Removes a tag; content stays."""
        shutil.rmtree(self.storage / "docker/registry/v2/repositories" / repository / "_manifests/tags"
                      / tag)


def _listening_sockets(pid: int) -> set[str]:
    """The TCP sockets that listen in the process's network namespace, as /proc/<pid>/fd names them."""
    found = set()
    for family in ("tcp", "tcp6"):
        for line in pathlib.Path(f"/proc/{pid}/net/{family}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":  # TCP_LISTEN
                found.add(f"socket:[{fields[9]}]")
    return found


def _sockets(pid: int) -> set[str]:
    found = set()
    for descriptor in pathlib.Path(f"/proc/{pid}/fd").glob("*"):
        with contextlib.suppress(OSError):
            found.add(os.readlink(descriptor))
    return found


def _store(data, target: pathlib.Path) -> None:
    if isinstance(data, bytes):
        target.write_bytes(data)
        return
    try:
        os.link(data, target)
    except OSError:
        shutil.copyfile(data, target)


def _link(folder: pathlib.Path, digest: str) -> None:
    algorithm, _, value = digest.partition(":")
    (folder / algorithm / value).mkdir(parents=True, exist_ok=True)
    (folder / algorithm / value / "link").write_text(digest)
