# SPDX-License-Identifier: MIT
"""A unit while it runs: its rule, its clock, its channel ends, its counters.

`Process.run` executes the operations of the rule until one must wait. This is all there is to
time: an arrival raises the clock, a tick adds to it, a full channel raises it to the cycle after
the removal that makes room (docs/streams.md, section 3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from fuseflow.errors import GraphError
from fuseflow.ir.hardware import MemoryConfig
from fuseflow.sim import faults
from fuseflow.sim.machine import Unit
from fuseflow.sim.memory import UNKNOWN, ClientFigures, MemoryModel, Request, arrays_of
from fuseflow.sim.params import Floats, UnitParams
from fuseflow.sim.ports import input_names
from fuseflow.sim.result import WrittenLevel
from fuseflow.sim.tokens import Token
from fuseflow.sim.twin.access import LineStore, make_prefetcher, make_store
from fuseflow.sim.twin.fifo import Fifo
from fuseflow.sim.twin.lines import LineWriter
from fuseflow.sim.twin.ops import (
    Answer,
    Ask,
    Copy,
    Discard,
    Emit,
    Fetched,
    Op,
    Peek,
    Post,
    Rest,
    Rule,
    Served,
    Take,
    Tick,
    Use,
)
from fuseflow.sim.twin.prefetch import Prefetcher

__all__ = ["Process", "Shared"]

P = TypeVar("P", bound=UnitParams)


@dataclass(frozen=True, slots=True)
class Shared:
    """What all units of a run have in common: the kernel's name, its channels, memory, limit."""

    kernel: str
    fifos: list[Fifo]
    config: MemoryConfig
    memory: MemoryModel | None
    limit: int | None


class Process:
    """One unit in motion. Rules use the counters, `cost`, `params_of` and the fault builders."""

    def __init__(
        self,
        unit: Unit,
        shared: Shared,
        client: int,
        rule: Callable[[Process], Rule],
    ) -> None:
        fifos = shared.fifos
        self.kernel = shared.kernel
        self.unit = unit
        self.cost = unit.cost
        self.inputs: list[Fifo | Prefetcher | None] = [
            fifos[c] if c >= 0 else None for c in unit.inputs
        ]
        self.outputs = [fifos[c] if c >= 0 else None for c in unit.outputs]
        self.line_bytes = shared.config.hbm2.line_bytes
        self.store = make_store(unit, shared.config, shared.memory, client)
        self.ahead = self._make_ahead(shared, client)
        self.clock = unit.cost.startup
        self.busy = unit.cost.startup
        self.waited_for_input = [0] * len(unit.inputs)
        self.waited_for_room = [0] * len(unit.outputs)
        self.waited_for_memory = 0
        self.flops = 0
        self.words_read = 0
        self.words_written = 0
        self.level: WrittenLevel | None = None
        self.values: Floats | None = None
        self.finished = False
        self.waiting: Op | None = None
        self._answer: Token = None  # of the last operation, if the rule has not got it
        self._limit = shared.limit
        self._memory = shared.memory
        self._client = client
        self._request: Request | None = None
        self._vectors = [ClientFigures() for _ in arrays_of(unit)] if shared.memory else []
        self._seen: dict[int, tuple[int, Token]] = {}
        self._rule = rule(self)

    def _make_ahead(self, shared: Shared, client: int) -> Prefetcher | None:
        """Put a front end before the first input of a unit that reads a DRAM."""
        first = self.inputs[0] if self.inputs else None
        if shared.config.model != "hbm2" or shared.memory is None or not isinstance(first, Fifo):
            return None
        config = shared.config.hbm2
        ahead = make_prefetcher(self.unit, first, config, shared.memory, client)
        if ahead is not None:
            self.inputs[0] = ahead
        return ahead

    @property
    def over_limit(self) -> bool:
        """Whether the clock has passed the limit of cycles; the unit then does nothing more."""
        return self._limit is not None and self.clock > self._limit

    def clients(self) -> tuple[ClientFigures, ...]:
        """Return what was asked of memory, by array."""
        by_lines = self.ahead.figures() if self.ahead is not None else self.store.figures()
        return by_lines or tuple(self._vectors)

    def has_input(self, port: int) -> bool:
        """Return whether an optional input is connected."""
        return port < len(self.inputs) and self.inputs[port] is not None

    def params_of(self, kind: type[P]) -> P:
        """Return the parameters as the record that this kind of unit has."""
        params = self.unit.params
        if not isinstance(params, kind):
            raise TypeError(f"unit {self.unit.name} has parameters {params}")
        return params

    def misaligned(self, *ports: int) -> GraphError:
        """Build the error for tokens of these inputs that do not fit each other."""
        names = input_names(self.unit)
        heads = {names[port]: self._seen[port] for port in ports if port in self._seen}
        return faults.misaligned(self.kernel, self.unit.name, heads)

    def out_of_range(self, what: str, value: int, bound: int) -> GraphError:
        """Build the error for a coordinate or reference that is not below its bound."""
        return faults.out_of_range(self.kernel, self.unit.name, what, value, bound)

    def run(self, wake: Callable[[int], None], most: int) -> bool:
        """Execute operations until one must wait; `wake` is told which units may go on now.

        Returns whether it stopped for another reason: there were `most` operations.
        """
        answer, self._answer = self._answer, None
        if self.ahead is not None:
            self.ahead.advance(wake)
        if self.waiting is not None:
            if not self._is_ready(self.waiting):
                return False
            answer = self._execute(self.waiting, wake)
        self.waiting = None
        for _ in range(most):
            if self.over_limit:
                return False
            try:
                op = self._rule.send(answer)
            except StopIteration:
                self.finished = True
                return False
            if self.ahead is not None:
                self.ahead.advance(wake)
            if not self._is_ready(op):
                self.waiting = op
                return False
            answer = self._execute(op, wake)
        self._answer = answer
        return True

    def _is_ready(self, op: Op) -> bool:
        match op:
            case Peek(port) | Take(port) | Discard(port):
                return self._input(port).occupied
            case Emit(port):
                fifo = self.outputs[port]
                return fifo is None or fifo.has_room
            case Copy():
                return all(fifo.has_room for fifo in self.outputs if fifo)
            case Answer():
                return self._asked().response != UNKNOWN
            case Fetched():
                return self._front().fetched() != UNKNOWN
            case Use(array, address):
                return self._front().readers[array].next_line(address) is not None
            case Post(array):
                return self._writer(array).free_since() != UNKNOWN
            case Tick() | Rest() | Ask() | Served():
                return True

    def _execute(self, op: Op, wake: Callable[[int], None]) -> Token:
        match op:
            case Peek(port):
                return self._arrive(port)
            case Take(port):
                token = self._arrive(port)
                self._remove(port, self.clock, wake)
                return token
            case Discard(port):
                source = self._input(port)
                token = source.head
                self._remove(port, max(self.clock, source.stamp), wake)
                return token
            case Emit(port, token, latency):
                self._send([port], token, latency, wake)
            case Copy(token):
                self._send(range(len(self.outputs)), token, 1, wake)
            case Tick(cycles):
                self.clock += cycles
                self.busy += cycles
            case Rest(until):
                self.clock = max(self.clock, until)
            case _:
                self._access(op)
        return None

    def _access(self, op: Op) -> None:
        """Execute an operation on memory."""
        match op:
            case Ask(array, words):
                is_writer = not self.outputs
                self._request = Request(self.clock, self._client + array, 0, 0, words, is_writer)
                self._vectors[array].requests += 1
                self._vectors[array].words += words
                if self._memory is not None:
                    self._memory.submit(self._request)
            case Answer():
                self._reach_memory(self._asked().response)
            case Fetched():
                self._reach_memory(self._front().fetched())
            case Use(array, address):
                line = self._front().readers[array].next_line(address)
                assert line is not None
                self._reach_memory(line.request.response)
                line.used += 1
                line.last_use = self.clock
            case Served() if self.ahead is not None:
                self.ahead.serve(self.clock)
            case Post(array, number):
                wanted = self.clock
                self._reach_memory(self._writer(array).free_since())
                self._writer(array).post(number, wanted)

    def _reach_memory(self, response: int) -> None:
        self.waited_for_memory += max(response - self.clock, 0)
        self.clock = max(self.clock, response)

    def _asked(self) -> Request:
        assert self._request is not None
        return self._request

    def _front(self) -> Prefetcher:
        assert self.ahead is not None
        return self.ahead

    def _writer(self, array: int) -> LineWriter:
        assert isinstance(self.store, LineStore)
        return self.store.writers[array]

    def _input(self, port: int) -> Fifo | Prefetcher:
        fifo = self.inputs[port]
        if fifo is None:
            raise IndexError(f"input {port} of unit {self.unit.name} is not connected")
        return fifo

    def _arrive(self, port: int) -> Token:
        fifo = self._input(port)
        self.waited_for_input[port] += max(fifo.stamp - self.clock, 0)
        self.clock = max(self.clock, fifo.stamp)
        self._seen[port] = (fifo.removed, fifo.head)
        return fifo.head

    def _remove(self, port: int, when: int, wake: Callable[[int], None]) -> None:
        fifo = self._input(port)
        fifo.remove(when)
        if fifo.capacity is not None:
            wake(fifo.producer)

    def _send(
        self, ports: Iterable[int], token: Token, latency: int, wake: Callable[[int], None]
    ) -> None:
        """Send to connected outputs: the latency counts from before the wait for room."""
        targets = [(port, fifo) for port in ports if (fifo := self.outputs[port])]
        earliest = self.clock + latency
        for port, fifo in targets:
            since = fifo.room_since()
            self.waited_for_room[port] += max(since - self.clock, 0)
            self.clock = max(self.clock, since)
        for _, fifo in targets:
            fifo.append(token, max(earliest, self.clock + 1))
            wake(fifo.consumer)
