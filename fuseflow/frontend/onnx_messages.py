# SPDX-License-Identifier: MIT
"""ONNX operators that read or write coordinates by a list: what message passing is made of.

The lists must be constants when the graph is read: a bound list of edges, or what folds from one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fuseflow.frontend.edges import one_list, resolve
from fuseflow.frontend.onnx_context import Rule, RuleContext
from fuseflow.frontend.onnx_lazy import compact
from fuseflow.frontend.onnx_scatter import scatter_each

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
    return _take(c, chosen, axis)


def _gather_nd(c: RuleContext) -> str:
    """Choose whole coordinates of the first axis: the form that a mask of it is exported to."""
    indices = _indices(c)
    if c.node.attrs["batch_dims"] or indices.shape[-1] != 1:
        raise c.error("only coordinates of the first axis can be chosen")
    chosen = _resolved(c, indices[..., 0], c.shape(c.node.input(0))[0])
    return _take(c, chosen, 0)


def _take(c: RuleContext, chosen: npt.NDArray[np.int64], axis: int) -> str:
    x = c.value(0)
    y = c.builder.gather(x, _constant(c, chosen.reshape(-1)), axis)
    return c.builder.reshape(y, c.shape(c.node.outputs[0]))


def _scatter_elements(c: RuleContext) -> str:
    base, reduction = c.known(0), c.node.attrs["reduction"]
    indices, updates = _indices(c), c.value(2)
    axis = c.builder.dim(updates, c.node.attrs["axis"])
    if base is None or reduction == "none":
        return scatter_each(c, _resolved(c, indices, c.shape(c.node.input(0))[axis]), axis)
    if reduction not in ("add", "max", "min"):
        raise c.error(f'the reduction "{reduction}" is not supported')
    expected = list(base.shape)
    expected[axis] = indices.shape[axis]
    if list(indices.shape) != expected:
        raise c.error(f"its indices {list(indices.shape)} leave out parts of {list(base.shape)}")
    targets = one_list(indices, axis)
    if targets is None:
        return scatter_each(c, _resolved(c, indices, base.shape[axis]), axis)
    targets = _resolved(c, targets, base.shape[axis])
    empty = _empty(c, base, axis, targets)
    extent = base.shape[axis]
    return c.builder.scatter(updates, _constant(c, targets), axis, extent, reduction, empty)


def _empty(c: RuleContext, base: Array, axis: int, targets: npt.NDArray[np.int64]) -> float:
    """Return the number at the coordinates that are not scattered to.

    At the others the base must hold what the reduction starts from.
    """
    reduction = c.node.attrs["reduction"]
    rows = np.moveaxis(compact(base), axis, 0)
    rows = np.broadcast_to(rows, (base.shape[axis], *rows.shape[1:]))
    reached = np.zeros(len(rows), dtype=np.bool_)
    reached[targets] = True
    neutral = {"add": rows == 0, "max": rows <= _LOWEST, "min": rows >= -_LOWEST}[reduction]
    rest = rows[~reached]
    if not neutral[reached].all() or (rest.size and (rest != rest.flat[0]).any()):
        raise c.error("combining with what the base holds is not supported")
    empty = float(rest.flat[0]) if rest.size else 0.0
    if reduction == "add" and empty:
        raise c.error(f"adding to a tensor of {empty:g} is not supported, only to zeros")
    return empty


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
