# SPDX-License-Identifier: Apache-2.0
"""The access log of a front (front.py): a line of JSON for each request that has ended."""

import json
import pathlib
from typing import Iterator, NamedTuple

#: nginx's directive that writes it.
FORMAT = """log_format lab escape=json '{"time":$msec,"remote":"$remote_addr","method":"$request_method",'
    '"path":"$request_uri","status":$status,"bytes":$body_bytes_sent,"agent":"$http_user_agent",'
    '"range":"$http_range","host":"$host","port":"$server_port","complete":"$request_completion",'
    '"authorization":"$http_authorization","accept":"$http_accept",'
    '"accept_encoding":"$http_accept_encoding"}';"""


class Request(NamedTuple):
    """A line of the log: a request that has ended."""

    time: float  #: when it ended, seconds since the epoch
    remote: str
    method: str
    path: str  #: with the query
    status: int
    bytes: int  #: of the body, as sent
    agent: str  #: User-Agent
    range: str
    host: str
    port: int
    complete: bool  #: the client took all of it
    authorization: str
    accept: str
    accept_encoding: str

    @property
    def is_blob(self) -> bool:
        """Whether it asked for a blob."""
        return "/blobs/" in self.path

    @property
    def is_manifest(self) -> bool:
        """Whether it asked for a manifest."""
        return "/manifests/" in self.path


def read(file: pathlib.Path) -> Iterator[Request]:
    """All lines of the log, in order; one that is being written isn't there yet."""
    whole, _, _ = file.read_text(encoding="utf-8").rpartition("\n")
    for line in whole.splitlines():
        entry = json.loads(line)
        yield Request(**entry | {"port": int(entry["port"] or 0), "status": int(entry["status"]),
                                 "complete": entry["complete"] == "OK"})
