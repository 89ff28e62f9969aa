# SPDX-License-Identifier: Apache-2.0
"""The lab touches nothing of the host, its nodes nothing of each other, and it goes away whatever
happens."""

import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import unittest

from lab import Lab, paths, sweep_leftovers, wait_until
from lab.cgroup import cgroup1_mounts, cgroup2_mount
from lab.process import start_time
from lab.testing import LabTest, main


def _host_state() -> dict:
    links = subprocess.run(["ip", "-o", "addr"], capture_output=True, text=True, check=True).stdout
    routes = subprocess.run(["ip", "route", "show", "table", "all"], capture_output=True, text=True,
                            check=True).stdout
    return {"mounts": pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines(),
            "addresses": [line.split("valid_lft")[0] for line in links.splitlines()],
            "routes": sorted(line.split(" expires")[0] for line in routes.splitlines()),
            "files": [path for path in ("/etc/containerd", "/etc/hosts", "/run/containerd",
                                        "/var/lib/containerd", "/opt/containerd", "/etc/hagring",
                                        "/run/hagring", "/sys/fs/bpf/hagring")
                      if os.path.exists(path)],
            "hosts": pathlib.Path("/etc/hosts").read_text(encoding="utf-8"),
            "trust": sorted(os.listdir("/etc/ssl/certs"))}


def _traces(name: str) -> list[str]:
    """What is left of the lab `name`."""
    found = [str(top / name) for top in [cgroup2_mount(), *cgroup1_mounts(), paths.RUN, paths.WORK]
             if (top / name).exists()]
    for cgroup in pathlib.Path("/proc").glob("[0-9]*/cgroup"):
        try:
            # A zombie isn't a trace: init reaps it when it will.
            if name in cgroup.read_text(encoding="utf-8") and start_time(int(cgroup.parts[2])):
                found.append(str(cgroup))
        except OSError:
            pass
    return found


class Isolation(LabTest):
    """Two nodes on one lab."""

    @classmethod
    def build(cls):
        cls.a, cls.b = cls.lab.node("a"), cls.lab.node("b")

    def test_names_are_each_nodes_own(self):
        self.a.add_hosts({"only-a.lab.test": [self.b.ipv4]})
        self.assertEqual(self.a.run("getent", "ahostsv4", "only-a.lab.test").stdout.split()[0],
                         self.b.ipv4)
        self.assertNotEqual(self.b.run("getent", "hosts", "only-a.lab.test", check=False).returncode, 0)

    def test_files_are_each_nodes_own(self):
        for folder in ("/etc", "/etc/ssl/certs", "/run", "/tmp", "/var/lib", "/opt"):
            with self.subTest(folder):
                name = f"{folder}/hagring-isolation"
                self.a.write(name, "a")
                self.assertEqual(self.a.run("cat", name).stdout, "a")
                self.assertFalse(self.b.path(name).exists())
                self.assertFalse(os.path.exists(name))

    def test_trust_is_the_labs_alone(self):
        bundle = self.a.read("/etc/ssl/certs/ca-certificates.crt")
        self.assertEqual(bundle.count("BEGIN CERTIFICATE"), 0)
        self.a.trust("extra", self.lab.authority.pem)
        self.assertEqual(self.a.read("/etc/ssl/certs/extra.pem"), self.lab.authority.pem)
        self.assertFalse(self.b.path("/etc/ssl/certs/extra.pem").exists())

    def test_bpffs_and_cgroup2_are_there(self):
        self.assertEqual(self.a.run("stat", "-f", "-c", "%T", "/sys/fs/bpf").stdout.strip(), "bpf_fs")
        self.a.path("/sys/fs/bpf/hagring-isolation").mkdir()
        self.assertFalse(self.b.path("/sys/fs/bpf/hagring-isolation").exists())
        self.assertEqual(
            self.a.run("stat", "-f", "-c", "%T", str(cgroup2_mount())).stdout.strip(), "cgroup2fs")
        listed = self.a.run("cat", "/proc/self/cgroup", group="somewhere").stdout
        self.assertIn(f"0::{self.a.cgroup.path}/somewhere\n", listed)

    def test_nodes_reach_each_other_and_nothing_else(self):
        server = self.b.spawn("server", ["/usr/bin/python3", "-m", "http.server", "--bind", "::", "80"])
        for address in (self.b.ipv4, f"[{self.b.ipv6}]"):
            wait_until(lambda url=f"http://{address}/": self.a.curl("-o", "/dev/null", url,
                                                                    check=False).returncode == 0,
                       10, f"a reaches {address}")
        for address in ("1.1.1.1", "[2606:4700:4700::1111]", "192.0.2.2"):
            done = self.a.curl(f"http://{address}/", check=False, timeout_s=5)
            self.assertEqual(done.returncode, 7, done)  # refused at once, not timed out
        for address in (self.lab.black_hole4, f"[{self.lab.black_hole6}]"):
            done = self.a.curl("--connect-timeout", "0.3", f"http://{address}/", check=False)
            self.assertEqual(done.returncode, 28, done)  # timed out
        self.b.unplug()
        self.assertNotEqual(self.a.curl("--connect-timeout", "0.3", f"http://{self.b.ipv4}/",
                                        check=False).returncode, 0)
        self.b.plug()
        server.stop()

    def test_environment_is_clean(self):
        names = {line.split("=")[0] for line in self.a.run("env").stdout.splitlines()}
        self.assertFalse({name for name in names if "PROXY" in name.upper() or "SSL" in name}, names)

    def test_programs_and_the_build_tree_are_the_hosts(self):
        for folder in (paths.REPOSITORY, paths.CACHE, paths.WORK):
            there = os.stat(str(self.a.path(str(folder))))
            self.assertTrue(os.path.samestat(there, os.stat(folder)), folder)

    def test_links_can_be_slowed(self):
        self.a.write("/tmp/block", "x" * 4_000_000)
        server = self.a.spawn("files", ["/usr/bin/python3", "-m", "http.server", "--directory", "/tmp"])
        url = f"http://{self.a.ipv4}:8000/block"
        wait_until(lambda: self.b.curl("-o", "/dev/null", url, check=False).returncode == 0, 10, "serves")
        self.a.limit(16)
        seconds = float(self.b.curl("-o", "/dev/null", "-w", "%{time_total}", url).stdout)
        self.a.limit(None)
        self.assertGreater(seconds, 1.5)  # 4 MB at 2 MB/s, less the burst
        server.stop()


class Removal(unittest.TestCase):
    """However a lab ends, nothing of it stays."""

    def test_the_host_is_as_before(self):
        before = _host_state()
        with Lab() as lab:
            origin = lab.origin()
            node = lab.node("a", containerd="2.1")
            os.kill(node.containerd.pid, signal.SIGSTOP)
            os.kill(origin.spawn("deaf", ["sh", "-c", "trap '' TERM; sleep 1000"]).pid, signal.SIGSTOP)
            name = lab.name
            self.assertTrue(_traces(name))
        self.assertEqual(_traces(name), [])
        self.assertEqual(_host_state(), before)

    def test_a_failure_inside_removes_it_too(self):
        with self.assertRaisesRegex(ValueError, "on purpose"):
            with Lab() as lab:
                name = lab.name
                lab.node("a")
                raise ValueError("on purpose")
        self.assertEqual(_traces(name), [])

    def _child(self) -> tuple[subprocess.Popen, str]:
        program = textwrap.dedent("""
            import time
            from lab import Lab
            lab = Lab()
            lab.node("a", containerd="2.1")
            print(lab.name, flush=True)
            try:
                time.sleep(1000)
            except KeyboardInterrupt:
                pass
        """)
        child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        name = child.stdout.readline().strip()
        self.assertTrue(_traces(name))
        return child, name

    def test_signals_remove_it(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            child, name = self._child()
            child.send_signal(number)
            child.wait(30)
            self.assertEqual(_traces(name), [], number)

    def test_the_next_lab_removes_what_a_killed_one_left(self):
        child, name = self._child()
        alive, other = self._child()
        child.kill()
        child.wait(10)
        self.assertTrue(_traces(name))
        sweep_leftovers()
        self.assertEqual(_traces(name), [])
        self.assertTrue(_traces(other), "a living owner's lab stays")
        alive.terminate()
        alive.wait(30)


if __name__ == "__main__":
    main()
