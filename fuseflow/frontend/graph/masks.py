# SPDX-License-Identifier: MIT
"""Masks in all spellings become one: `masked(keep, x; fill)` with a constant pattern `keep`.

Written by users as `masked_fill`, as `where` with a constant branch, or as an addend of zeros and
-inf. A product with a mask of zeros and ones is none of these: it is another function, and stays
a product.

Not here: how a softmax uses the mask (see `composites`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fuseflow.frontend.graph.builder import OpBuilder
from fuseflow.frontend.graph.ops import (
    MapAttrs,
    OpGraph,
    OpKind,
    OpValue,
    PermuteAttrs,
    ShapeAttrs,
    TensorOp,
)
from fuseflow.frontend.graph.rewrite import rewrite

__all__ = ["mask_before_softmax", "recognise_masks"]

NEVER = -1e4
"""Scores at or below this have no weight after a softmax next to any score of real size."""

Mask = npt.NDArray[np.bool_]


def recognise_masks(graph: OpGraph) -> OpGraph:
    """Return the graph with `where` and masking additions spelled as `masked`.

    A fill that is a large negative number becomes -inf where only a softmax sees it.
    """
    consumers = graph.consumers()

    def rule(b: OpBuilder, op: TensorOp, inputs: tuple[str, ...]) -> str | None:
        only_softmax = _feeds_only_softmax(op.output, graph, consumers)
        if op.kind is OpKind.WHERE:
            return _spell_where(b, inputs, only_softmax)
        if isinstance(op.attrs, MapAttrs) and op.attrs.fn in ("add", "sub"):
            return _spell_addition(b, op.attrs.fn, inputs, only_softmax)
        return None

    return rewrite(graph, rule)


def mask_before_softmax(
    graph: OpGraph, producers: Mapping[str, TensorOp], name: str
) -> tuple[bool, Mask | None]:
    """Say whether entries of a value are -inf because of a mask, and which are kept.

    The mask has the shape of the value; it is None if there is none, or it is an input.
    """
    op = producers.get(name)
    if op is None:
        return False, None
    if isinstance(op.attrs, MapAttrs) and op.attrs.fn == "masked":
        if op.attrs.parameters != (-np.inf,):
            return False, None
        keep, shape = graph.values[op.inputs[0]], graph.values[name].shape
        data = np.asarray(keep.data) != 0 if keep.is_constant and keep.data is not None else None
        return True, None if data is None else np.broadcast_to(data, shape)
    if not (_keeps_minus_inf(op) or op.kind in (OpKind.RESHAPE, OpKind.PERMUTE, OpKind.EXPAND)):
        return False, None
    masked, mask = mask_before_softmax(graph, producers, op.inputs[0])
    return masked, None if mask is None else _move(mask, op)


def _move(mask: Mask, op: TensorOp) -> Mask:
    if isinstance(op.attrs, PermuteAttrs):
        return mask.transpose(op.attrs.order)
    if not isinstance(op.attrs, ShapeAttrs):
        return mask
    if op.kind is OpKind.RESHAPE:
        return mask.reshape(op.attrs.shape)
    return np.broadcast_to(mask, op.attrs.shape)


def _keeps_minus_inf(op: TensorOp) -> bool:
    """True if the operator maps -inf to -inf and leaves a softmax's choice of entries alone."""
    if not isinstance(op.attrs, MapAttrs):
        return False
    fn, parameters = op.attrs.fn, op.attrs.parameters
    return fn == "add_scalar" or (fn in ("mul_scalar", "div_scalar") and parameters[0] > 0)


def _feeds_only_softmax(name: str, graph: OpGraph, consumers: Mapping[str, list[TensorOp]]) -> bool:
    if any(output.value == name for output in graph.outputs):
        return False
    return all(
        op.kind is OpKind.SOFTMAX
        or (_keeps_minus_inf(op) and _feeds_only_softmax(op.output, graph, consumers))
        for op in consumers[name]
    )


def _spell_where(b: OpBuilder, inputs: tuple[str, ...], only_softmax: bool) -> str:
    condition, a, other = (b.graph.values[name] for name in inputs)
    fill = _splat(other)
    if fill is not None:
        return _masked(b, condition.name, a.name, fill, only_softmax)
    opposite, fill = _negate(b, condition), _splat(a)
    if fill is not None:
        return _masked(b, opposite, other.name, fill, only_softmax)
    chosen = b.map("masked", condition.name, a.name, parameters=(0.0,))
    return b.map("add", chosen, b.map("masked", opposite, other.name, parameters=(0.0,)))


def _masked(b: OpBuilder, keep: str, x: str, fill: float, only_softmax: bool) -> str:
    if only_softmax and fill <= NEVER:
        fill = -np.inf
    return b.map("masked", keep, x, parameters=(fill,))


def _negate(b: OpBuilder, mask: OpValue) -> str:
    if not mask.is_constant:
        return b.map("rsub_scalar", mask.name, parameters=(1.0,))
    opposite = np.asarray(mask.data) == 0
    return b.constant(opposite, mask.label or mask.name)


def _splat(value: OpValue) -> float | None:
    """Return the one number that a constant consists of, else None."""
    if not value.is_constant or value.data is None or not value.size:
        return None
    first: Any = value.data.reshape(-1)[0]
    return float(first) if np.all(value.data == first) else None


def _spell_addition(
    b: OpBuilder, fn: str, inputs: tuple[str, ...], only_softmax: bool
) -> str | None:
    """Turn x + c into masked(c is above NEVER, x + the rest of c), if c has such entries."""
    for x, other in (inputs, inputs[::-1]) if fn == "add" else (inputs,):
        value = b.graph.values[other]
        if not value.is_constant or value.data is None or value.size < 2:
            continue
        addend = np.asarray(value.data if fn == "add" else -value.data, dtype=np.float32)
        keep = addend > NEVER
        is_exact = bool(np.all(np.isneginf(addend) | keep))
        if keep.all() or not (is_exact or only_softmax):
            continue
        label, rest = value.label or other, np.where(keep, addend, np.float32(0))
        y = b.map("add", x, b.constant(rest, label)) if rest.any() else x
        return b.map("masked", b.constant(keep, label), y, parameters=(-np.inf,))
    return None
