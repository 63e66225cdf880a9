# SPDX-License-Identifier: MIT
"""Slices and concatenations without an operator of their own.

A slice moves towards the operands: the slice of a product is a product with a sliced weight, and a
slice of a constant is a constant. It may move through a value only if all that is read of the value
are slices that do not overlap, so that nothing is computed twice. Where a slice gets stuck it
becomes a product with a sparse matrix of ones that selects coordinates, and so does each part of a
concatenation; a product over a concatenated axis becomes a sum of products instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from fuseflow.frontend.graph.builder import OpBuilder
from fuseflow.frontend.graph.ops import (
    ConcatAttrs,
    ContractAttrs,
    OpGraph,
    OpValue,
    SliceAttrs,
    TensorOp,
)
from fuseflow.frontend.graph.rewrite import rewrite
from fuseflow.frontend.graph.slice_rules import apply_to_slices, slices_of_operands
from fuseflow.ir.einsum import Role

__all__ = ["resolve_slices"]


def resolve_slices(graph: OpGraph) -> OpGraph:
    """Return the graph without slice and concat operators."""
    graph = rewrite(graph, _sum_over_parts)
    while True:
        mover = _Mover(graph)
        moved = rewrite(graph, mover.rule)
        if not mover.has_moved:
            return rewrite(graph, _select)
        graph = moved


class _Mover:
    """Moves each slice of a graph as far as it may go in one walk."""

    def __init__(self, graph: OpGraph) -> None:
        self._graph = graph
        self._producers = graph.producers()
        self._consumers = graph.consumers()
        self._outputs = {output.value for output in graph.outputs}
        self._names = {n: n for n, v in graph.values.items() if v.role is not Role.INTERMEDIATE}
        self.has_moved = False

    def rule(self, b: OpBuilder, op: TensorOp, inputs: tuple[str, ...]) -> str:
        """Replace a slice that may move; repeat every other operator."""
        if isinstance(op.attrs, SliceAttrs) and self._may_start(op.inputs[0], op.attrs):
            self.has_moved = True
            result = self._move(b, op.inputs[0], op.attrs)
        else:
            result = b.repeat(op, inputs, self._graph.values[op.output].shape)
        self._names[op.output] = result
        return result

    def _may_start(self, name: str, cut: SliceAttrs) -> bool:
        """True if slices are all that is read of a value, each coordinate once, and can move."""
        if self._graph.values[name].is_constant:
            return True
        if name in self._outputs:
            return False
        cuts = [op.attrs for op in self._consumers[name]]
        ranges = [
            range(c.start, c.stop, c.step)
            for c in cuts
            if isinstance(c, SliceAttrs) and c.dim == cut.dim
        ]
        spans = sorted((r[0], r[-1]) for r in ranges)
        disjoint = all(a[1] < b[0] for a, b in pairwise(spans))
        return len(ranges) == len(cuts) and disjoint and self._may_pass(name, cut)

    def _may_pass(self, name: str, cut: SliceAttrs) -> bool:
        """True if the operator that computes a value can compute the slice alone."""
        if name not in self._producers:
            return False
        op = self._producers[name]
        parts = slices_of_operands(self._graph, op, cut)
        return parts is not None and all(
            part is None or self._may_enter(operand, part)
            for operand, part in zip(op.inputs, parts, strict=True)
        )

    def _may_enter(self, name: str, cut: SliceAttrs) -> bool:
        if self._graph.values[name].is_constant:
            return True
        is_private = len(self._consumers[name]) == 1 and name not in self._outputs
        return is_private and self._may_pass(name, cut)

    def _move(self, b: OpBuilder, name: str, cut: SliceAttrs) -> str:
        """Append what computes the slice of an old value; return its new name."""
        value = self._graph.values[name]
        extent = len(range(cut.start, cut.stop, cut.step))
        shape = (*value.shape[: cut.dim], extent, *value.shape[cut.dim + 1 :])
        if value.is_constant:
            return b.add_value(replace(_cut(value, cut), shape=shape))
        op = self._producers[name]
        parts = slices_of_operands(self._graph, op, cut)
        assert parts is not None, "only slices that may pass are moved"
        operands = [
            self._names[operand] if part is None else self._move(b, operand, part)
            for operand, part in zip(op.inputs, parts, strict=True)
        ]
        with b.as_part_of(op):
            return apply_to_slices(b, op, operands, shape)


def _cut(value: OpValue, cut: SliceAttrs) -> OpValue:
    """Return a slice of a constant, whose shape is left to the caller."""
    label = f"{value.label or value.name}.{cut.start}:{cut.stop}"
    named = replace(value, name=label, label=label)
    if value.entries is not None:
        entries = value.entries.cut(cut.dim, cut.start, cut.stop, cut.step)
        return replace(named, entries=entries)
    index = [slice(None)] * len(value.shape)
    index[cut.dim] = slice(cut.start, cut.stop, cut.step)
    return replace(named, data=np.asarray(value.data)[tuple(index)])


def _sum_over_parts(b: OpBuilder, op: TensorOp, inputs: tuple[str, ...]) -> str | None:
    """Turn a product of a concatenation, summed over the joined axis, into a sum of products."""
    if not isinstance(op.attrs, ContractAttrs):
        return None
    joins = {each.output: each for each in b.graph.ops if isinstance(each.attrs, ConcatAttrs)}
    for place, name in enumerate(inputs):
        join, other = joins.get(name), 1 - place
        if join is None or not isinstance(join.attrs, ConcatAttrs):
            continue
        labels = op.attrs.operands
        label = labels[place][join.attrs.dim]
        other_is_constant = b.graph.values[inputs[other]].is_constant
        if label in op.attrs.output or label not in labels[other] or not other_is_constant:
            continue
        extents = [b.shape(part)[join.attrs.dim] for part in join.inputs]
        factors = b.split(inputs[other], extents, labels[other].index(label))
        pairs = zip(join.inputs, factors, strict=True)
        order = (labels[place], labels[other])
        return _sum(b, [b.contract(pair, order, op.attrs.output) for pair in pairs])
    return None


def _select(b: OpBuilder, op: TensorOp, inputs: tuple[str, ...]) -> str | None:
    """Turn what is left of slices and concatenations into products with selecting matrices."""
    if isinstance(op.attrs, SliceAttrs):
        cut = op.attrs
        chosen = np.arange(cut.start, cut.stop, cut.step)
        return _choose(b, inputs[0], cut.dim, chosen, np.arange(len(chosen)), len(chosen))
    if not isinstance(op.attrs, ConcatAttrs):
        return None
    dim = op.attrs.dim
    extents = [b.shape(name)[dim] for name in inputs]
    stops = np.cumsum(extents)
    parts = [
        _choose(b, name, dim, np.arange(n), np.arange(stop - n, stop), int(stops[-1]))
        for name, n, stop in zip(inputs, extents, stops.tolist(), strict=True)
    ]
    return _sum(b, parts)


def _choose(
    b: OpBuilder,
    x: str,
    dim: int,
    sources: npt.NDArray[np.int64],
    targets: npt.NDArray[np.int64],
    extent: int,
) -> str:
    """Move coordinate sources[n] of `dim` to targets[n], of `extent`: with a matrix of ones."""
    value = b.graph.values[x]
    if value.is_constant and value.data is not None:
        shape = (*value.shape[:dim], extent, *value.shape[dim + 1 :])
        moved = np.zeros(shape, dtype=np.float32)
        np.moveaxis(moved, dim, 0)[targets] = np.moveaxis(value.data, dim, 0)[sources]
        return b.constant(moved, value.label or x)
    matrix = np.zeros((b.shape(x)[dim], extent), dtype=np.float32)
    matrix[sources, targets] = 1
    selection = b.constant(matrix, "select", "compressed,compressed", "selection")
    labels = [f"d{d}" for d in range(len(b.shape(x)))]
    output = [*labels[:dim], "to", *labels[dim + 1 :]]
    return b.contract((x, selection), (labels, (labels[dim], "to")), output)


def _sum(b: OpBuilder, parts: Sequence[str]) -> str:
    total = parts[0]
    for part in parts[1:]:
        total = b.map("add", total, part)
    return total
