# SPDX-License-Identifier: MIT
"""From the figures of a run to the statistics of a kernel, in terms of the IR's nodes and streams.

A hidden signal generator belongs to its repeat: the repeat reports its own clock and ticks, and
the tokens that the generator reads for it. Hidden channels are not reported and not counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from fuseflow.ir.dataflow import DataflowGraph, Node, Stream
from fuseflow.ir.report import (
    ChannelState,
    CriticalResource,
    Deadlock,
    FunctionFlops,
    KernelStats,
    NodeStats,
    StreamStats,
    SufficientCapacity,
    TensorTraffic,
    TokenCounts,
    Totals,
)
from fuseflow.sim.machine import Channel, Machine, UnitKind
from fuseflow.sim.memory_statistics import memory_statistics
from fuseflow.sim.occupancy import longest_list, peak_occupancy
from fuseflow.sim.ports import input_names, output_names
from fuseflow.sim.profiles import function_of
from fuseflow.sim.result import Blocked, ChannelResult, MachineResult

__all__ = ["deadlock_report", "kernel_statistics", "totals"]


def kernel_statistics(graph: DataflowGraph, machine: Machine, result: MachineResult) -> KernelStats:
    """Return the statistics of one kernel, nodes in the order of the graph."""
    counts = {
        channel.stream: _counts(figures)
        for channel, figures in zip(machine.channels, result.channels, strict=True)
        if channel.stream >= 0
    }
    units = {
        unit.node: position
        for position, unit in enumerate(machine.units)
        if unit.kind is not UnitKind.REPSIG
    }
    nodes = tuple(_node(node, result, units[node.id], counts) for node in graph.nodes)
    places = {channel.stream: place for place, channel in enumerate(machine.channels)}
    consumed = _waits_by_channel(machine, result)
    streams = tuple(
        _stream(stream, machine, result, places[sid], consumed)
        for sid, stream in graph.streams.items()
        if sid in counts
    )
    return KernelStats(
        name=graph.name,
        cycles=result.elapsed,
        tokens=sum(count.total for count in counts.values()),
        flops=sum(node.flops for node in nodes),
        dram_read_bytes=sum(node.dram_read_bytes for node in nodes),
        dram_write_bytes=sum(node.dram_write_bytes for node in nodes),
        nodes=nodes,
        streams=streams,
        functions=sum_functions((node.fn, node.flops) for node in nodes),
        tensors=sum_tensors(_traffic(graph, nodes)),
        memory=memory_statistics(graph, machine, result),
        critical=_critical(machine, result, nodes),
    )


def _waits_by_channel(machine: Machine, result: MachineResult) -> dict[int, int]:
    """Return how long the consumer of each channel waited for its tokens, if that was watched."""
    return {
        channel: cycles
        for unit, figures in zip(machine.units, result.units, strict=True)
        for channel, cycles in zip(unit.inputs, figures.waited_by_input or (), strict=False)
    }


def _stream(
    stream: Stream, machine: Machine, result: MachineResult, place: int, consumed: dict[int, int]
) -> StreamStats:
    figures = result.channels[place]
    peak = longest = None
    if figures.recorded is not None and figures.removals is not None:
        peak = peak_occupancy(figures.recorded.stamps, figures.removals)
        longest = longest_list(figures.recorded)
    return StreamStats(
        id=stream.id,
        kind=str(stream.kind),
        tokens=_counts(figures),
        capacity=machine.channels[place].capacity,
        stalled_producer=figures.waited,
        stalled_consumer=consumed.get(place),
        peak=peak,
        longest=longest,
    )


def _counts(figures: ChannelResult) -> TokenCounts:
    return TokenCounts(figures.values, figures.missing, figures.stops, figures.marked)


def sum_functions(counts: Iterable[tuple[str, int]]) -> tuple[FunctionFlops, ...]:
    """Add up operations by function, in alphabetical order; nothing is left out but zeros."""
    sums: Counter[str] = Counter()
    for fn, flops in counts:
        sums[fn] += flops
    return tuple(FunctionFlops(fn, flops) for fn, flops in sorted(sums.items()) if flops)


def sum_tensors(counts: Iterable[TensorTraffic]) -> tuple[TensorTraffic, ...]:
    """Add up traffic by tensor, in alphabetical order; nothing is left out but zeros."""
    reads: Counter[str] = Counter()
    writes: Counter[str] = Counter()
    for part in counts:
        reads[part.tensor] += part.read_bytes
        writes[part.tensor] += part.write_bytes
    return tuple(
        TensorTraffic(name, reads[name], writes[name])
        for name in sorted(reads.keys() | writes.keys())
        if reads[name] or writes[name]
    )


def _traffic(graph: DataflowGraph, nodes: Iterable[NodeStats]) -> Iterator[TensorTraffic]:
    for node, figures in zip(graph.nodes, nodes, strict=True):
        name = getattr(node.attrs, "tensor", "")
        if name:
            yield TensorTraffic(name, figures.dram_read_bytes, figures.dram_write_bytes)


def _critical(
    machine: Machine, result: MachineResult, nodes: Iterable[NodeStats]
) -> CriticalResource | None:
    """Return what worked most: the first of equal nodes, or the data buses of a DRAM."""
    found = [CriticalResource("node", node.name, node.busy) for node in nodes]
    if result.memory is not None and machine.memory.model == "hbm2":
        mean = result.memory.total("bus_busy") // machine.memory.hbm2.channels
        found.append(CriticalResource("memory", machine.memory.model, mean))
    most = max(found, key=lambda resource: resource.busy, default=None)
    return most if most and most.busy else None


def _node(
    node: Node, result: MachineResult, position: int, counts: dict[int, TokenCounts]
) -> NodeStats:
    figures = result.units[position]
    return NodeStats(
        id=node.id,
        name=node.name,
        op=str(node.op),
        clock=figures.clock,
        busy=figures.busy,
        stalled=figures.clock - figures.busy,
        tokens_in=_tokens(node.inputs, counts),
        tokens_out=_tokens(node.outputs, counts),
        flops=figures.flops,
        dram_read_bytes=figures.read_bytes,
        dram_write_bytes=figures.write_bytes,
        sources=node.sources,
        fn=function_of(node.attrs),
        stalled_input=figures.waited_for_input,
        stalled_output=figures.waited_for_room,
        stalled_memory=figures.waited_for_memory,
    )


def _tokens(streams: Sequence[int | None], counts: dict[int, TokenCounts]) -> int:
    return sum(counts[sid].total for sid in streams if sid is not None)


def totals(kernels: Iterable[KernelStats]) -> Totals:
    """Return the sums over kernels that run one after the other."""
    done = list(kernels)
    return Totals(
        cycles=sum(kernel.cycles for kernel in done),
        tokens=sum(kernel.tokens for kernel in done),
        flops=sum(kernel.flops for kernel in done),
        dram_read_bytes=sum(kernel.dram_read_bytes for kernel in done),
        dram_write_bytes=sum(kernel.dram_write_bytes for kernel in done),
        kernels=len(done),
        functions=sum_functions((f.fn, f.flops) for kernel in done for f in kernel.functions),
        tensors=sum_tensors(part for kernel in done for part in kernel.tensors),
    )


def deadlock_report(
    machine: Machine, result: MachineResult, sufficient: Mapping[int, int] | None = None
) -> Deadlock | None:
    """Return the deadlock of a run in words, one line per unit of the wait cycle.

    `sufficient` has capacities by channel that would be enough, if that is known.
    """
    info = result.deadlock
    if info is None:
        return None
    return Deadlock(
        kernel=machine.name,
        kind=info.kind,
        blocked=tuple(_line(machine, b) for b in info.blocked),
        channels=tuple(_state(machine, b) for b in info.blocked),
        sufficient=tuple(
            SufficientCapacity(machine.channels[place].name, capacity, _id(machine.channels[place]))
            for place, capacity in (sufficient or {}).items()
        ),
    )


def _state(machine: Machine, blocked: Blocked) -> ChannelState:
    channel = machine.channels[blocked.channel]
    return ChannelState(channel.name, blocked.held, channel.capacity, _id(channel))


def _id(channel: Channel) -> int | None:
    return channel.stream if channel.stream >= 0 else None


def _line(machine: Machine, blocked: Blocked) -> str:
    unit, channel = machine.units[blocked.unit], machine.channels[blocked.channel]
    is_slot = blocked.waits_for == "slot"
    names = output_names(unit) if is_slot else input_names(unit)
    port = f'port {names[blocked.port]}, stream "{channel.name}"'
    need = f"room for token {blocked.index}" if is_slot else f"token {blocked.index}"
    size = "unbounded" if channel.capacity is None else f"capacity {channel.capacity}"
    size = f"{size}, holds {blocked.held}"
    return f'"{unit.name}" in cycle {blocked.clock} waits for {need} on {port} ({size})'
