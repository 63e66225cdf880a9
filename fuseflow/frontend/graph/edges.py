# SPDX-License-Identifier: MIT
"""Lists of indices that pick coordinates of an axis, and the inputs that belong to lists of edges.

Not here: what gathers and scatters become (see `messages`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["is_edge_weight", "one_list", "resolve"]

Indices = npt.NDArray[np.int64]


def is_edge_weight(shape: Sequence[Any], integer_shapes: Iterable[Sequence[Any]]) -> bool:
    """Tell whether a float input holds one number per edge of an integer input [2, E].

    Such an input decides, together with the edges, what is computed: degrees, for example.
    """
    return len(shape) == 1 and any(
        len(edges) == 2 and edges[0] == 2 and edges[1] == shape[0] for edges in integer_shapes
    )


def resolve(indices: npt.NDArray[Any], extent: int) -> Indices:
    """Return indices counted from 0, negative ones from the end of an axis of `extent`.

    Raises ValueError with a message if one is outside.
    """
    resolved = np.where(indices < 0, indices + extent, indices).astype(np.int64)
    wrong = (resolved < 0) | (resolved >= extent)
    if wrong.any():
        first = int(indices[wrong].flat[0])
        raise ValueError(f"index {first} is outside of the {extent} coordinates that there are")
    return resolved


def one_list(indices: npt.NDArray[Any], dim: int) -> Indices | None:
    """Return the list along `dim` that an array of indices repeats everywhere, None if it differs.

    Axes along which the array is broadcast are not looked at, so that this takes no more time and
    memory than the list.
    """
    moved = np.moveaxis(indices, dim, 0)
    seen = moved[(slice(None), *(slice(None) if step else slice(1) for step in moved.strides[1:]))]
    if not len(moved):
        return np.zeros(0, dtype=np.int64)
    if not seen.size:
        return None
    first = seen.reshape(len(seen), -1)[:, 0]
    same = seen == first.reshape(-1, *(1,) * (seen.ndim - 1))
    return first.astype(np.int64) if same.all() else None
