# SPDX-License-Identifier: MIT
"""Constants given by their entries: matrices of graphs, whose dense form would be too large.

Not here: how an entry list is stored in a format (see `ir.tensor`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Entries"]


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """The entries of a tensor; everything else of it is 0.

    `coordinates` is i64[n, rank], each row at most once; `values` is f32[n], None for ones.
    """

    coordinates: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.coordinates)

    @property
    def numbers(self) -> npt.NDArray[np.float32]:
        """Return the values, with ones spelled out."""
        if self.values is None:
            return np.ones(len(self), dtype=np.float32)
        return self.values

    def cut(self, dim: int, start: int, stop: int, step: int) -> Entries:
        """Return the entries of a slice of one dimension; bounds are resolved, `step` > 0."""
        along = self.coordinates[:, dim]
        inside = (along >= start) & (along < stop) & ((along - start) % step == 0)
        kept = self.coordinates[inside].copy()
        kept[:, dim] = (kept[:, dim] - start) // step
        return Entries(kept, None if self.values is None else self.values[inside])

    def split(self, groups: Sequence[Sequence[int]]) -> Entries:
        """Return the entries with each dimension split into factors of these extents.

        A dimension of extent 1 has no factors.
        """
        parts = [
            part
            for dim, extents in enumerate(groups)
            if extents
            for part in np.unravel_index(self.coordinates[:, dim], tuple(extents))
        ]
        empty = np.zeros((len(self), 0), dtype=np.int64)
        columns = np.stack(parts, axis=1).astype(np.int64) if parts else empty
        return Entries(columns, self.values)
