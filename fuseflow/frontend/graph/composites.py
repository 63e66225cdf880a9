# SPDX-License-Identifier: MIT
"""Composite operators spelled as scalar functions and reductions: softmax, norms, mean.

All parts of one carry the same composite name. Also here: a binary function of a tensor and a
number becomes a function of the tensor with a parameter.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fuseflow.errors import ModelError
from fuseflow.frontend.graph import spellings
from fuseflow.frontend.graph.builder import OpBuilder
from fuseflow.frontend.graph.location import locate
from fuseflow.frontend.graph.masks import Mask, mask_before_softmax
from fuseflow.frontend.graph.ops import (
    DimAttrs,
    MapAttrs,
    NormAttrs,
    OpGraph,
    OpKind,
    OpValue,
    ReduceAttrs,
    TensorOp,
)
from fuseflow.frontend.graph.rewrite import rewrite

__all__ = ["expand_composites", "fold_numbers", "spell_softmax"]

SCALAR_PARTNERS = ("add", "sub", "mul", "div", "max", "min")


def fold_numbers(graph: OpGraph) -> OpGraph:
    """Return the graph with every constant of one element made a parameter where it is used."""
    return rewrite(graph, _fold_number)


def expand_composites(graph: OpGraph, empty_rows: str = "error") -> OpGraph:
    """Return the graph with only maps, reductions, contractions and index algebra.

    A softmax over masked scores uses the safe functions, so that an absent score stays absent.

    Raises:
        ModelError: I014 if a mask leaves a softmax nothing to choose from, the framework gives NaN
            or a mean there, and `empty_rows` is "error".
    """
    producers = graph.producers()

    def rule(b: OpBuilder, op: TensorOp, inputs: tuple[str, ...]) -> str | None:
        if isinstance(op.attrs, DimAttrs):
            masked, mask = mask_before_softmax(graph, producers, op.inputs[0])
            if mask is not None and not op.attrs.zero_rows and empty_rows == "error":
                _check_rows(b, mask, op.attrs.dim)
            spell = spell_softmax if op.kind is OpKind.SOFTMAX else _spell_log_softmax
            with b.composite(str(op.kind)):
                return spell(b, inputs[0], op.attrs.dim, masked=masked)
        if isinstance(op.attrs, NormAttrs):
            spell_norm = _spell_layer_norm if op.kind is OpKind.LAYER_NORM else _spell_rms_norm
            with b.composite(str(op.kind)):
                return spell_norm(b, inputs[0], op.attrs)
        if isinstance(op.attrs, ReduceAttrs) and op.attrs.op == "mean":
            with b.composite("mean"):
                return _mean(b, inputs[0], op.attrs.dims, keepdim=op.attrs.keepdim)
        return None

    return rewrite(graph, rule)


def _fold_number(b: OpBuilder, op: TensorOp, inputs: tuple[str, ...]) -> str | None:
    if not isinstance(op.attrs, MapAttrs) or op.attrs.fn not in SCALAR_PARTNERS:
        return None
    x, y = inputs
    first, second = _number(b.graph.values[x]), _number(b.graph.values[y])
    rank = max(len(b.shape(x)), len(b.shape(y)))
    if second is not None and first is None:
        result = spellings.scalar(b, op.attrs.fn, x, second)
    elif first is not None and second is None:
        result = spellings.scalar(b, op.attrs.fn, y, first, reverse=True)
    else:
        return None
    # The number may have had more dimensions than the tensor.
    return b.reshape(result, (1,) * (rank - len(b.shape(result))) + b.shape(result))


def _number(value: OpValue) -> float | None:
    if value.is_constant and value.data is not None and value.size == 1:
        return float(value.data.reshape(-1)[0])
    return None


def _check_rows(b: OpBuilder, mask: Mask, dim: int) -> None:
    empty = np.argwhere(~mask.any(axis=dim))
    if len(empty):
        row = ",".join(map(str, empty[0]))
        raise ModelError(
            "I014 empty-row",
            f"the mask of a softmax allows nothing in {len(empty)} rows, the first is [{row}]; "
            "the framework gives NaN or a mean there",
            where=locate(b.source),
            fix="allow at least one entry per row, or accept zeros with --empty-rows=zero",
        )


def spell_softmax(b: OpBuilder, x: str, dim: int, *, masked: bool) -> str:
    """Spell a softmax; `masked` says that absent scores, and only these, are -inf."""
    exponentials = b.map("exp", _minus_maximum(b, x, dim, masked))
    total = b.reduce("add", exponentials, (dim,), keepdim=True)
    return b.map("safe_div" if masked else "div", exponentials, total)


def _spell_log_softmax(b: OpBuilder, x: str, dim: int, *, masked: bool) -> str:
    shifted = _minus_maximum(b, x, dim, masked)
    total = b.reduce("add", b.map("exp", shifted), (dim,), keepdim=True)
    return b.map("sub", shifted, b.map("log", total))


def _minus_maximum(b: OpBuilder, x: str, dim: int, masked: bool) -> str:
    maximum = b.reduce("max", x, (dim,), keepdim=True)
    return b.map("safe_sub" if masked else "sub", x, maximum)


def _spell_layer_norm(b: OpBuilder, x: str, attrs: NormAttrs) -> str:
    centred = b.map("sub", x, _mean(b, x, attrs.dims))
    return b.map("mul", centred, _inverse_deviation(b, centred, attrs))


def _spell_rms_norm(b: OpBuilder, x: str, attrs: NormAttrs) -> str:
    return b.map("mul", x, _inverse_deviation(b, x, attrs))


def _inverse_deviation(b: OpBuilder, centred: str, attrs: NormAttrs) -> str:
    variance = _mean(b, b.map("square", centred), attrs.dims)
    return b.map("rsqrt", spellings.scalar(b, "add", variance, attrs.eps))


def _mean(b: OpBuilder, x: str, dims: Sequence[int], *, keepdim: bool = True) -> str:
    count = int(np.prod([b.shape(x)[d] for d in dims], dtype=np.int64))
    return spellings.scalar(b, "mul", b.reduce("add", x, dims, keepdim=keepdim), 1 / count)
