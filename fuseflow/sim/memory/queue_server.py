# SPDX-License-Identifier: MIT
"""The memory of the Comal simulator: channels that serve words in turn, whatever their address."""

from __future__ import annotations

import heapq

from fuseflow.ir.hardware import ComalHbmConfig
from fuseflow.sim.memory.request import ChannelFigures, MemoryFigures, Request

__all__ = ["QueueServer"]

HOPS = 3
"""Cycles that a request takes to the server and to its channel, and the answer to the client."""


class QueueServer:
    """Deals words to channels; each channel starts one of them every `ii` cycles.

    Word i of a cycle moves the pointer to the next channel by i, the end of a cycle by its words.
    """

    def __init__(self, config: ComalHbmConfig) -> None:
        self.figures = MemoryFigures([ChannelFigures() for _ in range(config.channels)])
        self._config = config
        self._pending: list[tuple[int, bool, int, int, Request]] = []
        self._pointer = 0
        self._cycle = -1
        self._in_cycle = 0
        self._free = [0] * config.channels
        self._forwarded = [-1] * config.channels
        self._used = [False] * config.channels

    def submit(self, request: Request) -> None:
        """Accept a vector of words."""
        # Readers go before writers in a cycle.
        key = (request.time, request.write, request.client, request.sequence)
        heapq.heappush(self._pending, (*key, request))

    def serve(self) -> list[Request]:
        """Answer the vectors of all cycles that come before any answer."""
        if not self._pending:
            return []
        horizon = self._pending[0][0] + self._least_latency()
        answered = []
        while self._pending and self._pending[0][0] < horizon:
            answered.append(self._answer(heapq.heappop(self._pending)[-1]))
        return answered

    def _least_latency(self) -> int:
        config = self._config
        always = config.startup if config.startup_every_request else 0
        return HOPS + config.latency + always

    def _answer(self, request: Request) -> Request:
        if request.time != self._cycle:
            self._pointer += self._in_cycle
            self._cycle, self._in_cycle = request.time, 0
        request.response = max(self._word(request) for _ in range(request.words))
        self.figures.answered(request)
        return request

    def _word(self, request: Request) -> int:
        """Send one word to the next channel; return when the client has it."""
        config = self._config
        channel = self._pointer = (self._pointer + self._in_cycle) % config.channels
        self._in_cycle += 1
        start = max(self._free[channel], request.time + 2)
        self._free[channel] = start + config.ii
        is_slow = config.startup_every_request or not self._used[channel]
        self._used[channel] = True
        done = start + config.latency + (config.startup if is_slow else 0)
        self.figures.channels[channel].writes += request.write
        self.figures.channels[channel].reads += not request.write
        # One answer leaves a channel per cycle, in order.
        self._forwarded[channel] = max(self._forwarded[channel] + 1, done)
        return self._forwarded[channel] + 1
