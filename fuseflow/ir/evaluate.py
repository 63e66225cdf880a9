# SPDX-License-Identifier: MIT
"""Dense evaluation of an einsum graph: the oracle that every fused program is compared with.

Each value is the full array that its tensor denotes, fill included; formats, orders and supports
play no part. This module therefore shares nothing with the fusion stage or the simulator but the
table of scalar functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fuseflow.errors import GraphError, Location
from fuseflow.ir.einsum import Access, Einsum, EinsumGraph, Value
from fuseflow.ir.scalar import REDUCTIONS, Reduction, apply_scalar

__all__ = ["Dense", "evaluate", "evaluate_einsum", "evaluate_outputs"]

Dense = npt.NDArray[np.float32]
Floating = npt.NDArray[np.floating[Any]]


def evaluate(
    graph: EinsumGraph, accumulate: type[np.floating[Any]] = np.float64
) -> dict[str, Dense]:
    """Compute every value of a verified graph, dense and float32, by name.

    Args:
        graph: the graph; every value that no einsum computes must have a tensor.
        accumulate: the type that reductions add up in, float32 or float64. Results are rounded to
            float32 after every einsum either way.

    Raises:
        GraphError: E020 if a value has no data or is tiled; E013 if a maximum or minimum is taken
            over an index of extent 0.
    """
    computed = graph.producers()
    values = {name: _load(value) for name, value in graph.values.items() if name not in computed}
    for op in graph.einsums:
        values[op.output.value] = evaluate_einsum(op, values, accumulate)
    return values


def evaluate_outputs(
    graph: EinsumGraph, accumulate: type[np.floating[Any]] = np.float64
) -> dict[str, Dense]:
    """Compute the graph and return its outputs by name, each as the user sees it."""
    values = evaluate(graph, accumulate)
    return {output.name: output.view(values[output.value]) for output in graph.outputs}


def evaluate_einsum(
    op: Einsum,
    values: Mapping[str, Dense],
    accumulate: type[np.floating[Any]] = np.float64,
) -> Dense:
    """Compute one einsum from the dense arrays of its operands; parameters as in `evaluate`."""
    if _is_contraction(op):
        left, right = op.operands
        return _contract(op, values[left.value], values[right.value], accumulate)
    space = op.indices
    aligned = tuple(_align(access, values[access.value], space) for access in op.operands)
    result = apply_scalar(op.fn, aligned, op.parameters)
    if op.reduce is None:
        return result
    reduction = REDUCTIONS[op.reduce]
    axes = tuple(range(len(op.output.indices), len(space)))
    _check_not_empty(op, reduction, tuple(result.shape[axis] for axis in axes))
    with np.errstate(all="ignore"):
        folded = reduction.ufunc.reduce(result, axis=axes, dtype=accumulate)
        return np.asarray(folded, dtype=np.float32)


def _load(value: Value) -> Dense:
    where = Location(field=value.name)
    if value.tensor is None:
        raise GraphError("E020", "value has no data", where=where, fix="bind data to it")
    if value.tensor.tile:
        raise GraphError("E020", "value is tiled", where=where, fix="evaluate before tiling")
    return value.tensor.to_dense()


def _align(access: Access, array: Dense, space: tuple[str, ...]) -> Dense:
    """Return a view of `array` with one axis per index of `space`, of extent 1 where it has none.

    An index that the access lacks broadcasts; every index of `space` is in some operand, so the
    operands together span the whole space.
    """
    present = [name for name in space if name in access.indices]
    moved = array.transpose([access.indices.index(name) for name in present])
    extents = iter(moved.shape)
    return moved.reshape([next(extents) if name in access.indices else 1 for name in space])


def _check_not_empty(op: Einsum, reduction: Reduction, extents: tuple[int, ...]) -> None:
    if 0 in extents and np.isinf(reduction.identity):
        raise GraphError(
            "E013",
            f"{reduction.name} over {','.join(op.over)} has nothing to choose from: extent 0",
            where=Location(node=op.name),
        )


def _is_contraction(op: Einsum) -> bool:
    """Return True if the einsum is a sum of products over indices that both operands have."""
    if op.fn != "mul" or op.reduce != "add":
        return False
    return all(name in access.indices for name in op.over for access in op.operands)


def _contract(op: Einsum, a: Dense, b: Dense, accumulate: type[np.floating[Any]]) -> Dense:
    """Evaluate a contraction as one batched matrix product: batch x rows x inner x columns."""
    left, right = (set(access.indices) for access in op.operands)
    output = op.output.indices
    batch = tuple(name for name in output if name in left and name in right)
    rows = tuple(name for name in output if name in left - right)
    columns = tuple(name for name in output if name in right - left)
    sizes = {
        name: size
        for access, array in zip(op.operands, (a, b), strict=True)
        for name, size in zip(access.indices, array.shape, strict=True)
    }
    first = _matrix(op.operands[0], a, (batch, rows, op.over), accumulate)
    second = _matrix(op.operands[1], b, (batch, op.over, columns), accumulate)
    with np.errstate(all="ignore"):
        product = np.matmul(first, second).astype(np.float32)
    order = batch + rows + columns
    full = product.reshape([sizes[name] for name in order])
    return np.asarray(full.transpose([order.index(name) for name in output]), order="C")


def _matrix(
    access: Access,
    array: Dense,
    groups: tuple[tuple[str, ...], ...],
    dtype: type[np.floating[Any]],
) -> Floating:
    """Return the array with one axis per group of its indices, in the type of the accumulation."""
    order = [access.indices.index(name) for group in groups for name in group]
    extents = [
        int(np.prod([array.shape[access.indices.index(name)] for name in group], dtype=np.int64))
        for group in groups
    ]
    return array.transpose(order).reshape(extents).astype(dtype)
