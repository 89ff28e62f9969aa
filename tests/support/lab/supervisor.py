# SPDX-License-Identifier: Apache-2.0
"""What systemd is for a service of Type=notify: hears what it says, and kills it when it falls silent."""

import os
import socket
import threading
import time
from typing import NamedTuple, Optional

from .process import wait_until

_SOCKET = "/run/supervisor.sock"


class Message(NamedTuple):
    """A datagram, and when it came."""

    time: float
    text: str


class Supervisor:
    """Of one node's agent, which is to be started with `env`."""

    def __init__(self, node, watchdog_s: Optional[float] = None):
        self.env = {"NOTIFY_SOCKET": _SOCKET}
        self.watchdog_s = watchdog_s
        if watchdog_s:
            self.env["WATCHDOG_USEC"] = str(int(watchdog_s * 1_000_000))
        self.heard: list[Message] = []
        path = node.path(_SOCKET)
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        os.chmod(path, 0o666)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            text = self._socket.recv(4096).decode()
            self.heard.append(Message(time.monotonic(), text))

    def said(self, text: str) -> list[Message]:
        """The messages that begin with `text`."""
        return [message for message in list(self.heard) if message.text.startswith(text)]

    def wait_for(self, text: str, deadline_s: float = 20, more_than: int = 0) -> Message:
        """Waits for a message that begins with `text`, beyond the first `more_than`."""
        wait_until(lambda: len(self.said(text)) > more_than, deadline_s,
                   f"the supervisor is told {text}", 0.005)
        return self.said(text)[-1]

    def is_silent(self) -> bool:
        """Whether the watchdog's time has passed without a sign of life."""
        return time.monotonic() - self.said("WATCHDOG=1")[-1].time > self.watchdog_s

    def wait_for_silence(self, deadline_s: float = 20) -> None:
        """Waits until is_silent(): then systemd kills."""
        wait_until(self.is_silent, deadline_s, "the agent gives no sign of life")
