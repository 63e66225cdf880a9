# SPDX-License-Identifier: MIT
"""A channel while it runs: tokens with stamps in flight, counters, and the record of a test."""

from __future__ import annotations

from collections import deque

import numpy as np

from fuseflow.sim import faults
from fuseflow.sim.machine import Channel, ChannelKind
from fuseflow.sim.nested import Grammar
from fuseflow.sim.result import ChannelResult
from fuseflow.sim.tokens import DONE, MISSING, Stop, Token, TokenStream

__all__ = ["Fifo"]


class Fifo:
    """Single producer, single consumer. Knows stamps and removal times, not the clocks."""

    def __init__(
        self, kernel: str, channel: Channel, producer: int, consumer: int, record: bool
    ) -> None:
        self.channel = channel
        self.capacity = channel.capacity
        self.producer = producer
        self.consumer = consumer
        self.sent = 0
        self.removed = 0
        self._kernel = kernel
        self._queue: deque[tuple[Token, int]] = deque()
        self._removals: deque[int] = deque()
        self._last_stamp = -channel.interval
        self._counts = {"values": 0, "missing": 0, "stops": 0, "marked": 0}
        self._record: list[tuple[Token, int]] | None = [] if record else None
        self._log: list[int] = []
        self._grammar = Grammar(channel.depth) if channel.depth >= 0 else None

    @property
    def occupied(self) -> bool:
        """Whether there is a head to read."""
        return bool(self._queue)

    @property
    def held(self) -> int:
        """How many tokens are in flight."""
        return len(self._queue)

    @property
    def head(self) -> Token:
        """The oldest token in flight."""
        return self._queue[0][0]

    @property
    def stamp(self) -> int:
        """The cycle in which the head can be read."""
        return self._queue[0][1]

    @property
    def has_room(self) -> bool:
        """Whether the removal that makes room for the next token is known."""
        return self.capacity is None or len(self._queue) < self.capacity

    def room_since(self) -> int:
        """Claim the slot of the next token; return the first cycle in which it is free."""
        if self.capacity is None or self.sent < self.capacity:
            return 0
        return self._removals.popleft() + 1

    def append(self, token: Token, stamp: int) -> None:
        """Send a token that can be read from cycle `stamp` on."""
        if self._grammar and not self._grammar.accepts(token):
            name, depth = self.channel.name, self.channel.depth
            raise faults.malformed(self._kernel, name, self.sent, token, depth)
        if self.channel.interval:
            stamp = max(stamp, self._last_stamp + self.channel.interval)
            self._last_stamp = stamp
        self.sent += 1
        self._count(token)
        self._queue.append((token, stamp))
        if self._record is not None:
            self._record.append((token, stamp))

    def remove(self, when: int) -> None:
        """Remove the head in cycle `when`."""
        self._queue.popleft()
        self.removed += 1
        if self._record is not None:
            self._log.append(when)
        if self.capacity is not None:
            self._removals.append(when)

    def result(self, waited: int, watch: bool) -> ChannelResult:
        """Return the counters and, if asked for, all that was sent and when it was removed."""
        removals = np.array(self._log, np.int64) if watch else None
        recorded = self._recorded()
        return ChannelResult(**self._counts, waited=waited, recorded=recorded, removals=removals)

    def _recorded(self) -> TokenStream | None:
        if self._record is None:
            return None
        tokens = [token for token, _ in self._record]
        stamps = [stamp for _, stamp in self._record]
        number = self.channel.kind is ChannelKind.VAL
        return TokenStream.of(tokens, stamps, number=number, tile=self.channel.tile)

    def _count(self, token: Token) -> None:
        if isinstance(token, Stop):
            self._counts["stops"] += 1
            self._counts["marked"] += token.e > 0
        elif token is MISSING:
            self._counts["missing"] += 1
        elif token is not DONE:
            self._counts["values"] += 1
