# SPDX-License-Identifier: Apache-2.0
"""Holds an origin's answers at the place that a test names, until the test lets them go, or gives them with
the faults that it asks for."""

import contextlib
import http.server
import os
import socketserver
import threading
from typing import Optional

from .fault import Fault

#: Repositories below this one are behind the gate: "gated/demo".
GATED = "gated"

_SOCKET = "/run/gate.sock"
_DEADLINE_S = 60

_LOCATIONS = f"""
    location ^~ /v2/{GATED}/ {{
      proxy_pass http://unix:{_SOCKET}:;
      proxy_set_header X-Lab-Client $remote_addr;
      proxy_buffering off;
      proxy_read_timeout 600s;
    }}
    location ^~ /ungated/ {{
      proxy_pass http://127.0.0.1:5001/;
      proxy_set_header Host $http_host;
    }}
"""


class Hold:
    """A request that is to be held. after: the part of the body that is sent before; None: not even
    the headers are."""

    def __init__(self, method: str, path: str, after: Optional[float]):
        self.method, self.path, self.after = method, path, after
        self.reached = threading.Event()
        self._released = threading.Event()

    def wait(self, deadline_s: float = 20) -> None:
        """Waits until the request is there, and what is to be sent before has been."""
        if not self.reached.wait(deadline_s):
            raise AssertionError(f"After {deadline_s} s still no {self.method} {self.path}.")

    def release(self) -> None:
        """Lets it go on."""
        self._released.set()

    def stay(self) -> None:
        """The gate's end: says that the request is there, and stays until it may go on."""
        self.reached.set()
        self._released.wait(_DEADLINE_S)


class Gate:
    """The gate of an Origin, between its nginx and its registry, in the test's own process. A context
    manager."""

    def __init__(self, origin):
        self._origin = origin
        self._holds: list[Hold] = []
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._server = None

    def __enter__(self) -> "Gate":
        socket = self._origin.path(_SOCKET)
        socket.unlink(missing_ok=True)
        self._server = _Server(str(socket), _handler(self))
        os.chmod(socket, 0o666)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self._origin.set_faults(_LOCATIONS)
        return self

    def __exit__(self, *_) -> None:
        for hold in self._holds:
            hold.release()
        self.mend()
        self._server.shutdown()
        self._server.server_close()

    def hold(self, method: str, path: str, after: Optional[float] = None) -> Hold:
        """Holds the next request of this method whose path ends with `path`."""
        hold = Hold(method, path, after)
        with self._lock:
            self._holds.append(hold)
        return hold

    def take(self, method: str, path: str) -> Optional[Hold]:
        """The hold that is for this request, if there is one, which no other request gets then."""
        with self._lock:
            for hold in self._holds:
                if hold.method == method and path.endswith(hold.path) \
                        and not hold.reached.is_set():
                    self._holds.remove(hold)
                    return hold
        return None

    def fault(self, path: str, **options) -> Fault:
        """Has GETs of paths that end with `path` answered with a fault (see Fault for options), until
        mend()."""
        fault = Fault(path, **options)
        with self._lock:
            self._faults.append(fault)
        return fault

    def mend(self) -> None:
        """Takes all faults away; answers under way go on."""
        with self._lock:
            faults, self._faults = self._faults, []
        for fault in faults:
            fault.release()

    def take_fault(self, method: str, path: str, headers) -> Optional[Fault]:
        """The fault that this request's answer is to have, if there is one."""
        with self._lock:
            return next((fault for fault in self._faults if method == "GET"
                         and fault.takes(path, headers["X-Lab-Client"], headers["Range"])), None)

    def fetch(self, method: str, path: str, headers: dict):
        """What the registry answers."""
        return self._origin.http(method, f"/ungated{path}", headers=headers)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64


def _handler(gate: Gate):
    class Handler(http.server.BaseHTTPRequestHandler):
        """One request a connection, as nginx asks."""

        def do_GET(self) -> None:
            """Relays, and holds."""
            hold = gate.take(self.command, self.path)
            if hold and hold.after is None:
                hold.stay()
            fault = gate.take_fault(self.command, self.path, self.headers)
            with contextlib.suppress(OSError):  # nginx goes when whom it asks for has gone
                if fault and fault.status:
                    self._head(fault.status, fault.fields | {"Content-Length": "0"})
                    return
                reply = gate.fetch(self.command, self.path, {
                    name: value for name, value in self.headers.items()
                    if name.lower() in ("accept", "host", "authorization")
                    or name.lower() == "range" and (not fault or fault.ranges)})
                fields = dict(reply.getheaders())
                self._head(reply.status, fault.change(fields) if fault else fields)
                if fault:
                    fault.send(reply.data, self.wfile.write)
                else:
                    self._send(reply.data, hold)

        do_HEAD = do_GET

        def _head(self, status: int, fields: dict) -> None:
            self.send_response(status)
            for name, value in fields.items():
                if name.lower() not in ("connection", "date", "server", "transfer-encoding"):
                    self.send_header(name, value)
            self.end_headers()

        def _send(self, data: bytes, hold: Optional[Hold]) -> None:
            if not hold or hold.after is None:
                self.wfile.write(data)
                return
            before = int(len(data) * hold.after)
            self.wfile.write(data[:before])
            hold.stay()
            self.wfile.write(data[before:])

        def address_string(self) -> str:
            return "nginx"

        def log_message(self, *_) -> None:  # pylint: disable=arguments-differ
            """nginx's log is enough."""

    return Handler
