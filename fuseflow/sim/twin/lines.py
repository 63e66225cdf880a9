# SPDX-License-Identifier: MIT
"""Clients of a DRAM: accesses to the words of one array become requests of whole lines.

A client keeps the line that it touched last; words in it cause no request. At most `window` lines
are on their way: request k waits until line k - window is used up (read) or answered (write).
"""

from __future__ import annotations

from dataclasses import dataclass

from fuseflow.ir.hardware import Hbm2Config
from fuseflow.sim.memory import UNKNOWN, ClientFigures, MemoryModel, Request

__all__ = ["Line", "LineReader", "LineWriter"]


@dataclass(slots=True, eq=False)
class Line:
    """A line that was asked for: how often it will be used as far as known, was used, and when."""

    number: int
    request: Request
    planned: int = 1
    used: int = 0
    last_use: int = 0


class _Client:
    """Issues the requests of one client: at most one per cycle."""

    def __init__(
        self, memory: MemoryModel, config: Hbm2Config, client: int, window: int, write: bool
    ) -> None:
        self.line_bytes = config.line_bytes
        self.window = window
        self.figures = ClientFigures()
        self._memory = memory
        self._client = client
        self._write = write
        self._last_time = -1

    def issue(self, line: int, want: int, free: int) -> Request:
        """Ask for a line that is wanted in cycle `want`, when the window has room since `free`.

        That is one cycle after the request before, at the earliest.
        """
        want = max(want, self._last_time + 1)
        time = max(want, free)
        number = self.figures.requests
        address = line * self.line_bytes
        request = Request(time, self._client, number, address, write=self._write)
        self._last_time = time
        self.figures.requests += 1
        self.figures.waited += time - want
        self._memory.submit(request)
        return request


class LineReader(_Client):
    """Reads ahead: words are planned in the order in which they will be used."""

    def __init__(self, memory: MemoryModel, config: Hbm2Config, client: int, window: int) -> None:
        super().__init__(memory, config, client, window, write=False)
        self._lines: list[Line] = []
        self._at = 0

    def is_near(self, address: int) -> bool:
        """Return whether the next word lies in the line asked for last."""
        return bool(self._lines) and self._lines[-1].number == address // self.line_bytes

    def plan(self, address: int, time: int) -> Line | None:
        """Plan the use of a word that is wanted in cycle `time`; None if the window is full."""
        if self.is_near(address):
            self._lines[-1].planned += 1
            return self._lines[-1]
        free = 0
        if len(self._lines) >= self.window:
            leaving = self._lines[-self.window]
            if leaving.used < leaving.planned:
                return None
            free = leaving.last_use
        number = address // self.line_bytes
        self._lines.append(Line(number, self.issue(number, time, free)))
        return self._lines[-1]

    def next_line(self, address: int) -> Line | None:
        """Return the line of the next word in order of use; None while that is not answered."""
        at = self._at
        if at < len(self._lines) and self._lines[at].number != address // self.line_bytes:
            at += 1
        if at >= len(self._lines) or self._lines[at].request.response == UNKNOWN:
            return None
        self._at = at
        return self._lines[at]


class LineWriter(_Client):
    """Collects words of one line; the unit posts the line when it is full or left."""

    def __init__(
        self, memory: MemoryModel, config: Hbm2Config, client: int, window: int, base: int
    ) -> None:
        super().__init__(memory, config, client, window, write=True)
        self.base = base
        self.line: int | None = None
        self._filled = 0
        self._requests: list[Request] = []

    def fill(self, line: int, size: int) -> bool:
        """Put bytes into a line; return whether that is full."""
        if self.line != line:
            self.line, self._filled = line, 0
        self._filled += size
        return self._filled >= self.line_bytes

    def free_since(self) -> int:
        """Return when one more line may be sent; `UNKNOWN` while the answer to one is missing."""
        if len(self._requests) < self.window:
            return 0
        return self._requests[-self.window].response

    def post(self, line: int, time: int) -> None:
        """Send a line, in cycle `time` or when there is room; the buffer is empty then."""
        self._requests.append(self.issue(line, time, self.free_since()))
        self.line = None
