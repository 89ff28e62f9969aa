# SPDX-License-Identifier: Apache-2.0
"""One thread of a process that hangs while the others go on: stopped by ptrace(2), which alone can."""

import ctypes
import os
import pathlib

_SEIZE, _INTERRUPT, _DETACH = 0x4206, 0x4207, 17
_WALL = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def threads(pid: int) -> dict[int, str]:
    """The names of a process's threads, by their ids."""
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return {int(task.name): (task / "comm").read_text(encoding="utf-8").strip() for task in tasks}


class StoppedThread:
    """A context manager, to be left on the thread that has entered it, as ptrace wants it."""

    def __init__(self, tid: int):
        self._tid = tid

    def __enter__(self) -> "StoppedThread":
        self._ptrace(_SEIZE)
        self._ptrace(_INTERRUPT)
        os.waitpid(self._tid, _WALL)
        return self

    def __exit__(self, *_) -> None:
        self._ptrace(_DETACH)

    def _ptrace(self, request: int) -> None:
        if _LIBC.ptrace(request, self._tid, None, None) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"ptrace({request:#x}, {self._tid}): {os.strerror(number)}")
