# SPDX-License-Identifier: MIT
"""SimulationReport: what one simulation measured, per node, stream, kernel and in total.

Cycles are simulated cycles; bytes are DRAM bytes (4 per word); host time appears only in
`simulator`, which is filled on request so that reports are bit-identical.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fuseflow.ir.einsum import Value
from fuseflow.ir.hardware import HardwareConfig

__all__ = [
    "CheckResult",
    "Deadlock",
    "KernelStats",
    "NodeStats",
    "SimulationReport",
    "SimulatorStats",
    "StreamStats",
    "TokenCounts",
    "Totals",
]


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """Tokens of a stream by kind; `stops` includes marked ones; `done` tokens are not counted."""

    values: int = 0
    missing: int = 0
    stops: int = 0

    @property
    def total(self) -> int:
        """Return all tokens but the end of the stream."""
        return self.values + self.missing + self.stops


@dataclass(frozen=True, slots=True)
class StreamStats:
    """One channel: its tokens, its capacity (None: unbounded) and the most it ever held."""

    id: int
    kind: str
    tokens: TokenCounts
    capacity: int | None = None


@dataclass(frozen=True, slots=True)
class NodeStats:
    """One node: final clock, busy ticks, tokens sent, FLOPs and DRAM traffic.

    clock = busy + stalled: `stalled` counts cycles spent waiting for tokens or for room.
    """

    id: int
    name: str
    op: str
    clock: int
    busy: int
    stalled: int
    tokens_in: int
    tokens_out: int
    flops: int
    dram_read_bytes: int
    dram_write_bytes: int
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KernelStats:
    """One kernel: elapsed cycles (the latest clock of its nodes) and sums over its nodes."""

    name: str
    cycles: int
    tokens: int
    flops: int
    dram_read_bytes: int
    dram_write_bytes: int
    nodes: tuple[NodeStats, ...] = ()
    streams: tuple[StreamStats, ...] = ()


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the kernels, which run one after the other."""

    cycles: int = 0
    tokens: int = 0
    flops: int = 0
    dram_read_bytes: int = 0
    dram_write_bytes: int = 0
    kernels: int = 0


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Comparison of simulated outputs with the stored reference.

    Errors are the largest over all outputs: absolute, and relative to the reference magnitude.
    `failures` has one line per output that is outside the tolerance.
    """

    performed: bool = False
    passed: bool = False
    max_abs_error: float = 0.0
    max_rel_error: float = 0.0
    rtol: float = 0.0
    atol: float = 0.0
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SimulatorStats:
    """Host-side figures of the run, only on request."""

    wall_seconds: float
    tokens_per_second: float
    peak_rss_bytes: int
    threads: int


@dataclass(frozen=True, slots=True)
class Deadlock:
    """Why a kernel stopped: its kind, and per blocked node its port and what that waits for."""

    kernel: str
    kind: str
    blocked: tuple[str, ...]


@dataclass(slots=True)
class SimulationReport:
    """The result of one run; `complete` is False if it was interrupted or hit a limit."""

    name: str
    hardware: HardwareConfig
    kernels: list[KernelStats] = field(default_factory=list)
    totals: Totals = field(default_factory=Totals)
    check: CheckResult = field(default_factory=CheckResult)
    outputs: list[Value] = field(default_factory=list)
    complete: bool = True
    deadlock: Deadlock | None = None
    simulator: SimulatorStats | None = None
    notes: list[str] = field(default_factory=list)
