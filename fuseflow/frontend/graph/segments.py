# SPDX-License-Identifier: MIT
"""Reductions of neighbouring slices, side by side, become one scatter.

This is what is left of a bag of embeddings that was exported as a loop over the bags: each bag is
a slice of the rows that were looked up. As a scatter it is the one product with a sparse matrix
that it was before.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fuseflow.frontend.graph.builder import OpBuilder
from fuseflow.frontend.graph.ops import (
    ConcatAttrs,
    MapAttrs,
    OpGraph,
    OpKind,
    ReduceAttrs,
    SliceAttrs,
    TensorOp,
)
from fuseflow.frontend.graph.rewrite import rewrite

__all__ = ["join_segments"]

_REDUCTIONS = {"add": "add", "mean": "add", "max": "max", "min": "min"}


@dataclass(frozen=True, slots=True)
class _Segment:
    """`op` over the rows `start` to `stop` of what `slicing` slices, times `scale`."""

    slicing: TensorOp
    start: int
    stop: int
    op: str
    scale: float


def join_segments(graph: OpGraph) -> OpGraph:
    """Return the graph with concatenated reductions of neighbouring slices as scatters."""
    producers = graph.producers()
    found = {
        op.output: segments
        for op in graph.ops
        if isinstance(op.attrs, ConcatAttrs)
        and (segments := _segments(graph, producers, op, op.attrs.dim))
    }
    if not found:
        return graph
    sources: dict[str, str] = {}

    def rule(b: OpBuilder, op: TensorOp, inputs: tuple[str, ...]) -> str | None:
        if op.kind is OpKind.SLICE:
            sources[op.output] = inputs[0]
        if op.output not in found or not isinstance(op.attrs, ConcatAttrs):
            return None
        segments = found[op.output]
        return _scatter(b, sources[segments[0].slicing.output], segments, op.attrs.dim)

    return rewrite(graph, rule)


def _segments(
    graph: OpGraph, producers: Mapping[str, TensorOp], op: TensorOp, dim: int
) -> list[_Segment]:
    """Return what a concatenation joins; nothing if that is not a row of neighbouring segments."""
    found = [_segment(graph, producers, name, dim) for name in op.inputs]
    segments = [each for each in found if each is not None]
    ends = itertools.pairwise(segments)
    fits = len(segments) == len(found) and all(
        left.stop == right.start
        and left.op == right.op
        and left.slicing.inputs == right.slicing.inputs
        for left, right in ends
    )
    return segments if fits else []


def _segment(
    graph: OpGraph, producers: Mapping[str, TensorOp], name: str, dim: int
) -> _Segment | None:
    """Match a value of extent 1 along `dim` that is a slice along it, reduced and scaled."""
    op, scale = producers.get(name), 1.0
    while op is not None and not isinstance(op.attrs, ReduceAttrs):
        if isinstance(op.attrs, MapAttrs) and op.attrs.fn == "mul_scalar":
            scale *= op.attrs.parameters[0]
        elif isinstance(op.attrs, MapAttrs) and op.attrs.fn == "div_scalar":
            scale /= op.attrs.parameters[0]
        elif op.kind is not OpKind.RESHAPE:
            return None
        op = producers.get(op.inputs[0])
    slicing = producers.get(op.inputs[0]) if op is not None else None
    if op is None or slicing is None or not isinstance(op.attrs, ReduceAttrs):
        return None
    rows, reduction = slicing.attrs, op.attrs.op
    is_along = isinstance(rows, SliceAttrs) and (rows.dim, *op.attrs.dims) == (dim, dim)
    if not isinstance(rows, SliceAttrs) or not is_along or rows.step != 1:
        return None
    if _without(graph, name, dim) != _without(graph, slicing.output, dim):
        return None
    if reduction == "mean":
        scale /= rows.stop - rows.start
    if reduction not in _REDUCTIONS or (_REDUCTIONS[reduction] != "add" and scale != 1):
        return None
    return _Segment(slicing, rows.start, rows.stop, _REDUCTIONS[reduction], scale)


def _without(graph: OpGraph, name: str, dim: int) -> tuple[int, ...]:
    """Return the shape of a value, whatever its extent along `dim`."""
    shape = graph.values[name].shape
    return (*shape[:dim], -1, *shape[dim + 1 :])


def _scatter(b: OpBuilder, x: str, segments: Sequence[_Segment], dim: int) -> str:
    """Reduce all segments of `x` at once."""
    rows = b.slice(x, dim, segments[0].start, segments[-1].stop)
    lengths = [each.stop - each.start for each in segments]
    scales = np.repeat(np.array([each.scale for each in segments], np.float32), lengths)
    if (scales != 1).any():
        inner = (1,) * (len(b.shape(x)) - dim - 1)
        rows = b.map("mul", rows, b.constant(scales.reshape(-1, *inner), "segments"))
    targets = b.constant(np.repeat(np.arange(len(segments)), lengths), "segments")
    return b.scatter(rows, targets, dim, len(segments), segments[0].op)
