# SPDX-License-Identifier: MIT
"""From the figures of a run to the statistics of a kernel, in terms of the IR's nodes and streams.

A hidden signal generator belongs to its repeat: the repeat reports its own clock and ticks, and
the tokens that the generator reads for it. Hidden channels are not reported and not counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fuseflow.ir.dataflow import DataflowGraph, Node
from fuseflow.ir.report import Deadlock, KernelStats, NodeStats, StreamStats, TokenCounts, Totals
from fuseflow.sim.machine import Machine, UnitKind
from fuseflow.sim.ports import input_names, output_names
from fuseflow.sim.result import Blocked, MachineResult

__all__ = ["deadlock_report", "kernel_statistics", "totals"]


def kernel_statistics(graph: DataflowGraph, machine: Machine, result: MachineResult) -> KernelStats:
    """Return the statistics of one kernel, nodes in the order of the graph."""
    counts = {
        channel.stream: TokenCounts(figures.values, figures.missing, figures.stops)
        for channel, figures in zip(machine.channels, result.channels, strict=True)
        if channel.stream >= 0
    }
    units = {
        unit.node: position
        for position, unit in enumerate(machine.units)
        if unit.kind is not UnitKind.REPSIG
    }
    nodes = tuple(_node(node, result, units[node.id], counts) for node in graph.nodes)
    capacities = {channel.stream: channel.capacity for channel in machine.channels}
    streams = tuple(
        StreamStats(sid, str(stream.kind), counts[sid], capacities[sid])
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
    )


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
    )


def deadlock_report(machine: Machine, result: MachineResult) -> Deadlock | None:
    """Return the deadlock of a run in words, one line per unit of the wait cycle."""
    info = result.deadlock
    if info is None:
        return None
    return Deadlock(machine.name, info.kind, tuple(_line(machine, b) for b in info.blocked))


def _line(machine: Machine, blocked: Blocked) -> str:
    unit, channel = machine.units[blocked.unit], machine.channels[blocked.channel]
    is_slot = blocked.waits_for == "slot"
    names = output_names(unit) if is_slot else input_names(unit)
    port = f'port {names[blocked.port]}, stream "{channel.name}"'
    need = f"room for token {blocked.index}" if is_slot else f"token {blocked.index}"
    size = "unbounded" if channel.capacity is None else f"capacity {channel.capacity}"
    return f'"{unit.name}" in cycle {blocked.clock} waits for {need} on {port} ({size})'
