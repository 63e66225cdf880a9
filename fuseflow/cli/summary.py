# SPDX-License-Identifier: MIT
"""Readable summaries of artifacts, as tables of text.

`summarize` says what is in the tables; how they look is for `render`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fuseflow.ir.dataflow import DataflowGraph, DataflowProgram
from fuseflow.ir.einsum import EinsumGraph, Output, Value
from fuseflow.ir.report import KernelStats, NodeStats, SimulationReport

if TYPE_CHECKING:
    from fuseflow.wire import Provenance, Root

__all__ = ["Table", "render", "summarize"]

# A report lists this many of the nodes that work longest.
_BUSIEST = 10
# A cell lists this many names in full.
_LISTED = 3
# Wider than any table, so that files get every cell whole.
_PLAIN_WIDTH = 100_000


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a title; numbers are formatted already, columns named `right` are aligned so.

    A line is drawn behind the rows whose numbers are in `breaks`.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: frozenset[str] = frozenset()
    breaks: frozenset[int] = frozenset()


def summarize(root: Root, provenance: Provenance) -> list[Table]:
    """Return the tables of an artifact of any kind; empty tables are left out."""
    if isinstance(root, EinsumGraph):
        tables = _graph_tables(root)
    elif isinstance(root, DataflowProgram):
        tables = _program_tables(root)
    else:
        tables = _report_tables(root)
    heading = f"{type(root).__name__} {root.name}"
    tables = [_origin_table(heading, provenance), *tables, _list_table("notes", root.notes)]
    return [table for table in tables if table.rows]


def render(tables: Iterable[Table], width: int | None = None, *, colour: bool = False) -> str:
    """Return tables as text; `width` None is for files, where no line is folded."""
    import io

    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    out = io.StringIO()
    console = Console(
        file=out,
        width=width or _PLAIN_WIDTH,
        force_terminal=colour,
        no_color=not colour,
        highlight=False,
        legacy_windows=False,
    )
    for table in tables:
        if table.title:
            console.print(Text(table.title, style="bold"), soft_wrap=True)
        drawn = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_header=any(table.columns))
        for column in table.columns:
            drawn.add_column(
                Text(column),
                justify="right" if column in table.right else "left",
                no_wrap=width is None,
            )
        for number, row in enumerate(table.rows):
            drawn.add_row(*map(Text, row), end_section=number in table.breaks)
        console.print(drawn)
    return "\n".join(line.rstrip() for line in out.getvalue().split("\n"))


def _origin_table(heading: str, provenance: Provenance) -> Table:
    stages = (*provenance.history, provenance.stage)
    rows = tuple((stage.producer, stage.command_line) for stage in stages)
    return Table(heading, ("made by", "command"), rows)


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


def _program_tables(program: DataflowProgram) -> list[Table]:
    columns = ("kernel", "einsums", "order", "nodes", "streams", "reads", "writes")
    return [
        _value_table("tensors", program.tensors.values()),
        Table(
            "kernels",
            columns,
            tuple(_kernel_row(kernel) for kernel in program.kernels),
            frozenset({"nodes", "streams"}),
        ),
        _output_table(program.outputs),
        _list_table("schedule", program.schedule.splitlines()),
    ]


def _kernel_row(kernel: DataflowGraph) -> tuple[str, ...]:
    return (
        kernel.name,
        _some(kernel.einsums),
        " -> ".join(kernel.order),
        str(len(kernel.nodes)),
        str(len(kernel.streams)),
        _some(kernel.tensors_read()),
        _some(kernel.tensors_written()),
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


def _report_tables(report: SimulationReport) -> list[Table]:
    right = frozenset({*_COUNT_TITLES, "kernels"})
    total = (*_counts(report.totals), f"{report.totals.kernels:,}")
    kernels = tuple((kernel.name, *_counts(kernel)) for kernel in report.kernels)
    return [
        Table("totals", (*_COUNT_TITLES, "kernels"), (total,), right),
        Table("kernels", ("kernel", *_COUNT_TITLES), kernels, right),
        _time_table(report),
        _busiest_table(report),
        _list_table("result", _results(report)),
        _value_table("outputs", report.outputs),
    ]


def _time_table(report: SimulationReport) -> Table:
    """What bounds each kernel: its critical resource, and how well memory was used."""
    columns = ("kernel", "critical resource", "share", "bytes/cycle", "row hits")
    rows = tuple(_time_row(kernel) for kernel in report.kernels)
    return Table("bounds", columns, rows, frozenset(columns[2:]))


def _time_row(kernel: KernelStats) -> tuple[str, ...]:
    critical, memory = kernel.critical, kernel.memory
    name = f"{critical.kind} {critical.name}" if critical else ""
    share = f"{critical.busy / kernel.cycles:.0%}" if critical and kernel.cycles else ""
    hits = f"{memory.row_hit_rate:.0%}" if memory and memory.model == "hbm2" else ""
    return (kernel.name, name, share, f"{kernel.bytes_per_cycle:.3g}", hits)


def _busiest_table(report: SimulationReport) -> Table:
    nodes = [(kernel, node) for kernel in report.kernels for node in kernel.nodes]
    nodes.sort(key=lambda pair: -pair[1].busy)
    waits = ("for tokens", "for room", "for memory")
    columns = ("kernel", "node", "op", "busy", *waits, "tokens out")
    rows = tuple(_node_row(kernel, node) for kernel, node in nodes[:_BUSIEST])
    return Table("busiest nodes", columns, rows, frozenset({"busy", *waits, "tokens out"}))


def _node_row(kernel: KernelStats, node: NodeStats) -> tuple[str, ...]:
    waits = (node.stalled_input, node.stalled_output, node.stalled_memory)
    counts = tuple(f"{count:,}" for count in (node.busy, *waits, node.tokens_out))
    return (kernel.name, f"{node.id} {node.name}", node.op, *counts)


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
