# SPDX-License-Identifier: MIT
"""Loop orders of a region: the constraints that storage puts on them, and the choice of one.

The choice is a deterministic local search on the expected iteration counts of `estimate`, started
from row-wise orders; small regions are searched exhaustively. It needs no simulation.
"""

from __future__ import annotations

import heapq
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
# Sums in another order may differ by this share: what is meant as a lower bound stays one.
ROUNDING = 1e-9


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


class Found(Generic[T]):
    """What a search saw: `legal` counts the orders that it could have taken.

    `rejected` says why others were not taken, as far as it was found out; `row_wise` is that order.
    """

    def __init__(self, search: _Search[T], row_wise: Scored[T] | None) -> None:
        """Wrap what a search remembers."""
        self._search = search
        self.row_wise = row_wise

    @property
    def legal(self) -> int:
        """Return the number of orders that can be lowered, as far as it was found out."""
        return self._search.legal

    @property
    def rejected(self) -> Sequence[Rejected]:
        """Return the orders that cannot be lowered."""
        return self._search.rejected

    def best_first(
        self, skip: Callable[[tuple[str, ...]], bool] = lambda _: False
    ) -> Iterator[Scored[T]]:
        """Yield legal orders by cost, the row-wise one first unless another is clearly cheaper.

        Orders are evaluated when it is their turn, unless `skip` says that they are not wanted.
        """
        favourite = self.row_wise
        if favourite is not None:
            if next(self.by_cost(WORTHWHILE * favourite.cost), None) is not None:
                favourite = None
            else:
                yield favourite
        yield from (scored for scored in self.by_cost(skip=skip) if scored is not favourite)

    def by_cost(
        self,
        limit: float = math.inf,
        skip: Callable[[tuple[str, ...]], bool] = lambda _: False,
    ) -> Iterator[Scored[T]]:
        """Yield the legal orders that cost no more than a limit, cheapest first."""
        search = self._search
        waiting = [(least, order) for order, least in search.floors.items() if least < math.inf]
        heapq.heapify(waiting)
        while waiting and waiting[0][0] <= limit:
            least, order = heapq.heappop(waiting)
            if order not in search.found and skip(order):
                continue
            cost = search.score(order)
            if cost > least and cost < math.inf:
                heapq.heappush(waiting, (cost, order))
            elif cost < math.inf:
                yield search.found[order]


def search_orders(
    graph: ViewGraph,
    constraints: Constraints,
    evaluate: Callable[[tuple[str, ...]], tuple[float, T]],
    limit: int = MOVE_LIMIT,
    *,
    floor: Callable[[tuple[str, ...]], float] | None = None,
) -> Found[T]:
    """Try the orders that constraints allow; all of them in a small region.

    Args:
        graph: the views; its classes are what is ordered.
        constraints: acyclic.
        evaluate: cost and plan of one order; raises IllegalOrderError.
        limit: how many orders of a larger region are tried before the search settles.
        floor: what an order costs at least; raises IllegalOrderError. It should be much quicker
            than `evaluate`, which is then spared orders that cannot be the cheapest.
    """
    search = _Search(constraints, evaluate, floor, max(1, len(graph.ops)), limit)
    names = tuple(graph.classes)
    seeds = list(_seeds(graph, constraints))
    for seed in seeds:
        search.score(seed)
    if len(names) <= EXHAUSTIVE_CLASSES:
        for order in itertools.permutations(names):
            search.floor(order)
    else:
        for seed in seeds:
            search.descend(seed)
    return Found(search, search.found.get(seeds[0]))


class _Search(Generic[T]):
    """Remembers every order that was tried: what it costs at least, and what it does cost."""

    def __init__(
        self,
        constraints: Constraints,
        evaluate: Callable[[tuple[str, ...]], tuple[float, T]],
        floor: Callable[[tuple[str, ...]], float] | None,
        ops: int,
        limit: int,
    ) -> None:
        self._constraints = constraints
        self._tries = min(limit, TRIED_OPS // ops)
        self._plans = PLANNED_OPS // ops
        self._evaluate = evaluate
        self._floor = floor
        self.legal = 0
        self.floors: dict[tuple[str, ...], float] = {}
        self.found: dict[tuple[str, ...], Scored[T]] = {}
        self.rejected: list[Rejected] = []

    def floor(self, order: tuple[str, ...]) -> float:
        """Return what an order costs at least, infinity if it is illegal."""
        if order not in self.floors:
            self.floors[order] = self._least(order)
            self.legal += self.floors[order] < math.inf
        return self.floors[order]

    def _least(self, order: tuple[str, ...]) -> float:
        if not self._constraints.allows(order):
            return math.inf
        if self._floor is None:
            return self._try(order)
        try:
            return self._floor(order) * (1 - ROUNDING)
        except IllegalOrderError as error:
            self.rejected.append(Rejected(order, error))
            return math.inf

    def score(self, order: tuple[str, ...]) -> float:
        """Return what an order costs, infinity if it is illegal."""
        if self.floor(order) < math.inf and order not in self.found:
            self.floors[order] = self._try(order)
            self.legal -= self.floors[order] == math.inf
        return self.floors[order]

    def _try(self, order: tuple[str, ...]) -> float:
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
                if self.floor(other) < cost and self.score(other) < cost:
                    order, cost, improved = other, self.floors[other], True
                    break
                if not self._may_go_on():
                    return

    def _may_go_on(self) -> bool:
        return len(self.floors) < self._tries and self.legal < self._plans


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
