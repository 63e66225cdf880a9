# SPDX-License-Identifier: MIT
"""A request to memory, and the figures that every memory model keeps."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["UNKNOWN", "MemoryFigures", "Request"]

UNKNOWN = -1
"""Response of a request that was not answered yet."""


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
class MemoryFigures:
    """Requests served, the bytes of a DRAM that they moved, how rows were found, data bus use.

    Row figures and `bus_busy` (cycles, summed over channels) stay 0 for the queue server.
    `last_response` is the cycle of the latest answer.
    """

    reads: int = 0
    writes: int = 0
    row_hits: int = 0
    row_opens: int = 0
    row_conflicts: int = 0
    bus_busy: int = 0
    last_response: int = 0
