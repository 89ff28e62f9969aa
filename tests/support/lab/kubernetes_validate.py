# SPDX-License-Identifier: Apache-2.0
"""Kubernetes' own schemas, without a cluster: PyPI's kubernetes-validate in an environment of its own in the cache.

kubectl validates nothing without an API server, not even with --dry-run=client."""

import pathlib
import subprocess
import sys
from typing import Iterable, Optional

from . import paths

_PACKAGE = "kubernetes-validate==1.37.0"
_FOLDER = paths.CACHE / "kubernetes-validate"


def program() -> tuple[Optional[pathlib.Path], str]:
    """The program, installed if need be; (None, why) where PyPI can't be reached."""
    with paths.cache_lock("kubernetes-validate"):
        installed = _FOLDER / "bin" / "kubernetes-validate"
        if not installed.exists():
            steps = ([sys.executable, "-m", "venv", "--clear", _FOLDER],
                     [_FOLDER / "bin/pip", "install", "--quiet", "--disable-pip-version-check", _PACKAGE])
            for step in steps:
                done = subprocess.run([str(word) for word in step], capture_output=True, text=True,
                                      timeout=300, check=False)
                if done.returncode != 0:
                    return None, f"{_PACKAGE} can't be installed: {(done.stdout + done.stderr)[-500:]}"
    return installed, ""


def validate(validator: pathlib.Path, files: Iterable[pathlib.Path], version: str) -> str:
    """What is wrong with `files` for that version of Kubernetes, properties that it doesn't know included; "" if
    nothing is."""
    done = subprocess.run([validator, "--strict", "--quiet", "--kubernetes-version", version, *files],
                          capture_output=True, text=True, timeout=120, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr
