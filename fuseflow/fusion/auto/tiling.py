# SPDX-License-Identifier: MIT
"""Which tiles a search may try: those that the stored tensors of a graph consist of.

A tensor whose entries fill whole blocks loses nothing when a token carries a block. Besides the
blocks that were found, whole models are tried in tiles of that size, padded where it does not
divide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from fuseflow.fusion.blocks import connected_dimensions
from fuseflow.fusion.schedule.block import EVERYWHERE
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.schedule import (
    Block,
    Directive,
    Glob,
    IndexRef,
    IndexTile,
    Schedule,
    Scoped,
)
from fuseflow.ir.tensor import Tensor

__all__ = ["block_extents", "tilings"]


def tilings(asked: Schedule, graph: EinsumGraph) -> Iterator[tuple[str, Schedule]]:
    """Yield the schedule with tiles, each with a word for them; nothing if it has its own."""
    given = [directive for group in asked.groups for directive in group.directives]
    given += [directive for scoped in asked.scoped for directive in scoped.directives]
    if any(isinstance(directive.choice, Block) for directive in given):
        return
    found = _found_tiles(graph)
    if not found:
        return
    yield "blocks as stored", _with_tiles(asked, found)
    size = max(found.values())
    if not all(found.get(index) == size for index in graph.index_sizes()):
        yield f"blocks of {size}", _with_tiles(asked, {EVERYWHERE: size})


def block_extents(tensor: Tensor) -> tuple[int, ...]:
    """Return the largest blocks of a power of two that the entries of a tensor fill as a whole."""
    entries = tensor.coordinates()
    if not len(entries) or tensor.tile:
        return (1,) * len(tensor.shape)
    return tuple(_block_extent(entries, tensor.shape, mode) for mode in range(len(tensor.shape)))


def _block_extent(entries: npt.NDArray[np.int64], shape: tuple[int, ...], mode: int) -> int:
    extent = 1
    while shape[mode] % (2 * extent) == 0 and len(entries) % (2 * extent) == 0:
        grouped = entries.copy()
        grouped[:, mode] //= 2 * extent
        groups = len(np.unique(np.ravel_multi_index(tuple(grouped.T), shape)))
        # A group has at most 2 * extent entries, so all are full if there are so few groups.
        if groups * 2 * extent != len(entries):
            break
        extent *= 2
    return extent


def _found_tiles(graph: EinsumGraph) -> dict[str, int]:
    """Return the tile of every index that runs along blocks; the smallest of connected ones."""
    union = connected_dimensions(graph)
    sizes: dict[object, int] = {}
    for name, value in graph.values.items():
        if value.tensor is None or value.tensor.format.is_dense:
            continue
        for mode, extent in enumerate(block_extents(value.tensor)):
            group = union[name, mode]
            sizes[group] = min(extent, sizes.get(group, extent))
    found = ((index, sizes.get(union[index], 1)) for index in graph.index_sizes())
    return {index: size for index, size in found if size > 1}


def _with_tiles(asked: Schedule, tiles: Mapping[str, int]) -> Schedule:
    split = tuple(IndexTile(IndexRef(index), size) for index, size in sorted(tiles.items()))
    scoped = Scoped(Glob("*"), (Directive(Block(split)),))
    return replace(asked, scoped=(*asked.scoped, scoped))
