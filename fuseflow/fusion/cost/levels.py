# SPDX-License-Identifier: MIT
"""How each primitive makes the lists of a space: scans, dense loops, joins, accumulators."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fuseflow.fusion.cost.spaces import Column, Expanded, Level, Space, Spaces
from fuseflow.fusion.cost.table import Ints, Keys, Table, expand_fibers, merge_lists
from fuseflow.ir import tensor as tn

__all__ = [
    "FullLevel",
    "JoinLevel",
    "KeyLevel",
    "Keyed",
    "ScanLevel",
    "build_levels",
    "coordinates_of_any",
    "keep_table",
]

Bools = npt.NDArray[np.bool_]


@dataclass(slots=True, eq=False)
class FullLevel:
    """Every coordinate below every element."""

    extent: int
    crd: Column | None = None

    def needs(self, wanted: Iterable[Column]) -> set[Column]:
        """Need nothing."""
        return set()

    @property
    def covers(self) -> bool:
        """Return True: no coordinate is left out."""
        return True

    def size(self, table: Table) -> int:
        """Return how many elements there are below all rows."""
        return len(table) * self.extent

    def lengths(self, table: Table) -> Ints:
        """Return the extent, for every row."""
        return np.full(len(table), self.extent, dtype=np.int64)

    def expand(self, table: Table, wanted: Iterable[Column]) -> Expanded:
        """Return all coordinates below every row."""
        owner = np.repeat(np.arange(len(table)), self.extent)
        crd = np.tile(np.arange(self.extent), len(table))
        return owner, dict.fromkeys(wanted, crd)


@dataclass(slots=True, eq=False)
class ScanLevel:
    """The fiber of a stored or dense level of a tensor below each reference."""

    level: tn.Level
    parent: Column
    crd: Column | None = None
    ref: Column | None = None

    def needs(self, wanted: Iterable[Column]) -> set[Column]:
        """Need the reference, unless every reference has a list of the same length."""
        alike = self.level.format is not tn.LevelFormat.COMPRESSED and not self.parent.nullable
        return set() if alike and not set(wanted) else {self.parent}

    @property
    def covers(self) -> bool:
        """Return True if no coordinate is left out."""
        return self.level.format is tn.LevelFormat.DENSE and not self.parent.nullable

    def size(self, table: Table) -> int:
        """Return how many elements there are below all rows."""
        return int(self.lengths(table).sum())

    def lengths(self, table: Table) -> Ints:
        """Return the length of the fiber below each row; a missing reference has none."""
        each = self.level.size if self.level.format is tn.LevelFormat.DENSE else 1
        if self.parent not in table.columns:
            return np.full(len(table), each, dtype=np.int64)
        ref = table.columns[self.parent]
        if self.level.segments is None:
            return np.where(ref >= 0, each, 0)
        segments = self.level.segments
        return np.where(ref >= 0, segments[ref + 1] - segments[np.maximum(ref, 0)], 0)

    def expand(self, table: Table, wanted: Iterable[Column]) -> Expanded:
        """Return coordinates and references of the fibers below the rows."""
        if self.parent not in table.columns:
            return np.repeat(np.arange(len(table)), self.lengths(table)), {}
        ref, lengths = table.columns[self.parent], self.lengths(table)
        if self.level.segments is not None:
            starts = self.level.segments[np.maximum(ref, 0)]
        else:
            starts = ref * (self.level.size if self.level.format is tn.LevelFormat.DENSE else 1)
        owner, position = expand_fibers(starts, lengths)
        made = {column: self._column(column, position) for column in wanted}
        return owner, made

    def _column(self, column: Column, position: Ints) -> Ints:
        if column is self.ref:
            return position
        if self.level.coordinates is not None:
            return self.level.coordinates[position]
        return position % self.level.size


def keep_table(keep: str, inputs: int) -> Bools:
    """Return for every set of inputs, as a bit mask, whether a join keeps their coordinate."""
    masks = np.arange(1 << inputs)
    if keep == "intersect":
        return np.asarray(masks == (1 << inputs) - 1)
    if keep == "union":
        return np.asarray(masks > 0)
    if keep == "left":
        return np.asarray(masks & 1 > 0)
    return np.array([digit == "1" for digit in keep])


@dataclass(slots=True, eq=False)
class _Part:
    """The lists of one input of a join: `group` tells which list each row has."""

    group: Ints
    owner: Ints
    crd: Ints
    made: dict[Column, Ints]

    def places(self, row: Ints, crd: Ints) -> Ints:
        """Return where coordinates are in the lists of rows; -1 where they are not."""
        span = 1 + max(int(self.crd.max(initial=0)), int(crd.max(initial=0)))
        known = self.owner * span + self.crd
        asked = self.group[row] * span + crd
        place = np.searchsorted(known, asked)
        if not len(known):
            return np.full(len(asked), -1, dtype=np.int64)
        found = known[np.minimum(place, len(known) - 1)] == asked
        return np.where(found, place, -1)


@dataclass(slots=True, eq=False)
class JoinLevel:
    """The merged lists of several spaces that lie in the same one.

    `crds` are the coordinates of the inputs; `payloads` gives for each column that the join makes
    the input it comes from, and the column there. `all_keep` counts what is walked: coordinates
    that any input has.
    """

    inputs: tuple[Space, ...]
    crds: tuple[Column, ...]
    keep: Bools
    crd: Column | None = None
    payloads: dict[Column, tuple[int, Column]] = field(default_factory=dict)

    def needs(self, wanted: Iterable[Column]) -> set[Column]:
        """Need what the inputs need for their coordinates and payloads."""
        found: set[Column] = set()
        for number, space in enumerate(self.inputs):
            found |= space.needs(self._from(number, wanted))
        return found

    @property
    def covers(self) -> bool:
        """Return True if no coordinate is left out."""
        return any(
            self.keep[[m for m in range(len(self.keep)) if m >> number & 1]].all() and level.covers
            for number, level in enumerate(self._levels())
        )

    def size(self, table: Table) -> int:
        """Return how many elements of the inputs a merge below all rows looks at."""
        leader = self._leader(table)
        if leader is None:
            return sum(level.size(table) for level in self._levels())
        return self._levels()[leader].size(table)

    def _levels(self) -> list[Level]:
        return [space.level for space in self.inputs if space.level is not None]

    def _leader(self, table: Table) -> int | None:
        """Return the shortest input that has every coordinate that is kept; None: a union."""
        masks = np.flatnonzero(self.keep)
        levels = self._levels()
        having = [n for n in range(len(levels)) if (masks >> n & 1).all()]
        return min(having, key=lambda n: levels[n].size(table), default=None)

    def lengths(self, table: Table) -> Ints:
        """Return how many coordinates are kept below each row."""
        owner, _ = self.expand(table, ())
        return np.bincount(owner, minlength=len(table))

    def expand(self, table: Table, wanted: Iterable[Column]) -> Expanded:
        """Merge the lists of the inputs below each row."""
        wanted = list(wanted)
        leader = self._leader(table)
        everyone = range(len(self.inputs))
        parts = [
            self._part(number, table, wanted, leader not in (None, number)) for number in everyone
        ]
        if leader is None:
            span = 1 + max(int(part.crd.max(initial=0)) for part in parts)
            merged = _merge_sorted([part.owner * span + part.crd for part in parts])
            owner, crd = np.divmod(merged, span)
        else:
            owner, crd = parts[leader].owner, parts[leader].crd
        places = [part.places(owner, crd) for part in parts]
        presence = sum((place >= 0) << n for n, place in enumerate(places))
        kept = self.keep[presence]
        made: dict[Column, Ints] = {}
        for column in wanted:
            if column is self.crd:
                made[column] = crd[kept]
            else:
                number, source = self.payloads[column]
                place = places[number][kept]
                values = parts[number].made[source]
                made[column] = np.where(place >= 0, values[place], -1) if len(values) else place
        return owner[kept], made

    def _part(self, number: int, table: Table, wanted: list[Column], alike: bool) -> _Part:
        """Expand one input; `alike` makes equal lists of different rows once."""
        space, asked = self.inputs[number], self._from(number, wanted)
        group = np.arange(len(table))
        if alike:
            table, group = merge_lists(table, space.needs(asked))
        owner, made = space.step(table, asked)
        return _Part(group, owner, made[self.crds[number]], made)

    def _from(self, number: int, wanted: Iterable[Column]) -> set[Column]:
        asked = (self.payloads[column] for column in wanted if column in self.payloads)
        return {self.crds[number], *(column for n, column in asked if n == number)}


def coordinates_of_any(join: JoinLevel) -> Iterator[tuple[int, Space]]:
    """Yield spaces whose points, added or taken away, are all coordinates of a join's inputs."""
    spaces, crds = join.inputs, join.crds
    for space in spaces:
        if space.level is not None and space.level.covers:
            yield 1, space
            return
    for size in range(1, len(spaces) + 1):
        for some in itertools.combinations(range(len(spaces)), size):
            chosen = tuple(spaces[n] for n in some)
            met = chosen[0]
            if size > 1:
                keep = keep_table("intersect", size)
                level = JoinLevel(chosen, tuple(crds[n] for n in some), keep)
                met = Space(chosen[0].parent, level)
            yield (1 if size % 2 else -1), met


@dataclass(slots=True, eq=False)
class Keyed:
    """What comes out of an accumulator: below each list of its outermost coordinate, its keys.

    `outer` is the space of those lists, `inner` that of the values that are combined, `keys` their
    coordinates there, `full` as in the node. Lists of equal dependences are made once.
    """

    spaces: Spaces
    outer: Space
    inner: Space
    keys: tuple[Column, ...]
    full: tuple[int, ...]
    basis: tuple[Column, ...] = ()
    _numbering: Keys | None = None
    _known: Ints | None = None
    _levels: list[tn.Level] = field(default_factory=list)

    def __post_init__(self) -> None:
        wanted: set[Column] = set(self.keys)
        space = self.inner
        while space is not self.outer:
            assert space.parent is not None
            wanted = space.needs(wanted)
            space = space.parent
        self.basis = tuple(wanted)

    def group(self, table: Table) -> Ints:
        """Return which list of groups each row of the outer space belongs to."""
        self._prepare()
        assert self._numbering is not None
        assert self._known is not None
        arrays = [table.columns[column] for column in self.basis]
        return np.searchsorted(self._known, self._numbering.encode(arrays, len(table)))

    def level(self, number: int) -> tn.Level:
        """Return one level of keys as a level of a tensor whose rows are the groups."""
        self._prepare()
        return self._levels[number]

    def _prepare(self) -> None:
        if self._levels:
            return
        groups = self.spaces.rows(self.outer, self.basis)
        arrays = [groups.columns[column] for column in self.basis]
        self._numbering = Keys.of(arrays)
        key = self._numbering.encode(arrays, len(groups))
        order = np.argsort(key)
        self._known = key[order]
        name = Column(self.outer)
        ids = np.empty(len(groups), dtype=np.int64)
        ids[order] = np.arange(len(groups))
        seeded = Table(np.ones_like(groups.weights), {**groups.columns, name: ids})
        entries = self.spaces.rows(self.inner, self.keys, (self.outer, seeded, name))
        columns = [entries.columns[column] for column in (name, *self.keys)]
        self._levels = build_levels(len(groups), columns, self.full)


@dataclass(slots=True, eq=False)
class KeyLevel:
    """One level of the keys that an accumulator emits; the first lies in the accumulator's space.

    `above` is the position in the level of keys before, None for the first.
    """

    keyed: Keyed
    number: int
    above: Column | None = None
    crd: Column | None = None
    ref: Column | None = None

    def needs(self, wanted: Iterable[Column]) -> set[Column]:
        """Need what the lists depend on, unless every coordinate is listed everywhere."""
        if self.keyed.full[self.number] and self.ref not in set(wanted):
            return set()
        return set(self.keyed.basis) if self.above is None else {self.above}

    @property
    def covers(self) -> bool:
        """Return True if no coordinate is left out."""
        return self.keyed.full[self.number] > 0

    def size(self, table: Table) -> int:
        """Return how many elements there are below all rows."""
        return int(self.lengths(table).sum())

    def lengths(self, table: Table) -> Ints:
        """Return how many keys are below each row."""
        extent = self.keyed.full[self.number]
        if extent:
            return np.full(len(table), extent, dtype=np.int64)
        level, entered = self._enter(table)
        return level.lengths(entered)

    def expand(self, table: Table, wanted: Iterable[Column]) -> Expanded:
        """Return the keys below each row."""
        wanted = set(wanted)
        extent = self.keyed.full[self.number]
        if extent and self.ref not in wanted:
            return FullLevel(extent, self.crd).expand(table, wanted)
        level, entered = self._enter(table)
        return level.expand(entered, wanted)

    def _enter(self, table: Table) -> tuple[ScanLevel, Table]:
        """Return the level as one of a tensor, and the rows as references into it."""
        entry = self.above or Column(self.keyed.outer)
        if self.above is None:
            table = Table(table.weights, {entry: self.keyed.group(table)})
        return ScanLevel(self.keyed.level(self.number), entry, self.crd, self.ref), table


def _merge_sorted(runs: Sequence[Ints]) -> Ints:
    """Return what is in any of several ascending arrays, each number once."""
    merged = np.concatenate(runs)
    merged.sort(kind="stable")  # merges runs in linear time
    fresh = np.ones(len(merged), dtype=np.bool_)
    np.not_equal(merged[1:], merged[:-1], out=fresh[1:])
    return merged[fresh]


def build_levels(parents: int, columns: Sequence[Ints], full: Sequence[int]) -> list[tn.Level]:
    """Store lists of keys: the first column names the list, `full` the extent of dense levels."""
    order = np.lexsort(columns[::-1])
    position = columns[0][order]
    levels: list[tn.Level] = []
    for column, extent in zip(columns[1:], full, strict=True):
        crd = column[order]
        size = extent or int(crd.max(initial=0)) + 1
        fmt = tn.LevelFormat.DENSE if extent else tn.LevelFormat.COMPRESSED
        level, position = tn.add_level(fmt, size, position, crd, parents)
        levels.append(level)
        parents = level.positions(parents)
    return levels
