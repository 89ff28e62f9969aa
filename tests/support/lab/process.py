# SPDX-License-Identifier: Apache-2.0
"""A daemon that the lab runs, with its log, and waiting for things with a deadline."""

import contextlib
import os
import pathlib
import signal
import subprocess
import time
from typing import Callable, Optional, Sequence


class Timeout(AssertionError):
    """What a test waited for did not come."""


def wait_until(predicate: Callable[[], object], deadline_s: float, what: str,
               interval_s: float = 0.05):
    """Calls `predicate` until it returns something true, and returns that. Timeout after `deadline_s`."""
    until = time.monotonic() + deadline_s
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > until:
            raise Timeout(f"After {deadline_s} s still not: {what}. Last seen: {value!r}")
        time.sleep(interval_s)


class Process:
    """A program in the background. Its pid is the program's own, its output goes to `log`. One that
    `talks` has pipes at its standard input and output (`stdin`, `stdout`), and logs its errors only.
    """

    def __init__(self, name: str, argv: Sequence[str], log: pathlib.Path, talks: bool = False):
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "ab") as output:
            # A session of its own: an interrupt at the terminal is for the lab, which ends things
            # in order.
            self._popen = subprocess.Popen(
                argv, stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                stdout=subprocess.PIPE if talks else output, stderr=output, start_new_session=True)
        self.stdin, self.stdout = self._popen.stdin, self._popen.stdout

    @property
    def pid(self) -> int:
        """The program's process id (of the host's pid namespace)."""
        return self._popen.pid

    def poll(self) -> Optional[int]:
        """Its exit code, negative for a signal; None while it runs."""
        return self._popen.poll()

    def running(self) -> bool:
        """Whether it hasn't exited."""
        return self.poll() is None

    def signal(self, number: int) -> None:
        """Sends it a signal."""
        with contextlib.suppress(ProcessLookupError):
            self._popen.send_signal(number)

    def wait(self, deadline_s: float = 10) -> int:
        """Waits for its exit; returns the code."""
        try:
            return self._popen.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise Timeout(f"{self.name} (pid {self.pid}) still runs after {deadline_s} s.\n"
                          + self.log_tail()) from None

    def stop(self, deadline_s: float = 10) -> int:
        """SIGTERM (and SIGCONT, should it be stopped), SIGKILL if that doesn't end it."""
        if self.running():
            self.signal(signal.SIGTERM)
            self.signal(signal.SIGCONT)
            try:
                self._popen.wait(deadline_s)
            except subprocess.TimeoutExpired:
                self.kill()
        return self._popen.wait()

    def kill(self) -> int:
        """kill -9, and waits."""
        self.signal(signal.SIGKILL)
        return self._popen.wait()

    def log_text(self) -> str:
        """All that it has written so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def log_tail(self, lines: int = 30) -> str:
        """The end of its log, for error messages."""
        return f"--- end of {self.log}:\n" + "\n".join(self.log_text().splitlines()[-lines:])


def start_time(pid: int) -> Optional[str]:
    """When process `pid` started, in ticks: with the pid, its name for ever. None if it's gone."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return None
    fields = stat.rsplit(")", 1)[1].split()
    return None if fields[0] == "Z" else fields[19]


def clean_environment(path_first: str = "") -> dict:
    """What a lab's program is given: no proxy and no SSL_CERT_* of the machine's."""
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {"PATH": f"{path_first}:{path}" if path_first else path, "HOME": "/root",
            "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"} | _sanitizer_options()


def _sanitizer_options() -> dict:
    names = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS")
    return {name: os.environ[name] for name in names if name in os.environ}
