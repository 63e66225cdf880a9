"""Compares what is expected of a program with what its simulation counts."""

from __future__ import annotations

from fuseflow.fusion.cost.count import Structure, count_kernel
from fuseflow.fusion.cost.cycles import busy_cycles
from fuseflow.fusion.cost.figures import KernelCounts, data_levels
from fuseflow.ir.dataflow import DataflowProgram
from fuseflow.ir.report import KernelStats, SimulationReport
from fuseflow.sim import simulate


def count_program(program: DataflowProgram) -> list[KernelCounts]:
    """Count all kernels, each from the structure of what earlier ones write."""
    known = {name: data_levels(value) for name, value in program.tensors.items()}
    levels = {name: found for name, found in known.items() if found is not None}
    counts: list[KernelCounts] = []
    for kernel in program.kernels:
        counts.append(count_kernel(kernel, Structure(program.tensors, levels)))
        levels |= counts[-1].results
    return counts


def assert_counts(program: DataflowProgram) -> tuple[list[KernelCounts], SimulationReport]:
    """Require that every count of every node and stream is that of the simulation."""
    counts, report = count_program(program), simulate(program)
    for expected, measured in zip(counts, report.kernels, strict=True):
        _assert_nodes(expected, measured)
        for stream in measured.streams:
            tokens = stream.tokens
            there = (tokens.values + tokens.missing, tokens.stops)
            assert expected.tokens[stream.id] == there, expected.kernel.streams[stream.id]
    return counts, report


def _assert_nodes(expected: KernelCounts, measured: KernelStats) -> None:
    for node, figures in zip(expected.nodes, measured.nodes, strict=True):
        here = (node.flops, node.read.bytes, node.written.bytes, busy_cycles(node))
        there = (figures.flops, figures.dram_read_bytes, figures.dram_write_bytes, figures.busy)
        assert here == there, node.node
