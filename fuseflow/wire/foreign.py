# SPDX-License-Identifier: MIT
"""What other tools and newer versions put into an artifact, carried from stage to stage.

A stage decodes a root into data and encodes new data into a new root. What the data cannot hold,
unknown fields and annotations, is extracted on reading and merged on writing: by name or id where
elements have one, else by position. The extract is itself an encoding of the root, which works
across kinds because all roots share one space of field numbers. What belonged to an element that
a stage removed is dropped with it.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, TypeVar

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

__all__ = ["extract_foreign", "merge_foreign"]

AnyMessage = TypeVar("AnyMessage", bound=Message)

_ANNOTATIONS = "annotations"
_KEYS = ("id", "name")


def extract_foreign(root: Message) -> bytes:
    """Return the unknown fields and annotations of a message and all messages within it.

    Empty if there are none. The result is an encoding of the message's type, in which only they
    and the names of the elements that own them are left.
    """
    extract = _extract(root)
    return b"" if extract is None else extract.SerializeToString(deterministic=True)


def merge_foreign(foreign: bytes, root: Message) -> None:
    """Merge an extract into a root of the same or another kind."""
    if foreign:
        extract = type(root)()
        extract.ParseFromString(foreign)
        _merge(extract, root)


def _extract(message: AnyMessage) -> AnyMessage | None:
    found = type(message)()
    found.MergeFromString(_unknown_fields(message))
    used = bool(found.ByteSize())
    for name, repeated in _children(message.DESCRIPTOR):
        child = getattr(message, name)
        if name == _ANNOTATIONS:
            getattr(found, name).extend(child)
            used = used or bool(child)
        elif repeated:
            used = _extract_items(child, getattr(found, name)) or used
        elif message.HasField(name):
            inner = _extract(child)
            if inner is not None:
                getattr(found, name).CopyFrom(inner)
                used = True
    return found if used else None


def _extract_items(items: Sequence[Message], found: Any) -> bool:
    """Extract list elements, and say whether there was anything in them."""
    used = False
    for index, item in enumerate(items):
        inner = _extract(item)
        if inner is None:
            continue
        used = True
        key = _key_of(item.DESCRIPTOR)
        if key is not None:
            setattr(inner, key, getattr(item, key))
        else:
            found.extend(type(item)() for _ in range(index - len(found)))
        found.append(inner)
    return used


def _merge(extract: Message, message: Message) -> None:
    message.MergeFromString(_unknown_fields(extract))
    for name, repeated in _children(extract.DESCRIPTOR):
        child = getattr(extract, name)
        if name == _ANNOTATIONS:
            getattr(message, name).extend(child)
        elif repeated:
            _merge_items(child, getattr(message, name))
        elif extract.HasField(name) and message.HasField(name):
            _merge(child, getattr(message, name))


def _merge_items(extracts: Sequence[Message], items: Sequence[Message]) -> None:
    if not extracts:
        return
    key = _key_of(extracts[0].DESCRIPTOR)
    if key is None:
        pairs = list(zip(extracts, items, strict=False))
    else:
        owners = {getattr(item, key): item for item in items}
        names = [(getattr(extract, key), extract) for extract in extracts]
        pairs = [(extract, owners[name]) for name, extract in names if name in owners]
    for extract, item in pairs:
        _merge(extract, item)


def _unknown_fields(message: Message) -> bytes:
    """Return the bytes of the fields that this version does not know."""
    if not len(UnknownFieldSet(message)):
        return b""
    shell = type(message)()
    shell.CopyFrom(message)
    for field, _ in shell.ListFields():
        shell.ClearField(field.name)
    return shell.SerializeToString(deterministic=True)


@functools.cache
def _children(descriptor: Any) -> tuple[tuple[str, bool], ...]:
    """Return the fields of a message type that hold messages, and whether they are lists."""
    fields = descriptor.fields
    return tuple((field.name, field.is_repeated) for field in fields if field.message_type)


@functools.cache
def _key_of(descriptor: Any) -> str | None:
    return next((key for key in _KEYS if key in descriptor.fields_by_name), None)
