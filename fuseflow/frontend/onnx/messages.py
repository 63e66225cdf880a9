# SPDX-License-Identifier: MIT
"""ONNX operators that read or write coordinates by a list: what message passing is made of.

The lists must be constants when the graph is read: a bound list of edges, or what folds from one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fuseflow.frontend.graph import spellings
from fuseflow.frontend.graph.edges import one_list, resolve
from fuseflow.frontend.graph.spellings import IDENTITIES
from fuseflow.frontend.onnx.context import Rule, RuleContext
from fuseflow.frontend.onnx.lazy import compact
from fuseflow.frontend.onnx.scatter import scatter_each

__all__ = ["MESSAGE_RULES"]

# Exporters write the lowest float32 where they mean that anything is larger.
_LOWEST = float(np.finfo(np.float32).min)
_BIND = "bind the list of edges: --bind NAME=FILE"

Array = npt.NDArray[Any]


def _gather(c: RuleContext) -> str:
    axis = c.builder.dim(c.value(0), c.node.attrs["axis"])
    chosen = _resolved(c, _indices(c), c.shape(c.node.input(0))[axis])
    if chosen.ndim == 0:
        return c.builder.select(c.value(0), axis, int(chosen))
    return _take(c, c.value(0), chosen, axis)


def _gather_nd(c: RuleContext) -> str:
    """Choose whole coordinates of the first axes, which count as one for this."""
    indices, shape = _indices(c), c.shape(c.node.input(0))
    if c.node.attrs["batch_dims"]:
        raise c.error("batch_dims are not supported")
    depth = indices.shape[-1]
    columns = [_resolved(c, indices[..., d], shape[d]) for d in range(depth)]
    chosen = np.ravel_multi_index(columns, shape[:depth])
    x = c.builder.reshape(c.value(0), (math.prod(shape[:depth]), *shape[depth:]))
    return _take(c, x, chosen, 0)


def _take(c: RuleContext, x: str, chosen: npt.NDArray[np.int64], axis: int) -> str:
    y = c.builder.gather(x, _constant(c, chosen.reshape(-1)), axis)
    return c.builder.reshape(y, c.shape(c.node.outputs[0]))


def _scatter_elements(c: RuleContext) -> str:
    base, reduction = c.known(0), c.node.attrs["reduction"]
    indices, updates = _indices(c), c.value(2)
    axis, shape = c.builder.dim(updates, c.node.attrs["axis"]), c.shape(c.node.input(0))
    whole = (*shape[:axis], indices.shape[axis], *shape[axis + 1 :])
    targets = one_list(indices, axis) if indices.shape == whole else None
    if reduction not in IDENTITIES or targets is None:
        return scatter_each(c, _resolved(c, indices, shape[axis]), axis)
    targets = _resolved(c, targets, shape[axis])
    empty = None if base is None else _empty(base, reduction, axis, targets)
    index, start = _constant(c, targets), IDENTITIES[reduction] if empty is None else empty
    result = c.builder.scatter(updates, index, axis, shape[axis], reduction, start)
    return result if empty is not None else _with_base(c, reduction, result)


def _with_base(c: RuleContext, reduction: str, scattered: str) -> str:
    """Combine what was scattered with what the base holds."""
    base = c.known(0)
    part = None if base is None else compact(base)
    if part is not None and part.size == 1:
        return spellings.scalar(c.builder, reduction, scattered, float(part.reshape(())))
    return c.builder.map(reduction, scattered, c.value(0))


def _empty(base: Array, reduction: str, axis: int, targets: npt.NDArray[np.int64]) -> float | None:
    """Return the number at the coordinates that are not scattered to.

    None if that is not a single one, or if the base holds at the others what the reduction does not
    start from.
    """
    rows = np.moveaxis(compact(base), axis, 0)
    rows = np.broadcast_to(rows, (base.shape[axis], *rows.shape[1:]))
    reached = np.zeros(len(rows), dtype=np.bool_)
    reached[targets] = True
    neutral = {"add": rows == 0, "max": rows <= _LOWEST, "min": rows >= -_LOWEST}[reduction]
    rest = rows[~reached]
    if not neutral[reached].all() or (rest.size and (rest != rest.flat[0]).any()):
        return None
    empty = float(rest.flat[0]) if rest.size else 0.0
    return None if reduction == "add" and empty else empty


def _indices(c: RuleContext) -> Array:
    indices = c.known(1)
    if indices is None:
        raise c.error("its indices must be constants", fix=_BIND)
    return indices


def _resolved(c: RuleContext, indices: Array, extent: int) -> npt.NDArray[np.int64]:
    try:
        return resolve(indices, extent)
    except ValueError as error:
        raise c.error(str(error)) from error


def _constant(c: RuleContext, indices: npt.NDArray[np.int64]) -> str:
    return c.builder.constant(indices, c.live.labels.get(c.node.input(1), "edges"))


MESSAGE_RULES: Mapping[str, Rule] = {
    "Gather": _gather,
    "GatherND": _gather_nd,
    "ScatterElements": _scatter_elements,
}
