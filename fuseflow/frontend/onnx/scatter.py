# SPDX-License-Identifier: MIT
"""ScatterElements with an index of its own for every element: a product with a tensor of ones.

Where the indices are one list along an axis, `onnx.messages` has a cheaper form.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from fuseflow.frontend.onnx.context import RuleContext
from fuseflow.frontend.onnx.tensors import LIMIT_BYTES
from fuseflow.ir.scalar import REDUCTIONS

__all__ = ["scatter_each"]


def scatter_each(c: RuleContext, indices: npt.NDArray[Any], axis: int) -> str:
    """Spell a node whose `indices` count from 0: y = base, combined with what goes there.

    Without a reduction the last update of an element replaces what was there. Raises ModelError
    I002 for indices that leave out parts of the other axes.
    """
    b, base = c.builder, c.value(0)
    shape, reduction = b.shape(base), c.node.attrs["reduction"]
    rest = [extent for dim, extent in enumerate(shape) if dim != axis]
    if rest != [extent for dim, extent in enumerate(indices.shape) if dim != axis]:
        raise c.error(f"its indices {list(indices.shape)} leave out parts of {list(shape)}")
    if 4 * shape[axis] * math.prod(indices.shape) > LIMIT_BYTES:
        raise c.error(f"scattering {indices.size} elements one by one takes more than 2 GiB")
    targets = _targets(indices, axis, shape[axis], last_only=reduction == "none")
    if reduction not in ("none", "add"):
        return b.map(reduction, base, _combined(c, targets, axis, reduction))
    if reduction == "none":
        kept = np.moveaxis(np.logical_not(targets.any(axis=axis + 1)), 0, axis)
        base = b.map("masked", b.constant(kept, "kept"), base, parameters=(0.0,))
    return b.map("add", base, _summed(c, targets, axis))


def _summed(c: RuleContext, targets: npt.NDArray[np.bool_], axis: int) -> str:
    b, updates = c.builder, c.value(2)
    labels = tuple(f"d{dim}" for dim in range(targets.ndim - 1))
    output = tuple("to" if dim == axis else label for dim, label in enumerate(labels))
    terms = (labels, ("to", *labels))
    return b.contract((updates, b.constant(targets.astype(np.float32), "targets")), terms, output)


def _combined(c: RuleContext, targets: npt.NDArray[np.bool_], axis: int, reduction: str) -> str:
    """Reduce the updates that go to a coordinate, and the identity for all others."""
    b, identity = c.builder, REDUCTIONS[reduction].identity
    chosen = b.map("masked", b.constant(targets, "targets"), c.value(2), parameters=(identity,))
    result = b.reduce(reduction, chosen, (axis + 1,))
    order = [*range(1, targets.ndim - 1)]
    order.insert(axis, 0)
    return b.permute(result, order)


def _targets(
    indices: npt.NDArray[Any], axis: int, extent: int, *, last_only: bool
) -> npt.NDArray[np.bool_]:
    """Return whether each update goes to each coordinate of the axis: [extent, *updates]."""
    coordinates = np.arange(extent).reshape(-1, *(1,) * indices.ndim)
    targets = np.asarray(indices == coordinates)
    if not last_only:
        return targets
    moved = np.moveaxis(targets, axis + 1, 0)
    taken = np.zeros(moved.shape[1:], dtype=np.bool_)
    for place in range(len(moved) - 1, -1, -1):
        moved[place] &= ~taken
        taken |= moved[place]
    return targets
