# SPDX-License-Identifier: Apache-2.0
"""Just enough of protocol buffers' wire format to talk to containerd without generated code.

A message to send is a list of (field number, value): int and bool are varints, str and bytes are
length-delimited, a list or tuple is a nested message. A message read is a dict from field number to
the list of its values: int, or bytes, which the reader takes for text, bytes or a message.
"""

from typing import Sequence, Union

Value = Union[int, bool, str, bytes, Sequence]


def _varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def encode(fields: Sequence[tuple[int, Value]]) -> bytes:
    """Encodes a message."""
    out = bytearray()
    for number, value in fields:
        if isinstance(value, (bool, int)):
            out += _varint(number << 3) + _varint(int(value))
            continue
        if isinstance(value, str):
            value = value.encode()
        elif isinstance(value, (list, tuple)):
            value = encode(value)
        out += _varint(number << 3 | 2) + _varint(len(value)) + value
    return bytes(out)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def decode(data: bytes) -> dict[int, list]:
    """Decodes a message, one level deep."""
    fields: dict[int, list] = {}
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _read_varint(data, at)
        elif kind == 2:
            length, at = _read_varint(data, at)
            value, at = data[at:at + length], at + length
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
            value, at = int.from_bytes(data[at:at + length], "little"), at + length
        else:
            raise ValueError(f"Field {number} has wire type {kind}, which proto3 doesn't use.")
        fields.setdefault(number, []).append(value)
    return fields


def text(fields: dict[int, list], number: int) -> str:
    """The string field `number`, "" if it isn't there."""
    return fields.get(number, [b""])[-1].decode()


def texts(fields: dict[int, list], number: int) -> list[str]:
    """The repeated string field `number`."""
    return [value.decode() for value in fields.get(number, [])]


def message(fields: dict[int, list], number: int) -> dict[int, list]:
    """The nested message `number`, empty if it isn't there."""
    return decode(fields.get(number, [b""])[-1])


def string_map(fields: dict[int, list], number: int) -> dict[str, str]:
    """The map<string, string> field `number`."""
    entries = [decode(value) for value in fields.get(number, [])]
    return {text(entry, 1): text(entry, 2) for entry in entries}
