# SPDX-License-Identifier: MIT
"""Flat dataclasses <-> messages whose fields have the same names.

Attributes of primitives, hardware parameters and statistics are plain records: their messages
mirror them field by field, and a test holds both together. An absent field of a message gives the
default of the dataclass; None leaves a field absent. Values that need more (arrays, unions,
references) have functions of their own in the other modules.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from google.protobuf.message import Message

from fuseflow.wire.enums import decode_enum, encode_enum
from fuseflow.wire.rules import malformed

__all__ = ["decode_record", "encode_record"]

Record = TypeVar("Record")
# The runtime picks one of two classes of field descriptors, and only one of them has stubs.
Field = Any


def encode_record(record: object, message: Message) -> None:
    """Write every field of a dataclass into a message.

    Raises:
        WireError: W006 if a word of the record is not in the enum of its field.
    """
    kind: Any = type(record)
    for name in _types_of(kind):
        value = getattr(record, name)
        if value is not None:
            _encode_field(message, message.DESCRIPTOR.fields_by_name[name], value)


def decode_record(message: Message, cls: type[Record]) -> Record:
    """Build a dataclass from a message.

    Raises:
        WireError: W006 if a field without a default is absent, or has an unknown enum value.
    """
    kind: Any = cls
    values: dict[str, Any] = {}
    for name, declared in _types_of(kind).items():
        field = message.DESCRIPTOR.fields_by_name[name]
        if _is_present(message, field):
            values[name] = _decode_field(message, field, declared)
        elif name not in _defaults_of(kind):
            raise malformed("a value is required", name)
    return cls(**values)


def _encode_field(message: Message, field: Field, value: Any) -> None:
    if field.message_type is not None and field.is_repeated:
        for item in value:
            encode_record(item, getattr(message, field.name).add())
    elif field.message_type is not None:
        child = getattr(message, field.name)
        child.SetInParent()
        encode_record(value, child)
    elif field.is_repeated:
        getattr(message, field.name).extend(value)
    elif field.enum_type is not None:
        setattr(message, field.name, encode_enum(field.enum_type, value, field.name))
    else:
        setattr(message, field.name, value)


def _is_present(message: Message, field: Field) -> bool:
    """Return whether a field says something; a number without presence always does."""
    if field.enum_type is not None and not field.is_repeated:
        return bool(getattr(message, field.name))
    return not field.has_presence or message.HasField(field.name)


def _decode_field(message: Message, field: Field, declared: Any) -> Any:
    value = getattr(message, field.name)
    if field.is_repeated:
        if field.message_type is None:
            return tuple(value)
        return tuple(decode_record(item, _item_type(declared)) for item in value)
    if field.message_type is not None:
        return decode_record(value, _plain_type(declared))
    if field.enum_type is not None:
        word = decode_enum(field.enum_type, value, field.name)
        is_enum = isinstance(declared, type) and issubclass(declared, enum.Enum)
        return declared(word) if is_enum else word
    return value


@functools.cache
def _types_of(cls: type) -> Mapping[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


@functools.cache
def _defaults_of(cls: type) -> frozenset[str]:
    missing = dataclasses.MISSING
    fields = dataclasses.fields(cls)
    return frozenset(
        field.name
        for field in fields
        if field.default is not missing or field.default_factory is not missing
    )


def _item_type(declared: Any) -> Any:
    return typing.get_args(declared)[0]


def _plain_type(declared: Any) -> Any:
    """`X | None` -> `X`."""
    if typing.get_origin(declared) not in (types.UnionType, typing.Union):
        return declared
    return next(item for item in typing.get_args(declared) if item is not type(None))
