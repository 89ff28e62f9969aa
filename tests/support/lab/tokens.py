# SPDX-License-Identifier: Apache-2.0
"""A token service, as auth.docker.io is one: who may read what at an origin made with `tokens=` it."""

import json
import pathlib
import signal
from typing import Iterable, Mapping, NamedTuple, Optional

from .host import Host
from .process import Process, wait_until
from .token_server import ISSUER, PORT, SERVICE, Signer, openssl

_PROGRAM = pathlib.Path(__file__).with_name("token_server.py").resolve()


class TokenRequest(NamedTuple):
    """A line of the service's log."""

    time: float  #: seconds since the epoch
    remote: str
    method: str
    user: str  #: as whom the client came; "" for anonymous
    scope: str  #: what it asked for
    granted: list  #: the repositories that the token lets it read
    status: int


class TokenService(Host):
    """The service and its machine. Made by Lab.token_service().

    users: passwords by name. private: repository → the users who may read it; every other repository is
    public, anybody's token reads it. A known user may write what it may read. denies: an anonymous
    client that asks for a private repository gets 403, as from GHCR, instead of a token that is good
    for nothing, as from Docker Hub. takes_forms: whether POST is understood (else 405)."""

    def __init__(self, lab, name: str, number: int, public_name: str = "auth.docker.io",
                 users: Optional[Mapping[str, str]] = None,
                 private: Optional[Mapping[str, Iterable[str]]] = None, denies: bool = False,
                 takes_forms: bool = True):
        super().__init__(lab, name, number)
        self.public_name = public_name
        self.users = dict(users or {})
        self.private = {repository: list(who) for repository, who in (private or {}).items()}
        self._denies, self._takes_forms = denies, takes_forms
        self._status = 0
        self._authority = lab.authority
        self._chain, self._key = lab.authority.issue(name, [public_name, self.ipv4, self.ipv6])
        self._process: Optional[Process] = None
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=signer",
                "-keyout", self.folder / "signer.key", "-out", self.folder / "signer.pem")

    # Running

    def start(self) -> None:
        """Starts it, and waits until it listens."""
        self.write_settings()
        self._process = self.spawn("tokens", ["/usr/bin/python3", _PROGRAM, self.folder, self._chain,
                                              self._key])
        wait_until(self._listens, 20, f"{self.name} listens")

    def _listens(self) -> bool:
        if not self._process.running():
            raise RuntimeError(f"The token service exited.\n{self._process.log_tail()}")
        sockets = pathlib.Path(f"/proc/{self.pid}/net/tcp6").read_text(encoding="ascii")
        return any(line.split()[1].endswith(f":{PORT:04X}") and line.split()[3] == "0A"
                   for line in sockets.splitlines()[1:])

    def stop(self) -> None:
        """Stops it: connections are refused."""
        self._process.kill()

    def hang(self) -> None:
        """Lets connections be made and nothing be answered, until go_on()."""
        self._process.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Ends hang()."""
        self._process.signal(signal.SIGCONT)

    def fail(self, status: int) -> None:
        """Answers every request with `status` from now on; 0: as it should."""
        self._status = status
        self.write_settings()

    def write_settings(self) -> None:
        """Makes changes of `users` and `private` known to it."""
        partial = self.folder / "settings.partial"
        partial.write_text(json.dumps({
            "users": self.users, "private": self.private, "denies": self._denies,
            "takes_forms": self._takes_forms, "status": self._status}))
        partial.rename(self.folder / "settings.json")

    def introduce(self, host: Host) -> None:
        """Lets a machine resolve its name and trust its certificate."""
        host.add_hosts({self.public_name: [self.ipv4, self.ipv6]})
        host.trust(f"{self.name}-authority", self._authority.pem)

    def registry_configuration(self) -> str:
        """What docker-registry's configuration says of it."""
        return (f'auth: {{token: {{realm: "https://{self.public_name}/token", service: "{SERVICE}", '
                f'issuer: "{ISSUER}", rootcertbundle: "{self.folder / "signer.pem"}"}}}}\n')

    # What tests ask

    def token(self, repository: str, user: str = "lab") -> str:
        """A token for a test's own use (`Authorization: Bearer …`), whatever the settings say."""
        return Signer(self.folder).token(user, repository, ["pull", "push"])

    def requests(self, since: float = 0, host: Optional[Host] = None) -> list[TokenRequest]:
        """The requests answered after `since` (time.time()), from `host` if given."""
        log = self.folder / "requests.log"
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        found = [TokenRequest(**json.loads(line)) for line in lines]
        return [request for request in found if request.time > since
                and (host is None or request.remote in (host.ipv4, host.ipv6))]
