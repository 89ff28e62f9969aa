# SPDX-License-Identifier: Apache-2.0
"""Whether this machine can run the lab at all."""

import ctypes
import os
import pathlib
import shutil
import subprocess
from typing import Optional

from .cgroup import NoCgroup2, cgroup2_mount

_BPF_MAP_CREATE = 0
_SYS_BPF = {"x86_64": 321, "aarch64": 280}
_PROGRAMS = {"ip": "iproute2", "nsenter": "util-linux", "openssl": "openssl", "runc": "runc",
             "curl": "curl", "apt-get": "apt", "sysctl": "procps"}


def _bpf_error() -> Optional[str]:
    number = _SYS_BPF.get(os.uname().machine)
    if number is None:
        return None
    # union bpf_attr of BPF_MAP_CREATE: an array of one u32.
    attributes = (ctypes.c_uint32 * 32)(2, 4, 4, 1)
    libc = ctypes.CDLL(None, use_errno=True)
    made = libc.syscall(number, _BPF_MAP_CREATE, ctypes.byref(attributes), ctypes.sizeof(attributes))
    if made < 0:
        return f"bpf(BPF_MAP_CREATE) fails: {os.strerror(ctypes.get_errno())}"
    os.close(made)
    return None


def missing() -> Optional[str]:
    """Why the lab can't run here and what to do about it; None if it can."""
    if os.geteuid() != 0:
        return "the lab makes namespaces and loads BPF programs: run it as root"
    absent = [package for program, package in _PROGRAMS.items()
              if not shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")]
    if absent:
        return f"Debian packages are missing: {' '.join(absent)} (scripts/install_packages.sh)"
    try:
        cgroup2_mount()
    except NoCgroup2 as error:
        return str(error)
    tried = subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True, text=True,
                           check=False)
    if tried.returncode != 0:
        return f"no new namespaces: {tried.stderr.strip()} (a container needs --privileged)"
    filesystems = pathlib.Path("/proc/filesystems").read_text(encoding="utf-8").split()
    for kind in ("bpf", "overlay"):
        if kind not in filesystems:
            if shutil.which("modprobe"):
                subprocess.run(["modprobe", kind], capture_output=True, check=False)
            if kind not in pathlib.Path("/proc/filesystems").read_text(encoding="utf-8").split():
                return f"the kernel has no file system '{kind}'"
    return _bpf_error()
