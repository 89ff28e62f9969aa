# SPDX-License-Identifier: Apache-2.0
"""A machine with nginx on it under public names: it ends TLS, keeps the access log that tests assert on,
and makes the faults that tests ask for. What is behind it is a subclass's (origin.py, cdn.py)."""

import contextlib
import http.client
import os
import pathlib
import signal
import socket
from typing import Optional, Sequence

from . import access_log, binaries
from .access_log import Request
from .cutter import Cutter
from .host import Host
from .process import Process, wait_until

_NGINX = """
daemon off;
user root;
worker_processes 1;  # one: the log is in the order in which requests ended
pid /run/origin.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
  {log_format}
  access_log "{folder}/access.log" lab;
  client_body_temp_path /run/origin-body; proxy_temp_path /run/origin-proxy;
  fastcgi_temp_path /run/origin-1; uwsgi_temp_path /run/origin-2; scgi_temp_path /run/origin-3;
  client_max_body_size 0;
  proxy_max_temp_file_size 0;
  proxy_http_version 1.1;
  keepalive_timeout 75s;
  sendfile on;
  set_real_ip_from unix:;
  real_ip_header proxy_protocol;
  server {{
{listens}
    server_name _;
    location = /lab-marker {{ return 200 "{generation}"; }}
{faults}
    location / {{
{location}
    }}
  }}
}}
"""

#: Where the cutter finds nginx: TLS that begins with a PROXY line, so that the log names the client.
_BEHIND = "/run/origin-behind.sock"


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: pathlib.Path, timeout: float):
        super().__init__("origin", timeout=timeout)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Front(Host):
    """nginx under `names` on TLS ports (certificate by the lab's authority, or `authority`), under
    plain_names on plain_ports without TLS. trusted: whether nodes trust its authority; tls: more nginx
    directives, such as ssl_verify_client."""

    def __init__(self, lab, name: str, number: int, names: Sequence[str],
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
        self._faults = ""
        self._generation = 0
        self._front: Optional[Process] = None
        self._cutter: Optional[Cutter] = None
        self._chain, self._key = self.authority.issue(name, self.names + [self.ipv4, self.ipv6])

    # What is behind it

    def location(self) -> str:
        """nginx's directives for all that no fault is for."""
        raise NotImplementedError

    def start_back(self) -> None:
        """Starts what is behind nginx."""

    def stop_back(self) -> None:
        """Stops it."""

    def back_serves(self) -> bool:
        """Whether what is behind answers; RuntimeError if it never will."""
        return True

    # Running

    def start(self) -> None:
        """Starts it, and waits until it serves."""
        self.start_back()
        self._configure()
        for socket_file in ("/run/origin.sock", _BEHIND):
            self.path(socket_file).unlink(missing_ok=True)
        self._front = self.spawn("nginx", [binaries.nginx(), "-e", "stderr", "-p", self.folder, "-c",
                                           self.folder / "nginx.conf"])
        wait_until(self._serves, 30, f"{self.name} serves")

    def stop(self) -> None:
        """Stops it: connections are refused, those that are open end."""
        self.set_cutter(None)
        self._front.stop()
        self.stop_back()

    def running(self) -> bool:
        """Whether it's started."""
        return self._front is not None and self._front.running()

    def set_faults(self, locations: str) -> None:
        """Puts nginx `location` blocks before what is behind ("" takes them away), for example
        'location ~ /blobs/ { return 503; }', and waits until new connections see them."""
        self._faults = locations
        self._reload()

    def set_cutter(self, after_bytes: Optional[int], how: str = "fin",
                   times: Optional[int] = None) -> Optional[Cutter]:
        """Lets connections to the TLS ports end when `after_bytes` bytes (of TLS) have gone to the
        client: by "fin", by "rst", or by a "stall" (no further byte, nothing closed). `times`: only the
        first connections that get so far (None: all). None takes it away. Returns the cutter, which
        counts: `cutter.cuts`."""
        had, self._cutter = self._cutter, None
        if after_bytes is None:
            if had:
                had.stop()
                self._reload()
            return None
        if had:
            had.stop()
        self._cutter = Cutter(self, self._tls_ports, _BEHIND, after_bytes, how, times)
        if not had:
            self._reload()  # lets go of the ports
        return self._cutter.start()

    def _reload(self) -> None:
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
        lines = ["listen unix:/run/origin.sock;", f"listen unix:{_BEHIND} ssl proxy_protocol;"]
        for port in self._tls_ports if self._cutter is None else ():
            lines += [f"listen {port} ssl;", f"listen [::]:{port} ssl ipv6only=on;"]
        for port in self._plain_ports:
            lines += [f"listen {port};", f"listen [::]:{port} ipv6only=on;"]
        lines += [f'ssl_certificate "{self._chain}";', f'ssl_certificate_key "{self._key}";',
                  *self._tls]
        (self.folder / "nginx.conf").write_text(_NGINX.format(
            folder=self.folder, listens="\n".join("    " + line for line in lines),
            generation=self._generation, faults=self._faults, location=self.location(),
            log_format=access_log.FORMAT))

    def _serves(self) -> bool:
        if not self._front.running():
            raise RuntimeError(f"{self._front.name} exited.\n{self._front.log_tail()}")
        return self._marker() == self._generation and self.back_serves()

    def http(self, method: str, path: str, body: Optional[bytes] = None, headers=None,
             timeout_s: float = 30) -> http.client.HTTPResponse:
        """Asks it from outside the lab's network (remote "unix:" in the log). The response has been
        read; its bytes are `.data`."""
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
        """Lets a machine resolve its names and, unless it's private, trust its certificates."""
        host.add_hosts({name: [self.ipv4, self.ipv6] for name in self.names + self.plain_names})
        if self._trusted:
            host.trust(f"{self.name}-authority", self.authority.pem)

    # The log

    def requests(self, since: float = 0, host: Optional[Host] = None) -> list[Request]:
        """The requests that have ended, after `since` (now()), from `host` if given."""
        if self.running():
            # One worker writes the log in order: what ended before this request stands before it.
            self.http("GET", "/lab-marker")
        return [request for request in access_log.read(self.folder / "access.log")
                if request.remote != "unix:" and request.time > since
                and (host is None or request.remote in (host.ipv4, host.ipv6))]

    def now(self) -> float:
        """A time for requests(since=…): what has ended until now is before it."""
        if self.running():
            self.http("GET", "/lab-marker")
        *_, last = access_log.read(self.folder / "access.log")
        return last.time

    def bytes_sent(self, since: float = 0, host: Optional[Host] = None) -> int:
        """The bytes of blobs that it has sent since."""
        return sum(r.bytes for r in self.requests(since, host)
                   if r.method == "GET" and r.is_blob and r.status in (200, 206))


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
