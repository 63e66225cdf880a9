# SPDX-License-Identifier: MIT
"""A DRAM with channels, banks and open rows, and a controller that may reorder requests.

Not modelled: the command bus, the limit of activations in a time window, bank groups.
"""

from __future__ import annotations

import heapq
from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass

from fuseflow.ir.hardware import Hbm2Config
from fuseflow.sim.memory.mapping import AddressFields
from fuseflow.sim.memory.request import ChannelFigures, MemoryFigures, Request

__all__ = ["Dram"]


@dataclass(slots=True)
class _Bank:
    """The open row (-1: none), when it was opened, when it may be closed at the earliest."""

    row: int = -1
    opened: int = 0
    closable: int = 0


@dataclass(slots=True)
class _Waiting:
    """A request in the queue of its channel; `passed` counts how often another one was taken."""

    request: Request
    arrival: int
    bank: int
    row: int
    passed: int = 0


@dataclass(frozen=True, slots=True)
class _Plan:
    """How a request would be served now: column command, start of its data, activation if any."""

    data: int
    column: int
    activation: int | None


class _Channel:
    """One pseudo-channel: banks, a data bus, a queue in order of arrival."""

    def __init__(self, config: Hbm2Config) -> None:
        self.config = config
        self.figures = ChannelFigures()
        self.queue: list[_Waiting] = []
        self.decision = 0
        self._banks = [_Bank() for _ in range(config.banks)]
        self._bus = 0
        self._activated = -config.t_rrd
        self._writing: bool | None = None
        self._refresh = config.t_refi
        self._ready = 0

    def next_decision(self) -> int:
        """Return when the channel chooses its next request, if no other one arrives before."""
        return max(self.decision, self.queue[0].arrival)

    def decide(self, limit: int) -> Iterator[Request]:
        """Serve requests as long as the choice is made before cycle `limit`."""
        while self.queue and self.next_decision() < limit:
            self.decision = self.next_decision()
            if self.config.refresh:
                self._refresh_rows()
            waiting, plan = self._choose()
            self.queue.remove(waiting)
            yield self._serve(waiting, plan)

    def _refresh_rows(self) -> None:
        """Refresh as often as is due: all rows are closed, then nothing can be opened for a while.

        A refresh that is due while the channel does not choose happens before its next choice, at
        the cycle for which it was due.
        """
        config = self.config
        while self.decision >= self._refresh:
            start = self._refresh
            for bank in self._banks:
                if bank.row >= 0:
                    start = max(start, bank.closable + config.t_rp)
                    bank.row = -1
            self._ready = max(self._ready, start + config.t_rfc)
            self._refresh += config.t_refi
            self.figures.refreshes += 1

    def _choose(self) -> tuple[_Waiting, _Plan]:
        """Take the request whose data come first; the oldest of equals, and after much patience."""
        config, oldest = self.config, self.queue[0]
        window = config.window if config.policy == "frfcfs" else 1
        best, plan = oldest, self._plan(oldest)
        if oldest.passed >= config.bypass:
            return best, plan
        for waiting in self.queue[1:window]:
            if waiting.arrival > self.decision:
                break
            other = self._plan(waiting)
            if other.data < plan.data:
                best, plan = waiting, other
        if best is not oldest:
            oldest.passed += 1
        return best, plan

    def _plan(self, waiting: _Waiting) -> _Plan:
        config, bank = self.config, self._banks[waiting.bank]
        activation = None
        if bank.row == waiting.row:
            column = max(waiting.arrival, bank.opened + config.t_rcd)
        else:
            ready = waiting.arrival
            if bank.row >= 0:
                ready = max(ready, bank.closable) + config.t_rp
            activation = max(ready, self._ready, self._activated + config.t_rrd)
            column = activation + config.t_rcd
        turns = self._writing is not None and self._writing != waiting.request.write
        data = max(column + config.t_cl, self._bus + (config.t_turn if turns else 0))
        return _Plan(data, data - config.t_cl, activation)

    def _serve(self, waiting: _Waiting, plan: _Plan) -> Request:
        config, bank, request = self.config, self._banks[waiting.bank], waiting.request
        self._count(request, plan, bank)
        self._bus = plan.data + config.t_burst
        self._writing = request.write
        if plan.activation is not None:
            self._activated = bank.opened = plan.activation
            bank.row = waiting.row
            bank.closable = plan.activation + config.t_ras
        busy = self._bus + config.t_wr if request.write else plan.column + config.t_rtp
        bank.closable = max(bank.closable, busy)
        self.decision = max(self.decision, plan.column + config.t_burst)
        request.response = self._bus + config.t_rsp
        return request

    def _count(self, request: Request, plan: _Plan, bank: _Bank) -> None:
        figures = self.figures
        figures.writes += request.write
        figures.reads += not request.write
        figures.bus_busy += self.config.t_burst
        if plan.activation is None:
            figures.row_hits += 1
        elif bank.row < 0:
            figures.row_opens += 1
        else:
            figures.row_conflicts += 1


class Dram:
    """Requests of one line each; `Hbm2Config.map` says where the line of an address lies."""

    def __init__(self, config: Hbm2Config) -> None:
        self._config = config
        self._fields = AddressFields(config)
        self._pending: list[tuple[int, int, int, Request]] = []
        self._channels = [_Channel(config) for _ in range(config.channels)]
        self.figures = MemoryFigures([channel.figures for channel in self._channels])

    def submit(self, request: Request) -> None:
        """Accept the request of one line."""
        heapq.heappush(self._pending, (*request.key, request))

    def serve(self) -> list[Request]:
        """Answer what is decided before any answer can cause another request."""
        config, answered = self._config, list[Request]()
        while not answered and (start := self._start()) is not None:
            horizon = start + config.t_req + config.t_cl + config.t_burst + config.t_rsp
            while self._pending and self._pending[0][0] < horizon:
                self._enqueue(heapq.heappop(self._pending)[-1])
            for channel in self._channels:
                answered += channel.decide(horizon + config.t_req)
        for request in answered:
            self.figures.answered(request)
        return answered

    def _start(self) -> int | None:
        """Return a cycle that, and a whole access after it, comes before any new request."""
        times = [c.next_decision() - self._config.t_req for c in self._channels if c.queue]
        if self._pending:
            times.append(self._pending[0][0])
        return min(times, default=None)

    def _enqueue(self, request: Request) -> None:
        channel, bank, row = self._fields.place(request.address)
        waiting = _Waiting(request, request.time + self._config.t_req, bank, row)
        insort(self._channels[channel].queue, waiting, key=lambda w: w.request.key)
