# SPDX-License-Identifier: MIT
"""Store dense operands in the order in which a kernel walks them.

Our kernels may enter the levels of a dense tensor in any order, since they compute addresses. Other
tools follow references from the outermost level inwards. An operand with data is therefore written
in the order of its kernel; its dimensions keep their numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from fuseflow.interop.graphs.draft import Draft, DraftNode
from fuseflow.ir import dataflow as df
from fuseflow.ir.dataflow import Op
from fuseflow.ir.einsum import Value
from fuseflow.ir.tensor import Format, Level, LevelFormat

__all__ = ["store_as_walked"]

Order = tuple[int, ...]


def store_as_walked(draft: Draft, tensors: Mapping[str, Value]) -> dict[str, Value]:
    """Return the tensors that a sorted draft walks in another order, stored in that order.

    The lookups of the draft are changed to go with them. Tensors that are scanned, or that are
    walked in several orders, stay as they are.
    """
    orders = _walked_orders(draft)
    stored: dict[str, Value] = {}
    for name, found in sorted(orders.items()):
        value = tensors[name]
        if len(found) != 1 or value.format is None or not _is_plain(draft, value, value.format):
            continue
        (order,) = found
        natural = list(range(len(value.format.levels)))
        if list(order) != natural and sorted(order) == natural:
            stored[name] = _stored(value, value.format, order)
            _renumber(draft, name, order)
            if value.tensor is None:
                modes = ",".join(str(value.format.mode_order[level]) for level in order)
                draft.remarks.append(f'"{name}" must be handed on with its levels in order {modes}')
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


def _is_plain(draft: Draft, value: Value, fmt: Format) -> bool:
    """Return whether a tensor is dense throughout, and entered by whole lookups alone."""
    if fmt.tile or not fmt.is_dense or (value.tensor is not None and value.tensor.values is None):
        return False
    sizes = [value.shape[mode] for mode in fmt.mode_order]
    users = [node for node in draft.nodes if node.tensor == value.name and node.op is not Op.ARRAY]
    return all(_is_whole(node, sizes) for node in users)


def _is_whole(node: DraftNode, sizes: Sequence[int]) -> bool:
    attrs = node.attrs
    if not isinstance(attrs, df.LocateAttrs):
        return False
    return not attrs.base and not attrs.search and attrs.size == sizes[attrs.level]


def _stored(value: Value, fmt: Format, order: Order) -> Value:
    modes = tuple(fmt.mode_order[level] for level in order)
    if value.tensor is None:
        return replace(value, format=replace(fmt, mode_order=modes))
    assert value.tensor.values is not None
    extents = [level.size for level in value.tensor.levels]
    values = value.tensor.values.reshape(extents).transpose(order)
    levels = tuple(Level(LevelFormat.DENSE, extents[level]) for level in order)
    moved = replace(value.tensor, levels=levels, mode_order=modes,
                    values=np.ascontiguousarray(values).reshape(-1))  # fmt: skip
    return replace(value, format=moved.format, tensor=moved)


def _renumber(draft: Draft, name: str, order: Order) -> None:
    """Let the lookups of a tensor compute addresses of the new order."""
    for node in draft.nodes:
        if node.tensor == name and isinstance(node.attrs, df.LocateAttrs):
            level, size = order.index(node.attrs.level), node.attrs.size
            node.attrs = df.LocateAttrs(name, level, size, parent_stride=size if level else 0)
