# SPDX-License-Identifier: Apache-2.0
"""What is wrong with an origin's answers (gate.py): none of the blob at all, less of it, other bytes, too slowly."""

import threading
import time
from typing import Mapping, Optional, Sequence

#: Sent at a time, about, where there is a rate.
_STEP = 16 << 10


class Fault:
    """Of GETs whose path ends with `path`.

    status, fields: they are refused with this status, and these header fields.
    rest_only: only those that ask for a part; clients: only those from these addresses; times: only the
    first so many (None: all).
    ranges: False: they are always sent the whole, and nothing is said of ranges.
    spoilt: the byte at this offset of what is sent is another.
    fast, rate: after this part of the blob no more than so many bytes a second come, until release().
    cut: the connection ends after this part of what is asked for."""

    def __init__(self, path: str, status: int = 0, fields: Optional[Mapping[str, str]] = None,
                 rest_only: bool = False, clients: Optional[Sequence[str]] = None,
                 times: Optional[int] = None, ranges: bool = True, spoilt: Optional[int] = None,
                 fast: float = 1, rate: int = 0, cut: Optional[float] = None):
        self.path, self.status, self.fields = path, status, dict(fields or {})
        self._rest_only, self._clients, self._times = rest_only, clients, times
        self.ranges, self._spoilt, self._cut = ranges, spoilt, cut
        self._fast, self._rate = fast, rate
        self._released = threading.Event()
        #: How many requests it was for; the log has those alone that have ended.
        self.taken = 0

    def takes(self, path: str, client: str, range_field: Optional[str]) -> bool:
        """Whether it is for this request, which counts then."""
        wanted = path.endswith(self.path) and (self._clients is None or client in self._clients) \
            and (range_field is not None or not self._rest_only) \
            and (self._times is None or self.taken < self._times)
        self.taken += wanted
        return wanted

    def release(self) -> None:
        """Lets what is slow be fast."""
        self._released.set()

    def change(self, fields: dict) -> dict:
        """The header fields of the answer."""
        return fields if self.ranges else {
            name: value for name, value in fields.items() if name.lower() != "accept-ranges"}

    def send(self, data: bytes, write) -> None:
        """Sends the body, or what there is to be of it."""
        if self._spoilt is not None and self._spoilt < len(data):
            data = data[:self._spoilt] + bytes([data[self._spoilt] ^ 1]) + data[self._spoilt + 1:]
        if self._cut is not None:
            data = data[:int(len(data) * self._cut)]
        first = sent = int(len(data) * self._fast)
        write(data[:sent])
        begun = time.monotonic()
        while sent < len(data) and not self._released.wait(_STEP / self._rate):
            due = first + int((time.monotonic() - begun) * self._rate)
            write(data[sent:due])
            sent = due
        write(data[sent:])
