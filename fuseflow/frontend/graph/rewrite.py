# SPDX-License-Identifier: MIT
"""The walk of every rewrite of an `OpGraph`: copy the graph, let a rule replace operators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fuseflow.frontend.graph.builder import OpBuilder
from fuseflow.frontend.graph.ops import OpGraph, TensorOp
from fuseflow.ir.einsum import Role

__all__ = ["Rule", "prune", "rewrite"]

Rule = Callable[[OpBuilder, TensorOp, tuple[str, ...]], str | None]
"""Gets the new graph, an operator of the old one and the new names of its inputs; returns the new
name of its result, or None to keep the operator as it is."""


def rewrite(graph: OpGraph, rule: Rule) -> OpGraph:
    """Return a copy in which `rule` has replaced operators, without what has become unused."""
    builder = OpBuilder(graph.name, composites=graph.ops)
    builder.graph.notes = list(graph.notes)
    names: dict[str, str] = {}
    for value in graph.values.values():
        if value.role is not Role.INTERMEDIATE:
            names[value.name] = builder.add_value(value)
    for op in graph.ops:
        inputs = tuple(names[name] for name in op.inputs)
        with builder.as_part_of(op):
            result = rule(builder, op, inputs)
            if result is None:
                result = builder.repeat(op, inputs, graph.values[op.output].shape)
        names[op.output] = result
    for output in graph.outputs:
        builder.graph.outputs.append(replace(output, value=names[output.value]))
    return prune(builder.graph)


def prune(graph: OpGraph) -> OpGraph:
    """Return the graph without operators and constants that no output needs; inputs stay."""
    needed = {output.value for output in graph.outputs}
    kept: list[TensorOp] = []
    for op in reversed(graph.ops):
        if op.output in needed:
            kept.append(op)
            needed.update(op.inputs)
    values = {
        name: value
        for name, value in graph.values.items()
        if name in needed or value.role is Role.INPUT
    }
    return replace(graph, values=values, ops=kept[::-1])
