# SPDX-License-Identifier: MIT
"""The tensor of every stage: a fibertree in arrays, with formats per level and a fill value.

A tensor of order m has m levels in storage order; level l stores logical dimension
`mode_order[l]`. A dense level needs no arrays; a compressed level has `segments` (one more entry
than it has fibers) and `coordinates`. Positions of level l are the parents of level l + 1, and
positions of the last level index `values`. Everything that is not stored equals `fill`.

Not here: how a tensor is named in a graph, and how it is written to bytes.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "Format",
    "Level",
    "LevelFormat",
    "Tensor",
    "add_level",
    "dense_format",
    "tensor_from_coordinates",
    "tensor_from_dense",
    "tile_counts",
]

Array = npt.NDArray[np.generic]


class LevelFormat(enum.StrEnum):
    """How the coordinates of one level are stored."""

    DENSE = "dense"
    COMPRESSED = "compressed"
    SINGLETON = "singleton"

    @property
    def is_stored(self) -> bool:
        """True if the level keeps coordinates, so that it can omit some."""
        return self is not LevelFormat.DENSE


@dataclass(frozen=True, slots=True)
class Format:
    """Level formats in storage order, the dimension each level stores, and the tile of a value.

    `tile` is empty for scalar values; otherwise it has one extent per dimension, one token carries
    an array of that shape, and the coordinates of a level count tiles.
    """

    levels: tuple[LevelFormat, ...]
    mode_order: tuple[int, ...]
    tile: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if sorted(self.mode_order) != list(range(len(self.levels))):
            raise ValueError(
                f"mode order {self.mode_order} is no order of {len(self.levels)} modes"
            )

    def __str__(self) -> str:
        text = ",".join(self.levels)
        natural = self.mode_order == tuple(range(len(self.levels)))
        modes = "" if natural else "@" + ",".join(map(str, self.mode_order))
        tile = "/" + "x".join(map(str, self.tile)) if self.tile else ""
        return f"{text}{modes}{tile}"

    @property
    def is_dense(self) -> bool:
        """True if no level can omit a coordinate."""
        return not any(level.is_stored for level in self.levels)


def tile_counts(shape: tuple[int, ...], tile: tuple[int, ...]) -> tuple[int, ...]:
    """Return how many tiles cover each dimension; without a tile, its extent."""
    return tuple(-(-n // t) for n, t in zip(shape, tile, strict=True)) if tile else shape


def dense_format(order: int) -> Format:
    """Return the format of an all-dense tensor of `order` modes in their natural order."""
    return Format((LevelFormat.DENSE,) * order, tuple(range(order)))


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """One level: its format, its extent, and for stored levels the arrays.

    `segments` i64 of length fibers + 1 (compressed only), `coordinates` i64 of length positions,
    strictly ascending within a fiber.
    """

    format: LevelFormat
    size: int
    segments: npt.NDArray[np.int64] | None = None
    coordinates: npt.NDArray[np.int64] | None = None

    def positions(self, parents: int) -> int:
        """Return how many positions this level has under `parents` positions of the one above."""
        if self.format is LevelFormat.DENSE:
            return parents * self.size
        if self.coordinates is None:
            raise ValueError("level has no coordinates")
        return len(self.coordinates)


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A tensor with its data. `values` is f32 of shape [positions, *tile], None for a pattern.

    A pattern tensor (a mask) stores no values: every stored entry is 1. `shape` counts elements
    also where there are tiles; the last tile of a dimension may reach beyond it, and holds `fill`
    there.
    """

    shape: tuple[int, ...]
    levels: tuple[Level, ...]
    mode_order: tuple[int, ...]
    values: npt.NDArray[np.float32] | None
    fill: float = 0.0
    tile: tuple[int, ...] = ()

    @property
    def format(self) -> Format:
        """Return the level formats, mode order and tile."""
        return Format(tuple(level.format for level in self.levels), self.mode_order, self.tile)

    @property
    def stored(self) -> int:
        """Return the number of stored entries (positions of the last level)."""
        count = 1
        for level in self.levels:
            count = level.positions(count)
        return count

    @property
    def density(self) -> float:
        """Return stored entries over all entries; 1.0 for an empty shape."""
        size = float(np.prod(self.shape, dtype=np.float64))
        return self.stored / size if size else 1.0

    def coordinates(self) -> npt.NDArray[np.int64]:
        """Return the stored coordinates in storage order, shape [stored, order], logical modes."""
        rows = np.zeros((1, 0), dtype=np.int64)
        for level in self.levels:
            rows = _descend(level, rows)
        out = np.empty((len(rows), len(self.shape)), dtype=np.int64)
        out[:, list(self.mode_order)] = rows
        return out

    def to_dense(self) -> npt.NDArray[np.float32]:
        """Return the dense array that this tensor denotes."""
        tile = self.tile or (1,) * len(self.shape)
        counts = tile_counts(self.shape, tile)
        out = np.full((*counts, *tile), self.fill, dtype=np.float32)
        index = tuple(self.coordinates().T) or (np.newaxis,)  # a scalar has one stored entry too
        values = np.ones(1, np.float32) if self.values is None else self.values
        out[index] = values.reshape(-1, *tile)
        order = len(self.shape)
        interleaved = out.transpose([axis for d in range(order) for axis in (d, order + d)])
        padded = interleaved.reshape([c * t for c, t in zip(counts, tile, strict=True)])
        return np.asarray(padded[tuple(slice(extent) for extent in self.shape)])


def _descend(level: Level, parents: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Extend each parent coordinate tuple by the coordinates of its fiber."""
    count = len(parents)
    if level.format is LevelFormat.DENSE:
        crd = np.tile(np.arange(level.size, dtype=np.int64), count)
        owner = np.repeat(np.arange(count), level.size)
    elif level.format is LevelFormat.SINGLETON:
        assert level.coordinates is not None
        crd, owner = level.coordinates, np.arange(count)
    else:
        assert level.coordinates is not None
        assert level.segments is not None
        crd, owner = level.coordinates, np.repeat(np.arange(count), np.diff(level.segments))
    return np.concatenate([parents[owner], crd[:, None]], axis=1)


def tensor_from_dense(
    array: npt.ArrayLike,
    fmt: Format | None = None,
    *,
    fill: float = 0.0,
    pattern: bool = False,
    stored: npt.NDArray[np.bool_] | None = None,
) -> Tensor:
    """Store a dense array in a format.

    Args:
        array: the dense values, any numeric dtype; kept as float32.
        fmt: the format; all dense in natural order by default.
        fill: the value that stored levels may omit.
        pattern: drop the values and keep where they are (a mask).
        stored: bool array of the same shape, which entries a stored level keeps; default: all
            entries that differ from `fill` (NaN differs from everything).

    Returns:
        The tensor; entries below a dense level are kept whatever their value.

    Raises:
        ValueError: if the format has another order than the array, tiles, or singletons.
    """
    data = np.asarray(array, dtype=np.float32)
    fmt = fmt or dense_format(data.ndim)
    if len(fmt.levels) != data.ndim or fmt.tile:
        raise ValueError(f"format {fmt} does not fit an array of {data.ndim} dimensions")
    keep = np.asarray(data != np.float32(fill)) if stored is None else stored
    keep, moved = keep.transpose(fmt.mode_order), data.transpose(fmt.mode_order)
    levels, index = _store_levels(keep, fmt.levels)
    values = None if pattern else np.ascontiguousarray(moved[index]).reshape(-1)
    return Tensor(data.shape, levels, fmt.mode_order, values, fill)


def _store_levels(
    keep: npt.NDArray[np.bool_], formats: Sequence[LevelFormat]
) -> tuple[tuple[Level, ...], tuple[Array, ...]]:
    """Build the levels of the pattern `keep`, and the index tuple of every leaf position."""
    levels: list[Level] = []
    prefix = np.zeros((1, 0), dtype=np.int64)
    for depth, fmt in enumerate(formats):
        size = keep.shape[depth]
        if fmt is LevelFormat.DENSE:
            level = Level(fmt, size)
        elif fmt is LevelFormat.COMPRESSED:
            used = np.asarray(keep.any(axis=tuple(range(depth + 1, keep.ndim))))
            rows = used[tuple(prefix.T)].reshape(len(prefix), size)
            segments = np.zeros(len(prefix) + 1, dtype=np.int64)
            np.cumsum(rows.sum(axis=1), out=segments[1:])
            level = Level(fmt, size, segments, np.nonzero(rows)[1].astype(np.int64))
        else:
            raise ValueError(f"cannot build a {fmt} level from a dense array")
        levels.append(level)
        prefix = _descend(level, prefix)
    return tuple(levels), tuple(prefix.T)


def tensor_from_coordinates(
    shape: tuple[int, ...],
    coordinates: npt.NDArray[np.int64],
    values: npt.NDArray[np.float32] | None,
    fmt: Format,
    *,
    fill: float = 0.0,
) -> Tensor:
    """Store a list of entries in a format.

    Args:
        shape: extents of the logical dimensions, in elements.
        coordinates: i64 [entries, order], logical dimensions, each tuple at most once, any order;
            they count tiles if the format has some.
        values: f32 [entries, *tile], or None for a pattern.
        fmt: dense and compressed levels only; below a dense level absent entries hold `fill`.
        fill: the value of everything that is not listed.

    Raises:
        ValueError: if the format does not fit, or a pattern ends in a dense level.
    """
    if len(fmt.levels) != len(shape) or LevelFormat.SINGLETON in fmt.levels:
        raise ValueError(f"format {fmt} does not fit a list of entries of order {len(shape)}")
    stored = coordinates[:, list(fmt.mode_order)]
    order = np.lexsort(stored.T[::-1]) if stored.shape[1] else np.arange(len(stored))
    stored = stored[order]
    levels: list[Level] = []
    counts = tile_counts(shape, fmt.tile)
    position, parents = np.zeros(len(stored), dtype=np.int64), 1
    for depth, (level_format, mode) in enumerate(zip(fmt.levels, fmt.mode_order, strict=True)):
        size = counts[mode]
        level, position = add_level(level_format, size, position, stored[:, depth], parents)
        levels.append(level)
        parents = level.positions(parents)
    if values is None:
        if parents != len(stored):
            raise ValueError("a pattern cannot end in a dense level")
        return Tensor(shape, tuple(levels), fmt.mode_order, None, fill, fmt.tile)
    data = np.full((parents, *fmt.tile), fill, dtype=np.float32)
    data[position] = values[order]
    return Tensor(shape, tuple(levels), fmt.mode_order, data, fill, fmt.tile)


def add_level(
    fmt: LevelFormat,
    size: int,
    parent: npt.NDArray[np.int64],
    crd: npt.NDArray[np.int64],
    parents: int,
) -> tuple[Level, npt.NDArray[np.int64]]:
    """Build one level from sorted entries.

    Args:
        fmt: dense or compressed.
        size: extent of the level.
        parent: i64 [entries], position of each entry in the level above, ascending.
        crd: i64 [entries], coordinate of each entry in this level.
        parents: positions of the level above.

    Returns:
        The level, and the position of every entry in it.
    """
    if fmt is LevelFormat.DENSE:
        return Level(fmt, size), parent * size + crd
    starts = np.ones(len(crd), dtype=np.bool_)
    starts[1:] = (parent[1:] != parent[:-1]) | (crd[1:] != crd[:-1])
    segments = np.zeros(parents + 1, dtype=np.int64)
    np.cumsum(np.bincount(parent[starts], minlength=parents), out=segments[1:])
    return Level(fmt, size, segments, crd[starts]), np.cumsum(starts) - 1
