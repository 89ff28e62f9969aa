# SPDX-License-Identifier: Apache-2.0
"""A TCP front that ends connections in their midst, for a Front (front.py) to stand behind."""

import pathlib

from .cutter_program import WAYS
from .process import wait_until

_PROGRAM = pathlib.Path(__file__).with_name("cutter_program.py").resolve()


class Cutter:
    """The test's end. Made by Front.set_cutter()."""

    def __init__(self, host, ports, behind: str, after_bytes: int, how: str, times):
        if how not in WAYS:
            raise ValueError(f"A connection can end by {', '.join(WAYS)}, not by {how}.")
        self._host = host
        self._arguments = ["--ports", *ports, "--behind", behind, "--after", after_bytes, "--how", how]
        if times is not None:
            self._arguments += ["--times", times]
        self._process = None
        self._before = ""

    def start(self) -> "Cutter":
        """Starts it, and waits until it listens."""
        log = self._host.folder / "cutter.log"
        self._before = log.read_text() if log.exists() else ""
        self._process = self._host.spawn("cutter", [
            "/usr/bin/python3", _PROGRAM, *map(str, self._arguments)])
        wait_until(self._listens, 10, f"{self._host.name}'s cutter listens")
        return self

    def stop(self) -> None:
        """Ends it, and with it the connections that go through it."""
        if self._process:
            self._process.kill()

    @property
    def cuts(self) -> int:
        """How many connections it has cut."""
        return self._log().count("cut\n")

    def _log(self) -> str:
        return self._process.log_text()[len(self._before):]

    def _listens(self) -> bool:
        if not self._process.running():
            raise RuntimeError(f"The cutter exited.\n{self._process.log_tail()}")
        return "listening\n" in self._log()
