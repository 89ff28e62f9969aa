# SPDX-License-Identifier: Apache-2.0
"""CPU time and memory, as the kernel counts them."""

import contextlib
import os
import pathlib
from typing import Callable, Iterable

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def of_processes(pids: Iterable[int]) -> float:
    """CPU seconds, user and system, that processes and their ended children have taken
    (proc(5), stat)."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += sum(int(field) for field in fields[11:15])
    return ticks * _TICK_S


def of_machine() -> float:
    """CPU seconds that the whole machine has worked, interrupts included (proc(5), /proc/stat)."""
    with open("/proc/stat", encoding="utf-8") as stat:
        user, nice, system, _idle, _iowait, irq, softirq = map(int, stat.readline().split()[1:8])
    return (user + nice + system + irq + softirq) * _TICK_S


def spent(clock: Callable[[], float], work: Callable[[], object]) -> tuple[float, object]:
    """CPU seconds by `clock` that `work` cost, and what it returned."""
    before = clock()
    result = work()
    return clock() - before, result


def pss_mib(pid: int) -> float:
    """Proportional set size (proc(5), smaps_rollup)."""
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} has no Pss")
