# SPDX-License-Identifier: MIT
"""Store dense operands in the order in which a kernel walks them.

Our kernels may enter the levels of a dense tensor in any order, since they compute addresses. Other
tools follow references from the outermost level inwards. An operand with data is therefore written
in the order of its kernel; its dimensions keep their numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from fuseflow.interop.graphs.draft import Draft, DraftNode
from fuseflow.ir import dataflow as df
from fuseflow.ir.dataflow import Op
from fuseflow.ir.einsum import Value
from fuseflow.ir.tensor import Level, LevelFormat, Tensor

__all__ = ["store_as_walked"]

Order = tuple[int, ...]


def store_as_walked(draft: Draft, tensors: Mapping[str, Value]) -> dict[str, Value]:
    """Return the tensors that a sorted draft walks in another order, stored in that order.

    The lookups of the draft are changed to go with them. Tensors that are handed on by an earlier
    kernel, that are scanned, or that are walked in several orders stay as they are.
    """
    orders = _walked_orders(draft)
    stored: dict[str, Value] = {}
    for name, found in sorted(orders.items()):
        value = tensors[name]
        if len(found) != 1 or value.tensor is None or not _is_plain(draft, name, value.tensor):
            continue
        (order,) = found
        natural = list(range(len(value.tensor.levels)))
        if list(order) != natural and sorted(order) == natural:
            stored[name] = _stored(value, value.tensor, order)
            _renumber(draft, name, order)
    return stored


def _walked_orders(draft: Draft) -> dict[str, set[Order]]:
    """Return in which orders the levels of each tensor lie between a root and its values."""
    visited: dict[int, Order] = {}
    orders: dict[str, set[Order]] = {}
    for node in draft.nodes:
        if isinstance(node.attrs, df.LocateAttrs):
            parent, target = node.inputs[1], node.outputs[1]
            before = visited.get(parent, ()) if parent is not None else ()
            if target is not None:
                visited[target] = (*before, node.attrs.level)
        elif node.op is Op.ARRAY and node.inputs[0] is not None:
            orders.setdefault(node.tensor, set()).add(visited.get(node.inputs[0], ()))
        for source, copy in node.copied():
            if source in visited:
                visited[copy] = visited[source]
    return orders


def _is_plain(draft: Draft, name: str, tensor: Tensor) -> bool:
    """Return whether a tensor is dense throughout, and entered by whole lookups alone."""
    if tensor.tile or tensor.values is None or not tensor.format.is_dense:
        return False
    users = [node for node in draft.nodes if node.tensor == name and node.op is not Op.ARRAY]
    return all(_is_whole(node, tensor) for node in users)


def _is_whole(node: DraftNode, tensor: Tensor) -> bool:
    attrs = node.attrs
    if not isinstance(attrs, df.LocateAttrs):
        return False
    return not attrs.base and attrs.size == tensor.levels[attrs.level].size


def _stored(value: Value, tensor: Tensor, order: Order) -> Value:
    assert tensor.values is not None
    extents = [level.size for level in tensor.levels]
    values = np.ascontiguousarray(tensor.values.reshape(extents).transpose(order)).reshape(-1)
    levels = tuple(Level(LevelFormat.DENSE, extents[level]) for level in order)
    modes = tuple(tensor.mode_order[level] for level in order)
    moved = replace(tensor, levels=levels, mode_order=modes, values=values)
    return replace(value, format=moved.format, tensor=moved)


def _renumber(draft: Draft, name: str, order: Order) -> None:
    """Let the lookups of a tensor compute addresses of the new order."""
    for node in draft.nodes:
        if node.tensor == name and isinstance(node.attrs, df.LocateAttrs):
            level, size = order.index(node.attrs.level), node.attrs.size
            node.attrs = df.LocateAttrs(name, level, size, parent_stride=size if level else 0)
