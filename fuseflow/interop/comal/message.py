# SPDX-License-Identifier: MIT
"""Messages of a ComalGraph <-> protobuf bytes, driven by the table of a dialect.

The two dialects are two schemas for the same bytes, and both are read in one process; a codec of a
table needs no generated code for either. It writes what protobuf's own writers write: fields by
number, no scalar that is zero, unknown fields last.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fuseflow.interop.comal.schema import Field, Schema
from fuseflow.interop.faults import malformed

__all__ = ["Message", "decode", "encode", "has_unknown"]

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_WIRE_TYPES = {"string": _LENGTH, "uint64": _VARINT, "bool": _VARINT, "double": _FIXED64}
_ZERO: Mapping[str, Any] = {"string": "", "uint64": 0, "bool": False, "double": 0.0}
_MAX_DEPTH = 16


@dataclass(slots=True)
class Message:
    """One message: set fields by name, and the bytes of fields that the dialect does not have.

    Repeated fields are lists, enums are numbers. A scalar that is not set reads as zero, a message
    as None, as in protobuf itself.
    """

    schema: Schema
    type: str
    values: dict[str, Any] = field(default_factory=dict)
    unknown: bytes = b""

    def __getitem__(self, name: str) -> Any:
        """Return the value of a field, or what it is when it is not set."""
        if name in self.values:
            return self.values[name]
        spec = self.schema.field(self.type, name)
        if spec is None:
            raise KeyError(f"{self.type} has no field {name}")
        return zero_of(self.schema, spec)

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def chosen(self, choice: str) -> str | None:
        """Return which member of a oneof is set."""
        fields = self.schema.messages[self.type]
        return next((f.name for f in fields if f.choice == choice and f.name in self.values), None)

    def enum(self, name: str) -> str:
        """Return an enum field by name; a number that the dialect does not know as digits."""
        spec = self.schema.field(self.type, name)
        assert spec is not None
        names, number = self.schema.enums[spec.type], self[name]
        return names[number] if number < len(names) else str(number)


def zero_of(schema: Schema, spec: Field) -> Any:
    """Return what a field is that is not set."""
    if spec.repeated:
        return []
    if spec.type in schema.enums:
        return 0
    return _ZERO.get(spec.type)


def has_unknown(message: Message) -> bool:
    """Return whether the message, or one within it, has fields that its dialect does not have."""
    return bool(message.unknown) or any(has_unknown(child) for child in _children(message))


def _children(message: Message) -> Iterator[Message]:
    for value in message.values.values():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, Message):
                yield item


def decode(schema: Schema, data: bytes, kind: str = "ComalGraph", depth: int = 0) -> Message:
    """Read one message.

    Raises:
        InterchangeError: X001 if the bytes are no protobuf message, or are cut off.
    """
    if depth > _MAX_DEPTH:
        raise malformed("messages are nested too deeply")
    message = Message(schema, kind)
    by_number = {spec.number: spec for spec in schema.messages[kind]}
    position, unknown = 0, bytearray()
    while position < len(data):
        start = position
        key, position = _read_varint(data, position)
        value, position = _read_payload(data, position, key & 7)
        spec = by_number.get(key >> 3)
        if spec is None or not _store(message, spec, key & 7, value, depth):
            unknown += data[start:position]
    message.unknown = bytes(unknown)
    return message


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    number = 0
    for count, byte in enumerate(data[position : position + 10]):
        number |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return number & 0xFFFF_FFFF_FFFF_FFFF, position + count + 1
    raise malformed("the message is cut off within a number")


def _read_payload(data: bytes, position: int, wire: int) -> tuple[int | bytes, int]:
    if wire == _VARINT:
        return _read_varint(data, position)
    if wire == _LENGTH:
        length, position = _read_varint(data, position)
    elif wire in (_FIXED32, _FIXED64):
        length = 4 if wire == _FIXED32 else 8
    else:
        raise malformed(f"this is no protobuf message: wire type {wire}")
    if position + length > len(data):
        raise malformed("the message is cut off within a field")
    return data[position : position + length], position + length


def _store(message: Message, spec: Field, wire: int, raw: Any, depth: int) -> bool:
    """Put one field into the message; False if its wire type is not that of the dialect."""
    schema = message.schema
    items: list[Any]
    if spec.type in schema.messages:
        if wire != _LENGTH:
            return False
        items = [decode(schema, raw, spec.type, depth + 1)]
    elif spec.repeated and wire == _LENGTH and spec.type == "uint64":
        items = list(_unpack(raw))
    elif wire != _WIRE_TYPES.get(spec.type, _VARINT):
        return False
    else:
        items = [_scalar(spec.type, raw)]
    if spec.repeated:
        message.values.setdefault(spec.name, []).extend(items)
        return True
    if spec.choice:
        for other in schema.messages[message.type]:
            if other.choice == spec.choice and other.name != spec.name:
                message.values.pop(other.name, None)
    old = message.values.get(spec.name)
    new = items[-1]
    if isinstance(new, Message):
        message.values[spec.name] = _merge(old, new) if isinstance(old, Message) else new
    elif new:
        message.values[spec.name] = new
    else:
        message.values.pop(spec.name, None)
    return True


def _merge(old: Message, new: Message) -> Message:
    """Merge a message that occurs twice, as protobuf does."""
    merged = dict(old.values)
    for name, value in new.values.items():
        before = merged.get(name)
        if isinstance(value, list):
            merged[name] = [*(before or []), *value]
        else:
            merged[name] = _merge(before, value) if isinstance(before, Message) else value
    return Message(old.schema, old.type, merged, old.unknown + new.unknown)


def _unpack(raw: bytes) -> Iterator[int]:
    position = 0
    while position < len(raw):
        number, position = _read_varint(raw, position)
        yield number


def _scalar(kind: str, raw: Any) -> Any:
    if kind == "double":
        return struct.unpack("<d", raw)[0]
    if kind == "bool":
        return bool(raw)
    if kind != "string":
        return raw
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise malformed(f"a name is not UTF-8: {error.reason}") from error


def encode(message: Message) -> bytes:
    """Return the bytes of a message."""
    parts: list[bytes] = []
    for spec in message.schema.messages[message.type]:
        if spec.name in message.values:
            parts += _encode_field(spec, message.values[spec.name])
    return b"".join(parts) + message.unknown


def _encode_field(spec: Field, value: Any) -> Iterator[bytes]:
    if spec.repeated and spec.type == "uint64":
        if value:
            yield _sized(spec.number, b"".join(map(_varint, value)))
        return
    items = value if spec.repeated else [value]
    write = _WRITERS.get(spec.type)
    for item in items:
        if isinstance(item, Message):
            yield _sized(spec.number, encode(item))
        elif spec.repeated or item:
            yield write(spec.number, item) if write else _number(spec.number, item)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _sized(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | _LENGTH) + _varint(len(data)) + data


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(int(value))


_WRITERS: Mapping[str, Callable[[int, Any], bytes]] = {
    "string": lambda number, text: _sized(number, text.encode()),
    "double": lambda number, value: _varint(number << 3 | _FIXED64) + struct.pack("<d", value),
}
