# SPDX-License-Identifier: MIT
"""What each pass left behind, as lines of text for `--print-after`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fuseflow.fusion.auto.text import describe_search
from fuseflow.ir.dataflow import DataflowGraph

if TYPE_CHECKING:
    from fuseflow.fusion.passes.sequence import State

__all__ = [
    "show_bindings",
    "show_graph",
    "show_groups",
    "show_plans",
    "show_program",
    "show_search",
]


def show_graph(state: State) -> Iterator[str]:
    """Yield the tensors and the operations of the graph."""
    yield f"graph {state.graph.name}"
    for value in state.graph.values.values():
        if value.tensor is not None:
            yield f"  {value.name} {list(value.shape)} {value.tensor.format} fill {value.fill:g}"
    for op in state.graph.einsums:
        yield f"  {op.name}: {op}"


def show_bindings(state: State) -> Iterator[str]:
    """Yield the groups and directives of the schedule with the operations they reach."""
    for group in state.bindings.groups:
        yield f"group {group.name}: {', '.join(group.ops)}"
    for bound in state.bindings.directives:
        yield f"{bound.choice}: {', '.join(sorted(bound.ops))}"


def show_groups(state: State) -> Iterator[str]:
    """Yield the operations of every group."""
    for number, task in enumerate(state.tasks):
        yield f"group {task.name or number}: {', '.join(op.name for op in task.ops)}"


def show_plans(state: State) -> Iterator[str]:
    """Yield the nodes and streams of every kernel."""
    for planned in state.plans:
        yield from _show_kernel(planned.kernel)


def show_search(state: State) -> Iterator[str]:
    """Yield what the search for a schedule compared."""
    if state.search is None:
        yield f"strategy {state.strategy}, as asked"
    else:
        yield from describe_search(state.search)


def show_program(state: State) -> Iterator[str]:
    """Yield the kernels, and the resolved schedule."""
    assert state.program is not None
    for kernel in state.program.kernels:
        yield from _show_kernel(kernel)
    yield from state.program.schedule.splitlines()


def _show_kernel(kernel: DataflowGraph) -> Iterator[str]:
    yield f"kernel {kernel.name}: {' -> '.join(kernel.order) or '(scalar)'}"
    for node in kernel.nodes:
        ports = " ".join(
            f"{side} {','.join('-' if sid is None else str(sid) for sid in sids)}"
            for side, sids in (("<-", node.inputs), ("->", node.outputs))
            if sids
        )
        yield f"  {node.id:4} {node.op:12} {node.name}  {ports}"
