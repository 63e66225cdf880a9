# SPDX-License-Identifier: MIT
"""What each operator needs of its operands to compute a slice of its result.

Not here: whether a slice should move (see `slices`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from fuseflow.frontend.einsums.atoms import reshape_groups
from fuseflow.frontend.graph.builder import OpBuilder
from fuseflow.frontend.graph.ops import (
    ContractAttrs,
    DimAttrs,
    NormAttrs,
    OpGraph,
    OpKind,
    PermuteAttrs,
    ReduceAttrs,
    ShapeAttrs,
    SliceAttrs,
    TensorOp,
)

__all__ = ["apply_to_slices", "slices_of_operands"]

Parts = list[SliceAttrs | None]


def slices_of_operands(graph: OpGraph, op: TensorOp, cut: SliceAttrs) -> Parts | None:
    """Return for each operand the slice that a slice of the result needs, or None for all of it.

    Returns None altogether if the result cannot be computed from slices of the operands.
    """
    shapes = [graph.values[name].shape for name in op.inputs]
    attrs = op.attrs
    if isinstance(attrs, ContractAttrs):
        label = attrs.output[cut.dim]
        return [
            _along(cut, labels, label, shape)
            for labels, shape in zip(attrs.operands, shapes, strict=True)
        ]
    if isinstance(attrs, DimAttrs | NormAttrs):
        normalised = (attrs.dim,) if isinstance(attrs, DimAttrs) else attrs.dims
        return None if cut.dim in normalised else [cut]
    if isinstance(attrs, ReduceAttrs):
        kept = [d for d in range(len(shapes[0])) if attrs.keepdim or d not in attrs.dims]
        return [replace(cut, dim=kept[cut.dim])]
    if isinstance(attrs, PermuteAttrs):
        return [replace(cut, dim=attrs.order[cut.dim])]
    if op.kind is OpKind.RESHAPE:
        part = _before_reshape(cut, shapes[0], graph.values[op.output].shape)
        return None if part is None else [part]
    if op.kind in (OpKind.MAP, OpKind.WHERE, OpKind.EXPAND):
        rank = len(graph.values[op.output].shape)
        return [_aligned(cut, rank, shape) for shape in shapes]
    return None


def apply_to_slices(
    b: OpBuilder, op: TensorOp, operands: Sequence[str], shape: tuple[int, ...]
) -> str:
    """Append `op` on sliced operands; `shape` is that of the sliced result."""
    if isinstance(op.attrs, ShapeAttrs):
        op = replace(op, attrs=ShapeAttrs(shape))
    return b.repeat(op, operands, shape)


def _along(
    cut: SliceAttrs, labels: tuple[str, ...], label: str, shape: tuple[int, ...]
) -> SliceAttrs | None:
    if label not in labels or shape[labels.index(label)] == 1:
        return None
    return replace(cut, dim=labels.index(label))


def _aligned(cut: SliceAttrs, rank: int, shape: tuple[int, ...]) -> SliceAttrs | None:
    dim = cut.dim - (rank - len(shape))
    return None if dim < 0 or shape[dim] == 1 else replace(cut, dim=dim)


def _before_reshape(
    cut: SliceAttrs, old: tuple[int, ...], new: tuple[int, ...]
) -> SliceAttrs | None:
    """Return the slice of the outermost old dimension that a slice of the outermost new one is."""
    for group_old, group_new in reshape_groups(old, new):
        if group_new[0] != cut.dim:
            continue
        inner_new = math.prod(new[d] for d in group_new[1:])
        inner_old = math.prod(old[d] for d in group_old[1:])
        if cut.step == 1 and not (
            cut.start * inner_new % inner_old or cut.stop * inner_new % inner_old
        ):
            start, stop = (bound * inner_new // inner_old for bound in (cut.start, cut.stop))
            return SliceAttrs(group_old[0], start, stop)
        return replace(cut, dim=group_old[0]) if inner_new == inner_old else None
    return None
