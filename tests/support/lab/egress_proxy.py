# SPDX-License-Identifier: Apache-2.0
"""An egress proxy: Debian's tinyproxy, on a machine of its own or on any other."""

import re
from typing import Optional

from . import binaries
from .host import Host
from .process import Process, wait_until

PORT = 3128

_CONFIG = """
Port {port}
Listen {listen}
Timeout 600
MaxClients 200
LogLevel Connect
DisableViaHeader Yes
{more}
"""


class Tinyproxy:
    """tinyproxy on `host`, on `listen` and port 3128. credentials: "user:password" that it wants;
    upstream: "host:port" of a proxy that it asks in its turn."""

    def __init__(self, host: Host, listen: str, credentials: str = "", upstream: str = ""):
        self.host = host
        self.listen = listen
        more = []
        if credentials:
            more.append("BasicAuth " + credentials.replace(":", " "))
        if upstream:
            more.append(f"Upstream http {upstream}")
        self._config = _CONFIG.format(port=PORT, listen=listen, more="\n".join(more))
        self._log = host.folder / "tinyproxy.log"
        self._process: Optional[Process] = None

    def start(self) -> "Tinyproxy":
        """Starts it and waits until it takes connections."""
        self.host.write("/etc/tinyproxy.conf", self._config)
        self._process = self.host.spawn("tinyproxy", [binaries.tinyproxy(), "-d", "-c",
                                                      "/etc/tinyproxy.conf"])
        wait_until(self._answers, 20, f"{self.host.name}'s tinyproxy answers")
        return self

    def _answers(self) -> bool:
        if not self._process.running():
            raise RuntimeError(f"tinyproxy exited.\n{self._process.log_tail()}")
        return self.host.curl("-o", "/dev/null", f"http://{self.listen}:{PORT}/",
                              check=False).returncode == 0

    def stop(self) -> None:
        """Stops it: connections are refused."""
        self._process.kill()

    def requests(self, method: str = "") -> list[str]:
        """The request lines that it has been sent, such as "CONNECT registry-1.docker.io:443 HTTP/1.1"."""
        text = self._log.read_text(encoding="utf-8", errors="replace")
        lines = re.findall(r"Request \(file descriptor \d+\): (.*)", text)
        return [line.strip() for line in lines if line.startswith(method)]


class EgressProxy(Host):
    """A machine with a proxy, called proxy.lab.test. Made by Lab.egress_proxy()."""

    NAME = "proxy.lab.test"

    def __init__(self, lab, name: str, number: int, credentials: str = ""):
        super().__init__(lab, name, number)
        self.credentials = credentials
        self.server = Tinyproxy(self, self.ipv4, credentials)

    def url(self, credentials: Optional[str] = None) -> str:
        """What HTTPS_PROXY is set to; by default with the credentials that the proxy wants."""
        user = self.credentials if credentials is None else credentials
        return f"http://{user + '@' if user else ''}{self.NAME}:{PORT}"

    def be_the_only_way(self, node: Host, *origins) -> None:
        """Takes `origins` and their names from `node`, which resolves the proxy's name instead."""
        names = {name for origin in origins for name in origin.names + origin.plain_names}
        node.set_hosts({name: addresses for name, addresses in node.hosts.items() if name not in names}
                       | {self.NAME: [self.ipv4]})
        for origin in origins:
            node.run("ip", "route", "add", "unreachable", origin.ipv4)
            node.run("ip", "-6", "route", "add", "unreachable", origin.ipv6)
            self.add_hosts({name: [origin.ipv4] for name in origin.names + origin.plain_names})
