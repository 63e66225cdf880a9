# SPDX-License-Identifier: MIT
"""Messages <-> views for people: protobuf text format, and JSON with plain numbers.

The text view of an artifact starts with two comments that name its schema, so that it can be read
back. Protobuf's own JSON writes 64-bit integers as strings; ours writes numbers, which its reader
accepts as well. Bytes are base64, and numbers that JSON lacks are "NaN", "Infinity", "-Infinity".
"""

from __future__ import annotations

import difflib
import functools
import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

from google.protobuf import json_format, text_format
from google.protobuf.message import Message

from fuseflow.errors import Location, WireError

__all__ = ["is_text_view", "message_name", "parse_text", "to_json", "to_text"]

AnyMessage = TypeVar("AnyMessage", bound=Message)

_TITLE = re.compile(r"\A# proto-file: \S+\n# proto-message: fuseflow\.v1\.(\w+)\n")
_FIRST_LINE = b"# proto-file:"
_UNKNOWN_FIELD = re.compile(r'^(.*?)Message type "[\w.]*?(\w+)" has no field named "(\w+)"')
_POSITION = re.compile(r"^(\d+):\d+ : (?:'[^']*': )?")


def to_text(message: Message) -> str:
    """Return the text view of a message; unknown fields appear by number."""
    descriptor = message.DESCRIPTOR
    title = f"# proto-file: {descriptor.file.name}\n# proto-message: {descriptor.full_name}\n\n"
    body = text_format.MessageToString(message, as_utf8=True, print_unknown_fields=True)
    return title + body


def to_json(message: Message) -> str:
    """Return the JSON view of a message: fields in the order of the schema, zeros included."""
    plain = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    tidy = _tidy(plain, message.DESCRIPTOR)
    return json.dumps(tidy, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def is_text_view(data: bytes) -> bool:
    """Return whether bytes start like a text view."""
    return data.startswith(_FIRST_LINE)


def message_name(text: str) -> str:
    """Return the name of the message that a text view holds.

    Raises:
        WireError: W011 if its first two lines do not say.
    """
    title = _TITLE.match(text)
    if title is None:
        fix = "start it with the lines that ff-show --text writes"
        raise WireError("W011", "the text view does not name its message", fix=fix)
    return title.group(1)


def parse_text(text: str, message: AnyMessage) -> AnyMessage:
    """Read a text view, or a text file, into an empty message.

    Raises:
        WireError: W011 with the line, and the nearest field name for an unknown one.
    """
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        raise _explain(str(error), message) from error
    return message


def _explain(reason: str, message: Message) -> WireError:
    position = _POSITION.match(reason)
    line = f"line {position.group(1)}: " if position else ""
    reason = reason[position.end() :] if position else reason
    unknown = _UNKNOWN_FIELD.match(reason)
    if unknown is None:
        return WireError("W011", line + reason.rstrip("."))
    _, owner, name = unknown.groups()
    near = difflib.get_close_matches(name, _fields_of(message, owner), n=1, cutoff=0.5)
    return WireError(
        "W011",
        f"{line}{owner} has no field {name!r}",
        where=Location(field=name),
        fix=f"did you mean {near[0]!r}?" if near else None,
    )


def _fields_of(message: Message, owner: str) -> list[str]:
    """Return the field names of a message type in the same package."""
    found: Any = message.DESCRIPTOR.file.pool.FindMessageTypeByName(
        f"{message.DESCRIPTOR.file.package}.{owner}"
    )
    return list(found.fields_by_name)


def _tidy(plain: dict[str, Any], descriptor: Any) -> dict[str, Any]:
    """Return the fields in the order of the schema, 64-bit integers as numbers."""
    return {
        field.name: _tidy_field(plain[field.name], field)
        for field in descriptor.fields
        if field.name in plain
    }


def _tidy_field(value: Any, field: Any) -> Any:
    if field.message_type is not None:
        convert: Callable[[Any], Any] = functools.partial(_tidy, descriptor=field.message_type)
    elif field.cpp_type in (field.CPPTYPE_INT64, field.CPPTYPE_UINT64):
        convert = int
    else:
        return value
    return [convert(item) for item in value] if field.is_repeated else convert(value)
