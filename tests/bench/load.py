# SPDX-License-Identifier: Apache-2.0
"""Load from a process that an agent takes for containerd: what load_client.h does, on a node.

Imported, it is the benchmarks' end (class LoadClient); run as a program on a node, it is the client."""

import ctypes
import os
import pathlib
import statistics
import sys
import time
from typing import NamedTuple, Sequence

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from lab import registry_client  # noqa: E402  pylint: disable=wrong-import-position

#: The environment's variable that names the shared library; scripts/bench.sh sets it.
LIBRARY_VARIABLE = "HAGRING_LOAD_CLIENT"


class Totals(NamedTuple):
    """What came of a load."""

    bytes: int
    failures: int
    seconds: float
    first_bytes_s: Sequence[float]  #: by request

    @property
    def gib(self) -> float:
        """Of bodies."""
        return self.bytes / (1 << 30)


def percentile(values: Sequence[float], percent: int) -> float:
    """The value below which `percent` of them are."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


class LoadClient(registry_client.RegistryClient):
    """The benchmark's end."""

    def __init__(self, node, roots: str = "all"):
        super().__init__(node, roots, program=__file__)
        self._library = os.environ[LIBRARY_VARIABLE]

    def connect_times(self, address: str, port: int, count: int) -> Sequence[float]:
        """Seconds that each of `count` connects took, one after the other."""
        return [n / 1e9 for n in self.ask("connect_times", library=self._library, address=address,
                                          port=port, count=count, timeout_s=300)["nanoseconds"]]

    def first_connect(self, address: str, port: int, deadline_s: float,
                      direct: bool = False) -> tuple[float, float]:
        """Connects again and again, from now on, until it succeeds, without being led elsewhere if
        `direct`; time.monotonic() of the first attempt and of the success. TimeoutError after
        `deadline_s`."""
        answer = self.ask("first_connect", library=self._library, address=address, port=port,
                          deadline_s=deadline_s, direct=direct, timeout_s=deadline_s + 10)
        if not answer["succeeded"]:
            raise TimeoutError(f"{address}:{port} takes no connection")
        return answer["begun"] / 1e9, answer["succeeded"] / 1e9

    def get(self, address: str, path: str | Sequence[str], host: str, *, port: int = 443, tls: bool = True,
            streams: int = 1, requests: int = 1, keep_alive: bool = True, status: int = 200,
            fields: Sequence[str] = ()) -> Totals:
        """GETs `path`, or several in turn, by `streams` threads, `requests` times each. RuntimeError if
        one fails."""
        more = ["Accept: */*", *fields, *([] if keep_alive else ["Connection: close"]), "", ""]
        heads = ["\r\n".join([f"GET {path} HTTP/1.1", f"Host: {host}", *more])
                 for path in ([path] if isinstance(path, str) else path)]
        answer = self.ask("get", library=self._library, address=address, port=port, host=host, tls=tls,
                          heads=heads, streams=streams, requests=requests,
                          keep_alive=keep_alive, status=status, timeout_s=900)
        if answer["failures"]:
            raise RuntimeError(f"{answer['failures']} of {streams * requests} requests for {path} "
                               f"at {address}:{port} failed")
        return Totals(answer["bytes"], answer["failures"], answer["nanoseconds"] / 1e9,
                      [n / 1e9 for n in answer["first_bytes"]])


# The client's end. load_client.h has these structures.

class _Plan(ctypes.Structure):
    _fields_ = [("address", ctypes.c_char_p), ("server_name", ctypes.c_char_p),
                ("authority_file", ctypes.c_char_p), ("request", ctypes.c_char_p),
                ("port", ctypes.c_uint16), ("status", ctypes.c_int32), ("streams", ctypes.c_int32),
                ("requests", ctypes.c_int32), ("keep_alive", ctypes.c_int32),
                ("heads", ctypes.c_int32)]


class _Totals(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_uint64), ("failures", ctypes.c_uint64),
                ("nanoseconds", ctypes.c_uint64)]


class _LoadOperations(registry_client.Client):
    def connect_times(self, library, address, port, count) -> dict:
        """load_connect()."""
        taken = (ctypes.c_uint64 * count)()
        succeeded = ctypes.CDLL(library).load_connect(
            address.encode(), ctypes.c_uint16(port), count, taken)
        return {"nanoseconds": list(taken[:max(succeeded, 0)])}

    def first_connect(self, library, address, port, deadline_s, direct) -> dict:
        """load_first_connect()."""
        function = ctypes.CDLL(library).load_first_connect
        function.restype = ctypes.c_uint64
        begun = time.monotonic_ns()
        until = begun + int(deadline_s * 1e9)
        return {"begun": begun, "succeeded": function(
            address.encode(), ctypes.c_uint16(port), ctypes.c_uint64(until), int(direct))}

    def get(self, library, address, port, host, tls, heads, streams, requests, keep_alive,
            status) -> dict:
        """load_get()."""
        plan = _Plan(address.encode(), host.encode(), _all_roots().encode() if tls else None,
                     "\0".join(heads).encode(), port, status, streams, requests, int(keep_alive),
                     len(heads))
        first_bytes = (ctypes.c_uint64 * (streams * requests))()
        totals = _Totals()
        if ctypes.CDLL(library).load_get(ctypes.byref(plan), first_bytes, ctypes.byref(totals)) != 0:
            raise RuntimeError("the roots can't be read")
        return {"bytes": totals.bytes, "failures": totals.failures,
                "nanoseconds": totals.nanoseconds, "first_bytes": list(first_bytes)}


def _all_roots() -> str:
    """One file with all certificates of /etc/ssl/certs, the agent's authority among them."""
    file = pathlib.Path("/run/load-client-roots.pem")
    folder = pathlib.Path("/etc/ssl/certs")
    file.write_text("\n".join(f.read_text(encoding="utf-8") for f in sorted(folder.iterdir())
                              if f.suffix in (".pem", ".crt")), encoding="utf-8")
    return str(file)


if __name__ == "__main__":
    registry_client.main(_LoadOperations)
