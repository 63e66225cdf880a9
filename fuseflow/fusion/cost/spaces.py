# SPDX-License-Identifier: MIT
"""Loop nests of a kernel as spaces of points, each level made by one node.

The streams of a kernel are nested lists; streams of one space have the same lists. A space knows
what makes its innermost level (its `Level`) and the space around it. Nothing is walked in order:
the points of a space are a table of the kinds of points that later levels can tell apart, and a
level is expanded once per kind.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from fuseflow.fusion.cost.table import Ints, Table, merge_rows

__all__ = ["Column", "Lanes", "Level", "PointLimitError", "Space", "Spaces", "UncountedError"]

# What a level does to each row: the row that owns each new point, and the columns made there.
Expanded = tuple[Ints, dict["Column", Ints]]


class UncountedError(Exception):
    """Something does not follow from structure alone, or not in this way."""


class PointLimitError(Exception):
    """Counting would need more rows than it is allowed."""


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One number per point of a space: a coordinate or a reference, -1 where it is missing.

    `home` is the outermost space that has it; every space inside has it too. A column is made by
    the level of its home, unless `derive` computes it from the columns `inputs`. With `dealt` it is
    the lane of each element when the innermost lists of its home are dealt to so many lanes.
    """

    home: Space
    nullable: bool = False
    inputs: tuple[Column, ...] = ()
    derive: Callable[[Sequence[Ints]], Ints] | None = None
    dealt: int = 0


# The points that are in some lanes: what each of these columns must be.
Lanes = tuple[tuple[Column, int], ...]


class Level(Protocol):
    """What makes the innermost lists of a space."""

    def needs(self, wanted: Iterable[Column]) -> set[Column]:
        """Return the columns of the outer space that lists depend on, for these columns."""

    @property
    def covers(self) -> bool:
        """Return True if every list has all coordinates."""

    def size(self, table: Table) -> int:
        """Return how many elements making the lists of all rows looks at."""

    def lengths(self, table: Table) -> Ints:
        """Return the length of each row's list."""

    def expand(self, table: Table, wanted: Iterable[Column]) -> Expanded:
        """Return the elements of each row's list, with the columns that are wanted."""


@dataclass(slots=True, eq=False)
class Space:
    """A loop nest: the points of `parent`, each with the list that `level` makes of it.

    The outermost space has one point, no parent and no level. `crd` are the coordinates of the
    innermost level.
    """

    parent: Space | None = None
    level: Level | None = None
    crd: Column | None = None
    depth: int = field(init=False)

    def __post_init__(self) -> None:
        self.depth = self.parent.depth + 1 if self.parent else 0

    def chain(self) -> list[Space]:
        """Return the spaces from the outermost to this one."""
        return [*(self.parent.chain() if self.parent else ()), self]

    def coordinates(self) -> tuple[Column, ...]:
        """Return the coordinates that name a point, outermost first."""
        return tuple(space.crd for space in self.chain() if space.crd is not None)

    def needs(self, wanted: Iterable[Column]) -> set[Column]:
        """Return the columns of the parent that these columns of this space follow from."""
        assert self.level is not None
        own, outer = self._resolve(wanted)
        return outer | self.level.needs(column for column in own if not column.dealt)

    def step(self, table: Table, wanted: Iterable[Column]) -> Expanded:
        """Expand rows of the parent to points of this space with the columns wanted."""
        assert self.level is not None
        own, outer = self._resolve(wanted)
        owner, made = self.level.expand(table, [column for column in own if not column.dealt])
        for column in outer:
            made[column] = table.columns[column][owner]
        for column in own:
            if column.dealt:
                made[column] = _positions(owner) % column.dealt
        return owner, {column: _derived(column, made, self) for column in wanted}

    def _resolve(self, wanted: Iterable[Column]) -> tuple[set[Column], set[Column]]:
        """Split columns into what the level of this space makes, and what comes from outside."""
        own: set[Column] = set()
        outer: set[Column] = set()
        todo = list(wanted)
        while todo:
            column = todo.pop()
            if column.home is not self:
                outer.add(column)
            elif column.derive is not None:
                todo += column.inputs
            else:
                own.add(column)
        return own, outer


def _positions(owner: Ints) -> Ints:
    """Return the position of every element in its list; `owner` names the lists, in order."""
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    lengths = np.diff(starts, append=len(owner))
    return np.arange(len(owner)) - np.repeat(starts, lengths)


def _derived(column: Column, made: dict[Column, Ints], space: Space) -> Ints:
    if column not in made:
        assert column.derive is not None
        made[column] = column.derive([_derived(c, made, space) for c in column.inputs])
    return made[column]


def _sum_by_lane(
    figures: Sequence[Ints], table: Table, lanes: Sequence[Column], space: Space
) -> Ints:
    """Add up figures of rows, one array for each lane of the space itself, by the other lanes."""
    around = [column for column in lanes if column.home is not space]
    group, shape = np.zeros(len(table), dtype=np.int64), [column.dealt for column in around]
    for column in around:
        group = group * column.dealt + table.columns[column]
    # Sums of integers below 2^53 are exact in doubles.
    sums = [np.bincount(group, each, math.prod(shape)).reshape(shape) for each in figures]
    inner = [number for number, column in enumerate(lanes) if column.home is space]
    return (
        np.stack(sums, inner[0] if inner else 0)
        .astype(np.int64)
        .reshape([column.dealt for column in lanes])
    )


# A place to start from in the middle of a nest: a space, its rows, and the column that names them.
Seed = tuple[Space, Table, Column]


@dataclass(slots=True)
class Spaces:
    """Counts the points of spaces; remembers every table that was made.

    `limit` bounds the rows that may be expanded for one kernel, which are `spent` so far; `total`
    are those of all kernels.
    """

    limit: int
    root: Space = field(default_factory=Space)
    spent: int = 0
    total: int = 0
    _tables: dict[tuple[Space, frozenset[Column], int], Table] = field(default_factory=dict)
    _counts: dict[tuple[Space, tuple[Column, ...]], tuple[Ints, Ints]] = field(default_factory=dict)

    def points(self, space: Space, lanes: Lanes = ()) -> int:
        """Return how many points a space has, in all or in some lanes."""
        if space.parent is None:
            return 1
        points, _ = self._by_lane(space, tuple(column for column, _ in lanes))
        return int(points[tuple(lane for _, lane in lanes)])

    def empty(self, space: Space, lanes: Lanes = ()) -> int:
        """Return how many innermost lists of a space are empty."""
        _, empty = self._by_lane(space, tuple(column for column, _ in lanes))
        return int(empty[tuple(lane for _, lane in lanes)])

    def present(self, column: Column, space: Space, lanes: Lanes = ()) -> int:
        """Return at how many points of a space a column is not missing."""
        if not column.nullable:
            return self.points(space, lanes)
        table = self.rows(space, {column, *(lane for lane, _ in lanes)})
        there = table.columns[column] >= 0
        for lane, number in lanes:
            there &= table.columns[lane] == number
        return int(table.weights[there].sum())

    def _by_lane(self, space: Space, lanes: tuple[Column, ...]) -> tuple[Ints, Ints]:
        """Return the points of a space, and its innermost lists that are empty, lane by lane.

        Both have one dimension for each of the columns `lanes`.
        """
        if (space, lanes) not in self._counts:
            assert space.parent is not None
            assert space.level is not None
            around = [column for column in lanes if column.home is not space]
            table = self.rows(space.parent, space.needs(()) | set(around))
            self._spend(space.level.size(table))
            lengths = space.level.lengths(table)
            dealt = [lengths]
            for column in lanes:
                if column.home is space:
                    # Lane n has the elements n, n + dealt, ... of each list.
                    rounds = (lengths + n for n in reversed(range(column.dealt)))
                    dealt = [each // column.dealt for each in rounds]
            self._counts[space, lanes] = (
                _sum_by_lane([table.weights * each for each in dealt], table, lanes, space),
                _sum_by_lane([table.weights * (each == 0) for each in dealt], table, lanes, space),
            )
        return self._counts[space, lanes]

    def rows(self, space: Space, wanted: Iterable[Column], seed: Seed | None = None) -> Table:
        """Return the points of a space, told apart by the columns wanted.

        With a `seed` only the points inside its rows are looked at, and its column tells them
        apart as well.

        Raises:
            PointLimitError: if that takes too many rows.
        """
        columns = frozenset(wanted) | ({seed[2]} if seed else set())
        key = (space, columns, id(seed[1]) if seed else 0)
        if key not in self._tables:
            self._tables[key] = self._make(space, columns, seed)
        return self._tables[key]

    def _make(self, space: Space, columns: frozenset[Column], seed: Seed | None) -> Table:
        if seed is not None and space is seed[0]:
            if not columns <= seed[1].columns.keys():
                raise UncountedError("streams of different loops meet")
            return merge_rows(seed[1].weights, {c: seed[1].columns[c] for c in columns})
        if space.parent is None:
            if any(column.home is not space for column in columns):
                raise UncountedError("streams of different loops meet")
            return Table(np.ones(1, np.int64), {c: np.zeros(1, np.int64) for c in columns})
        assert space.level is not None
        carried = {seed[2]} if seed else set()
        table = self.rows(space.parent, space.needs(columns - carried) | carried, seed)
        self._spend(space.level.size(table))
        if all(column.home is not space for column in columns):
            lengths = space.level.lengths(table)
            kept = {c: table.columns[c] for c in columns}
            return merge_rows(table.weights * lengths, kept)
        owner, made = space.step(table, columns)
        return merge_rows(table.weights[owner], made)

    def _spend(self, rows: int) -> None:
        self.spent += rows
        self.total += rows
        if self.spent > self.limit:
            raise PointLimitError
