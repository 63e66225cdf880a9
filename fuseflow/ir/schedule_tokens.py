# SPDX-License-Identifier: MIT
"""The tokens of schedule texts: words, strings in double quotes, and punctuation.

A comment runs from # to the end of the line. Every token knows its line and column, so that an
error can point at it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from fuseflow.errors import Location, ScheduleError
from fuseflow.ir.schedule_text import WORD, quote

__all__ = ["Token", "TokenStream"]

_SKIPPED = re.compile(r"(?:\s|#[^\n]*)+")
_STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
_MARK = re.compile(r"\.\.|->|[;,:{}()\[\]=]")
_ESCAPES = {"n": "\n"}


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of text at `line` and `column`, both from 1; "" is the end of the schedule."""

    text: str
    line: int
    column: int
    quoted: bool = False
    word: bool = False

    def __str__(self) -> str:
        return f'"{self.text}"' if self.text or self.quoted else "the end"


class TokenStream:
    """The tokens of one text, read from front to back; what does not fit raises P010."""

    def __init__(self, text: str, name: str) -> None:
        """Split `text`; `name` is its file, for errors."""
        self._name = name
        self._tokens = list(self._split(text))
        self._next = 0

    def peek(self) -> Token:
        """Return the next token without consuming it."""
        return self._tokens[self._next]

    def at_end(self) -> bool:
        """Return True if nothing is left."""
        token = self.peek()
        return not token.text and not token.quoted

    def next_is(self, text: str) -> bool:
        """Return True if the next token is this word or mark, not in quotes."""
        return self.peek().text == text and not self.peek().quoted

    def accept(self, text: str) -> bool:
        """Consume the next token if it is this word or mark."""
        found = self.next_is(text) and not self.at_end()
        self._next += found
        return found

    def accept_call(self, word: str) -> bool:
        """Consume a word and the parenthesis behind it, if both are there."""
        found = self.next_is(word) and self._tokens[self._next + 1].text == "("
        self._next += 2 * found
        return found

    def expect(self, mark: str) -> None:
        """Consume this mark or word."""
        if not self.accept(mark):
            raise self.error(self.peek(), f'expected "{mark}" before {self.peek()}')

    def keyword(self, known: Iterable[str], what: str) -> str:
        """Consume one of several words."""
        token, words = self.peek(), [str(word) for word in known]
        if token.word and not token.quoted and token.text in words:
            self._next += 1
            return token.text
        near = difflib.get_close_matches(token.text, words, n=1, cutoff=0.5)
        fix = f'did you mean "{near[0]}"?' if near else f"write one of {', '.join(words)}"
        raise self.error(token, f"expected {what} instead of {token}", fix)

    def name(self, what: str) -> str:
        """Consume a name, bare or in quotes."""
        token = self.peek()
        if not token.word:
            raise self.error(token, f"expected {what} instead of {token}")
        self._next += 1
        return token.text

    def quoted_name(self, what: str) -> str:
        """Consume a name and return it as it is written in a schedule."""
        return quote(self.name(what))

    def string(self, what: str) -> str:
        """Consume a text in quotes."""
        token = self.peek()
        if not token.quoted:
            raise self.error(token, f"expected {what} in double quotes instead of {token}")
        self._next += 1
        return token.text

    def integer(self, least: int) -> int:
        """Consume a whole number that is not below `least`."""
        token = self.peek()
        if not token.text.isascii() or not token.text.isdigit() or int(token.text) < least:
            raise self.error(token, f"expected a whole number of at least {least}, not {token}")
        self._next += 1
        return int(token.text)

    def number(self) -> float:
        """Consume a number; inf and -inf are numbers too."""
        token = self.peek()
        try:
            value = float(token.text)
        except ValueError as error:
            raise self.error(token, f"expected a number instead of {token}") from error
        if value != value:
            raise self.error(token, f"expected a number instead of {token}")
        self._next += 1
        return value

    def error(self, token: Token, message: str, fix: str | None = None) -> ScheduleError:
        """Return the error P010 at a token."""
        return self._error(token.line, token.column, message, fix)

    def _error(self, line: int, column: int, message: str, fix: str | None) -> ScheduleError:
        place = Location(file=f"{self._name}:{line}:{column}")
        return ScheduleError("P010", message, where=place, fix=fix)

    def _split(self, text: str) -> Iterator[Token]:
        line, start, position = 1, 0, 0
        while position < len(text):
            column = position - start + 1
            skipped = _SKIPPED.match(text, position)
            if skipped is not None:
                breaks = skipped[0].count("\n")
                line += breaks
                start = text.rfind("\n", 0, skipped.end()) + 1 if breaks else start
                position = skipped.end()
                continue
            match = _STRING.match(text, position)
            if match is not None:
                yield Token(_unescape(match[1]), line, column, quoted=True, word=True)
            else:
                word = WORD.match(text, position)
                match = word or _MARK.match(text, position)
                if match is None:
                    raise self._error(line, column, f"unexpected {text[position]!r}", None)
                yield Token(match[0], line, column, word=word is not None)
            position = match.end()
        yield Token("", line, position - start + 1)


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), text)
