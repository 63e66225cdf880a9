# SPDX-License-Identifier: MIT
"""Which operators of a graph work on values per edge: everything between gathers and scatters.

A gather by a list of E indices makes a value of E coordinates along one axis, its edge axis.
Functions, index algebra and reductions over other axes keep it; a scatter ends it. Operators that
are joined by such values form a region, and a region is rewritten as a whole.

Not here: what becomes of a region (see `messages`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from fuseflow.frontend.graph.ops import (
    GatherAttrs,
    MapAttrs,
    OpGraph,
    OpKind,
    PermuteAttrs,
    ReduceAttrs,
    ScatterAttrs,
    ShapeAttrs,
    TensorOp,
)

__all__ = ["Region", "Surroundings", "find_regions"]

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The graph that is rewritten, and which operator computes what."""

    graph: OpGraph
    producers: Mapping[str, TensorOp]

    def shape(self, name: str) -> Shape:
        """Return the shape of a value."""
        return self.graph.values[name].shape

    def indices(self, op: TensorOp) -> npt.NDArray[np.int64]:
        """Return the list of indices that a gather or scatter reads."""
        return np.asarray(self.graph.values[op.inputs[1]].data, dtype=np.int64)

    def constant(self, name: str) -> npt.NDArray[Any] | None:
        """Return the array of a constant seen through index algebra, without copying it out."""
        value = self.graph.values[name]
        if value.data is not None and value.is_constant:
            return np.asarray(value.data)
        op = self.producers.get(name)
        if op is None or op.kind not in (OpKind.RESHAPE, OpKind.PERMUTE, OpKind.EXPAND):
            return None
        array = self.constant(op.inputs[0])
        if array is None:
            return None
        if isinstance(op.attrs, PermuteAttrs):
            return array.transpose(op.attrs.order)
        shape = self.shape(name)
        return np.broadcast_to(array, shape) if op.kind is OpKind.EXPAND else array.reshape(shape)

    def label(self, name: str) -> str:
        """Return what the user calls the constant that a value is a view of, "" for none."""
        while name in self.producers:
            name = self.producers[name].inputs[0]
        return self.graph.values[name].label or name


@dataclass(slots=True)
class Region:
    """Operators joined by values per edge, in order; `axes` has the edge axis of each such value.

    `obstacle` says why the edges cannot be the entries of a matrix, "" if nothing is in the way.
    """

    ops: list[TensorOp] = field(default_factory=list)
    axes: dict[str, int] = field(default_factory=dict)
    obstacle: str = ""

    def gathers(self) -> list[TensorOp]:
        """Return the gathers of the region."""
        return [op for op in self.ops if op.kind is OpKind.GATHER]

    def scatters(self) -> list[TensorOp]:
        """Return the scatters of the region."""
        return [op for op in self.ops if op.kind is OpKind.SCATTER]

    def absorb(self, other: Region) -> None:
        """Take over the operators of another region."""
        self.ops += other.ops
        self.axes |= other.axes
        self.obstacle = self.obstacle or other.obstacle


def find_regions(around: Surroundings) -> list[Region]:
    """Return the regions of a graph, in the order of their first operators."""
    finder = _Finder(around)
    for op in around.graph.ops:
        finder.visit(op)
    for output in around.graph.outputs:
        finder.block(output.value, "a value per edge is an output of the model")
    order = {op.output: place for place, op in enumerate(around.graph.ops)}
    found = list({id(region): region for region in finder.homes.values()}.values())
    for region in found:
        region.ops.sort(key=lambda op: order[op.output])
    return sorted(found, key=lambda region: order[region.ops[0].output])


class _Finder:
    """Walks the operators once; `homes` has the region of each value per edge and each scatter."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self.homes: dict[str, Region] = {}

    def visit(self, op: TensorOp) -> None:
        """Add an operator to the region of its operands, or start one."""
        edges = [name for name in op.inputs if self._axis(name) is not None]
        if isinstance(op.attrs, GatherAttrs):
            self.block(op.inputs[0], "edges are gathered from edges")
            self._add(op, Region(), op.attrs.dim)
        elif isinstance(op.attrs, ScatterAttrs):
            self._end(op, op.attrs)
        elif edges:
            axis = _carried(self._around, op, {name: self._axis(name) for name in edges})
            if axis is None:
                for name in edges:
                    self.block(name, f"a value per edge is an operand of {_describe(op)}")
                return
            region = self._join(edges)
            self._add(op, region, axis)

    def block(self, name: str, obstacle: str) -> None:
        """Note an obstacle if `name` is a value per edge."""
        if self._axis(name) is not None:
            region = self.homes[name]
            region.obstacle = region.obstacle or obstacle

    def _axis(self, name: str) -> int | None:
        return self.homes[name].axes.get(name) if name in self.homes else None

    def _end(self, op: TensorOp, attrs: ScatterAttrs) -> None:
        source = op.inputs[0]
        if self._axis(source) == attrs.dim:
            self._add(op, self.homes[source], None)
            return
        self.block(source, "the axis of the edges is not the one that is scattered")
        self._add(op, Region(obstacle="what is scattered was not gathered"), None)

    def _add(self, op: TensorOp, region: Region, axis: int | None) -> None:
        region.ops.append(op)
        self.homes[op.output] = region
        if axis is not None:
            region.axes[op.output] = axis

    def _join(self, names: list[str]) -> Region:
        first, *rest = dict.fromkeys(id(self.homes[name]) for name in names)
        regions = {id(self.homes[name]): self.homes[name] for name in names}
        for key in rest:
            regions[first].absorb(regions[key])
            for op in regions[key].ops:
                self.homes[op.output] = regions[first]
        return regions[first]


def _describe(op: TensorOp) -> str:
    return op.attrs.fn if isinstance(op.attrs, MapAttrs) else str(op.kind)


def _carried(around: Surroundings, op: TensorOp, axes: Mapping[str, int | None]) -> int | None:
    """Return the edge axis of the result of an operator; None if it has none that fits."""
    shape, attrs = around.shape(op.output), op.attrs
    first = next(name for name in op.inputs if name in axes)
    axis, before = axes[first] or 0, around.shape(first)
    if isinstance(attrs, MapAttrs):
        return _aligned(around, op, axes)
    if isinstance(attrs, PermuteAttrs):
        return attrs.order.index(axis)
    if isinstance(attrs, ReduceAttrs):
        if axis in attrs.dims or attrs.op not in ("add", "max", "min"):
            return None
        return axis if attrs.keepdim else axis - sum(dim < axis for dim in attrs.dims)
    if isinstance(attrs, ShapeAttrs) and op.kind is OpKind.EXPAND:
        return axis + len(shape) - len(before)
    if op.kind is OpKind.RESHAPE:
        return _same_axis(before, axis, shape)
    return None


def _aligned(around: Surroundings, op: TensorOp, axes: Mapping[str, int | None]) -> int | None:
    """Return the edge axis of a function's result, if all operands agree on where it is."""
    places = {len(around.shape(name)) - (axis or 0) for name, axis in axes.items()}
    if len(places) != 1:
        return None
    place = places.pop()
    extent = {around.shape(name)[-place] for name in axes}
    for name in op.inputs:
        shape = around.shape(name)
        if name in axes or len(shape) < place or shape[-place] == 1:
            continue
        is_weight = around.constant(name) is not None and math.prod(shape[:-place]) == 1
        if shape[-place] not in extent or not is_weight:
            return None
    return len(around.shape(op.output)) - place


def _same_axis(old: Shape, axis: int, new: Shape) -> int | None:
    """Return which axis of a reshaped value is `axis` of the old one, None if it was regrouped."""
    for place, extent in enumerate(new):
        same_before = math.prod(new[:place]) == math.prod(old[:axis])
        same_after = math.prod(new[place + 1 :]) == math.prod(old[axis + 1 :])
        if extent == old[axis] and same_before and same_after:
            return place
    return None
