# SPDX-License-Identifier: MIT
"""A request to memory, and the figures that every memory model keeps."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = [
    "BUCKETS",
    "UNKNOWN",
    "ChannelFigures",
    "ClientFigures",
    "Latencies",
    "MemoryFigures",
    "Request",
]

UNKNOWN = -1
"""Response of a request that was not answered yet."""

BUCKETS = 64
"""Of a histogram of latencies: bucket k counts those of 2**k .. 2**(k+1) - 1 cycles."""


@dataclass(slots=True, eq=False)
class Request:
    """What a client asks for in cycle `time`.

    For a DRAM it is the line at byte `address`; for the queue server it is a vector of `words`,
    and its address does not matter. `sequence` numbers the requests of a client. `response` is the
    cycle in which the client has its answer.
    """

    time: int
    client: int
    sequence: int
    address: int = 0
    words: int = 1
    write: bool = False
    response: int = UNKNOWN

    @property
    def key(self) -> tuple[int, int, int]:
        """Return what orders requests: cycle, client, number."""
        return self.time, self.client, self.sequence


@dataclass(slots=True)
class ChannelFigures:
    """One channel: requests served, how rows were found, data bus use in cycles, refreshes.

    Requests are lines of a DRAM, words of the queue server; of the latter the rest stays 0.
    """

    reads: int = 0
    writes: int = 0
    row_hits: int = 0
    row_opens: int = 0
    row_conflicts: int = 0
    bus_busy: int = 0
    refreshes: int = 0


@dataclass(slots=True)
class Latencies:
    """Cycles from a request to its answer: their number, sum, extremes and histogram."""

    requests: int = 0
    total: int = 0
    least: int = 0
    most: int = 0
    buckets: list[int] = field(default_factory=lambda: [0] * BUCKETS)

    def add(self, cycles: int) -> None:
        """Count one answer."""
        self.least = min(self.least, cycles) if self.requests else cycles
        self.most = max(self.most, cycles)
        self.requests += 1
        self.total += cycles
        self.buckets[max(cycles.bit_length() - 1, 0)] += 1


@dataclass(slots=True)
class ClientFigures:
    """One array of one unit: requests sent, words read or written by them.

    Requests are lines of a DRAM, vectors of the queue server. `waited` are the cycles in which a
    line was wanted and could not be asked for, because the client's window was full.
    """

    requests: int = 0
    words: int = 0
    waited: int = 0


@dataclass(slots=True)
class MemoryFigures:
    """What a memory did, by channel; `last_response` is the cycle of the latest answer."""

    channels: list[ChannelFigures]
    latencies: Latencies = field(default_factory=Latencies)
    last_response: int = 0

    def answered(self, request: Request) -> None:
        """Count the answer that a request has got."""
        self.latencies.add(request.response - request.time)
        self.last_response = max(self.last_response, request.response)

    def total(self, figure: str) -> int:
        """Return the sum of a figure over all channels."""
        return sum(getattr(channel, figure) for channel in self.channels)
