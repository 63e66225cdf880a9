# SPDX-License-Identifier: MIT
"""The code between nested lists and token streams, and the grammar of well-formed streams.

A stream of depth d is one d-deep nested list (docs/streams.md, section 1). Stops carry the level
of the empty list that they close, which makes the code a bijection: [] and [[]] differ.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fuseflow.sim.faults import cut_short, malformed
from fuseflow.sim.tokens import DONE, Stop, Token

__all__ = ["Grammar", "decode", "encode"]


def encode(nested: Any, depth: int) -> list[Token]:
    """Return the tokens of a `depth`-deep nested list: [[1], []] of depth 2 is 1 S0 S1 D."""
    body = _encode_list(nested, depth - 1) if depth else [nested]
    return [*body, DONE]


def _encode_list(items: list[Any], level: int) -> list[Token]:
    if not items:
        return [Stop(level, level)]
    if level == 0:
        return [*items, Stop(0)]
    tokens = [token for item in items for token in _encode_list(item, level - 1)]
    tokens[-1] = Stop(level, tokens[-1].e)
    return tokens


class Grammar:
    """Accepts the tokens of one well-formed stream, one by one.

    `state` is -1 after a value, else the level of the last stop; it starts at depth - 1, as if
    everything below the root had just been closed.
    """

    __slots__ = ("closed", "depth", "done", "state")

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.state = depth - 1
        self.closed = False
        self.done = False

    def accepts(self, token: Token) -> bool:
        """Take one token; False if it must not stand here."""
        if self.done:
            return False
        if token is DONE:
            self.done = self.closed
            return self.closed
        if self.closed:
            return False
        if isinstance(token, Stop):
            return self._accepts_stop(token)
        self.state = -1
        self.closed = self.depth == 0
        return True

    def _accepts_stop(self, stop: Stop) -> bool:
        n, e = stop
        if not 0 <= e <= n < self.depth or e > max(self.state, 0):
            return False
        self.state = n
        self.closed = n == self.depth - 1
        return True


def decode(tokens: Iterable[Token], depth: int) -> Any:
    """Return the nested list of a stream of this depth.

    Raises:
        GraphError: rule MALFORMED, if the tokens are no stream of this depth.
    """
    grammar = Grammar(depth)
    holder: list[Any] = []
    lists: list[list[Any]] = [[] for _ in range(depth)] + [holder]
    index = -1
    for index, token in enumerate(tokens):
        state = grammar.state
        if not grammar.accepts(token):
            raise malformed("", "tokens", index, token, depth)
        if token is DONE:
            continue
        lowest = token.e if isinstance(token, Stop) else 0
        _open_lists(lists, state, lowest)
        if not isinstance(token, Stop):
            lists[0].append(token)
    if not grammar.done:
        raise cut_short("tokens", index + 1, depth)
    return holder[0]


def _open_lists(lists: list[list[Any]], top: int, lowest: int) -> None:
    """Open new lists of levels top..lowest, each inside the one above."""
    for level in range(top, lowest - 1, -1):
        lists[level] = []
        lists[level + 1].append(lists[level])
