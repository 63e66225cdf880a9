# SPDX-License-Identifier: MIT
"""Machine: one kernel as both simulators run it, flat and resolved.

Units stand in topological order and name their channels by position. All data is bound, all costs
are resolved, hidden units (the signal generator of a repeat, test sources and sinks) are spelled
out. Nothing here depends on the IR's graph types; `fuseflow.sim.build` makes a Machine from them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from fuseflow.ir.hardware import MemoryConfig
from fuseflow.sim.params import NoParams, UnitParams

__all__ = ["Channel", "ChannelKind", "Cost", "Machine", "Unit", "UnitKind"]


class UnitKind(enum.IntEnum):
    """What a unit does. The first group exists only here, the second mirrors `ir.dataflow.Op`."""

    SOURCE = 0
    SINK = 1
    REPSIG = 2

    ROOT = 10
    SCAN = 11
    FULL = 12
    LOCATE = 13
    JOIN = 14
    REPEAT = 15
    REPLAY = 16
    HOLD = 17
    DROP = 18
    MASK = 19
    VALDROP = 20
    ARRAY = 21
    ALU = 22
    REDUCE = 23
    SPACC = 24
    FORK = 25
    GATHER = 26
    BROADCAST = 27
    CONCAT = 28
    LEVEL_WRITE = 29
    VAL_WRITE = 30


class ChannelKind(enum.IntEnum):
    """What the values of a channel are: i64 for all kinds but VAL, which is f32 or tiles of it."""

    CRD = 0
    REF = 1
    VAL = 2
    SIG = 3


@dataclass(frozen=True, slots=True)
class Cost:
    """Resolved times of a unit in cycles; which ones a kind uses is in docs/streams.md, section 3.

    `ii` ticks per iteration, `latency` of an emitted value (array, alu, reduce), `n_cost` ticks of
    a missing token in a reduction, `flush_ii` ticks per leaf that an accumulator emits, `startup`
    ticks before the first iteration, `done` ticks at the end of the stream (fork, val_write: after
    it; gather: one before removing the end of each of the lanes 1..done), `inner` ticks per inner
    element that drop emits.
    """

    ii: int = 1
    latency: int = 1
    n_cost: int = 0
    flush_ii: int = 0
    startup: int = 0
    done: int = 0
    inner: int = 0


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit.

    `inputs` and `outputs` are positions in `Machine.channels`; -1 is an input that is not
    connected or a void output, whose tokens cost and wait nothing. `node` is the id of the IR node
    that the unit belongs to, -1 for none; a hidden repsig belongs to its repeat. `bases` are the
    byte addresses of the arrays in memory that the unit touches (`fuseflow.sim.memory.arrays_of`),
    `window` the lines that each may have on their way (0: `Hbm2Config.client_window`).
    """

    kind: UnitKind
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    params: UnitParams = field(default_factory=NoParams)
    cost: Cost = field(default_factory=Cost)
    node: int = -1
    bases: tuple[int, ...] = ()
    window: int = 0


@dataclass(frozen=True, slots=True)
class Channel:
    """A FIFO with one producer and one consumer.

    `capacity` in tokens (None: unbounded). `interval`: least distance of two stamps in cycles (0:
    none; profile native charges the width of a tile). `depth` of the nested list, -1 if not known;
    known depths are checked. `stream` is the id of the IR stream, -1 for a hidden one.
    """

    kind: ChannelKind
    capacity: int | None = None
    tile: tuple[int, ...] = ()
    interval: int = 0
    depth: int = -1
    name: str = ""
    stream: int = -1


@dataclass(frozen=True, slots=True)
class Machine:
    """A kernel: units in topological order, channels in stable order, and the memory behind."""

    name: str
    units: tuple[Unit, ...]
    channels: tuple[Channel, ...]
    memory: MemoryConfig = field(default_factory=MemoryConfig)

    def producers(self) -> tuple[int, ...]:
        """Return the unit that writes each channel."""
        return self._ends([unit.outputs for unit in self.units])

    def consumers(self) -> tuple[int, ...]:
        """Return the unit that reads each channel."""
        return self._ends([unit.inputs for unit in self.units])

    def _ends(self, ports: list[tuple[int, ...]]) -> tuple[int, ...]:
        ends = [-1] * len(self.channels)
        for unit, channels in enumerate(ports):
            for channel in channels:
                if channel >= 0:
                    ends[channel] = unit
        return tuple(ends)
