# SPDX-License-Identifier: MIT
"""What a run of a Machine returns, from either simulator: figures, written arrays, streams."""

from __future__ import annotations

from dataclasses import dataclass

from fuseflow.sim.memory import ClientFigures, MemoryFigures
from fuseflow.sim.params import Floats, Ints
from fuseflow.sim.tokens import TokenStream

__all__ = [
    "INTERRUPTED",
    "Blocked",
    "ChannelResult",
    "DeadlockInfo",
    "MachineResult",
    "UnitResult",
    "WrittenLevel",
]


INTERRUPTED = "interrupted"
"""Why a run stopped that received a signal to end."""


@dataclass(frozen=True, slots=True, eq=False)
class WrittenLevel:
    """What a level_write stored: `segments` i64[lists + 1], `coordinates` i64[positions]."""

    segments: Ints
    coordinates: Ints


@dataclass(frozen=True, slots=True, eq=False)
class UnitResult:
    """One unit after the run: final clock, ticks of work, FLOPs, DRAM bytes, what it wrote.

    clock = busy + cycles that it waited: for tokens, for room in outputs, for memory. `level` and
    `values` (f32[n, *tile]) are set for writers. How FLOPs and bytes are counted is
    docs/streams.md, section 4. `waited_by_input` is there after a watched run. `clients` are those
    of a memory that is not ideal, in the order of the unit's arrays.
    """

    clock: int
    busy: int
    flops: int = 0
    read_bytes: int = 0
    write_bytes: int = 0
    waited_for_input: int = 0
    waited_for_room: int = 0
    waited_for_memory: int = 0
    waited_by_input: tuple[int, ...] | None = None
    level: WrittenLevel | None = None
    values: Floats | None = None
    clients: tuple[ClientFigures, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class ChannelResult:
    """Tokens that were sent over one channel by kind (done not counted); all of it if recorded.

    `marked` of the `stops` close an empty list above the innermost level.

    `waited` are the cycles in which its producer waited for room. `removals` i64[tokens], only of
    a watched run, are the cycles in which tokens were removed.
    """

    values: int
    missing: int
    stops: int
    waited: int = 0
    recorded: TokenStream | None = None
    removals: Ints | None = None
    marked: int = 0


@dataclass(frozen=True, slots=True)
class Blocked:
    """One unit of a wait cycle: what it waits for ("token" or "slot"), where, since which cycle.

    `port` is the position of the channel among the inputs (token) or outputs (slot); `index` is the
    position in the stream of the token that is missing or cannot be sent; `held` counts the tokens
    in the channel.
    """

    unit: int
    port: int
    channel: int
    waits_for: str
    clock: int
    index: int
    held: int = 0


@dataclass(frozen=True, slots=True)
class DeadlockInfo:
    """Why no unit can step: kind "capacity" (someone waits for a slot) or "starvation"."""

    kind: str
    blocked: tuple[Blocked, ...]


@dataclass(frozen=True, slots=True, eq=False)
class MachineResult:
    """The outcome of a run, by unit and channel position.

    `elapsed` is the latest clock of all units and the last answer of memory. After a deadlock
    `complete` is False, the figures are those reached so far and nothing is guaranteed to be
    written. When `max_cycles` was passed the same may hold: a simulator may notice it late, or not
    before the end. `memory` is None if memory is ideal. `stopped` is set if a watcher ended the
    run: its reason; then the same holds.
    """

    units: tuple[UnitResult, ...]
    channels: tuple[ChannelResult, ...]
    elapsed: int
    complete: bool = True
    deadlock: DeadlockInfo | None = None
    memory: MemoryFigures | None = None
    stopped: str | None = None
