# SPDX-License-Identifier: MIT
"""The front end of a unit that reads from a DRAM: it takes tokens and asks for data ahead.

To its unit it looks like the input channel, but the token at its head carries the cycle in which
the front end took it. Front end, requests of each array, and the unit itself go on independently;
docs/streams.md, section 5, has the equations.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fuseflow.sim.memory import UNKNOWN, ClientFigures
from fuseflow.sim.tokens import Token
from fuseflow.sim.twin.fifo import Fifo
from fuseflow.sim.twin.lines import Line, LineReader

__all__ = ["Prefetcher", "Touches"]

Touches = Callable[[Token], Sequence[int]]
"""The byte addresses that a token makes a client touch, in order."""


@dataclass(slots=True)
class _Entry:
    """A token that was taken in cycle `front`; `ready` is when its metadata are here."""

    token: Token
    front: int
    ready: int = UNKNOWN
    metadata: list[Line] = field(default_factory=list)


class _Stage:
    """The requests of one array: where in the queue of tokens they stand."""

    def __init__(self, reader: LineReader, touches: Touches) -> None:
        self.reader = reader
        self.touches = touches
        self.at = 0
        self.word = 0


class Prefetcher:
    """Tokens between an input channel and its unit, and the lines that they make it read.

    Of two arrays the first holds metadata: what is read of the second is known, and wanted, when
    they are here. A value of several words is touched once per line, a scalar or coordinate once.
    """

    def __init__(
        self,
        fifo: Fifo,
        depth: int,
        clients: Sequence[tuple[LineReader, Touches]],
        value_words: int,
    ) -> None:
        self.readers = [reader for reader, _ in clients]
        self.channel = fifo.channel
        self.capacity = None
        self.removed = 0
        self._fifo = fifo
        self._depth = depth
        self._stages = [_Stage(*client) for client in clients]
        self._entries: list[_Entry] = []
        self._unready: deque[_Entry] = deque()
        self._served: list[int] = []
        self._front = -1
        self._value_words = value_words

    @property
    def producer(self) -> int:
        """The unit that writes the channel."""
        return self._fifo.producer

    @property
    def sent(self) -> int:
        """Tokens that were sent over the channel."""
        return self._fifo.sent

    @property
    def occupied(self) -> bool:
        """Whether there is a token that the unit did not take."""
        return self.removed < len(self._entries)

    @property
    def head(self) -> Token:
        """The next token for the unit."""
        return self._entries[self.removed].token

    @property
    def stamp(self) -> int:
        """The cycle in which the front end took that token."""
        return self._entries[self.removed].front

    def remove(self, when: int) -> None:
        """Hand the next token to the unit, in cycle `when`."""
        self.removed += 1

    def serve(self, when: int) -> None:
        """Note that the unit is done in cycle `when` with all that it took."""
        self._served += [when] * (self.removed - len(self._served))

    def fetched(self) -> int:
        """Return when the metadata of the token taken last are here, or `UNKNOWN`."""
        return self._entries[self.removed - 1].ready

    def figures(self) -> tuple[ClientFigures, ...]:
        """Return what was asked for, by array."""
        return tuple(reader.figures for reader in self.readers)

    def advance(self, wake: Callable[[int], None]) -> None:
        """Do everything ahead of the unit that can be done by now."""
        before = None
        while before != (before := self._progress()):
            while self._take(wake):
                pass
            for number, stage in enumerate(self._stages):
                self._settle()
                self._request(number, stage)

    def _progress(self) -> tuple[int, ...]:
        places = [(stage.at, stage.word) for stage in self._stages]
        return len(self._entries), len(self._unready), *(n for place in places for n in place)

    def _take(self, wake: Callable[[int], None]) -> bool:
        """Take a token if there is one, and room for it."""
        index = len(self._entries)
        if not self._fifo.occupied or index - self._depth >= len(self._served):
            return False
        room = self._served[index - self._depth] if index >= self._depth else 0
        self._front = max(self._front + 1, self._fifo.stamp, room)
        entry = _Entry(self._fifo.head, self._front)
        self._entries.append(entry)
        self._unready.append(entry)
        self._fifo.remove(self._front)
        if self._fifo.capacity is not None:
            wake(self._fifo.producer)
        return True

    def _settle(self) -> None:
        """Note which metadata have arrived, in whatever order, and that they are used then."""
        first = self._stages[0]
        waiting: deque[_Entry] = deque()
        for entry in self._unready:
            wanted = len(first.touches(entry.token)) if len(self._stages) > 1 else 0
            answers = [line.request.response for line in entry.metadata]
            if len(answers) < wanted or UNKNOWN in answers:
                waiting.append(entry)
                continue
            entry.ready = max([entry.front, *answers])
            for line in entry.metadata:
                line.used += 1
                line.last_use = max(line.last_use, entry.ready)
        self._unready = waiting

    def _request(self, number: int, stage: _Stage) -> None:
        """Plan the words of one array, in order, as far as their cycles are known."""
        while stage.at < len(self._entries):
            entry = self._entries[stage.at]
            for address in stage.touches(entry.token)[stage.word :]:
                is_metadata = number == 0 and len(self._stages) > 1
                want = entry.front if number == 0 else entry.ready
                if want == UNKNOWN and not stage.reader.is_near(address):
                    return
                line = stage.reader.plan(address, want)
                if line is None:
                    return
                if is_metadata:
                    entry.metadata.append(line)
                stage.word += 1
            if touched := len(stage.touches(entry.token)):
                stage.reader.figures.words += max(touched, self._value_words)
            stage.at += 1
            stage.word = 0
