# SPDX-License-Identifier: MIT
"""Constants that an exporter writes out over many features, folded without writing them out.

A list of E targets is expanded to [E, F] before a scatter. Such an array is kept as NumPy's
broadcast of what it repeats: it takes the memory of the list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["BROADCASTS", "LISTED", "compact", "fold_lazily"]

Array = npt.NDArray[Any]

BROADCASTS = frozenset({"ConstantOfShape", "Expand"})
"""Operators whose result is always a broadcast."""

LISTED = frozenset({"ScatterElements"})
"""Operators that look at what a broadcast repeats where that is enough."""

_SCATTER = {"add": np.add, "max": np.maximum, "min": np.minimum, "mul": np.multiply}


def fold_lazily(op: str, operands: Sequence[Array], attrs: Mapping[str, Any]) -> Array | None:
    """Evaluate an operator whose result may be a broadcast; None for all other operators.

    Raises ValueError or IndexError if the operands do not fit.
    """
    if op == "Expand":
        array, shape = operands
        return np.broadcast_to(array, np.broadcast_shapes(array.shape, tuple(shape.tolist())))
    if op == "ConstantOfShape":
        return np.broadcast_to(_fill(attrs), tuple(operands[0].tolist()))
    if op == "ScatterElements":
        return _scatter(operands, attrs)
    return None


def compact(array: Array) -> Array:
    """Return the part of an array that broadcasting repeats, with extent 1 along other axes."""
    steps = zip(array.shape, array.strides, strict=True)
    repeated = (extent > 1 and step == 0 for extent, step in steps)
    return array[tuple(slice(1) if each else slice(None) for each in repeated)]


def _fill(attrs: Mapping[str, Any]) -> Array:
    from onnx import numpy_helper

    value = attrs.get("value")
    if value is None:
        return np.zeros((), dtype=np.float32)
    return np.asarray(numpy_helper.to_array(value)).reshape(())


def _scatter(operands: Sequence[Array], attrs: Mapping[str, Any]) -> Array:
    data, indices, updates = operands
    axis = attrs["axis"] % data.ndim
    parts = [compact(each) for each in (data, indices, updates)]
    is_list = all(part.size == part.shape[axis] for part in parts)
    if is_list and indices.shape == updates.shape and _covers(data, indices, axis):
        extents = [each.shape[axis] for each in operands]
        lists = [np.broadcast_to(p.reshape(-1), n) for p, n in zip(parts, extents, strict=True)]
        result = _scatter_at(lists[0], (_resolved(lists[1], extents[0]),), lists[2], attrs)
        wide = [1] * data.ndim
        wide[axis] = extents[0]
        return np.broadcast_to(result.reshape(wide), data.shape)
    places = list(np.ogrid[tuple(slice(extent) for extent in indices.shape)])
    places[axis] = _resolved(indices, data.shape[axis])
    return _scatter_at(data, tuple(places), updates, attrs)


def _covers(data: Array, indices: Array, axis: int) -> bool:
    """True if all coordinates of the axes that are not scattered are written to."""
    others = [dim for dim in range(data.ndim) if dim != axis]
    return all(data.shape[dim] == indices.shape[dim] for dim in others)


def _resolved(indices: Array, extent: int) -> Array:
    return np.where(indices < 0, indices + extent, indices)


def _scatter_at(
    data: Array, places: tuple[Array, ...], updates: Array, attrs: Mapping[str, Any]
) -> Array:
    result = np.array(data)
    combine = _SCATTER.get(attrs.get("reduction", "none"))
    if combine is None:
        result[places] = updates
    else:
        combine.at(result, places, updates)
    return result
