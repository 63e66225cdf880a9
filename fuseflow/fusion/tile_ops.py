# SPDX-License-Identifier: MIT
"""Which tile operation an einsum becomes: a small einsum over what lies inside the tokens."""

from __future__ import annotations

import math
from collections.abc import Mapping

from fuseflow.ir.dataflow import TileAxes, TileOp
from fuseflow.ir.einsum import Access, Einsum, Value

__all__ = ["folded_elements", "tile_op_of"]


def tile_op_of(op: Einsum, values: Mapping[str, Value]) -> TileOp | None:
    """Return how the tiles of an einsum's operands are combined.

    The axes are the indices of the einsum; those that are reduced are folded inside the token, so
    that what remains to be reduced is one tile per coordinate. None if all operands and the result
    have the same axes, so that tiles (or numbers) are combined element by element.
    """
    sizes = _tile_sizes(op, values)
    operands = [_tile_indices(access, values) for access in op.operands]
    result = _tile_indices(op.output, values)
    if all(indices == result for indices in operands):
        return None
    names = tuple(dict.fromkeys([*result, *(i for indices in operands for i in indices)]))
    position = {name: p for p, name in enumerate(names)}
    folds = set(names) - set(result)
    return TileOp(
        sizes=tuple(sizes.get(name, 1) for name in names),
        operands=tuple(TileAxes(tuple(position[i] for i in indices)) for indices in operands),
        result=TileAxes(tuple(position[i] for i in result)),
        fold=(op.reduce or "") if folds else "",
    )


def folded_elements(op: Einsum, values: Mapping[str, Value]) -> int:
    """Return how many elements of a tile the reduction folds into one."""
    sizes = _tile_sizes(op, values)
    return math.prod(sizes.get(index, 1) for index in op.over)


def _tile_sizes(op: Einsum, values: Mapping[str, Value]) -> dict[str, int]:
    return {
        index: size
        for access in (op.output, *op.operands)
        for index, size in zip(access.indices, values[access.value].tile, strict=False)
    }


def _tile_indices(access: Access, values: Mapping[str, Value]) -> tuple[str, ...]:
    """Return the axes of an access's tile; a number has none."""
    return access.indices if values[access.value].tile else ()
