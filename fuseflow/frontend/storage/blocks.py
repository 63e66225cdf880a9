# SPDX-License-Identifier: MIT
"""Block structure: the largest tiles of a pattern that are all stored or all empty.

Tiles lie on a grid from the origin and have extents that are powers of two and divide those of the
tensor, so that storing whole tiles stores exactly the pattern.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["block_text", "consists_of", "largest_block"]

Pattern = npt.NDArray[np.bool_]


def largest_block(pattern: Pattern) -> tuple[int, ...]:
    """Return the largest tile shape that loses nothing, all ones if there is no structure.

    A tile is uniform exactly if it is uniform along each of its dimensions, so the largest extent
    of a dimension does not depend on those of the others.
    """
    return tuple(_largest_extent(pattern, dim) for dim in range(pattern.ndim))


def consists_of(pattern: Pattern, block: Sequence[int]) -> bool:
    """Tell whether a pattern is made of whole tiles of any extents that divide its own."""
    if len(block) != pattern.ndim:
        return False
    extents = zip(pattern.shape, block, strict=True)
    return all(size % extent == 0 for size, extent in extents) and all(
        _is_uniform(pattern, dim, extent) for dim, extent in enumerate(block)
    )


def block_text(pattern: Pattern) -> str:
    """Return the structure of a pattern for humans, as "blocks 8x8"; "" if it has none."""
    if not pattern.size or pattern.all() or not pattern.any():
        return ""
    block = largest_block(pattern)
    return f"blocks {'x'.join(map(str, block))}" if max(block) > 1 else ""


def _largest_extent(pattern: Pattern, dim: int) -> int:
    extent, size = 1, pattern.shape[dim]
    while size and size % (2 * extent) == 0 and _is_uniform(pattern, dim, 2 * extent):
        extent *= 2
    return extent


def _is_uniform(pattern: Pattern, dim: int, extent: int) -> bool:
    """Tell whether the pattern repeats itself within each group of `extent` along `dim`."""
    groups = np.moveaxis(pattern, dim, 0).reshape(
        pattern.shape[dim] // extent, extent, *np.delete(pattern.shape, dim)
    )
    return bool((groups == groups[:, :1]).all())
