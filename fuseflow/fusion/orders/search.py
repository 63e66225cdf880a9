# SPDX-License-Identifier: MIT
"""Loop orders of a region: the constraints that storage puts on them, and the choice of one.

The choice is a deterministic local search on the expected iteration counts of `estimate`, started
from row-wise orders; small regions are searched exhaustively. It needs no simulation.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import networkx as nx

from fuseflow.fusion.analysis.tuples import IllegalOrderError
from fuseflow.fusion.analysis.views import View, ViewGraph, storage_edges

__all__ = [
    "MOVE_LIMIT",
    "Constraints",
    "Found",
    "Rejected",
    "Scored",
    "build_constraints",
    "row_wise_edges",
    "search_orders",
]

T = TypeVar("T")

# Up to this many classes every order is tried; 6! plans take a fraction of a second.
EXHAUSTIVE_CLASSES = 5
# Moves that the local search may try in a larger region.
MOVE_LIMIT = 600
# The same in terms of operations, in orders that are tried and in those that can be lowered: the
# latter take much longer, and both the longer the larger the region is.
TRIED_OPS, PLANNED_OPS = 36_000, 10_000
# An order replaces the row-wise one only if it is expected to be cheaper by this much: the
# estimate is too coarse to tell smaller differences, and row-wise results suit the next kernel.
WORTHWHILE = 0.75


@dataclass(slots=True)
class Constraints:
    """Edges (outer class, inner class) with the leaves or users that ask for them."""

    edges: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    def add(self, outer: str, inner: str, why: str) -> None:
        """Demand that one class encloses another."""
        self.edges.setdefault((outer, inner), set()).add(why)

    def allows(self, order: Sequence[str]) -> bool:
        """Return True if an order of all classes meets every edge."""
        position = {name: p for p, name in enumerate(order)}
        return all(position[outer] < position[inner] for outer, inner in self.edges)

    def cycle(self) -> list[tuple[str, str]]:
        """Return the edges of one cycle, or nothing if the constraints can be met."""
        graph = nx.DiGraph(sorted(self.edges))
        try:
            return [(edge[0], edge[1]) for edge in nx.find_cycle(graph)]
        except nx.NetworkXNoCycle:
            return []


def build_constraints(
    graph: ViewGraph,
    chains: Iterable[tuple[str, Sequence[str]]] = (),
    free: Iterable[View] = (),
) -> Constraints:
    """Collect the partial order of a region.

    Args:
        graph: the views.
        chains: classes that must be nested in this order, each chain behind what asks for it.
        free: leaves that will be stored to fit the chosen order.
    """
    constraints = Constraints()
    skipped = set(free)
    for leaf in graph.leaves:
        if leaf not in skipped:
            for outer, inner in storage_edges(leaf):
                constraints.add(outer, inner, leaf.value)
    for why, chain in chains:
        for outer, inner in itertools.pairwise(chain):
            constraints.add(outer, inner, why)
    return constraints


@dataclass(frozen=True, slots=True)
class Scored(Generic[T]):
    """A legal order with its cost and what the evaluation built on the way."""

    cost: float
    order: tuple[str, ...]
    plan: T


@dataclass(frozen=True, slots=True)
class Rejected:
    """An order that cannot be lowered, and why."""

    order: tuple[str, ...]
    error: IllegalOrderError


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """What a search saw: legal orders, best first; why others were rejected; the row-wise one."""

    ranked: tuple[Scored[T], ...]
    rejected: tuple[Rejected, ...]
    row_wise: Scored[T] | None


def search_orders(
    graph: ViewGraph,
    constraints: Constraints,
    evaluate: Callable[[tuple[str, ...]], tuple[float, T]],
    limit: int = MOVE_LIMIT,
) -> Found[T]:
    """Try the orders that constraints allow; all of them in a small region.

    Args:
        graph: the views; its classes are what is ordered.
        constraints: acyclic.
        evaluate: cost and plan of one order; raises IllegalOrderError.
        limit: how many orders of a larger region are tried before the search settles.
    """
    search = _Search(constraints, evaluate, max(1, len(graph.ops)), limit)
    names = tuple(graph.classes)
    seeds = list(_seeds(graph, constraints))
    for seed in seeds:
        search.score(seed)
    if len(names) <= EXHAUSTIVE_CLASSES:
        for order in itertools.permutations(names):
            search.score(order)
    else:
        for seed in seeds:
            search.descend(seed)
    row_wise = search.found.get(seeds[0])
    return Found(_ranked(search.found, row_wise), tuple(search.rejected), row_wise)


def _ranked(
    found: dict[tuple[str, ...], Scored[T]], favourite: Scored[T] | None
) -> tuple[Scored[T], ...]:
    """Sort by cost; the row-wise order comes first unless another one is clearly cheaper."""
    ranked = sorted(found.values(), key=lambda scored: (scored.cost, scored.order))
    if favourite is not None and ranked[0].cost > WORTHWHILE * favourite.cost:
        ranked.remove(favourite)
        ranked.insert(0, favourite)
    return tuple(ranked)


class _Search(Generic[T]):
    """Remembers every order that was tried."""

    def __init__(
        self,
        constraints: Constraints,
        evaluate: Callable[[tuple[str, ...]], tuple[float, T]],
        ops: int,
        limit: int,
    ) -> None:
        self._constraints = constraints
        self._tries = min(limit, TRIED_OPS // ops)
        self._plans = PLANNED_OPS // ops
        self._evaluate = evaluate
        self._costs: dict[tuple[str, ...], float] = {}
        self.found: dict[tuple[str, ...], Scored[T]] = {}
        self.rejected: list[Rejected] = []

    def score(self, order: tuple[str, ...]) -> float:
        if order not in self._costs:
            self._costs[order] = self._try(order)
        return self._costs[order]

    def _try(self, order: tuple[str, ...]) -> float:
        if not self._constraints.allows(order):
            return math.inf
        try:
            cost, plan = self._evaluate(order)
        except IllegalOrderError as error:
            self.rejected.append(Rejected(order, error))
            return math.inf
        self.found[order] = Scored(cost, order, plan)
        return cost

    def descend(self, order: tuple[str, ...]) -> None:
        """Move one class at a time while that makes the order cheaper, or legal."""
        cost = self.score(order)
        improved = True
        while improved and self._may_go_on():
            improved = False
            for other in _moves(order):
                if self.score(other) < cost:
                    order, cost, improved = other, self._costs[other], True
                    break
                if not self._may_go_on():
                    return

    def _may_go_on(self) -> bool:
        return len(self._costs) < self._tries and len(self.found) < self._plans


def _moves(order: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for source in range(len(order)):
        rest = order[:source] + order[source + 1 :]
        for target in range(len(order)):
            if target != source:
                yield (*rest[:target], order[source], *rest[target:])


def _seeds(graph: ViewGraph, constraints: Constraints) -> Iterator[tuple[str, ...]]:
    """Yield starting orders: row-wise for every operation, then outputs before reductions."""
    for wishes in (row_wise_edges(graph), _outputs_first(graph)):
        wanted = nx.DiGraph()
        wanted.add_nodes_from(graph.classes)
        wanted.add_edges_from(sorted(constraints.edges))
        for outer, inner in wishes:
            if outer != inner and not nx.has_path(wanted, inner, outer):
                wanted.add_edge(outer, inner)
        rank = {name: p for p, name in enumerate(graph.classes)}
        yield tuple(nx.lexicographical_topological_sort(wanted, key=rank.__getitem__))


def row_wise_edges(graph: ViewGraph) -> Iterator[tuple[str, str]]:
    """Yield edges (outer, inner) of Gustavson's order: rows of operand 0, reduced, columns."""
    for view in graph.ops:
        left = view.operands[0].binding
        rows = [v for v in view.binding if v in left]
        columns = [v for v in view.binding if v not in left]
        yield from itertools.pairwise([*rows, *view.reduced, *columns])


def _outputs_first(graph: ViewGraph) -> Iterator[tuple[str, str]]:
    for view in graph.ops:
        yield from itertools.pairwise([*view.binding, *view.reduced])
