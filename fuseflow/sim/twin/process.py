# SPDX-License-Identifier: MIT
"""A unit while it runs: its rule, its clock, its channel ends, its counters.

`Process.run` executes the operations of the rule until one must wait. This is all there is to
time: an arrival raises the clock, a tick adds to it, a full channel raises it to the cycle after
the removal that makes room (docs/streams.md, section 3).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from fuseflow.errors import GraphError
from fuseflow.sim import faults
from fuseflow.sim.machine import Unit
from fuseflow.sim.params import Floats, UnitParams
from fuseflow.sim.ports import input_names
from fuseflow.sim.result import WrittenLevel
from fuseflow.sim.tokens import Token
from fuseflow.sim.twin.fifo import Fifo
from fuseflow.sim.twin.ops import Copy, Discard, Emit, Op, Peek, Rest, Rule, Take, Tick

__all__ = ["Process"]

P = TypeVar("P", bound=UnitParams)


class Process:
    """One unit in motion. Rules use the counters, `cost`, `params_of` and the fault builders."""

    def __init__(
        self,
        kernel: str,
        unit: Unit,
        fifos: list[Fifo],
        rule: Callable[[Process], Rule],
        limit: int | None,
    ) -> None:
        self.kernel = kernel
        self.unit = unit
        self.cost = unit.cost
        self.inputs = [fifos[c] if c >= 0 else None for c in unit.inputs]
        self.outputs = [fifos[c] if c >= 0 else None for c in unit.outputs]
        self.clock = unit.cost.startup
        self.busy = unit.cost.startup
        self.flops = 0
        self.words_read = 0
        self.words_written = 0
        self.level: WrittenLevel | None = None
        self.values: Floats | None = None
        self.finished = False
        self.waiting: Op | None = None
        self._limit = limit
        self._seen: dict[int, tuple[int, Token]] = {}
        self._rule = rule(self)

    @property
    def over_limit(self) -> bool:
        """Whether the clock has passed the limit of cycles; the unit then does nothing more."""
        return self._limit is not None and self.clock > self._limit

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

    def run(self, wake: Callable[[int], None]) -> None:
        """Execute operations until one must wait; `wake` is told which units may go on now."""
        answer: Token = None
        if self.waiting is not None:
            if not self._is_ready(self.waiting):
                return
            answer = self._execute(self.waiting, wake)
        self.waiting = None
        while not self.over_limit:
            try:
                op = self._rule.send(answer)
            except StopIteration:
                self.finished = True
                return
            if not self._is_ready(op):
                self.waiting = op
                return
            answer = self._execute(op, wake)

    def _is_ready(self, op: Op) -> bool:
        match op:
            case Peek(port) | Take(port) | Discard(port):
                return self._input(port).occupied
            case Emit(port):
                fifo = self.outputs[port]
                return fifo is None or fifo.has_room
            case Copy():
                return all(fifo.has_room for fifo in self.outputs if fifo)
            case Tick() | Rest():
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
                fifo = self._input(port)
                token = fifo.head
                self._remove(port, max(self.clock, fifo.stamp), wake)
                return token
            case Emit(port, token, latency):
                self._send([self.outputs[port]], token, latency, wake)
            case Copy(token):
                self._send(self.outputs, token, 1, wake)
            case Tick(cycles):
                self.clock += cycles
                self.busy += cycles
            case Rest(until):
                self.clock = max(self.clock, until)
        return None

    def _input(self, port: int) -> Fifo:
        fifo = self.inputs[port]
        if fifo is None:
            raise IndexError(f"input {port} of unit {self.unit.name} is not connected")
        return fifo

    def _arrive(self, port: int) -> Token:
        fifo = self._input(port)
        self.clock = max(self.clock, fifo.stamp)
        self._seen[port] = (fifo.removed, fifo.head)
        return fifo.head

    def _remove(self, port: int, when: int, wake: Callable[[int], None]) -> None:
        fifo = self._input(port)
        fifo.remove(when)
        if fifo.capacity is not None:
            wake(fifo.producer)

    def _send(
        self, fifos: list[Fifo | None], token: Token, latency: int, wake: Callable[[int], None]
    ) -> None:
        """Send to connected outputs: the latency counts from before the wait for room."""
        targets = [fifo for fifo in fifos if fifo]
        earliest = self.clock + latency
        for fifo in targets:
            self.clock = max(self.clock, fifo.room_since())
        for fifo in targets:
            fifo.append(token, max(earliest, self.clock + 1))
            wake(fifo.consumer)
