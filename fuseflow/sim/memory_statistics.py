# SPDX-License-Identifier: MIT
"""From the figures of a memory model to the statistics of a kernel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

from fuseflow.ir.dataflow import DataflowGraph
from fuseflow.ir.hardware import MemoryConfig
from fuseflow.ir.report import (
    LatencyBucket,
    MemoryChannelStats,
    MemoryClientStats,
    MemoryStats,
)
from fuseflow.sim.machine import Machine
from fuseflow.sim.memory import Latencies, MemoryFigures, arrays_of
from fuseflow.sim.memory.addresses import WORD_BYTES
from fuseflow.sim.result import MachineResult

__all__ = ["latency_bound", "memory_statistics"]

SUMS = ("reads", "writes", "row_hits", "row_opens", "row_conflicts", "bus_busy", "refreshes")


def memory_statistics(
    graph: DataflowGraph, machine: Machine, result: MachineResult
) -> MemoryStats | None:
    """Return what memory did in a kernel; None if it is ideal."""
    figures, config = result.memory, machine.memory
    if figures is None:
        return None
    totals = {name: figures.total(name) for name in SUMS}
    moved = (totals["reads"] + totals["writes"]) * _request_bytes(config)
    latencies = figures.latencies
    return MemoryStats(
        **totals,
        model=config.model,
        transferred_bytes=moved,
        channels=len(figures.channels),
        answers=latencies.requests,
        latency_total=latencies.total,
        latency_min=latencies.least,
        latency_p50=latency_bound(latencies, 0.5),
        latency_p99=latency_bound(latencies, 0.99),
        latency_max=latencies.most,
        last_response=figures.last_response,
        peak_bytes_per_cycle=_peak(config, figures),
        by_channel=tuple(
            MemoryChannelStats(id=number, **{name: getattr(channel, name) for name in SUMS})
            for number, channel in enumerate(figures.channels)
        ),
        latencies=tuple(_buckets(latencies.buckets)),
        clients=tuple(_clients(graph, machine, result)),
    )


def _request_bytes(config: MemoryConfig) -> int:
    return config.hbm2.line_bytes if config.model == "hbm2" else WORD_BYTES


def _peak(config: MemoryConfig, figures: MemoryFigures) -> float:
    """Return the bytes that all channels can move per cycle."""
    cycles = config.hbm2.t_burst if config.model == "hbm2" else max(config.comal_hbm.ii, 1)
    return len(figures.channels) * _request_bytes(config) / cycles


def latency_bound(latencies: Latencies, share: float) -> int:
    """Return a latency that this share of all answers did not pass, by the histogram; 0 if none."""
    if not latencies.requests:
        return 0
    counts = accumulate(latencies.buckets)
    bucket = next(k for k, count in enumerate(counts) if count >= share * latencies.requests)
    return min((2 << bucket) - 1, latencies.most)


def _buckets(counts: Sequence[int]) -> Iterator[LatencyBucket]:
    return (LatencyBucket(2**k, count) for k, count in enumerate(counts) if count)


def _clients(
    graph: DataflowGraph, machine: Machine, result: MachineResult
) -> Iterator[MemoryClientStats]:
    """Yield the clients in the order of the machine's units and their arrays."""
    tensors = {node.id: getattr(node.attrs, "tensor", "") for node in graph.nodes}
    for unit, figures in zip(machine.units, result.units, strict=True):
        for array, client in zip(arrays_of(unit), figures.clients, strict=True):
            yield MemoryClientStats(
                id=unit.node,
                array=array,
                tensor=tensors[unit.node],
                write=not unit.outputs,
                requests=client.requests,
                words=client.words,
                window_full=client.waited,
            )
