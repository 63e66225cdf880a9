# SPDX-License-Identifier: MIT
"""Messages of a ComalGraph <-> protobuf text format, driven by the table of a dialect.

What is written starts with comments that name message and dialect; what is read may be written by
any tool. An unknown name is an error here, unlike an unknown number in bytes.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterator
from typing import Any

from fuseflow.interop.comal.message import Message
from fuseflow.interop.comal.schema import DIALECTS, Field, Schema
from fuseflow.interop.faults import malformed

__all__ = ["format_text", "named_dialect", "parse_text"]

_TOKEN = re.compile(
    r"""\s*(?:\#[^\n]*\s*)*(?:
        (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<word>[A-Za-z_][A-Za-z_0-9]*)
      | (?P<number>-?(?:inf|nan|[0-9][0-9A-Fa-fxX.eE+-]*f?))
      | (?P<mark>[{}<>\[\]:;,])
    )""",
    re.VERBOSE,
)
_REST = re.compile(r"\s*(?:#[^\n]*\s*)*\Z")
_DIALECT_LINE = re.compile(r"^#\s*dialect:\s*(\S+)\s*$", re.MULTILINE)
_CLOSING = {"{": "}", "<": ">"}


def named_dialect(text: str) -> str | None:
    """Return the dialect that a comment of the text names, None if there is no such comment.

    Raises:
        InterchangeError: X002 if it is none that we know.
    """
    line = _DIALECT_LINE.search(text)
    if line is None or line[1] in DIALECTS:
        return line[1] if line else None
    fix = f"known dialects: {', '.join(DIALECTS)}"
    raise malformed(f'the text is of dialect "{line[1]}"', fix=fix)


def format_text(message: Message) -> str:
    """Return the text of a root message, with the comments that name it."""
    title = f"# proto-message: {message.type}\n# dialect: {message.schema.dialect}\n"
    return title + "\n".join(_lines(message, "")) + "\n"


def _lines(message: Message, indent: str) -> Iterator[str]:
    for spec in message.schema.messages[message.type]:
        value = message.values.get(spec.name)
        items = value if isinstance(value, list) else [] if value is None else [value]
        for item in items:
            if isinstance(item, Message):
                yield f"{indent}{spec.name} {{"
                yield from _lines(item, indent + "  ")
                yield f"{indent}}}"
            else:
                yield f"{indent}{spec.name}: {_format_scalar(message.schema, spec, item)}"


def _format_scalar(schema: Schema, spec: Field, value: Any) -> str:
    if spec.type in schema.enums:
        names = schema.enums[spec.type]
        return names[value] if value < len(names) else str(value)
    if spec.type == "string":
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{escaped}"'
    if spec.type == "bool":
        return str(value).lower()
    if spec.type == "double" and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def parse_text(schema: Schema, text: str, kind: str = "ComalGraph") -> Message:
    """Read the text of one message.

    Raises:
        InterchangeError: X001 with the line, and the nearest name for one that is not known.
    """
    return _Parser(schema, text).message(kind, "")


class _Parser:
    """A recursive-descent parser with one token of lookahead."""

    def __init__(self, schema: Schema, text: str) -> None:
        self.schema = schema
        self.text = text
        self.position = 0
        self.start = 0
        self.kind = ""
        self.token = ""
        self._advance()

    def message(self, kind: str, closing: str, depth: int = 0) -> Message:
        """Read fields up to the closing mark, or to the end of the text for ""."""
        if depth > 16:
            raise self._error("messages are nested too deeply")
        message = Message(self.schema, kind)
        while self.token != closing or self.kind == "string":
            if not self.token:
                raise self._error(f'the text ends before "{closing}"')
            self._field(message, depth)
            if self.token in (",", ";"):
                self._advance()
        return message

    def _field(self, message: Message, depth: int) -> None:
        name = self._take("word", "the name of a field")
        spec = self.schema.field(message.type, name)
        if spec is None:
            names = [each.name for each in self.schema.messages[message.type]]
            near = difflib.get_close_matches(name, names, n=1)
            fix = f'did you mean "{near[0]}"?' if near else None
            raise self._error(f'{message.type} has no field "{name}"', fix)
        has_colon = self.token == ":"
        if has_colon:
            self._advance()
        if spec.type not in self.schema.messages and not has_colon:
            raise self._error(f'expected ":" after {name}')
        if self.token == "[" and spec.repeated:
            for item in self._list(spec, depth):
                _put(message, spec, item)
            return
        _put(message, spec, self._value(spec, depth))

    def _list(self, spec: Field, depth: int) -> Iterator[Any]:
        self._advance()
        while self.token != "]":
            yield self._value(spec, depth)
            if self.token == ",":
                self._advance()
        self._advance()

    def _value(self, spec: Field, depth: int) -> Any:
        if spec.type in self.schema.messages:
            opening = self._take("mark", f'"{{" of {spec.name}')
            if opening not in _CLOSING:
                raise self._error(f'expected "{{" of {spec.name}')
            inner = self.message(spec.type, _CLOSING[opening], depth + 1)
            self._advance()
            return inner
        kind, token = self.kind, self.token
        value = _scalar(self.schema, spec, kind, token)
        if value is None:
            raise self._error(f'"{token}" is no {spec.type} for {spec.name}')
        self._advance()
        while spec.type == "string" and self.kind == "string":  # adjacent strings are one
            value += _scalar(self.schema, spec, "string", self.token)
            self._advance()
        return value

    def _take(self, kind: str, what: str) -> str:
        if self.kind != kind:
            raise self._error(f"expected {what}, found {self.token or 'the end'}")
        token = self.token
        self._advance()
        return token

    def _advance(self) -> None:
        self.start = self.position
        if _REST.match(self.text, self.position):
            self.kind, self.token = "end", ""
            return
        match = _TOKEN.match(self.text, self.position)
        if match is None or match.lastgroup is None:
            raise self._error("this is no protobuf text")
        self.kind, self.token = match.lastgroup, match[match.lastgroup]
        self.start = match.start(match.lastgroup)
        self.position = match.end()

    def _error(self, message: str, fix: str | None = None) -> Exception:
        line = self.text.count("\n", 0, self.start) + 1
        return malformed(f"line {line}: {message}", fix=fix)


def _put(message: Message, spec: Field, value: Any) -> None:
    if spec.repeated:
        message.values.setdefault(spec.name, []).append(value)
        return
    if spec.choice:
        for other in message.schema.messages[message.type]:
            if other.choice == spec.choice:
                message.values.pop(other.name, None)
    if isinstance(value, Message) or value:
        message.values[spec.name] = value


def _scalar(schema: Schema, spec: Field, kind: str, token: str) -> Any:
    """Return the value of a token, None if it does not fit."""
    if spec.type == "string":
        return _unquote(token) if kind == "string" else None
    if spec.type == "bool":
        return {"true": True, "false": False, "1": True, "0": False}.get(token)
    if spec.type in schema.enums and token in schema.enums[spec.type]:
        return schema.enums[spec.type].index(token)
    try:
        if spec.type == "double":
            return float(token if token.endswith("inf") else token.removesuffix("f"))
        number = int(token, 0)
    except ValueError:
        return None
    return number if 0 <= number < 1 << 64 else None


def _unquote(token: str) -> str | None:
    """Return a quoted string; escapes of single bytes may spell UTF-8."""
    try:
        if "\\" not in token:
            return token[1:-1]
        return bytes(ast.literal_eval("b" + _ascii(token))).decode()
    except (ValueError, SyntaxError):
        return None


def _ascii(token: str) -> str:
    """Spell every character outside of ASCII as the escapes of its bytes."""
    return "".join(c if c < "\x80" else "".join(f"\\x{b:02x}" for b in c.encode()) for c in token)
