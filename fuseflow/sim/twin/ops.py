# SPDX-License-Identifier: MIT
"""What a rule may do: the operations that it yields to the scheduler, and joint helpers.

A rule is a generator. It yields one operation at a time and is resumed with the token that the
operation delivers; while an operation must wait for a token or for room, the rule rests. Clocks
and channels belong to the scheduler: a rule knows tokens only.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from fuseflow.sim.tokens import DONE, Stop, Token

if TYPE_CHECKING:
    from fuseflow.sim.twin.process import Process

__all__ = [
    "Answer",
    "Ask",
    "Copy",
    "Discard",
    "Emit",
    "Fetched",
    "Op",
    "Peek",
    "Post",
    "Rest",
    "Rule",
    "Served",
    "Steps",
    "Take",
    "Tick",
    "Use",
    "emit_all",
    "is_element",
    "peek_each",
    "retire",
    "same_mark",
    "take_aligned",
    "take_done",
    "take_element",
]


class Peek(NamedTuple):
    """Deliver the head of an input and leave it there; the clock advances to its stamp."""

    port: int


class Take(NamedTuple):
    """Deliver the head of an input and remove it; the clock advances to its stamp."""

    port: int


class Discard(NamedTuple):
    """Deliver the head of an input and remove it; the clock stays."""

    port: int


class Emit(NamedTuple):
    """Send a token to an output, `latency` cycles from now or later."""

    port: int
    token: Token
    latency: int = 1


class Copy(NamedTuple):
    """Send a token to all outputs at once, when all have room."""

    token: Token


class Tick(NamedTuple):
    """Let work take so many cycles."""

    cycles: int


class Rest(NamedTuple):
    """Let time pass without work until a cycle, if it is still to come."""

    until: int


class Ask(NamedTuple):
    """Ask the queue server for a vector of words of an array."""

    array: int
    words: int


class Answer(NamedTuple):
    """Let the clock reach the answer to the last question."""


class Fetched(NamedTuple):
    """Let the clock reach the cycle in which the metadata of the element just taken are here."""


class Use(NamedTuple):
    """Let the clock reach the arrival of the next line of an array that was read ahead.

    `address` is that of a word; words are used in the order in which they were planned.
    """

    array: int
    address: int


class Served(NamedTuple):
    """Say that all elements taken so far are dealt with: a unit that reads ahead may go on."""


class Post(NamedTuple):
    """Send a line of an array to memory; too many without an answer hold the clock up."""

    array: int
    line: int


Op = (
    Peek | Take | Discard | Emit | Copy | Tick | Rest | Ask | Answer | Fetched | Use | Served | Post
)
T = TypeVar("T")
Steps = Generator[Op, Token, T]
"""Part of a rule that returns something; used with `yield from`."""
Rule = Steps[None]


def is_element(token: Token) -> bool:
    """Return whether a token stands for an element of a list: a value or a missing one."""
    return not isinstance(token, Stop) and token is not DONE


def emit_all(ports: Sequence[int], token: Token) -> Rule:
    """Send one token to several outputs, one after the other."""
    for port in ports:
        yield Emit(port, token)


def retire(unit: Process, outer: int, inner: int, stop: Stop) -> Rule:
    """Remove from the outer stream what this stop of the inner stream closes (rule A)."""
    n, e = stop
    if e == 0:
        yield from take_element(unit, outer, inner)
    if e or n:
        token = yield Take(outer)
        if not same_mark(token, Stop(n - 1, max(e - 1, 0))):
            raise unit.misaligned(outer, inner)


def take_element(unit: Process, outer: int, inner: int) -> Rule:
    """Remove an element from the outer stream; anything else does not fit the inner stream."""
    token = yield Take(outer)
    if not is_element(token):
        raise unit.misaligned(outer, inner)


def take_aligned(unit: Process, ports: Sequence[int]) -> Steps[list[Token]]:
    """Remove one token from each port; all are elements, or all are the same other token."""
    tokens: list[Token] = []
    for port in ports:
        token = yield Take(port)
        tokens.append(token)
    first = tokens[0]
    for port, token in zip(ports[1:], tokens[1:], strict=True):
        if not (is_element(first) and is_element(token)) and not same_mark(first, token):
            raise unit.misaligned(ports[0], port)
    return tokens


def same_mark(a: Token, b: Token) -> bool:
    """Return whether two tokens are the same stop, or both the end; never true of elements."""
    if isinstance(a, Stop):
        return isinstance(b, Stop) and a == b
    return a is DONE and b is DONE


def peek_each(ports: Iterable[int]) -> Steps[list[Token]]:
    """Look at the heads of several inputs, one after the other."""
    heads: list[Token] = []
    for port in ports:
        head = yield Peek(port)
        heads.append(head)
    return heads


def take_done(unit: Process, port: int) -> Rule:
    """Remove the end of a stream that must end here."""
    token = yield Take(port)
    if token is not DONE:
        raise unit.misaligned(port)
