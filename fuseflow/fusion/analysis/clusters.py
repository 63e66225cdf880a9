# SPDX-License-Identifier: MIT
"""Clusters: which (operation, level) pairs iterate one and the same coordinate stream.

An operation shares a level with its consumer unless the consumer takes that level's coordinates
from the finished stream. Domain ids name what a level contains: two streams may only be read
together if they agree in the ids of all their levels.
"""

from __future__ import annotations

from collections.abc import Mapping

from networkx.utils import UnionFind

from fuseflow.fusion.analysis.domains import EVERYTHING, Domains
from fuseflow.fusion.analysis.tuples import IllegalOrderError, Nest
from fuseflow.fusion.analysis.views import View, ViewGraph

__all__ = ["Cell", "Clusters"]

Cell = tuple[View, str]

ALL_COORDINATES = 0


class Clusters:
    """The partition of all (operation, level) pairs of a region."""

    def __init__(self, graph: ViewGraph, nests: Mapping[View, Nest], domains: Domains) -> None:
        """Unite levels along producer-consumer edges.

        Raises:
            IllegalOrderError: if members of a cluster visit different coordinates.
        """
        self._nests = nests
        self._domains = domains
        self._ids: dict[Cell, int] = {}
        cells = [(view, name) for view in graph.ops for name in nests[view].full]
        union: UnionFind = UnionFind(cells)
        for view in graph.ops:
            for consumer in view.consumers:
                self._unite(union, view, consumer)
        self._root: dict[Cell, Cell] = {cell: union[cell] for cell in cells}
        self.members: dict[Cell, list[Cell]] = {}
        for cell in cells:
            self.members.setdefault(self._root[cell], []).append(cell)
        self._check()

    def _unite(self, union: UnionFind, view: View, consumer: View) -> None:
        nest = self._nests[view]
        for name in nest.result:
            shared = name in nest.context or not self._domains.detached(view, name, nest)
            if shared and name in self._nests[consumer].full:
                union.union((view, name), (consumer, name))

    def _check(self) -> None:
        for root, members in self.members.items():
            domain = self._domains.at[root]
            prefix = self._nests[root[0]].prefix(root[1])
            for view, name in members:
                if self._domains.at[view, name] != domain:
                    raise IllegalOrderError(view.value, f"its uses want different {name}")
                if self._nests[view].prefix(name) != prefix:
                    raise IllegalOrderError(view.value, f"{name} is nested differently in its uses")

    def root(self, cell: Cell) -> Cell:
        """Return the representative of a cell's cluster."""
        return self._root[cell]

    def domain_id(self, cell: Cell) -> int:
        """Return the id of what a cell's cluster iterates."""
        condition = self._domains.at[cell]
        if condition == EVERYTHING:
            return ALL_COORDINATES
        atoms = frozenset().union(*condition)
        if all(view.op is not None for view, _ in atoms):
            streams = {self.result_id(atom) for atom in atoms}
            if len(streams) == 1:
                return streams.pop()
        return self._number(self._root[cell])

    def result_id(self, cell: Cell) -> int:
        """Return the id of a level of an operation's finished stream."""
        view, name = cell
        if cell in self._domains.full:
            return ALL_COORDINATES
        if name not in self._nests[view].born:
            return self.domain_id(cell)
        return self._number((view, f"{name} of the result"))

    def stage_id(self, cell: Cell, pending: int) -> int:
        """Return the id of a born level while `pending` reductions are still to come."""
        view, name = cell
        if not pending:
            return self.result_id(cell)
        return self._number((view, f"{name} before {pending} reductions"))

    def _number(self, key: Cell) -> int:
        return self._ids.setdefault(key, len(self._ids) + 1)
