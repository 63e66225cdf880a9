# SPDX-License-Identifier: MIT
"""Prints a kernel as a numbered list of nodes, without broadcasts: one line each, to be compared.

3 scan A.k(2.ref)          an operand is the number of a node, with the port if it has several
7 intersect k(3.crd, 3.ref, 6.crd, 6.ref)
13 add k/j(7.crd, 9.crd, 12)       an accumulator over k with key j; "!" if j is emitted in full
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fuseflow.ir.dataflow import DataflowGraph, Node, Op
from fuseflow.ir.op_specs import ports_of

__all__ = ["list_nodes"]


def list_nodes(kernel: DataflowGraph) -> str:
    """Return one line per node, numbered from 1 in the order of the kernel."""
    return "".join(f"{line}\n" for line in _Listing(kernel).lines)


class _Listing:
    def __init__(self, kernel: DataflowGraph) -> None:
        self.kernel = kernel
        self.names: dict[int, str] = {}
        self.lines: list[str] = []
        for node in kernel.nodes:
            if node.op is Op.BROADCAST:
                (source,) = node.inputs
                self.names |= dict.fromkeys(node.outputs, self.names[source])
            else:
                self._add(node)

    def _add(self, node: Node) -> None:
        number = len(self.lines) + 1
        ports = ports_of(node)[1]
        for port, sid in zip(ports, node.outputs, strict=True):
            if sid is not None:
                self.names[sid] = f"{number}.{port.name}" if len(ports) > 1 else str(number)
        operands = ", ".join(self.names[sid] for sid in node.inputs if sid is not None)
        text = _TEXTS[node.op](node.attrs, self._index(node))
        self.lines.append(f"{number} {text}({operands})" if operands else f"{number} {text}")

    def _index(self, node: Node) -> tuple[str, ...]:
        """Return the innermost indices of what goes in and of what comes out."""
        streams = [self.kernel.streams[sid] for sid in (*node.inputs, *node.outputs) if sid]
        deepest = max((stream.indices for stream in streams), key=len, default=())
        return deepest


_TEXTS: dict[Op, Callable[[Any, tuple[str, ...]], str]] = {
    Op.ROOT: lambda a, v: f"root {a.tensor}".strip(),
    Op.SCAN: lambda a, v: f"scan {a.tensor}.{v[-1]}",
    Op.LOCATE: lambda a, v: f"locate {a.tensor}.{v[-1]}",
    Op.FULL: lambda a, v: f"full {v[-1]}",
    Op.JOIN: lambda a, v: f"{a.keep} {v[-1]}",
    Op.REPEAT: lambda a, v: f"repeat {v[-1]}",
    Op.ARRAY: lambda a, v: f"values {a.tensor}",
    Op.ALU: lambda a, v: " ".join([a.fn, *map("{:g}".format, a.parameters)]),
    Op.REDUCE: lambda a, v: f"{a.op} {v[-1]}" + ("" if a.extent is None else f" of {a.extent}"),
    Op.SPACC: lambda a, v: f"{a.op} {v[-1 - a.order]}/" + _keys(a, v),
    Op.LEVEL_WRITE: lambda a, v: f"write {a.tensor}.{v[-1]}",
    Op.VAL_WRITE: lambda a, v: f"write {a.tensor}",
}


def _keys(attrs: Any, indices: tuple[str, ...]) -> str:
    names = indices[len(indices) - attrs.order :]
    marks = ("!" if size else "" for size in attrs.full)
    extent = "" if attrs.extent is None else f" of {attrs.extent}"
    return ",".join(name + mark for name, mark in zip(names, marks, strict=True)) + extent
