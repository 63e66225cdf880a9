# SPDX-License-Identifier: MIT
"""Nests that have the same points although different nodes make them.

A dense loop and an accumulator that lists every coordinate, for example, may run side by side.
A point of one is the point of the other that has the same coordinates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from fuseflow.fusion.cost.spaces import Column, Expanded, Space, Spaces
from fuseflow.fusion.cost.table import Ints, Keys, Table

__all__ = ["MovedLevel", "Side", "bridge"]


def bridge(spaces: Spaces, column: Column, space: Space) -> Column:
    """Return a column of an equal nest as a column of `space`, looked up by coordinates."""
    names = column.home.coordinates()
    numbering: list[tuple[Keys, Ints, Ints]] = []

    def derive(inputs: Sequence[Ints]) -> Ints:
        if not numbering:
            table = spaces.rows(column.home, {*names, column})
            arrays = [table.columns[name] for name in names]
            keys = Keys.of(arrays)
            known = keys.encode(arrays, len(table))
            order = np.argsort(known)
            numbering.append((keys, known[order], table.columns[column][order]))
        keys, known, values = numbering[0]
        return values[np.searchsorted(known, keys.encode(inputs, len(inputs[0])))]

    return Column(space, column.nullable, space.coordinates(), derive)


@dataclass(slots=True, eq=False)
class MovedLevel:
    """The lists of a space, inside a nest with the same points as the one around it.

    `seen` turns columns of the old nest into those of the new one; `columns` has the new name of
    every column of the space that is asked for.
    """

    space: Space
    seen: Callable[[Column], Column]
    columns: dict[Column, Column] = field(default_factory=dict)

    @property
    def covers(self) -> bool:
        """Return True if no coordinate is left out."""
        assert self.space.level is not None
        return self.space.level.covers

    def needs(self, wanted: Iterable[Column]) -> set[Column]:
        """Need what the space needs, as the new nest has it."""
        return {self.seen(column) for column in self._needs(wanted)}

    def size(self, table: Table) -> int:
        """Return how many elements making the lists of all rows looks at."""
        assert self.space.level is not None
        return self.space.level.size(self._old(table, ()))

    def lengths(self, table: Table) -> Ints:
        """Return the length of each row's list."""
        assert self.space.level is not None
        return self.space.level.lengths(self._old(table, ()))

    def expand(self, table: Table, wanted: Iterable[Column]) -> Expanded:
        """Return the elements of each row's list, with the columns that are wanted."""
        wanted = list(wanted)
        asked = {self.columns[column] for column in wanted}
        owner, made = self.space.step(self._old(table, wanted), asked)
        return owner, {column: made[self.columns[column]] for column in wanted}

    def _needs(self, wanted: Iterable[Column]) -> set[Column]:
        return self.space.needs({self.columns[column] for column in wanted})

    def _old(self, table: Table, wanted: Iterable[Column]) -> Table:
        """Return the rows with columns as the old nest calls them."""
        needs = self._needs(wanted)
        return Table(table.weights, {c: table.columns[self.seen(c)] for c in needs})


@dataclass(frozen=True, slots=True)
class Side:
    """One input of a join: its space, and its columns under their names there."""

    space: Space
    moved: MovedLevel | None = None

    def __call__(self, column: Column | None) -> Column:
        """Return a column of the original space as the space has it."""
        assert column is not None
        if self.moved is None:
            return column
        for new, old in self.moved.columns.items():
            if old is column:
                return new
        new = Column(self.space, column.nullable)
        self.moved.columns[new] = column
        return new
