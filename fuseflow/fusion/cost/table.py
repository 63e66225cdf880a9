# SPDX-License-Identifier: MIT
"""Points of a loop nest that behave alike, counted together.

A table has one row per kind of point: what tells the kinds apart are its columns (references and
coordinates that are still needed), and `weights` says how many points each row stands for.
Dropping a column merges the rows that it told apart. That is what makes counting cheap: the work
of a producer under a consumer's loop is that of its distinct visits, times how often each happens.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Ints", "Keys", "Table", "expand_fibers", "merge_lists", "merge_rows"]

Ints = npt.NDArray[np.int64]
# Keys of rows stay below this, so that they fit a word.
KEY_LIMIT = 1 << 62
# Sets of keys in a range that is at most this many times their number are found without sorting.
DENSE_RANGE = 8


@dataclass(frozen=True, slots=True)
class Table:
    """Distinct rows in ascending order, and how many points each one stands for."""

    weights: Ints
    columns: Mapping[Any, Ints]

    @property
    def points(self) -> int:
        """Return how many points there are."""
        return int(self.weights.sum())

    def __len__(self) -> int:
        return len(self.weights)


@dataclass(frozen=True, slots=True)
class Keys:
    """Numbers rows by several columns in one word each; equal rows get equal keys."""

    low: tuple[int, ...]
    span: tuple[int, ...]

    @classmethod
    def of(cls, columns: Sequence[Ints]) -> Keys:
        """Fit the numbering to these columns, the most significant first.

        Raises:
            OverflowError: if the keys would not fit a word.
        """
        low = tuple(int(column.min()) if len(column) else 0 for column in columns)
        high = tuple(int(column.max()) if len(column) else 0 for column in columns)
        span = tuple(b - a + 1 for a, b in zip(low, high, strict=True))
        room = KEY_LIMIT
        for extent in span:
            room //= extent
        if room < 1:
            raise OverflowError("too many different rows to number")
        return cls(low, span)

    def encode(self, columns: Sequence[Ints], rows: int) -> Ints:
        """Return the key of each row."""
        key = np.zeros(rows, dtype=np.int64)
        for column, low, span in zip(columns, self.low, self.span, strict=True):
            key *= span
            key += column - low
        return key

    def decode(self, key: Ints) -> list[Ints]:
        """Return the columns of keys."""
        columns: list[Ints] = []
        for low, span in zip(reversed(self.low), reversed(self.span), strict=True):
            key, digit = np.divmod(key, span)
            columns.append(digit + low)
        return columns[::-1]

    @property
    def size(self) -> int:
        """Return how many keys there may be."""
        size = 1
        for extent in self.span:
            size *= extent
        return size


def merge_rows(weights: Ints, columns: Mapping[Any, Ints]) -> Table:
    """Merge equal rows, adding up their weights; rows of weight 0 vanish."""
    if not columns:
        return Table(weights.sum(keepdims=True), {})
    used = weights > 0
    if not used.all():
        weights = weights[used]
        columns = {name: column[used] for name, column in columns.items()}
    arrays = list(columns.values())
    keys = Keys.of(arrays)
    key = keys.encode(arrays, len(weights))
    if keys.size <= DENSE_RANGE * len(key) + 64:
        # Sums of integers below 2^53 are exact in doubles.
        sums = np.bincount(key, weights, minlength=1)
        found = np.flatnonzero(sums)
        sums = sums[found].astype(np.int64)
    else:
        order = np.argsort(key, kind="stable")
        ordered = key[order]
        starts = np.flatnonzero(np.diff(ordered, prepend=ordered[0] - 1)) if len(key) else order
        found = ordered[starts]
        sums = np.add.reduceat(weights[order], starts) if len(key) else weights
    return Table(sums, dict(zip(columns, keys.decode(found), strict=True)))


def merge_lists(table: Table, needs: Iterable[Any]) -> tuple[Table, Ints]:
    """Return the distinct rows by some columns, and for each row which of those it is."""
    names = list(needs)
    columns = [table.columns[name] for name in names]
    if not names:
        return Table(table.weights[:1], {}), np.zeros(len(table), dtype=np.int64)
    key = Keys.of(columns).encode(columns, len(table))
    _, first, group = np.unique(key, return_index=True, return_inverse=True)
    kept = {name: column[first] for name, column in zip(names, columns, strict=True)}
    return Table(table.weights[first], kept), group


def expand_fibers(starts: Ints, lengths: Ints) -> tuple[Ints, Ints]:
    """Return for every element of some fibers its owner and its position.

    Args:
        starts: i64 [fibers], position of the first element.
        lengths: i64 [fibers].
    """
    owner = np.repeat(np.arange(len(lengths)), lengths)
    ends = np.cumsum(lengths)
    offset = starts - (ends - lengths)
    return owner, np.arange(len(owner)) + offset[owner]
