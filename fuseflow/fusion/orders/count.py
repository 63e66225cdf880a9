# SPDX-License-Identifier: MIT
"""Counts and lists the orders that a partial order allows: exactly, or "more than".

The number of linear extensions obeys c(S) = sum of c(S + v) over the minimal elements v outside a
downset S. Weakly connected components are counted one by one, so that what is free costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import networkx as nx

__all__ = ["OrderCount", "count_orders", "list_orders"]

# Downsets that are looked at before the exact count is given up.
DOWNSET_LIMIT = 2**22

Edge = tuple[str, str]


@dataclass(frozen=True, slots=True)
class OrderCount:
    """A number of orders; if it is not `exact`, there are at least that many."""

    number: int
    exact: bool = True

    def __str__(self) -> str:
        return f"{self.number:,}" if self.exact else f"at least {self.number:,}"


def count_orders(
    names: Iterable[str], edges: Iterable[Edge], limit: int = DOWNSET_LIMIT
) -> OrderCount:
    """Return the number of orders of all names that meet every edge (outer, inner).

    A cycle allows none. Beyond `limit` downsets the count is a lower bound.
    """
    graph = nx.DiGraph()
    graph.add_nodes_from(names)
    graph.add_edges_from(sorted(set(edges)))
    if not nx.is_directed_acyclic_graph(graph):
        return OrderCount(0)
    number, placed, exact = 1, 0, True
    for part in sorted(nx.weakly_connected_components(graph), key=len):
        count = _count_component(graph.subgraph(part), limit)
        placed += len(part)
        number *= count.number * math.comb(placed, len(part))
        exact = exact and count.exact
    return OrderCount(number, exact)


def _count_component(graph: nx.DiGraph, limit: int) -> OrderCount:
    """Walk the downsets level by level; each carries the number of ways to reach it."""
    bit = {name: 1 << n for n, name in enumerate(nx.topological_sort(graph))}
    needs = [(bit[name], sum(bit[p] for p in graph.predecessors(name))) for name in bit]
    level = {0: 1}
    seen = 0
    for _ in bit:
        reached: dict[int, int] = {}
        for downset, ways in level.items():
            for own, before in needs:
                if not downset & own and before & ~downset == 0:
                    larger = downset | own
                    reached[larger] = reached.get(larger, 0) + ways
        seen += len(reached)
        level = reached
        if seen > limit:
            # Every prefix that was counted goes on to at least one whole order.
            return OrderCount(sum(level.values()), exact=False)
    return OrderCount(level[(1 << len(bit)) - 1])


def list_orders(names: Sequence[str], edges: Iterable[Edge]) -> Iterator[tuple[str, ...]]:
    """Yield the orders that meet every edge, one at a time, in the order of `names`."""
    before: dict[str, set[str]] = {name: set() for name in names}
    for outer, inner in edges:
        before[inner].add(outer)

    def extend(prefix: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if len(prefix) == len(names):
            yield prefix
            return
        placed = set(prefix)
        for name in names:
            if name not in placed and before[name] <= placed:
                yield from extend((*prefix, name))

    return extend(())
