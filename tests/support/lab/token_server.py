# SPDX-License-Identifier: Apache-2.0
"""The program of tokens.py: answers requests for tokens, and logs them.

Tokens are JWTs signed with RS256, which Debian's docker-registry 2.8 verifies by the certificate in
their x5c. Protocol: distribution.github.io/distribution/spec/auth/{token,oauth}.
"""

import argparse
import base64
import hmac
import http.server
import json
import pathlib
import secrets
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse

SERVICE = "registry.docker.io"
ISSUER = "the lab's token service"
PORT = 443
_LIFETIME_S = 300


def openssl(*arguments, data: bytes = b"") -> bytes:
    """Runs openssl with `data` as its input; its output."""
    return subprocess.run(["openssl", *map(str, arguments)], input=data, capture_output=True,
                          check=True).stdout


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Signer:
    """Makes tokens (RFC 7519) that docker-registry takes."""

    def __init__(self, folder: pathlib.Path):
        self._key = folder / "signer.key"
        pem = (folder / "signer.pem").read_text(encoding="ascii").splitlines()
        self._certificate = "".join(line for line in pem if not line.startswith("-----"))

    def token(self, user: str, repository: str, actions: list) -> str:
        """A token for `user` that allows `actions` in `repository`."""
        now = int(time.time())
        header = {"typ": "JWT", "alg": "RS256", "x5c": [self._certificate]}
        access = [{"type": "repository", "name": repository, "actions": actions}] if actions else []
        claims = {"iss": ISSUER, "sub": user, "aud": SERVICE, "iat": now, "nbf": now - 60,
                  "exp": now + _LIFETIME_S, "jti": secrets.token_hex(8), "access": access}
        text = ".".join(_base64url(json.dumps(part).encode()) for part in (header, claims))
        signature = openssl("dgst", "-sha256", "-sign", self._key, data=text.encode())
        return f"{text}.{_base64url(signature)}"


class _Service:
    def __init__(self, folder: pathlib.Path):
        self._folder = folder
        self._signer = Signer(folder)
        self._lock = threading.Lock()

    def settings(self) -> dict:
        return json.loads((self._folder / "settings.json").read_text(encoding="utf-8"))

    def log(self, **fields) -> None:
        with self._lock, open(self._folder / "requests.log", "a", encoding="utf-8") as log:
            log.write(json.dumps({"time": time.time()} | fields) + "\n")

    def answer(self, settings: dict, user: str, password: str, scope: str):
        """(status, document, repositories that may be read)."""
        if user and not hmac.compare_digest(settings["users"].get(user, "\0"), password):
            return 401, {"details": "incorrect username or password"}, []
        granted, token = [], None
        for part in scope.split():
            kind, _, rest = part.partition(":")
            repository, _, actions = rest.rpartition(":")
            allowed = self._allowed(settings, user, repository, actions.split(","))
            if kind != "repository":
                continue
            if not allowed and settings["denies"]:
                return 403, {"errors": [{"code": "DENIED", "message": "requested access is denied"}]}, []
            granted += [repository] if allowed else []
            token = token or self._signer.token(user, repository, allowed)
        token = token or self._signer.token(user, "", [])
        return 200, {"token": token, "access_token": token, "expires_in": _LIFETIME_S}, granted

    @staticmethod
    def _allowed(settings: dict, user: str, repository: str, actions: list) -> list:
        private = settings["private"].get(repository)
        if private is not None and user not in private:
            return []
        return [action for action in actions if action == "pull" or user]


def _handler(service: _Service):
    class Handler(http.server.BaseHTTPRequestHandler):
        """One connection."""

        protocol_version = "HTTP/1.1"
        server_version = "lab-tokens"

        def do_GET(self) -> None:  # pylint: disable=invalid-name
            """The older form: query and Basic."""
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
            user, password = "", ""
            kind, _, value = self.headers.get("Authorization", "").partition(" ")
            if kind.lower() == "basic":
                user, _, password = base64.b64decode(value).decode().partition(":")
            self._reply(user, password, " ".join(query.get("scope", [])), True)

        def do_POST(self) -> None:  # pylint: disable=invalid-name
            """OAuth's form."""
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            form = {name: values[0] for name, values in urllib.parse.parse_qs(body).items()}
            self._reply(form.get("username", ""), form.get("password", ""), form.get("scope", ""), False)

        def _reply(self, user: str, password: str, scope: str, get: bool) -> None:
            settings = service.settings()
            granted = []
            if settings["status"]:
                status, document = settings["status"], {"details": "the lab wants it so"}
            elif not get and not settings["takes_forms"]:
                status, document = 405, {}
            else:
                status, document, granted = service.answer(settings, user, password, scope)
            remote = self.client_address[0].removeprefix("::ffff:")
            service.log(remote=remote, method=self.command, user=user, scope=scope, granted=granted,
                        status=status)
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_) -> None:
            """Its own log says more."""
    return Handler


class _Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True
    request_queue_size = 128
    context: ssl.SSLContext

    def finish_request(self, request, client_address) -> None:
        # In the connection's own thread: a client that is slow to shake hands delays nobody.
        request.settimeout(60)
        with self.context.wrap_socket(request, server_side=True) as tls:
            super().finish_request(tls, client_address)

    def handle_error(self, request, client_address) -> None:
        """Clients go as they like."""


def main() -> None:
    """Serves until it is killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("folder", "chain", "key"):
        parser.add_argument(name, type=pathlib.Path)
    options = parser.parse_args()
    server = _Server(("::", PORT), _handler(_Service(options.folder)))
    server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.context.load_cert_chain(options.chain, options.key)
    server.serve_forever()


if __name__ == "__main__":
    main()
