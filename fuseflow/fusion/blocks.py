# SPDX-License-Identifier: MIT
"""Blocking: an index is split into tiles, and a token carries a whole tile.

A rewrite of the einsum graph (FuseFlow, ASPLOS'26, section 7.2). Every dimension that is connected
to a blocked index, through the index names of any operation, gets the same tile; the data of
tensors is cut accordingly. Which tile operation an einsum becomes follows from its accesses alone.

Extents need not divide. What lies beyond the extent in the last tile holds whatever the operations
make of the fills there, so a reduction that would see it gets a mask in front that leaves the
identity instead. That is only needed where the padding is not the identity by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from networkx.utils import UnionFind

from fuseflow.errors import Location, ScheduleError
from fuseflow.fusion.analysis.support import Fills, compute_fills
from fuseflow.ir.einsum import Access, Einsum, EinsumGraph, Role, Value
from fuseflow.ir.scalar import REDUCTIONS
from fuseflow.ir.tensor import tensor_from_dense
from fuseflow.ir.tiles import tile_tensor

__all__ = ["block_graph", "connected_dimensions"]

# A dimension of a value, or an index name of the graph.
Member = tuple[str, int] | str


def block_graph(graph: EinsumGraph, tiles: Mapping[str, int]) -> EinsumGraph:
    """Split indices into tiles.

    Args:
        graph: a graph of numbers, with data for its inputs and parameters.
        tiles: elements per tile for index names of the graph; 1 leaves an index alone.

    Returns:
        A graph that computes the same; itself if nothing is split.

    Raises:
        ScheduleError: P020 for an unknown index or a tile that is not positive, P021 if connected
            indices want different tiles.
    """
    sizes = _tile_of_dimensions(graph, tiles)
    if not sizes:
        return graph
    blocked = EinsumGraph(graph.name, outputs=list(graph.outputs), notes=list(graph.notes))
    for name, value in graph.values.items():
        tile = tuple(sizes.get((name, mode), 1) for mode in range(len(value.shape)))
        blocked.values[name] = _tiled(value, tile) if max(tile, default=1) > 1 else value
    _Padding(graph, blocked, sizes).run()
    return blocked


def connected_dimensions(graph: EinsumGraph) -> UnionFind:
    """Return the index names, and the dimensions of values, that run along each other."""
    union: UnionFind = UnionFind()
    for access in graph.accesses():
        for mode, index in enumerate(access.indices):
            union.union(index, (access.value, mode))
    return union


def _tile_of_dimensions(graph: EinsumGraph, tiles: Mapping[str, int]) -> dict[tuple[str, int], int]:
    """Return the tile of every dimension of every value that is split."""
    known = graph.index_sizes()
    for index, size in tiles.items():
        if index not in known or size < 1:
            what = f'index "{index}", which the graph does not have' if size > 0 else f"{size}"
            fix = f"the indices are {', '.join(sorted(known))}"
            raise ScheduleError("P020", f"cannot block {what}", fix=fix)
    union = connected_dimensions(graph)
    wanted: dict[Member, tuple[str, int]] = {}
    for index, size in sorted(tiles.items()):
        other, agreed = wanted.setdefault(union[index], (index, size))
        if agreed != size:
            raise ScheduleError(
                "P021",
                f"{index} is to be blocked by {size}, but {other} by {agreed}: "
                "both run along one dimension",
                where=Location(graph=graph.name),
                fix="give both the same block",
            )
    members: Iterable[Member] = list(union)
    return {
        member: wanted[union[member]][1]
        for member in members
        if isinstance(member, tuple) and union[member] in wanted and wanted[union[member]][1] > 1
    }


def _tiled(value: Value, tile: tuple[int, ...]) -> Value:
    tensor = None if value.tensor is None else tile_tensor(value.tensor, tile)
    fmt = None if value.format is None else replace(value.format, tile=tile)
    return replace(value, tile=tile, tensor=tensor, format=fmt)


class _Padding:
    """Copies the operations, with a mask wherever padding would reach a reduction."""

    def __init__(
        self, graph: EinsumGraph, blocked: EinsumGraph, sizes: Mapping[tuple[str, int], int]
    ) -> None:
        self.graph = graph
        self.blocked = blocked
        self.sizes = sizes
        self.fills: Fills = compute_fills(graph)
        # Dimensions that are cut off within a tile, and whose padding holds the fill of the value.
        self.ragged: set[tuple[str, int]] = {
            (name, mode)
            for (name, mode), size in sizes.items()
            if graph.values[name].shape[mode] % size
        }
        self.clean: set[tuple[str, int]] = set()
        for name, mode in self.ragged:
            self._mark_leaf(name, mode)

    def run(self) -> None:
        for op in self.graph.einsums:
            dirty = [index for index in op.over if self._reaches(op, index)]
            self.blocked.einsums += self._masked(op, dirty) if dirty else [op]
            for mode, index in enumerate(op.output.indices):
                place = (op.output.value, mode)
                if place in self.ragged and (dirty or self._keeps_fill(op, index)):
                    self.clean.add(place)

    def _mark_leaf(self, name: str, mode: int) -> None:
        """Tiles of data are padded with the fill, but tiles of a pattern are all set."""
        value = self.blocked.values[name]
        is_pattern = value.tensor is not None and value.tensor.values is None
        if value.role is not Role.INTERMEDIATE and not is_pattern:
            self.clean.add((name, mode))

    def _reaches(self, op: Einsum, index: str) -> bool:
        """Return True if the padding along a reduced index would change the reduction."""
        assert op.reduce is not None
        if not any(place in self.ragged for place in self._places(op, index)):
            return False
        identity = REDUCTIONS[op.reduce].identity
        return not (self._keeps_fill(op, index) and self.fills.mapped[op.name] == identity)

    def _keeps_fill(self, op: Einsum, index: str) -> bool:
        """Return True if the function gives its fill wherever an index is beyond its extent.

        It does if all operands have the index and hold their fill there, or if one of them does
        and absorbs the others.
        """
        clean = [p for p in range(len(op.operands)) if self._is_clean(op.operands[p], index)]
        if len(clean) == len(op.operands):
            return True
        absorbing = self.fills.restricting(op) if len(op.operands) > 1 else ()
        return bool(set(clean) & set(absorbing))

    def _is_clean(self, access: Access, index: str) -> bool:
        places = [(access.value, m) for m, name in enumerate(access.indices) if name == index]
        return bool(places) and all(place in self.clean for place in places)

    def _places(self, op: Einsum, index: str) -> list[tuple[str, int]]:
        return [
            (access.value, mode)
            for access in op.operands
            for mode, name in enumerate(access.indices)
            if name == index
        ]

    def _masked(self, op: Einsum, dirty: list[str]) -> list[Einsum]:
        """Split off the reduction, and replace what is beyond the extents by its identity."""
        assert op.reduce is not None
        identity = REDUCTIONS[op.reduce].identity
        indices = tuple(dict.fromkeys((*op.output.indices, *op.over)))
        made = self._intermediate(op, f"{op.output.value}.mapped", indices)
        steps = [replace(op, name=made.value, output=made, reduce=None, over=())]
        for index in dirty:
            inside = self._inside(op, index)
            masked = self._intermediate(op, f"{op.output.value}.within_{index}", indices)
            steps.append(
                replace(
                    op,
                    name=masked.value,
                    output=masked,
                    fn="masked",
                    operands=(inside, made),
                    parameters=(identity,),
                    reduce=None,
                    over=(),
                )
            )
            made = masked
        steps.append(replace(op, fn="copy", operands=(made,), parameters=()))
        # One source operator stays one region when nothing is fused.
        return [replace(step, composite=op.composite or op.name) for step in steps]

    def _intermediate(self, op: Einsum, name: str, indices: tuple[str, ...]) -> Access:
        extents = self.graph.index_sizes()
        tile = tuple(self._tile_of(op, index) for index in indices)
        value = Value(name, tuple(extents[i] for i in indices), Role.INTERMEDIATE, tile=tile)
        self.blocked.values[name] = value
        return Access(name, indices)

    def _tile_of(self, op: Einsum, index: str) -> int:
        return next((self.sizes[p] for p in self._places(op, index) if p in self.sizes), 1)

    def _inside(self, op: Einsum, index: str) -> Access:
        """Return an access to a vector that is 1 inside the extent of an index, padded with 0."""
        extent, tile = self.graph.index_sizes()[index], self._tile_of(op, index)
        name = f"inside_{extent}_by_{tile}"
        if name not in self.blocked.values:
            ones = tile_tensor(tensor_from_dense(np.ones(extent, np.float32)), (tile,))
            self.blocked.values[name] = Value(
                name,
                (extent,),
                Role.CONSTANT,
                format=ones.format,
                tensor=ones,
                origin="dense",
                tile=(tile,),
            )
        return Access(name, (index,))
