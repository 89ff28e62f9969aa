# SPDX-License-Identifier: Apache-2.0
"""A program that an agent takes for containerd, and that a test tells what to connect to.

It listens on containerd's socket (so the kernel names its pid to whoever connects) and answers CRI's
PullImage by one HTTPS request to the image's registry, verified like Go does it: every file in
/etc/ssl/certs, read once in the process's life. So an agent's trust probe is answered by a real
handshake. What containerd itself can't be made to do (connections in a tight loop, a gigabyte of plain
bytes, sockets bound to a device) it does on command: JSON lines on a second socket. Run as a program
on a node; class RegistryClient is the test's end.
"""

import argparse
import base64
import concurrent.futures
import ctypes
import hashlib
import http.client
import json
import os
import pathlib
import socket
import ssl
import struct
import sys
import threading
import time

SOCKET = "/run/containerd/containerd.sock"
CONTROL = "/run/registry-client.sock"

_CLONE_NEWNET = 0x40000000  # linux/sched.h


class RegistryClient:
    """The test's end: starts the program on `node` and sends it commands."""

    def __init__(self, node, roots: str = "all", program: str = __file__):
        """`roots`: "all" reads every file in /etc/ssl/certs, "bundle" only the host's bundle, so that
        an authority dropped beside it isn't trusted. `program`: one that calls main() with more
        operations."""
        self.node = node
        for path in (SOCKET, CONTROL):
            node.path(path).parent.mkdir(parents=True, exist_ok=True)
            node.path(path).unlink(missing_ok=True)
        self.process = node.spawn("client", ["/usr/bin/python3", str(pathlib.Path(program).resolve()),
                                             "--roots", roots])
        self._wait_for_sockets()

    def _wait_for_sockets(self) -> None:
        until = time.monotonic() + 20
        while not (self.node.path(CONTROL).exists() and self.node.path(SOCKET).exists()):
            if not self.process.running() or time.monotonic() > until:
                raise RuntimeError("the registry client doesn't start\n" + self.process.log_tail())
            time.sleep(0.02)

    @property
    def pid(self) -> int:
        """The pid that the agent should redirect."""
        return self.process.pid

    def ask(self, operation: str, timeout_s: float = 60, **arguments) -> dict:
        """Sends one command and returns its answer; RuntimeError if it failed as a command."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(timeout_s)
            control.connect(str(self.node.path(CONTROL)))
            control.sendall(json.dumps({"operation": operation} | arguments).encode() + b"\n")
            answer = json.loads(control.makefile().readline())
        if "failure" in answer:
            raise RuntimeError(answer["failure"])
        return answer

    def request(self, address: str, host: str, path: str = "/v2/", **arguments) -> dict:
        """One HTTPS request: {"ok", "status", "issuer", "error", "seconds", "peer"}."""
        return self.ask("request", address=address, host=host, path=path, **arguments)


class _Trust:
    """The roots, read at the first verification and never again."""

    def __init__(self, roots: str):
        self._roots = roots
        self._lock = threading.Lock()
        self._context = None

    def context(self) -> ssl.SSLContext:
        """The one TLS context of the process."""
        with self._lock:
            if self._context is None:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                folder = pathlib.Path("/etc/ssl/certs")
                files = ([folder / "ca-certificates.crt"] if self._roots == "bundle"
                         else sorted(folder.iterdir()))
                for file in files:
                    try:
                        context.load_verify_locations(file)
                    except (OSError, ssl.SSLError):
                        continue
                self._context = context
            return self._context


class Client:
    """The program's operations."""

    def __init__(self, roots: str):
        self._trust = _Trust(roots)
        self._loop_end = threading.Event()
        self._loops = []
        self._results = []

    # One operation each

    def request(self, address, host, path="/v2/", port=443, deadline_s=10.0, method="GET",
                device=None) -> dict:
        """One connection, one TLS handshake, one HTTP request, all within deadline_s."""
        begun = time.monotonic()
        result = {"begun": begun, "ok": False, "status": None, "issuer": None, "error": None}
        try:
            with _connect(address, port, deadline_s, device) as plain:
                result["peer"] = plain.getpeername()[0]
                with self._trust.context().wrap_socket(plain, server_hostname=host) as tls:
                    result["issuer"] = _issuer(tls)
                    tls.sendall(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n"
                                "Connection: close\r\n\r\n".encode())
                    result["status"] = _read_response(tls, begun + deadline_s)
            result["ok"] = True
        except (OSError, ValueError) as error:
            result["error"] = f"{type(error).__name__}: {error}"
        result["seconds"] = time.monotonic() - begun
        if result["ok"] and result["seconds"] > deadline_s:
            result |= {"ok": False, "error": "later than its deadline"}
        return result

    def plain(self, address, port, send, deadline_s=10.0, device=None, half_close=False,
              source_port=0) -> dict:
        """Connects without TLS, sends text, reads to the end."""
        with _connect(address, port, deadline_s, device, source_port) as connection:
            peer = connection.getpeername()[0]
            connection.sendall(send.encode("latin-1"))
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            received = b"".join(iter(lambda: connection.recv(65536), b""))
        return {"received": received.decode("latin-1"), "peer": peer}

    def message(self, address, host, path, method="GET", headers=None, body="",
                deadline_s=30.0) -> dict:
        """One HTTPS request with these headers and body (base64): {"status", "headers" (a list of
        names and values), "body" (base64), "issuer"}."""
        with _connect(address, 443, deadline_s, None) as plain, \
                self._trust.context().wrap_socket(plain, server_hostname=host) as tls:
            connection = http.client.HTTPConnection(host)
            connection.sock = tls
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in (headers or {}).items():
                connection.putheader(name, value)
            data = base64.b64decode(body)
            if data or method in ("PUT", "POST", "PATCH"):
                connection.putheader("Content-Length", str(len(data)))
            connection.endheaders(data)
            response = connection.getresponse()
            return {"status": response.status, "headers": response.getheaders(),
                    "body": base64.b64encode(response.read()).decode(),
                    "issuer": _issuer(tls)}

    def plain_elsewhere(self, namespaces_pid, **arguments) -> dict:
        """plain() in the network namespace of another process: one thread moves, the process's id
        stays the one that is redirected."""
        result = {}

        def move_and_connect():
            try:
                with open(f"/proc/{namespaces_pid}/ns/net", "rb") as namespace:
                    libc_setns(namespace.fileno())
                result.update(self.plain(**arguments))
            except OSError as error:
                result["failure"] = str(error)
        thread = threading.Thread(target=move_and_connect)
        thread.start()
        thread.join()
        return result

    def ask_name_server(self, server, message, transport="udp", port=53, deadline_s=10.0) -> dict:
        """Sends a DNS message (base64) as glibc and Go do, with a connected socket: {"response"
        (base64, None if there was none), "error", "seconds", "peer"}."""
        begun = time.monotonic()
        result = {"response": None, "error": None, "peer": None}
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        data = base64.b64decode(message)
        with socket.socket(family, kind) as connection:
            connection.settimeout(deadline_s)
            try:
                connection.connect((server, port))
                result["peer"] = connection.getpeername()[0]
                if transport == "udp":
                    connection.send(data)
                    response = connection.recv(65535)
                else:
                    connection.sendall(struct.pack(">H", len(data)) + data)
                    with connection.makefile("rb") as stream:
                        response = stream.read(struct.unpack(">H", stream.read(2))[0])
                result["response"] = base64.b64encode(response).decode()
            except (OSError, struct.error) as error:
                result["error"] = f"{type(error).__name__}: {error}"
        result["seconds"] = time.monotonic() - begun
        return result

    def resolve(self, name) -> dict:
        """glibc's getaddrinfo(3): {"addresses", "error", "seconds"}."""
        begun, result = time.monotonic(), {"addresses": [], "error": None}
        try:
            found = socket.getaddrinfo(name, 443, type=socket.SOCK_STREAM)
            result["addresses"] = sorted(address[0] for *_, address in found)
        except OSError as error:
            result["error"] = str(error)
        return result | {"seconds": time.monotonic() - begun}

    def start_query(self, **query) -> dict:
        """ask_name_server() in the background."""
        def run():
            self._results = [self.ask_name_server(**query)]
        self._loops = [threading.Thread(target=run)]
        self._loops[0].start()
        return {}

    def end_query(self) -> dict:
        """Its answer."""
        self._loops[0].join()
        return self._results[0]

    def forget_roots(self, roots) -> dict:
        """Lets the next verification read the roots anew: "all" or "bundle"."""
        self._trust = _Trust(roots)
        return {}

    def exchange(self, address, port, size, seed=1, deadline_s=300.0) -> dict:
        """Sends `size` bytes while receiving as many, then half-closes; digests of both ways."""
        with _connect(address, port, deadline_s, None) as connection:
            received = hashlib.sha256()
            count = [0]

            def read():
                buffer = bytearray(1 << 20)
                while read_now := connection.recv_into(buffer):
                    received.update(memoryview(buffer)[:read_now])
                    count[0] += read_now
            reader = threading.Thread(target=read)
            reader.start()
            sent = hashlib.sha256()
            for block in blocks(size, seed):
                connection.sendall(block)
                sent.update(block)
            connection.shutdown(socket.SHUT_WR)
            reader.join()
        return {"sent": sent.hexdigest(), "received": received.hexdigest(), "count": count[0]}

    def reconnect(self, first, second, port, text) -> dict:
        """connect(first), AF_UNSPEC, connect(second) on one socket; where it arrived."""
        with socket.socket(socket.AF_INET) as connection:
            connection.settimeout(10)
            try:
                connection.connect((first, port))
            except OSError as error:
                refused = str(error)
            else:
                refused = ""
            libc_connect_unspec(connection)
            connection.connect((second, port))
            peer = connection.getpeername()[0]
            connection.sendall(text.encode())
            connection.shutdown(socket.SHUT_WR)
            received = b"".join(iter(lambda: connection.recv(65536), b""))
        return {"refused": refused, "peer": peer, "received": received.decode("latin-1")}

    # Loops

    def start_loop(self, threads, **request) -> dict:
        """Starts threads that make `request` again and again."""
        self._loop_end.clear()
        self._results = []

        def loop():
            while not self._loop_end.is_set():
                self._results.append(self.request(**request))
        self._loops = [threading.Thread(target=loop) for _ in range(threads)]
        for thread in self._loops:
            thread.start()
        return {}

    def end_loop(self) -> dict:
        """Ends them; all results."""
        self._loop_end.set()
        for thread in self._loops:
            thread.join()
        return {"results": self._results}

    # CRI

    def pull(self, image: str) -> str:
        """Asks the image's registry for its manifest; returns what containerd would complain of."""
        registry, _, rest = image.partition("/")
        name, _, tag = rest.rpartition(":")
        result = self.request(registry, registry, f"/v2/{name}/manifests/{tag}", method="HEAD")
        if not result["ok"]:
            return f'failed to do request: Head "https://{registry}": {result["error"]}'
        return f"{image}: unexpected status {result['status']}"


def _issuer(tls) -> str:
    return ", ".join(value for name in tls.getpeercert()["issuer"] for _, value in name)


def libc_setns(descriptor: int) -> None:
    """Moves the calling thread into a network namespace (setns(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def libc_connect_unspec(connection: socket.socket) -> None:
    """Dissolves a socket's association: connect() to AF_UNSPEC (connect(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    address = struct.pack("=H14x", socket.AF_UNSPEC)
    if libc.connect(connection.fileno(), address, len(address)) != 0:
        raise OSError(ctypes.get_errno(), "connect to AF_UNSPEC")


def blocks(size: int, seed: int, block: int = 1 << 20):
    """`size` bytes that differ from block to block, the same for the same seed."""
    pattern = hashlib.shake_256(str(seed).encode()).digest(block)
    for offset in range(0, size, block):
        yield struct.pack("<Q", offset) + pattern[8:min(block, size - offset)]


def _connect(address, port, deadline_s, device, source_port=0) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connection = socket.socket(family)
    connection.settimeout(deadline_s)
    try:
        if device:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        if source_port:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            connection.bind(("", source_port))
        connection.connect((address, port))
    except OSError:
        connection.close()
        raise
    return connection


def _read_response(tls, until) -> int:
    """Reads an HTTP response to its end; its status."""
    received = b""
    while part := tls.recv(65536):
        received += part
        if time.monotonic() > until:
            raise TimeoutError("the answer didn't end in time")
    line = received.split(b"\r\n", 1)[0].split(b" ")
    if len(line) < 2 or not line[0].startswith(b"HTTP/1."):
        raise ValueError(f"not HTTP: {received[:60]!r}")
    return int(line[1])


def _serve_cri(client: Client):
    import grpc  # pylint: disable=import-outside-toplevel
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
    from lab import protobuf  # pylint: disable=import-outside-toplevel

    def pull(request, context):
        image = protobuf.text(protobuf.message(protobuf.decode(request), 1), 1)
        context.abort(grpc.StatusCode.UNKNOWN, client.pull(image))

    def version(_request, _context):
        return protobuf.encode([(1, "0.1.0"), (2, "registry-client"), (3, "v1"), (4, "v1")])

    def handlers(**functions):
        return {name: grpc.unary_unary_rpc_method_handler(function)
                for name, function in functions.items()}
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((
        grpc.method_handlers_generic_handler("runtime.v1.ImageService", handlers(PullImage=pull)),
        grpc.method_handlers_generic_handler("runtime.v1.RuntimeService", handlers(Version=version))))
    server.add_insecure_port(f"unix://{SOCKET}")
    server.start()
    return server


def _answer(client: Client, connection: socket.socket) -> None:
    with connection, connection.makefile() as lines:
        command = json.loads(lines.readline())
        operation = getattr(client, command.pop("operation"))
        try:
            answer = operation(**command)
        except Exception as error:  # The test is told.
            answer = {"failure": f"{type(error).__name__}: {error}"}
        connection.sendall(json.dumps(answer).encode() + b"\n")


def main(operations: type = Client) -> None:
    """Serves until it is killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--roots", choices=("all", "bundle"), default="all")
    client = operations(parser.parse_args().roots)
    server = _serve_cri(client)
    with socket.socket(socket.AF_UNIX) as control:
        control.bind(CONTROL)
        os.chmod(CONTROL, 0o600)
        control.listen(16)
        while server:
            connection, _ = control.accept()
            threading.Thread(target=_answer, args=(client, connection), daemon=True).start()


if __name__ == "__main__":
    main()
