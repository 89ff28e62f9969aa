# SPDX-License-Identifier: Apache-2.0
"""One machine of the lab: a network namespace and a mount namespace, held by a sleeping process.

What is its own: network, /etc (a private layer over the host's), /run, /tmp, /var/lib, /opt, bpffs,
and a control group per role. What it shares: programs, /proc, the pid namespace (BPF sees the host's
process ids; so must the agent) and the cgroup2 hierarchy.
"""

import pathlib
import shlex
import shutil
import subprocess
from typing import Mapping, Optional, Sequence

from .cgroup import Cgroup
from .process import Process, Timeout, clean_environment, wait_until

#: A link-layer address that no machine has.
_NOBODY = "02:00:00:00:00:01"

_PORT_TAKER = """
import socket, sys, time
listener = socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6)
print("listening", flush=True)
time.sleep(3600)
"""

# /run first: it holds the upper layers. Folders that we must reach unchanged (the build tree) are kept
# aside and put back, should they lie below something that gets a layer.
_MOUNTS = r"""
set -e
mount -t tmpfs -o mode=755 tmpfs /run
i=0; for keep in "$@"; do mkdir -p /run/.keep/$i; mount --bind "$keep" /run/.keep/$i; i=$((i+1)); done
for top in /etc /opt /var/lib; do
  layer=/run/.layers$top; mkdir -p $layer/upper $layer/work
  mount -t overlay overlay -o lowerdir=$top,upperdir=$layer/upper,workdir=$layer/work $top
done
mount -t tmpfs -o mode=1777 tmpfs /tmp
i=0; for keep in "$@"; do
  if ! [ "$keep" -ef /run/.keep/$i ]; then mkdir -p "$keep"; mount --bind /run/.keep/$i "$keep"; fi
  umount /run/.keep/$i; i=$((i+1))
done
rm -rf /run/.keep
mount -t bpf bpf /sys/fs/bpf
rm -rf /etc/containerd /etc/hagring /var/lib/containerd
rm -f /etc/resolv.conf
mkdir -p /var/lib/containerd
ip link set lo up
"""

_NETWORK = r"""
set -e
ip link add eth0 netns $PID type veth peer name $NAME netns $SWITCH
nsenter --target $SWITCH --net ip link set dev $NAME master br0 up
nsenter --target $PID --net sh -ec "
  ip addr add $IPV4/16 dev eth0
  ip -6 addr add $IPV6/64 dev eth0 nodad
  ip link set eth0 up
  ip route add default via $GATEWAY4
  ip -6 route add default via $GATEWAY6"
"""


def _unshare(cgroup: Cgroup, kinds: Sequence[str], log: pathlib.Path, name: str) -> Process:
    """A process that sleeps in new namespaces of these kinds, and waits until it does."""
    argv = ["/bin/sh", "-c", 'echo 0 > "$0/cgroup.procs" && exec "$@"', str(cgroup.folder),
            "unshare", *kinds, "sleep", "infinity"]
    process = Process(name, argv, log)

    def asleep() -> bool:
        if not process.running():
            raise RuntimeError(f"No namespace for {name}: {process.log_tail()}")
        command = pathlib.Path(f"/proc/{process.pid}/comm").read_text(encoding="utf-8").strip()
        return command == "sleep"

    wait_until(asleep, 10, f"{name}'s namespaces", 0.002)
    return process


class Host:
    """A machine on the lab's switch. Made by Lab.host() or Lab.node()."""

    def __init__(self, lab, name: str, number: int):
        self.lab = lab
        self.name = name
        self.ipv4 = f"198.18.0.{number}"
        self.ipv6 = f"2001:db8:1::{number:x}"
        self._port = f"to-{name}"[:15]  # the switch's end of the link
        self.folder = lab.work / name
        self.folder.mkdir(parents=True)
        self.cgroup = lab.cgroup.child(name)
        self.hosts: dict[str, list[str]] = {}
        self.processes: list[Process] = []
        self._holder = _unshare(self.cgroup.child("init"),
                                ["--net", "--mount", "--propagation", "private"],
                                self.folder / "init.log", name)
        self._mount(lab.keep)
        self._connect()
        self.write("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
        self.set_name_servers([])
        self.set_hosts({})
        self.trust_only()

    @property
    def pid(self) -> int:
        """The process that holds the namespaces, as `nsenter --target` takes it."""
        return self._holder.pid

    def _mount(self, keep: Sequence[pathlib.Path]) -> None:
        self._setup(["nsenter", "--target", str(self.pid), "--net", "--mount", "/bin/sh", "-c",
                     _MOUNTS, "sh", *map(str, keep)], {}, "mounts")

    def _connect(self) -> None:
        self._setup(["/bin/sh", "-c", _NETWORK], {
            "PID": str(self.pid), "NAME": self._port, "SWITCH": str(self.lab.switch_pid),
            "IPV4": self.ipv4, "IPV6": self.ipv6,
            "GATEWAY4": self.lab.gateway4, "GATEWAY6": self.lab.gateway6}, "network")

    def _setup(self, argv: Sequence[str], env: Mapping[str, str], what: str) -> None:
        done = subprocess.run(argv, env=clean_environment() | dict(env), capture_output=True,
                              text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"The lab can't set up {self.name}'s {what}: {done.stderr.strip()}")

    # Files

    def path(self, inside: str) -> pathlib.Path:
        """The path by which the lab's own process reaches the machine's file `inside`."""
        return pathlib.Path(f"/proc/{self.pid}/root") / inside.lstrip("/")

    def write(self, inside: str, text: str) -> None:
        """Writes a file of the machine's own, and the folders above it."""
        self.path(inside).parent.mkdir(parents=True, exist_ok=True)
        self.path(inside).write_text(text, encoding="utf-8")

    def read(self, inside: str) -> str:
        """Reads a file of the machine's."""
        return self.path(inside).read_text(encoding="utf-8")

    # Names and trust

    def set_hosts(self, names: Mapping[str, Sequence[str]]) -> None:
        """Replaces /etc/hosts: name → addresses. Names that aren't in it don't resolve."""
        self.hosts = {name: list(addresses) for name, addresses in names.items()}
        lines = ["127.0.0.1 localhost", "::1 localhost"]
        lines += [f"{address} {name}" for name, all_ in self.hosts.items() for address in all_]
        self.write("/etc/hosts", "\n".join(lines) + "\n")

    def add_hosts(self, names: Mapping[str, Sequence[str]]) -> None:
        """Adds names to /etc/hosts."""
        self.set_hosts(self.hosts | dict(names))

    def set_name_servers(self, addresses: Sequence[str],
                         options: str = "timeout:1 attempts:1") -> None:
        """Writes /etc/resolv.conf. With none, queries go to 127.0.0.1, where nobody answers."""
        self.write("/etc/resolv.conf", (f"options {options}\n" if options else "") + "".join(
            f"nameserver {address}\n" for address in addresses or ["127.0.0.1"]))

    def cut_off(self) -> None:
        """Takes away all that leads beyond the machine's own network: default routes, names in
        /etc/hosts, /etc/resolv.conf."""
        self.set_hosts({})
        self.path("/etc/resolv.conf").unlink(missing_ok=True)
        for family in ("-4", "-6"):
            self.run("ip", family, "route", "del", "default")

    def trust_only(self, *authorities: str) -> None:
        """Makes the PEM certificates `authorities` all that /etc/ssl/certs holds. A new machine's is
        empty: tests depend on no certificate of the host's."""
        folder = self.path("/etc/ssl/certs")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.write("/etc/ssl/certs/ca-certificates.crt", "".join(authorities))

    def trust(self, name: str, authority: str) -> None:
        """Adds a PEM certificate to the machine's trust, in the bundle and under its hash, as
        update-ca-certificates does."""
        bundle = self.path("/etc/ssl/certs/ca-certificates.crt")
        with open(bundle, "a", encoding="utf-8") as output:
            output.write(authority)
        self.write(f"/etc/ssl/certs/{name}.pem", authority)
        hashed = subprocess.run(["openssl", "x509", "-noout", "-hash"], input=authority, text=True,
                                capture_output=True, check=True).stdout.strip()
        link = self.path(f"/etc/ssl/certs/{hashed}.0")
        link.unlink(missing_ok=True)
        link.symlink_to(f"{name}.pem")

    # Programs

    def command(self, argv: Sequence[str], group: str = "shell", path_first: str = "",
                env: Optional[Mapping[str, str]] = None, net: bool = True) -> list[str]:
        """The command line that runs `argv` inside, in the control group `group`; its process id
        becomes the program's."""
        leaf = self.cgroup.child(group)
        variables = clean_environment(path_first) | dict(env or {})
        return ["/bin/sh", "-c", 'echo 0 > "$0/cgroup.procs" && exec "$@"', str(leaf.folder),
                "nsenter", "--target", str(self.pid), *(["--net"] if net else []), "--mount", "--",
                "env", "-i", *[f"{name}={value}" for name, value in variables.items()],
                *[str(word) for word in argv]]

    def run(self, *argv, timeout_s: float = 60, check: bool = True, input_text: str = "",
            group: str = "shell", path_first: str = "", env=None) -> subprocess.CompletedProcess:
        """Runs a program inside and waits. Output is text; a failure raises with it in the message."""
        command = self.command(argv, group, path_first, env)
        try:
            done = subprocess.run(command, input=input_text, capture_output=True, text=True,
                                  timeout=timeout_s, check=False, errors="replace")
        except subprocess.TimeoutExpired:
            raise Timeout(f"{self.name}: '{shlex.join(map(str, argv))}' ran longer than "
                          f"{timeout_s} s.") from None
        if check and done.returncode != 0:
            raise RuntimeError(f"{self.name}: '{shlex.join(map(str, argv))}' exited with "
                               f"{done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def spawn(self, name: str, argv: Sequence[str], group: str = "", path_first: str = "",
              env=None) -> Process:
        """Starts a program inside, in the background; its output goes to `<folder>/<name>.log`."""
        process = Process(f"{self.name}/{name}", self.command(argv, group or name, path_first, env),
                          self.folder / f"{name}.log")
        self.processes = [p for p in self.processes if p.running()] + [process]
        return process

    def take_port(self, port: int) -> Process:
        """Starts a program that listens on a TCP port until it is killed, and waits until it does."""
        taker = self.spawn(f"port-{port}", ["/usr/bin/python3", "-c", _PORT_TAKER, str(port)])
        wait_until(taker.log_text, 10, f"port {port} is taken")
        return taker

    def curl(self, *arguments, timeout_s: float = 30, check: bool = True, group: str = "shell"):
        """curl inside, quiet but for errors."""
        return self.run("curl", "-sS", "--max-time", str(timeout_s), *arguments,
                        timeout_s=timeout_s + 5, check=check, group=group)

    # Network

    def limit(self, megabits: Optional[float]) -> None:
        """Limits the link to `megabits` per second each way (None: no limit)."""
        ends = ((self.pid, "eth0"), (self.lab.switch_pid, self._port))
        for pid, device in ends:
            enter = ["nsenter", "--target", str(pid), "--net", "tc", "qdisc"]
            subprocess.run([*enter, "del", "dev", device, "root"], capture_output=True, check=False)
            if megabits is not None:
                # A burst below a GSO packet (64 KiB) would drop it.
                subprocess.run([*enter, "add", "dev", device, "root", "tbf", "rate",
                                f"{megabits}mbit", "burst", "128kb", "latency", "200ms"], check=True)

    def unplug(self) -> None:
        """Takes the link down."""
        self._link("down")

    def plug(self) -> None:
        """Brings the link up again."""
        self._link("up")

    def part_from(self, others: Sequence["Host"]) -> None:
        """Nothing that this machine sends reaches these any more, without a word of it to anybody."""
        for family, address in self._addresses_of(others):
            self.run("ip", family, "neigh", "replace", address, "lladdr", _NOBODY, "nud", "permanent",
                     "dev", "eth0")

    def meet(self, others: Sequence["Host"]) -> None:
        """Ends part_from()."""
        for family, address in self._addresses_of(others):
            self.run("ip", family, "neigh", "del", address, "dev", "eth0", check=False)

    @staticmethod
    def _addresses_of(others: Sequence["Host"]) -> list[tuple[str, str]]:
        return [pair for other in others for pair in (("-4", other.ipv4), ("-6", other.ipv6))]

    def _link(self, state: str) -> None:
        # The switch's end: the machine keeps addresses and routes, as with a pulled cable.
        subprocess.run(["nsenter", "--target", str(self.lab.switch_pid), "--net", "ip", "link", "set",
                        "dev", self._port, state], check=True)

    # The end

    def close(self) -> None:
        """Kills everything in the machine (stopped processes too) and removes it."""
        self.cgroup.kill()
        for process in self.processes:
            process.kill()
        self._holder.kill()
        self.cgroup.remove()
        shutil.rmtree(self.folder, ignore_errors=True)
