# SPDX-License-Identifier: MIT
"""The table of statistics: what every figure of a report is called, its unit, what it means.

Names are stable. The documentation and the text view of a report are made from this table; the
figures themselves are fields and properties of the records in `fuseflow.ir.report`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fuseflow.ir import report as rp

__all__ = ["RECORDS", "STATISTICS", "Figure", "Statistic", "figures"]

RECORDS: Mapping[str, type] = {
    "totals": rp.Totals,
    "kernel": rp.KernelStats,
    "node": rp.NodeStats,
    "stream": rp.StreamStats,
    "tokens": rp.TokenCounts,
    "memory": rp.MemoryStats,
    "channel": rp.MemoryChannelStats,
    "latency": rp.LatencyBucket,
    "client": rp.MemoryClientStats,
    "critical": rp.CriticalResource,
    "function": rp.FunctionFlops,
    "tensor": rp.TensorTraffic,
    "check": rp.CheckResult,
    "host": rp.SimulatorStats,
}
"""The records of a report by the first part of the names of their statistics."""


@dataclass(frozen=True, slots=True)
class Statistic:
    """One kind of figure.

    `record` is a key of `RECORDS`, `field` an attribute of that record; the name is both with a
    dot. `kind`: a "counter" adds up over parts, a "level" is reached at some time, a "ratio" is a
    quotient of two others. `detail`: only there if detailed statistics were asked for.
    """

    record: str
    field: str
    kind: str
    unit: str
    description: str
    detail: bool = False

    @property
    def name(self) -> str:
        """Return the stable name."""
        return f"{self.record}.{self.field}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a report: `path` names it in full, such as `kernel.0.node.3.busy`."""

    path: str
    value: int | float
    statistic: Statistic


def _counter(record: str, field: str, unit: str, description: str) -> Statistic:
    return Statistic(record, field, "counter", unit, description)


def _traffic(record: str) -> tuple[Statistic, ...]:
    return (
        _counter(record, "flops", "operations", "scalar operations of alus and reductions"),
        _counter(record, "dram_read_bytes", "bytes", "words read from memory, 4 bytes each"),
        _counter(record, "dram_write_bytes", "bytes", "words written to memory, 4 bytes each"),
    )


def _rows(record: str) -> tuple[Statistic, ...]:
    return (
        _counter(record, "row_hits", "requests", "that found their row open"),
        _counter(record, "row_opens", "requests", "that found their bank closed"),
        _counter(record, "row_conflicts", "requests", "that found another row open"),
        _counter(record, "bus_busy", "cycles", "in which a data bus moved data, of all channels"),
        _counter(record, "refreshes", "refreshes", "of all rows of a channel"),
    )


STATISTICS: tuple[Statistic, ...] = (
    _counter("totals", "cycles", "cycles", "of all kernels, one after the other"),
    _counter("totals", "tokens", "tokens", "on all streams"),
    *_traffic("totals"),
    _counter("totals", "kernels", "kernels", "kernels that ran"),
    Statistic("kernel", "cycles", "level", "cycles", "latest clock, or last answer of memory"),
    _counter("kernel", "tokens", "tokens", "on all streams of the kernel"),
    *_traffic("kernel"),
    Statistic(
        "kernel", "bytes_per_cycle", "ratio", "bytes/cycle", "bytes read and written over cycles"
    ),
    Statistic("node", "clock", "level", "cycles", "when the node had finished"),
    _counter("node", "busy", "cycles", "in which the node worked"),
    _counter("node", "stalled", "cycles", "in which it waited; clock = busy + stalled"),
    _counter("node", "stalled_input", "cycles", "in which it waited for tokens"),
    _counter("node", "stalled_output", "cycles", "in which it waited for room in an output"),
    _counter("node", "stalled_memory", "cycles", "in which it waited for an answer of memory"),
    Statistic("node", "utilisation", "ratio", "1", "busy over clock"),
    _counter("node", "tokens_in", "tokens", "on all inputs"),
    _counter("node", "tokens_out", "tokens", "on all outputs"),
    *_traffic("node"),
    _counter("tokens", "values", "tokens", "coordinates, references or values"),
    _counter("tokens", "missing", "tokens", "missing elements"),
    _counter("tokens", "stops", "tokens", "ends of lists"),
    _counter("tokens", "marked", "tokens", "of these, ends of empty lists above the innermost"),
    Statistic("stream", "capacity", "level", "tokens", "room of the channel; absent: unbounded"),
    _counter("stream", "stalled_producer", "cycles", "in which the producer waited for room"),
    Statistic(
        "stream",
        "stalled_consumer",
        "counter",
        "cycles",
        "in which the consumer waited for tokens",
        detail=True,
    ),
    Statistic("stream", "peak", "level", "tokens", "most that the channel ever held", detail=True),
    Statistic(
        "stream", "longest", "level", "elements", "of the longest innermost list", detail=True
    ),
    _counter("memory", "reads", "requests", "to read: lines of a DRAM, words of the queue server"),
    _counter("memory", "writes", "requests", "to write"),
    _counter("memory", "transferred_bytes", "bytes", "that all requests moved"),
    Statistic("memory", "channels", "level", "channels", "of the memory"),
    *_rows("memory"),
    Statistic("memory", "row_hit_rate", "ratio", "1", "row hits over requests of a DRAM"),
    _counter("memory", "answers", "requests", "that were answered, whole vectors of words"),
    _counter("memory", "latency_total", "cycles", "from all requests to their answers"),
    Statistic("memory", "latency_min", "level", "cycles", "from a request to its answer, at least"),
    Statistic("memory", "latency_p50", "level", "cycles", "bound of half of the latencies"),
    Statistic("memory", "latency_p99", "level", "cycles", "bound of 99 of 100 latencies"),
    Statistic("memory", "latency_max", "level", "cycles", "from a request to its answer, at most"),
    Statistic("memory", "latency_mean", "ratio", "cycles", "from a request to its answer"),
    Statistic("memory", "last_response", "level", "cycles", "when the last answer came"),
    Statistic("memory", "bytes_per_cycle", "ratio", "bytes/cycle", "moved, until the last answer"),
    Statistic("memory", "peak_bytes_per_cycle", "level", "bytes/cycle", "that channels can move"),
    Statistic("memory", "share_of_peak", "ratio", "1", "bytes moved over those that can be moved"),
    _counter("channel", "reads", "requests", "to read"),
    _counter("channel", "writes", "requests", "to write"),
    *_rows("channel"),
    Statistic("latency", "cycles", "level", "cycles", "least of the bucket, half of the next one"),
    _counter("latency", "requests", "requests", "with such a latency"),
    _counter("client", "requests", "requests", "lines of a DRAM, vectors of the queue server"),
    _counter("client", "words", "words", "read or written"),
    Statistic("client", "words_per_request", "ratio", "words", "that a request served"),
    _counter("client", "window_full", "cycles", "by which lines were late: many on their way"),
    _counter("critical", "busy", "cycles", "of the resource that worked most; of memory the mean"),
    _counter("function", "flops", "operations", "of one scalar function or reduction"),
    _counter("tensor", "read_bytes", "bytes", "read of one tensor"),
    _counter("tensor", "write_bytes", "bytes", "written of one tensor"),
    Statistic("check", "max_abs_error", "level", "1", "largest absolute error of an output"),
    Statistic("check", "max_rel_error", "level", "1", "largest error relative to its reference"),
    Statistic("check", "rtol", "level", "1", "relative tolerance"),
    Statistic("check", "atol", "level", "1", "tolerance relative to the largest magnitude"),
    Statistic("host", "wall_seconds", "level", "s", "host time of the run"),
    Statistic("host", "tokens_per_second", "ratio", "tokens/s", "simulated per second of the host"),
    Statistic("host", "peak_rss_bytes", "level", "bytes", "largest resident memory of the process"),
    Statistic("host", "threads", "level", "threads", "that simulated"),
)


def figures(report: rp.SimulationReport) -> Iterator[Figure]:
    """Yield every figure of a report, in the order of its parts."""
    yield from _of("totals", "totals", report.totals)
    yield from _shares("totals", report.totals)
    for number, kernel in enumerate(report.kernels):
        yield from _of_kernel(f"kernel.{number}", kernel)
    if report.check.performed:
        yield from _of("check", "check", report.check)
    if report.simulator is not None:
        yield from _of("host", "host", report.simulator)


def _of_kernel(path: str, kernel: rp.KernelStats) -> Iterator[Figure]:
    yield from _of(path, "kernel", kernel)
    yield from _shares(path, kernel)
    if kernel.critical is not None:
        place = f"{path}.critical.{kernel.critical.kind}.{kernel.critical.name}"
        yield from _of(place, "critical", kernel.critical)
    if kernel.memory is not None:
        yield from _of_memory(f"{path}.memory", kernel.memory)
    for node in kernel.nodes:
        yield from _of(f"{path}.node.{node.id}", "node", node)
    for stream in kernel.streams:
        yield from _of(f"{path}.stream.{stream.id}", "stream", stream)
        yield from _of(f"{path}.stream.{stream.id}.tokens", "tokens", stream.tokens)


def _of_memory(path: str, memory: rp.MemoryStats) -> Iterator[Figure]:
    yield from _of(path, "memory", memory)
    for channel in memory.by_channel:
        yield from _of(f"{path}.channel.{channel.id}", "channel", channel)
    for bucket in memory.latencies:
        yield from _of(f"{path}.latency.{bucket.cycles}", "latency", bucket)
    for client in memory.clients:
        yield from _of(f"{path}.client.{client.id}.{client.array}", "client", client)


def _shares(path: str, record: rp.KernelStats | rp.Totals) -> Iterator[Figure]:
    for function in record.functions:
        yield from _of(f"{path}.function.{function.fn}", "function", function)
    for tensor in record.tensors:
        yield from _of(f"{path}.tensor.{tensor.tensor}", "tensor", tensor)


def _of(path: str, kind: str, record: object) -> Iterator[Figure]:
    """Yield the figures of one record; those that it does not have are left out."""
    for statistic in STATISTICS:
        value = getattr(record, statistic.field, None) if statistic.record == kind else None
        if value is not None:
            yield Figure(f"{path}.{statistic.field}", value, statistic)
