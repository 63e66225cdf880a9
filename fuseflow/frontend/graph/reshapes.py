# SPDX-License-Identifier: MIT
"""Reshapes that move data: products with a sparse tensor that says where each element goes.

[6,4] becomes [4,6] by no renaming of indices, since neither 4 nor 6 divides the other. All other
reshapes are index algebra (see `atoms`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from fuseflow.frontend.einsums.atoms import reshape_groups
from fuseflow.frontend.graph.builder import OpBuilder
from fuseflow.frontend.graph.entries import Entries
from fuseflow.frontend.graph.ops import OpGraph, OpKind, OpValue, TensorOp
from fuseflow.frontend.graph.rewrite import rewrite
from fuseflow.ir.einsum import Role

__all__ = ["move_reshaped"]

_LIMIT = 2**22
"""Elements of a group of axes that is moved; one entry of the tensor is stored for each."""


def move_reshaped(graph: OpGraph) -> OpGraph:
    """Return the graph with every reshape that moves data as a product, and a note on each."""
    moved = [op for op in graph.ops if op.kind is OpKind.RESHAPE and _moved(graph, op)]
    if not moved:
        return graph
    names = {op.output for op in moved}

    def rule(b: OpBuilder, op: TensorOp, inputs: tuple[str, ...]) -> str | None:
        if op.output not in names:
            return None
        shape, x = graph.values[op.output].shape, inputs[0]
        for old, new in reversed(_moved(graph, op)):
            x = _move(b, x, old, [shape[d] for d in new])
        return b.reshape(x, shape)

    result = rewrite(graph, rule)
    for op in moved:
        shapes = (list(graph.values[name].shape) for name in (*op.inputs, op.output))
        result.notes.append("a reshape moves data: {} to {}".format(*shapes))
    return result


def _moved(graph: OpGraph, op: TensorOp) -> list[tuple[list[int], list[int]]]:
    """Return the groups of dimensions that have no common factors, in a size that can be moved."""
    old, new = graph.values[op.inputs[0]].shape, graph.values[op.output].shape
    groups = [
        group
        for group in reshape_groups(old, new)
        if not _nests([old[d] for d in group[0]], [new[d] for d in group[1]])
    ]
    fits = all(math.prod(old[d] for d in dims) <= _LIMIT for dims, _ in groups)
    return groups if fits else []


def _nests(old: Sequence[int], new: Sequence[int]) -> bool:
    """True if the products of the last extents of both, sorted, divide each other."""
    strides = {math.prod(shape[d:]) for shape in (old, new) for d in range(len(shape))}
    return all(large % small == 0 for small, large in itertools.pairwise(sorted(strides)))


def _move(b: OpBuilder, x: str, dims: Sequence[int], extents: Sequence[int]) -> str:
    """Give the dimensions from the first to the last of `dims` other extents of equal product."""
    first, last = dims[0], dims[-1] + 1
    old, extents = b.shape(x)[first:last], tuple(extents)
    flat = np.arange(math.prod(old))
    places = (*np.unravel_index(flat, old), *np.unravel_index(flat, extents))
    entries = Entries(np.stack(places, axis=1))
    value = OpValue(
        "reshaped", (*old, *extents), Role.CONSTANT, layout_rule="reshape", entries=entries
    )
    labels = [f"d{d}" for d in range(len(b.shape(x)))]
    targets = [f"t{d}" for d in range(len(extents))]
    output = [*labels[:first], *targets, *labels[last:]]
    return b.contract((b.add_value(value), x), ((*labels[first:last], *targets), labels), output)
