# SPDX-License-Identifier: MIT
"""ATen operators that read or write coordinates by a list: what message passing is made of.

The lists must be known when the graph is read: a bound list of edges, or what follows from one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fuseflow.frontend.graph.edges import one_list, resolve
from fuseflow.frontend.torch.args import Call, Rule
from fuseflow.frontend.torch.values import Known

__all__ = ["DATA_OF", "MESSAGE_RULES"]

DATA_OF: Mapping[str, tuple[str, ...]] = {
    "embedding_bag": ("indices", "offsets", "per_sample_weights"),
    "index": ("indices",),
    "index_add": ("index", "self"),
    "index_select": ("index",),
    "scatter_add": ("index", "self"),
    "scatter_reduce": ("index", "self"),
}
"""Arguments that a rule reads as data: known ones are handed over as `Known`."""

UNBOUND = "its indices are computed from an input that is not bound"
BAG_MODES = ("sum", "mean", "max")
REDUCTIONS = {"sum": "add", "amax": "max", "amin": "min"}

Array = npt.NDArray[Any]


def _index_select(call: Call) -> str:
    return _gather(call, _known(call, call.get("index")), call.get("dim"))


def _index(call: Call) -> str:
    """Read x[:, index] with one list or several, or a mask of one dimension."""
    places = [(dim, index) for dim, index in enumerate(call.get("indices")) if index is not None]
    if len(places) > 1:
        known = [_known(call, index) for _, index in places]
        return _gather_joined(call, known, [dim for dim, _ in places])
    (dim, index), *_ = places
    return _gather(call, _known(call, index), dim)


def _gather_joined(call: Call, lists: Sequence[Known], dims: Sequence[int]) -> str:
    """Read x[:, first, second] as one list of coordinates of the dimensions side by side."""
    b, x = call.builder, call.tensor("self")
    shape, start, stop = b.shape(x), dims[0], dims[-1] + 1
    if list(dims) != list(range(start, stop)) or any(
        each.array().dtype.kind == "b" for each in lists
    ):
        raise call.refusal(
            "with masks, or with lists for dimensions that are not neighbours, it is not supported"
        )
    extents = shape[start:stop]
    resolved = [
        _resolved(call, each.array(), extent) for each, extent in zip(lists, extents, strict=True)
    ]
    chosen = np.ravel_multi_index(tuple(np.broadcast_arrays(*resolved)), extents)
    joined = b.reshape(x, (*shape[:start], math.prod(extents), *shape[stop:]))
    y = b.gather(joined, _constant(call, chosen.reshape(-1), lists[0]), start)
    return b.reshape(y, (*shape[:start], *chosen.shape, *shape[stop:]))


def _gather(call: Call, index: Known, dim: int) -> str:
    b, x = call.builder, call.tensor("self")
    axis, array = b.dim(x, dim), index.array()
    if array.dtype.kind == "b":
        if array.ndim != 1 or len(array) != b.shape(x)[axis]:
            raise call.refusal("with a mask of several dimensions it is not supported")
        array = np.flatnonzero(array)
    shape = b.shape(x)
    chosen = _resolved(call, array, shape[axis])
    y = b.gather(x, _constant(call, chosen.reshape(-1), index), axis)
    return b.reshape(y, (*shape[:axis], *chosen.shape, *shape[axis + 1 :]))


def _scatter_add(call: Call) -> str:
    base, empty = _base(call)
    if empty:
        raise call.refusal(f"adding to a tensor of {empty:g} is not supported, only to zeros")
    return _scatter(call, base, "add", "src")


def _scatter_reduce(call: Call) -> str:
    base, empty = _base(call)
    reduction = call.texts["reduce"]
    if reduction not in REDUCTIONS:
        raise call.refusal(f'the reduction "{reduction}" is not supported')
    op = REDUCTIONS[reduction]
    counts_base = op == "add" and empty != 0
    if counts_base or (op != "add" and call.get("include_self", True)):
        raise call.refusal("combining with what the base holds is not supported")
    return _scatter(call, base, op, "src", empty)


def _index_add(call: Call) -> str:
    call.require("alpha", (None, 1))
    base, empty = _base(call)
    if empty:
        raise call.refusal(f"adding to a tensor of {empty:g} is not supported, only to zeros")
    b, source = call.builder, call.tensor("source")
    axis = b.dim(source, call.get("dim"))
    index = _known(call, call.get("index"))
    chosen = _resolved(call, index.array(), base.shape[axis])
    return b.scatter(source, _constant(call, chosen, index), axis, base.shape[axis], "add")


def _scatter(call: Call, base: Array, op: str, source: str, empty: float = 0.0) -> str:
    b, x = call.builder, call.tensor(source)
    axis, index = b.dim(x, call.get("dim")), _known(call, call.get("index"))
    array = index.array()
    expected = (*base.shape[:axis], b.shape(x)[axis], *base.shape[axis + 1 :])
    if array.shape != b.shape(x) or b.shape(x) != expected:
        shapes = f"{list(base.shape)}, {list(array.shape)}, {list(b.shape(x))}"
        raise call.refusal(f"base, indices and source of shapes {shapes} do not fit each other")
    chosen = one_list(array, axis)
    if chosen is None:
        raise call.refusal("its indices differ along other axes than the one that is scattered")
    chosen = _resolved(call, chosen, base.shape[axis])
    return b.scatter(x, _constant(call, chosen, index), axis, base.shape[axis], op, empty)


def _base(call: Call) -> tuple[Array, float]:
    """Return what is scattered into, and the one number that it holds everywhere."""
    base = call.get("self")
    array = base.array() if isinstance(base, Known) else np.zeros(0)
    if not isinstance(base, Known) or (array.size and (array != array.flat[0]).any()):
        raise call.refusal("scattering into computed values is not supported, only into zeros")
    return array, float(array.flat[0]) if array.size else 0.0


def _embedding_bag(call: Call) -> tuple[str, ...]:
    """Reduce the rows of a table that each bag names; bag n starts at entry `offsets[n]`."""
    b, table, ids = call.builder, call.tensor("weight"), _known(call, call.get("indices"))
    chosen, starts = ids.array(), _known(call, call.get("offsets")).array()
    bags = len(starts) - bool(call.get("include_last_offset", False))
    bag_of = np.searchsorted(starts[:bags], np.arange(len(chosen)), side="right") - 1
    kept = (bag_of >= 0) & (chosen != call.get("padding_idx", -1))
    chosen, bag_of = chosen[kept], bag_of[kept]
    weights = np.ones(len(chosen), dtype=np.float32)
    if call.get("per_sample_weights") is not None:
        weights = _known(call, call.get("per_sample_weights")).array()[kept]
    if call.get("mode") == BAG_MODES.index("mean"):
        weights = weights / np.maximum(np.bincount(bag_of, minlength=bags), 1)[bag_of]
    x = b.gather(table, _constant(call, _resolved(call, chosen, b.shape(table)[0]), ids), 0)
    if (weights != 1).any():
        x = b.map("mul", x, b.constant(weights.reshape(-1, 1).astype(np.float32), ids.label))
    op = "max" if call.get("mode") == BAG_MODES.index("max") else "add"
    return (b.scatter(x, _constant(call, bag_of, ids), 0, bags, op),)


def _known(call: Call, index: Any) -> Known:
    if not isinstance(index, Known):
        raise call.refusal(UNBOUND)
    return index


def _resolved(call: Call, indices: Array, extent: int) -> npt.NDArray[np.int64]:
    try:
        return resolve(indices, extent)
    except ValueError as error:
        raise call.refusal(str(error)) from error


def _constant(call: Call, indices: npt.NDArray[np.int64], index: Known) -> str:
    return call.builder.constant(indices, index.label or "edges")


MESSAGE_RULES: Mapping[str, Rule] = {
    "embedding_bag": _embedding_bag,
    "index": _index,
    "index_add": _index_add,
    "index_select": _index_select,
    "scatter_add": _scatter_add,
    "scatter_reduce": _scatter_reduce,
}
