# SPDX-License-Identifier: Apache-2.0
"""Where the lab keeps things: all of it under the build tree, or in /run while a lab lives."""

import contextlib
import fcntl
import os
import pathlib

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]

#: Downloads and built images, kept between runs. HAGRING_LAB_CACHE moves it.
CACHE = pathlib.Path(os.environ.get("HAGRING_LAB_CACHE", REPOSITORY / "build" / "lab-cache"))

#: Data of living labs, one folder each, removed at the end.
WORK = pathlib.Path(os.environ.get("HAGRING_LAB_WORK", REPOSITORY / "build" / "lab"))

#: One folder per living lab, that says who owns it: how the next lab finds what a killed one left.
RUN = pathlib.Path("/run")
RUN_PREFIX = "hagring-lab-"


@contextlib.contextmanager
def cache_lock(name: str):
    """Holds the cache's lock `name`: of several processes that want the same thing, one makes it."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f".{name}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
