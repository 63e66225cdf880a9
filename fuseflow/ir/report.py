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
    "ChannelState",
    "CheckResult",
    "CriticalResource",
    "Deadlock",
    "FunctionFlops",
    "KernelStats",
    "LatencyBucket",
    "MemoryChannelStats",
    "MemoryClientStats",
    "MemoryStats",
    "NodeStats",
    "SimulationReport",
    "SimulatorStats",
    "StreamStats",
    "SufficientCapacity",
    "TensorTraffic",
    "TokenCounts",
    "Totals",
]


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """Tokens of a stream by kind; `done` tokens are not counted.

    `stops` includes `marked` ones, which close an empty list above the innermost level.
    """

    values: int = 0
    missing: int = 0
    stops: int = 0
    marked: int = 0

    @property
    def total(self) -> int:
        """Return all tokens but the end of the stream."""
        return self.values + self.missing + self.stops


@dataclass(frozen=True, slots=True)
class StreamStats:
    """One channel: its tokens, its capacity (None: unbounded), and who waited at it.

    `stalled_producer` counts cycles in which its producer waited for room. The rest is there if
    detailed statistics were asked for: cycles in which its consumer waited for tokens, the most
    tokens that it ever held, and the most elements of an innermost list.
    """

    id: int
    kind: str
    tokens: TokenCounts
    capacity: int | None = None
    stalled_producer: int = 0
    stalled_consumer: int | None = None
    peak: int | None = None
    longest: int | None = None


@dataclass(frozen=True, slots=True)
class NodeStats:
    """One node: final clock, busy ticks, tokens sent, FLOPs and DRAM traffic.

    clock = busy + stalled: `stalled` counts cycles spent waiting, which are those for tokens, for
    room in outputs, and for memory. `fn` is the function of an alu, reduce or spacc.
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
    fn: str = ""
    stalled_input: int = 0
    stalled_output: int = 0
    stalled_memory: int = 0

    @property
    def utilisation(self) -> float:
        """Return the share of its cycles in which the node worked."""
        return self.busy / self.clock if self.clock else 0.0


@dataclass(frozen=True, slots=True)
class FunctionFlops:
    """Scalar operations of one function, over all nodes that compute it."""

    fn: str
    flops: int


@dataclass(frozen=True, slots=True)
class TensorTraffic:
    """Words that nodes read and wrote of one tensor, in bytes."""

    tensor: str
    read_bytes: int
    write_bytes: int


@dataclass(frozen=True, slots=True)
class MemoryChannelStats:
    """One channel of a memory; the figures are those of `MemoryStats`."""

    id: int
    reads: int
    writes: int
    row_hits: int = 0
    row_opens: int = 0
    row_conflicts: int = 0
    bus_busy: int = 0
    refreshes: int = 0


@dataclass(frozen=True, slots=True)
class LatencyBucket:
    """Requests that took `cycles` to less than twice that to be answered, a power of two."""

    cycles: int
    requests: int


@dataclass(frozen=True, slots=True)
class MemoryClientStats:
    """What a memory did for one array ("seg", "crd", "vals") of the node `id`.

    `requests` are lines of a DRAM, vectors of the queue server; `window_full` are the cycles by
    which lines were asked for late because too many were on their way.
    """

    id: int
    array: str
    tensor: str
    write: bool
    requests: int
    words: int
    window_full: int

    @property
    def words_per_request(self) -> float:
        """Return how many words a request served: what coalescing saved."""
        return self.words / self.requests if self.requests else 0.0


@dataclass(frozen=True, slots=True)
class MemoryStats:
    """What a memory model did in one kernel; absent if memory is ideal.

    `reads` and `writes` count requests: lines of a DRAM, words of the queue server.
    `transferred_bytes` is what they moved. Rows were open (hit), closed, or another one was open
    (conflict). `bus_busy` sums the cycles in which a data bus was busy, over `channels`. Latencies
    are cycles from a request to its answer, of vectors for the queue server.
    """

    model: str
    reads: int
    writes: int
    transferred_bytes: int
    channels: int
    row_hits: int = 0
    row_opens: int = 0
    row_conflicts: int = 0
    bus_busy: int = 0
    refreshes: int = 0
    answers: int = 0
    latency_total: int = 0
    latency_min: int = 0
    latency_p50: int = 0
    latency_p99: int = 0
    latency_max: int = 0
    last_response: int = 0
    peak_bytes_per_cycle: float = 0.0
    by_channel: tuple[MemoryChannelStats, ...] = ()
    latencies: tuple[LatencyBucket, ...] = ()
    clients: tuple[MemoryClientStats, ...] = ()

    @property
    def latency_mean(self) -> float:
        """Return the mean latency of a request in cycles."""
        return self.latency_total / self.answers if self.answers else 0.0

    @property
    def bytes_per_cycle(self) -> float:
        """Return the bytes that were moved per cycle, until the last answer."""
        return self.transferred_bytes / self.last_response if self.last_response else 0.0

    @property
    def share_of_peak(self) -> float:
        """Return how busy the data buses were: bytes moved over those that can be moved."""
        peak = self.peak_bytes_per_cycle
        return self.bytes_per_cycle / peak if peak else 0.0

    @property
    def row_hit_rate(self) -> float:
        """Return the share of requests that found their row open."""
        found = self.row_hits + self.row_opens + self.row_conflicts
        return self.row_hits / found if found else 0.0


@dataclass(frozen=True, slots=True)
class CriticalResource:
    """The resource of a kernel that worked the largest share of its cycles.

    `kind` is "node" or "memory"; `busy` are its cycles of work, for memory the mean of its data
    buses.
    """

    kind: str
    name: str
    busy: int


@dataclass(frozen=True, slots=True)
class KernelStats:
    """One kernel: elapsed cycles and sums over its nodes.

    `cycles` is the latest clock of its nodes, or the last answer of memory.
    """

    name: str
    cycles: int
    tokens: int
    flops: int
    dram_read_bytes: int
    dram_write_bytes: int
    nodes: tuple[NodeStats, ...] = ()
    streams: tuple[StreamStats, ...] = ()
    functions: tuple[FunctionFlops, ...] = ()
    tensors: tuple[TensorTraffic, ...] = ()
    memory: MemoryStats | None = None
    critical: CriticalResource | None = None

    @property
    def bytes_per_cycle(self) -> float:
        """Return the DRAM bytes that nodes read and wrote per cycle."""
        moved = self.dram_read_bytes + self.dram_write_bytes
        return moved / self.cycles if self.cycles else 0.0

    @property
    def flops_per_cycle(self) -> float:
        """Return the scalar operations per cycle."""
        return self.flops / self.cycles if self.cycles else 0.0

    @property
    def flops_per_byte(self) -> float:
        """Return the arithmetic intensity: scalar operations per DRAM byte."""
        moved = self.dram_read_bytes + self.dram_write_bytes
        return self.flops / moved if moved else 0.0


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the kernels, which run one after the other."""

    cycles: int = 0
    tokens: int = 0
    flops: int = 0
    dram_read_bytes: int = 0
    dram_write_bytes: int = 0
    kernels: int = 0
    functions: tuple[FunctionFlops, ...] = ()
    tensors: tuple[TensorTraffic, ...] = ()


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
class ChannelState:
    """A channel of a wait cycle: the tokens that it holds, and its capacity (None: unbounded).

    `stream` is its id, None for one between the parts of a node.
    """

    name: str
    occupied: int
    capacity: int | None = None
    stream: int | None = None


@dataclass(frozen=True, slots=True)
class SufficientCapacity:
    """A capacity in tokens with which a kernel would have finished, together with the others."""

    name: str
    capacity: int
    stream: int | None = None


@dataclass(frozen=True, slots=True)
class Deadlock:
    """Why a kernel stopped: its kind, and per blocked node its port and what that waits for.

    `channels` are those of the wait cycle, in the order of `blocked`. `sufficient` is the least
    room that was found to be enough, by trying; empty if more room does not help, or was not tried.
    """

    kernel: str
    kind: str
    blocked: tuple[str, ...]
    channels: tuple[ChannelState, ...] = ()
    sufficient: tuple[SufficientCapacity, ...] = ()


@dataclass(slots=True)
class SimulationReport:
    """The result of one run; `complete` is False if it was interrupted or hit a limit.

    `stopped` says what ended an incomplete run that is in no deadlock.
    """

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
    stopped: str = ""
