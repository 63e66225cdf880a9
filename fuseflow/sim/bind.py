# SPDX-License-Identifier: MIT
"""Parameters of units from the attributes of nodes and the data of tensors.

One function per kind of node that has parameters. Data is passed by reference, never copied.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fuseflow.errors import GraphError, Location
from fuseflow.ir.dataflow import Node, Op
from fuseflow.ir.einsum import Value
from fuseflow.ir.scalar import REDUCTIONS, SCALAR_FUNCTIONS
from fuseflow.ir.tensor import LevelFormat, Tensor
from fuseflow.sim import params as pm
from fuseflow.sim.profiles import Profile

__all__ = ["Binder"]

MAX_EXTENT = 1 << 32
"""Coordinates are 32-bit words in memory; references are 64-bit."""


class Binder:
    """Binds the nodes of one kernel to the tensors that they name."""

    def __init__(
        self, kernel: str, tensors: Mapping[str, Value], profile: Profile, *, wide: bool = False
    ) -> None:
        self.kernel = kernel
        self.wide = wide
        self.tensors = tensors
        self.profile = profile

    def bind(self, node: Node, tile: tuple[int, ...]) -> pm.UnitParams:
        """Return the parameters of the unit of a node whose values are of shape `tile`.

        Raises:
            GraphError: a tensor is unknown, has no data or no format, or is too large.
        """
        builder = _BUILDERS.get(node.op)
        return builder(self, node, node.attrs, tile) if builder else pm.NoParams()

    def data(self, node: Node, name: str) -> Tensor:
        """Return the data of a tensor that a node reads."""
        tensor = self._value(node, name).tensor
        if tensor is None:
            raise self._error(node, f'tensor "{name}" has no data when the kernel starts')
        return tensor

    def layout(self, node: Node, name: str) -> tuple[Value, tuple[LevelFormat, ...]]:
        """Return a tensor that a node writes, and its level formats."""
        value = self._value(node, name)
        if value.format is None:
            raise self._error(node, f'tensor "{name}" has no format')
        return value, value.format.levels

    def _value(self, node: Node, name: str) -> Value:
        value = self.tensors.get(name)
        if value is None:
            raise self._error(node, f'unknown tensor "{name}"')
        if max(value.shape, default=0) > MAX_EXTENT:
            raise self._error(
                node, f'tensor "{name}" of shape {value.shape} has coordinates > 2^32'
            )
        return value

    def _error(self, node: Node, message: str) -> GraphError:
        return GraphError(
            "S010 unbound-tensor", message, where=Location(graph=self.kernel, node=node.name)
        )


def _parents(tensor: Tensor, level: int) -> int:
    """Return how many positions the levels above this one have."""
    count = 1
    for above in tensor.levels[:level]:
        count = above.positions(count)
    return count


def _scan(binder: Binder, node: Node, attrs: Any, _tile: tuple[int, ...]) -> pm.ScanParams:
    tensor = binder.data(node, attrs.tensor)
    level = tensor.levels[attrs.level]
    parents = _parents(tensor, attrs.level)
    return pm.ScanParams(str(level.format), level.size, parents, level.segments, level.coordinates)


def _locate(binder: Binder, node: Node, attrs: Any, _tile: tuple[int, ...]) -> pm.LocateParams:
    segments = coordinates = None
    if attrs.search:
        level = binder.data(node, attrs.tensor).levels[attrs.level]
        segments, coordinates = level.segments, level.coordinates
    return pm.LocateParams(
        attrs.size,
        attrs.stride,
        attrs.base,
        attrs.parent_stride,
        attrs.search,
        segments,
        coordinates,
    )


def _join(_binder: Binder, _node: Node, attrs: Any, _tile: tuple[int, ...]) -> pm.JoinParams:
    count = 1 << len(attrs.payloads)
    tables = {
        "intersect": [mask == count - 1 for mask in range(count)],
        "union": [mask > 0 for mask in range(count)],
        "left": [bool(mask & 1) for mask in range(count)],
    }
    keep = tables.get(attrs.keep) or [digit == "1" for digit in attrs.keep]
    return pm.JoinParams(tuple(keep), attrs.payloads)


def _repeat(binder: Binder, _node: Node, _attrs: Any, _tile: tuple[int, ...]) -> pm.RepeatParams:
    return pm.RepeatParams(binder.profile.lookahead)


def _array(binder: Binder, node: Node, attrs: Any, _tile: tuple[int, ...]) -> pm.ArrayParams:
    tensor = binder.data(node, attrs.tensor)
    return pm.ArrayParams(tensor.values, tensor.stored, attrs.fill)


def _alu(_binder: Binder, _node: Node, attrs: Any, tile: tuple[int, ...]) -> pm.AluParams:
    flops, tile_op = SCALAR_FUNCTIONS[attrs.fn].flops, attrs.tile_op
    points = math.prod(tile if tile_op is None else tile_op.sizes)
    made = points if tile_op is None else math.prod(tile_op.sizes[a] for a in tile_op.result.axes)
    folds = points if made < points else 0
    return pm.AluParams(attrs.fn, attrs.fills, attrs.parameters, flops * points + folds, tile_op)


def _reduce(binder: Binder, _node: Node, attrs: Any, _tile: tuple[int, ...]) -> pm.ReduceParams:
    identity = REDUCTIONS[attrs.op].identity
    empty = identity if attrs.empty is None else attrs.empty
    return pm.ReduceParams(
        attrs.op, identity, empty, attrs.fill, attrs.extent, attrs.tile_axis, binder.wide
    )


def _spacc(binder: Binder, _node: Node, attrs: Any, _tile: tuple[int, ...]) -> pm.SpaccParams:
    return pm.SpaccParams(
        attrs.op,
        REDUCTIONS[attrs.op].identity,
        attrs.order,
        attrs.full,
        attrs.missing,
        attrs.fill,
        attrs.extent,
        binder.wide,
    )


def _level_write(
    binder: Binder, node: Node, attrs: Any, _tile: tuple[int, ...]
) -> pm.LevelWriteParams:
    value, levels = binder.layout(node, attrs.tensor)
    assert value.format is not None
    size = value.counts[value.format.mode_order[attrs.level]]
    return pm.LevelWriteParams(attrs.tensor, attrs.level, str(levels[attrs.level]), size)


def _val_write(binder: Binder, node: Node, attrs: Any, _tile: tuple[int, ...]) -> pm.ValWriteParams:
    value, levels = binder.layout(node, attrs.tensor)
    all_dense = all(level is LevelFormat.DENSE for level in levels)
    positions = int(np.prod(value.counts, dtype=np.int64)) if all_dense else None
    return pm.ValWriteParams(attrs.tensor, attrs.fill, positions)


_BUILDERS: Mapping[Op, Callable[[Binder, Node, Any, tuple[int, ...]], pm.UnitParams]] = {
    Op.SCAN: _scan,
    Op.FULL: lambda _binder, _node, attrs, _tile: pm.FullParams(attrs.size),
    Op.LOCATE: _locate,
    Op.JOIN: _join,
    Op.REPEAT: _repeat,
    Op.REPLAY: lambda _binder, _node, attrs, _tile: pm.ReplayParams(attrs.depth),
    Op.MASK: lambda _binder, _node, attrs, _tile: pm.MaskParams(attrs.keep),
    Op.VALDROP: lambda _binder, _node, attrs, _tile: pm.ValDropParams(attrs.fill),
    Op.ARRAY: _array,
    Op.ALU: _alu,
    Op.REDUCE: _reduce,
    Op.SPACC: _spacc,
    Op.GATHER: lambda _binder, _node, attrs, _tile: pm.GatherParams(attrs.lanes, attrs.depth),
    Op.CONCAT: lambda _b, _n, attrs, _t: pm.ConcatParams(attrs.mode, attrs.depth, attrs.offsets),
    Op.LEVEL_WRITE: _level_write,
    Op.VAL_WRITE: _val_write,
}
