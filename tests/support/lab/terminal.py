# SPDX-License-Identifier: Apache-2.0
"""A terminal with a program in it, for programs that draw."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import threading
from typing import Callable

from .process import wait_until

_HOME = "\x1b[H"
_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """`command` (Host.command) in a terminal of its own, as somebody who logged in would run it."""

    def __init__(self, command, columns: int = 100, rows: int = 24):
        self._master, self._slave = pty.openpty()
        self.resize(columns, rows)
        self._output = bytearray()

        def own_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(command, stdin=self._slave, stdout=self._slave,
                                        stderr=self._slave, preexec_fn=own_terminal)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._ended = False
        self._reader.start()

    def _read(self) -> None:
        while not self._ended:
            if select.select([self._master], [], [], 0.1)[0]:
                self._output += os.read(self._master, 65536)

    def resize(self, columns: int, rows: int) -> None:
        """Makes it so large."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        """What somebody types; b"\\x03" is Ctrl-C."""
        os.write(self._master, keys)

    def echoes(self) -> bool:
        """Whether what is typed is shown."""
        return bool(termios.tcgetattr(self._slave)[3] & termios.ECHO)

    @property
    def output(self) -> str:
        """All that has been written to it."""
        return bytes(self._output).decode("utf-8", "replace")

    def pictures(self) -> list[list[str]]:
        """What was drawn, each whole picture as its lines; each begins at the screen's first row."""
        drawn = self.output.split(_HOME)[1:]
        return [[_SEQUENCE.sub("", line).rstrip("\r") for line in text.split("\n")]
                for text in drawn if text.count("\x1b[J")]

    def wait_for(self, predicate: Callable[[str], object], deadline_s: float, what: str):
        """Waits until `predicate` holds for the last picture's text; returns what it gave."""
        def holds():
            if self.process.poll() is not None:
                raise RuntimeError(f"It has ended with {self.process.returncode}: {self.output[-800:]!r}")
            pictures = self.pictures()
            return predicate("\n".join(pictures[-1])) if pictures else None
        try:
            return wait_until(holds, deadline_s, what)
        except AssertionError as error:
            raise type(error)(f"{error}\n" + "\n".join((self.pictures() or [[]])[-1])) from None

    def close(self) -> None:
        """Ends what runs in it."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._ended = True
        self._reader.join()
        os.close(self._master)
        os.close(self._slave)
