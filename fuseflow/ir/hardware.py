# SPDX-License-Identifier: MIT
"""The machine that a program is simulated on: costs of nodes, channels, memory.

All times are in cycles; one cycle is 1 ns for core and memory. What the parameters mean is
documented in `docs/streams.md`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = [
    "ClientWindow",
    "ComalHbmConfig",
    "HardwareConfig",
    "Hbm2Config",
    "MemoryConfig",
    "NodeCost",
    "TimingConfig",
]


@dataclass(frozen=True, slots=True)
class NodeCost:
    """Overrides the cost of a node kind (`kind`), or of one function of it (`fn`); None = profile.

    `ii` is the initiation interval, `latency` the cycles from input to output value, `n_cost` the
    ticks of a missing token in a reduction, `flush_ii` the ticks per emitted accumulator entry,
    `startup` the ticks before the first iteration.
    """

    kind: str
    fn: str = ""
    ii: int | None = None
    latency: int | None = None
    n_cost: int | None = None
    flush_ii: int | None = None
    startup: int | None = None


@dataclass(frozen=True, slots=True)
class TimingConfig:
    """Cost profile ("comal"), default channel capacity in tokens (None: unbounded), overrides.

    With `auto_capacity` each channel without a capacity of its own gets one that cannot deadlock,
    from the lengths of lists.
    """

    profile: str = "comal"
    capacity: int | None = None
    costs: tuple[NodeCost, ...] = ()
    auto_capacity: bool = False


@dataclass(frozen=True, slots=True)
class ComalHbmConfig:
    """A queue server in front of memory: no addresses, no rows; for comparison only."""

    channels: int = 8
    latency: int = 2
    ii: int = 2
    startup: int = 14
    startup_every_request: bool = True
    batch: int = 8


@dataclass(frozen=True, slots=True)
class ClientWindow:
    """Lines that the arrays of a kind of node, or of a tensor, may have on their way (`of`)."""

    of: str
    lines: int


@dataclass(frozen=True, slots=True)
class Hbm2Config:
    """A DRAM with channels, banks, rows and a reordering window; the size of published HBM2.

    `map` orders the fields of an address, the most significant one first. With `refresh` all rows
    of a channel are closed every `t_refi` cycles, for `t_rfc` cycles.
    """

    channels: int = 16
    banks: int = 16
    row_bytes: int = 1024
    line_bytes: int = 64
    t_rcd: int = 14
    t_rp: int = 14
    t_cl: int = 18
    t_ras: int = 28
    t_burst: int = 4
    t_rrd: int = 4
    t_rtp: int = 5
    t_wr: int = 14
    t_turn: int = 2
    t_req: int = 4
    t_rsp: int = 4
    policy: str = "frfcfs"
    window: int = 32
    bypass: int = 16
    bank_xor: bool = False
    client_window: int = 16
    prefetch_tokens: int = 256
    map: str = "row:bank:col:chan"
    refresh: bool = False
    t_refi: int = 3900
    t_rfc: int = 260
    windows: tuple[ClientWindow, ...] = ()

    def window_for(self, kind: str, tensor: str) -> int:
        """Return the lines that an array of a node may have on their way, by kind and tensor."""
        windows = {window.of: window.lines for window in self.windows}
        return windows.get(tensor, windows.get(kind, self.client_window))


@dataclass(frozen=True, slots=True)
class MemoryConfig:
    """Which memory model: "ideal" (accesses cost no time), "comal-hbm", "hbm2".

    Arrays of tensors start at multiples of `align` bytes (None: a line of every channel); each
    array of a result has `arena_bytes` to itself.
    """

    model: str = "ideal"
    comal_hbm: ComalHbmConfig = field(default_factory=ComalHbmConfig)
    hbm2: Hbm2Config = field(default_factory=Hbm2Config)
    align: int | None = None
    arena_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True)
class HardwareConfig:
    """The whole machine, as resolved; it is echoed in every report.

    `accumulate` is the precision in which reductions and accumulators add up ("f32" or "f64");
    what they send is float32 all the same.
    """

    timing: TimingConfig = field(default_factory=TimingConfig)
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    accumulate: str = "f32"
