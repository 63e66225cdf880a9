# SPDX-License-Identifier: MIT
"""Directives about tiles: which indices of the graph are split, and what that adds to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fuseflow.fusion.blocks import block_graph
from fuseflow.fusion.schedule.bind import Bound
from fuseflow.fusion.schedule.select import unknown
from fuseflow.ir.einsum import Einsum, EinsumGraph
from fuseflow.ir.schedule import Block, IndexRef, IndexTile

__all__ = ["EVERYWHERE", "apply_blocks"]

# Stands for every index that is at least as long as the tile.
EVERYWHERE = "*"


def apply_blocks(
    graph: EinsumGraph, rewrites: tuple[Bound, ...]
) -> tuple[EinsumGraph, tuple[Bound, ...], dict[str, str]]:
    """Split the indices that directives name.

    Returns:
        The graph; the directives, with one for all tiles that names its indices; and the
        operations that were added, each with the one that it belongs to.

    Raises:
        ScheduleError: P011 if no operation named has an index, P020 or P021 if indices cannot be
            split so.
    """
    tiles: dict[str, int] = {}
    for bound in rewrites:
        if isinstance(bound.choice, Block):
            tiles |= dict(_tiles(graph, bound, bound.choice))
    tiles = {index: size for index, size in tiles.items() if size > 1}
    blocked = block_graph(graph, tiles)
    others = tuple(bound for bound in rewrites if not isinstance(bound.choice, Block))
    applied = others + ((_directive(graph, tiles),) if tiles else ())
    return blocked, applied, dict(_added(graph, blocked))


def _tiles(graph: EinsumGraph, bound: Bound, block: Block) -> Iterator[tuple[str, int]]:
    sizes = graph.index_sizes()
    for tile in block.tiles:
        name = tile.index.name
        names = {tile.index.op} if tile.index.op else bound.ops
        ops = [op for op in graph.einsums if op.name in names]
        found = {index for op in ops for index in _indices(op)}
        if name == EVERYWHERE:
            yield from ((index, tile.size) for index in sorted(found) if sizes[index] >= tile.size)
        elif name not in found:
            raise unknown("index of the operations named", name, found)
        else:
            yield name, tile.size


def _directive(graph: EinsumGraph, tiles: dict[str, int]) -> Bound:
    """Say for single operations which of their indices are split."""
    parts: list[IndexTile] = []
    ops: list[str] = []
    for index, size in sorted(tiles.items()):
        op = next(op for op in graph.einsums if index in _indices(op))
        parts.append(IndexTile(IndexRef(index, op.name), size))
        ops.append(op.name)
    return Bound(frozenset(ops[:1]), Block(tuple(parts)))


def _indices(op: Einsum) -> set[str]:
    return {index for access in (op.output, *op.operands) for index in access.indices}


def _added(graph: EinsumGraph, blocked: EinsumGraph) -> Iterable[tuple[str, str]]:
    """Yield each operation that was added with the one that it stands in front of."""
    known = {op.name for op in graph.einsums}
    waiting: list[str] = []
    for op in blocked.einsums:
        if op.name not in known:
            waiting.append(op.name)
            continue
        yield from ((name, op.name) for name in waiting)
        waiting = []
