# SPDX-License-Identifier: MIT
"""Enum values <-> words: `JOIN_RULE_LEFT` <-> "left"; the zero value <-> "".

The words of the in-memory data are the names of the schema in lower case without the prefix, so
that a new value needs no entry here.
"""

from __future__ import annotations

import re
from typing import Any

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.message import Message

from fuseflow.wire.rules import malformed

__all__ = ["decode_enum", "encode_enum", "get_enum", "set_enum", "words"]

# Words that users type are hyphenated; the schema cannot spell them so.
_HYPHENATED = frozenset({"comal-hbm"})
_WORDS = {word.replace("-", "_"): word for word in _HYPHENATED}


def encode_enum(enum: EnumDescriptor, word: str, field: str) -> int:
    """Return the number of a word; `field` names the place in errors.

    Raises:
        WireError: W006 if the schema has no such word.
    """
    name = f"{_prefix(enum)}_{word.replace('-', '_').upper()}" if word else enum.values[0].name
    value = enum.values_by_name.get(name)
    if value is None:
        raise malformed(f"{enum.name} has no value for {word!r}", field)
    return value.number


def decode_enum(enum: EnumDescriptor, number: int, field: str) -> str:
    """Return the word of a number, "" for the unspecified value.

    Raises:
        WireError: W006 if the schema has no such number.
    """
    value = enum.values_by_number.get(number)
    if value is None:
        raise malformed(f"{enum.name} has no value {number}", field)
    if number == 0:
        return ""
    word = value.name.removeprefix(f"{_prefix(enum)}_").lower()
    return _WORDS.get(word, word)


def set_enum(message: Message, field: str, word: str) -> None:
    """Write a word into an enum field.

    Raises:
        WireError: W006 if the schema has no such word.
    """
    setattr(message, field, encode_enum(_enum_of(message, field), word, field))


def get_enum(message: Message, field: str) -> str:
    """Return the word of an enum field that must have one.

    Raises:
        WireError: W006 if it is unspecified or unknown.
    """
    word = decode_enum(_enum_of(message, field), getattr(message, field), field)
    if not word:
        raise malformed("a value is required", field)
    return word


def words(enum: EnumDescriptor) -> tuple[str, ...]:
    """Return the words of all values but the unspecified one."""
    return tuple(decode_enum(enum, value.number, enum.name) for value in enum.values[1:])


def _enum_of(message: Message, field: str) -> EnumDescriptor:
    # The runtime picks one of two classes of descriptors, and only one of them has stubs.
    fields: Any = message.DESCRIPTOR.fields_by_name
    enum: EnumDescriptor = fields[field].enum_type
    return enum


def _prefix(enum: EnumDescriptor) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", enum.name).upper()
