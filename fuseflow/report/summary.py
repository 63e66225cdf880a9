# SPDX-License-Identifier: MIT
"""What people see of artifacts: the tables of each kind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from fuseflow.ir.dataflow import DataflowGraph, DataflowProgram
from fuseflow.ir.einsum import EinsumGraph, Output, Value
from fuseflow.ir.hardware import HardwareConfig
from fuseflow.ir.report import KernelStats, MemoryStats, NodeStats, SimulationReport
from fuseflow.report.tables import Table, render

if TYPE_CHECKING:
    from fuseflow.wire import Provenance, Root

__all__ = ["describe", "headline", "summarize"]

# A report lists this many of the nodes that work longest.
_BUSIEST = 10
# A cell lists this many names in full.
_LISTED = 3


def headline(root: Root) -> str:
    """Return what an artifact is, and its name."""
    return f"{type(root).__name__} {root.name}"


def describe(root: Root) -> str:
    """Return the summary of a graph, a program or a report as text."""
    return f"{headline(root)}\n\n{render(_tables(root, whole=False))}"


def summarize(root: Root, provenance: Provenance, *, whole: bool = False) -> list[Table]:
    """Return the tables of an artifact of any kind, below a table of what made it.

    Empty tables are left out. `whole` is for views with room: every name and every node.
    """
    return [_origin_table(provenance), *_tables(root, whole=whole)]


def _tables(root: Root, *, whole: bool) -> list[Table]:
    if isinstance(root, EinsumGraph):
        tables = _graph_tables(root)
    elif isinstance(root, DataflowProgram):
        tables = _program_tables(root, whole=whole)
    else:
        tables = _report_tables(root, whole=whole)
    return [table for table in (*tables, _list_table("notes", root.notes)) if table.rows]


def _origin_table(provenance: Provenance) -> Table:
    stages = (*provenance.history, provenance.stage)
    rows = tuple((stage.producer, stage.command_line) for stage in stages)
    return Table("", ("made by", "command"), rows)


def _graph_tables(graph: EinsumGraph) -> list[Table]:
    einsums = tuple(
        (op.name, str(op), op.composite, op.sources[0].op if op.sources else "")
        for op in graph.einsums
    )
    return [
        _value_table("values", graph.values.values()),
        Table("einsums", ("name", "einsum", "composite", "from"), einsums),
        _output_table(graph.outputs),
    ]


def _program_tables(program: DataflowProgram, *, whole: bool) -> list[Table]:
    columns = ("kernel", "einsums", "order", "nodes", "streams", "reads", "writes")
    return [
        _value_table("tensors", program.tensors.values()),
        Table(
            "kernels",
            columns,
            tuple(_kernel_row(kernel, whole=whole) for kernel in program.kernels),
            frozenset({"nodes", "streams"}),
        ),
        _output_table(program.outputs),
        _list_table("schedule", program.schedule.splitlines()),
    ]


def _kernel_row(kernel: DataflowGraph, *, whole: bool) -> tuple[str, ...]:
    listed = ", ".join if whole else _some
    return (
        kernel.name,
        listed(kernel.einsums),
        " -> ".join(kernel.order),
        str(len(kernel.nodes)),
        str(len(kernel.streams)),
        listed(kernel.tensors_read()),
        listed(kernel.tensors_written()),
    )


def _some(names: Sequence[str]) -> str:
    """Return names, the middle of a long list left out: the views for scripts have them all."""
    if len(names) <= _LISTED:
        return ", ".join(names)
    return f"{names[0]}, ... {names[-1]} ({len(names)})"


def _value_table(title: str, values: Iterable[Value]) -> Table:
    columns = ("value", "role", "shape", "format", "density", "fill", "origin")
    return Table(
        title, columns, tuple(map(_value_row, values)), frozenset({"shape", "density", "fill"})
    )


def _value_row(value: Value) -> tuple[str, ...]:
    return (
        value.name,
        str(value.role),
        "x".join(map(str, value.shape)) or "scalar",
        str(value.format) if value.format else "",
        f"{value.tensor.density:.3g}" if value.tensor else "",
        f"{value.fill:g}",
        value.origin,
    )


def _output_table(outputs: Iterable[Output]) -> Table:
    rows = tuple(
        (
            output.name,
            output.value,
            "x".join(map(str, output.shape)) or "scalar",
            "stored" if output.reference is not None else "none",
        )
        for output in outputs
    )
    return Table("outputs", ("output", "value", "shape", "reference"), rows)


_COUNTS = ("cycles", "tokens", "flops", "dram_read_bytes", "dram_write_bytes")
_COUNT_TITLES = ("cycles", "tokens", "FLOPs", "read bytes", "written bytes")


def _report_tables(report: SimulationReport, *, whole: bool) -> list[Table]:
    right = frozenset({*_COUNT_TITLES, "kernels"})
    total = (*_counts(report.totals), f"{report.totals.kernels:,}")
    kernels = tuple((kernel.name, *_counts(kernel)) for kernel in report.kernels)
    bars = frozenset(_COUNT_TITLES)
    nodes = map(_node_table, report.kernels) if whole else [_busiest_table(report)]
    return [
        Table("totals", (*_COUNT_TITLES, "kernels"), (total,), right),
        Table("kernels", ("kernel", *_COUNT_TITLES), kernels, right, bars=bars),
        _time_table(report),
        *_memory_tables(report),
        _list_table("result", _results(report)),
        *nodes,
        _value_table("outputs", report.outputs),
        _machine_table(report.hardware),
    ]


def _machine_table(machine: HardwareConfig) -> Table:
    timing, memory = machine.timing, machine.memory
    capacity = "sized" if timing.auto_capacity else timing.capacity or "unbounded"
    row = (timing.profile, str(capacity), memory.model)
    return Table("machine", ("timing", "channels", "memory"), (row,))


def _time_table(report: SimulationReport) -> Table:
    """What bounds each kernel: its critical resource, and how much it does per cycle."""
    columns = (
        "kernel",
        "critical resource",
        "share",
        "FLOPs/cycle",
        "bytes/cycle",
        "FLOPs/byte",
    )
    rows = tuple(_time_row(kernel) for kernel in report.kernels)
    return Table("bounds", columns, rows, frozenset(columns[2:]), bars=frozenset({"share"}))


def _time_row(kernel: KernelStats) -> tuple[str, ...]:
    critical = kernel.critical
    name = f"{critical.kind} {critical.name}" if critical else ""
    share = f"{critical.busy / kernel.cycles:.0%}" if critical and kernel.cycles else ""
    rates = (kernel.flops_per_cycle, kernel.bytes_per_cycle, kernel.flops_per_byte)
    return (kernel.name, name, share, *(f"{rate:.3g}" for rate in rates))


def _memory_tables(report: SimulationReport) -> list[Table]:
    """How well memory was used by kernel; no table if it is ideal."""
    columns = (
        "kernel",
        "requests",
        "bytes moved/cycle",
        "of peak",
        "row hits",
        "mean latency",
        "p99",
    )
    used = [(kernel.name, kernel.memory) for kernel in report.kernels if kernel.memory is not None]
    rows = tuple(_memory_row(name, memory) for name, memory in used)
    bars = frozenset({"of peak", "row hits"})
    return [Table("memory", columns, rows, frozenset(columns[1:]), bars=bars)] if rows else []


def _memory_row(kernel: str, memory: MemoryStats) -> tuple[str, ...]:
    hits = f"{memory.row_hit_rate:.0%}" if memory.model == "hbm2" else ""
    latencies = (f"{memory.latency_mean:.1f}", f"{memory.latency_p99:,}")
    rates = (f"{memory.bytes_per_cycle:.3g}", f"{memory.share_of_peak:.1%}")
    return (kernel, f"{memory.reads + memory.writes:,}", *rates, hits, *latencies)


_WAITS = ("for tokens", "for room", "for memory")
_WORK = ("busy", *_WAITS, "tokens out", "FLOPs")


def _busiest_table(report: SimulationReport) -> Table:
    nodes = [(kernel.name, node) for kernel in report.kernels for node in kernel.nodes]
    nodes.sort(key=lambda pair: -pair[1].busy)
    rows = tuple((kernel, *_node_row(node)) for kernel, node in nodes[:_BUSIEST])
    return Table("busiest nodes", ("kernel", "node", "op", *_WORK), rows, frozenset(_WORK))


def _node_table(kernel: KernelStats) -> Table:
    rows = tuple(map(_node_row, kernel.nodes))
    bars = frozenset(_WORK)
    return Table(f"nodes of {kernel.name}", ("node", "op", *_WORK), rows, bars, bars=bars)


def _node_row(node: NodeStats) -> tuple[str, ...]:
    waits = (node.stalled_input, node.stalled_output, node.stalled_memory)
    counts = tuple(f"{count:,}" for count in (node.busy, *waits, node.tokens_out, node.flops))
    return (f"{node.id} {node.name}", node.op, *counts)


def _results(report: SimulationReport) -> list[str]:
    check = report.check
    why = report.stopped or "deadlock"
    lines = [] if report.complete else [f"INCOMPLETE: {why}"]
    if report.deadlock is not None:
        lines.append(f"DEADLOCK ({report.deadlock.kind}) in kernel {report.deadlock.kernel}")
        lines += report.deadlock.blocked
        enough = report.deadlock.sufficient
        lines += [f'enough would be {s.capacity} tokens in "{s.name}"' for s in enough]
    if not check.performed:
        return [*lines, "outputs were not checked"]
    verdict = "passed" if check.passed else "FAILED"
    errors = f"absolute {check.max_abs_error:.3g}, relative {check.max_rel_error:.3g}"
    tolerances = f"rtol {check.rtol:g}, atol {check.atol:g}"
    lines.append(f"check {verdict}: largest error {errors} ({tolerances})")
    return [*lines, *check.failures]


def _counts(record: object) -> tuple[str, ...]:
    return tuple(f"{getattr(record, name):,}" for name in _COUNTS)


def _list_table(title: str, lines: Iterable[str]) -> Table:
    return Table(title, ("",), tuple((line,) for line in lines))
