# SPDX-License-Identifier: MIT
"""Looks for an order of a kernel under which nothing is computed more than once.

Such an order may read a constant from a copy in another order, which the kernel as it was planned
did not need; and it may hold more in accumulators, which its cost includes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from fuseflow.fusion.analysis.estimate import Estimate
from fuseflow.fusion.analysis.tuples import IllegalOrderError
from fuseflow.fusion.analysis.views import View, build_views, storage_edges
from fuseflow.fusion.orders.search import build_constraints, search_orders
from fuseflow.fusion.plan.group import BUDGET_SLACK, Planned
from fuseflow.fusion.plan.space import Candidate, OrderSpace
from fuseflow.fusion.plan.storage import free_leaf, misfits

__all__ = ["Thrifty", "find_thrifty", "recomputed", "recomputed_under", "with_copies"]

# An order that recomputes costs this much more to the search, for each time over.
PENALTY = 1e6


@dataclass(frozen=True, slots=True)
class Thrifty:
    """An order without recomputation, its expected cost, and the tensors it needs copies of."""

    order: tuple[str, ...]
    cost: float
    copied: tuple[View, ...]


def recomputed(planned: Planned) -> dict[str, float]:
    """Return how often each value is computed, where that is more than once."""
    return recomputed_under(planned.expected, planned.space)


def recomputed_under(expected: Estimate, space: OrderSpace) -> dict[str, float]:
    """Return the same for any order; operations that share loops by wish do not count."""
    joint = {op.output.value for op in space.region.ops if op.name in space.joint}
    return {
        value: times
        for value, times in sorted(expected.recompute.items())
        if times > BUDGET_SLACK and value not in joint
    }


def find_thrifty(planned: Planned) -> Thrifty | None:
    """Return the cheapest order that was found without recomputation, if there is one.

    Orders that need no further copy are preferred.
    """
    return _search(planned.space) or _search(with_copies(planned.space))


def _search(space: OrderSpace) -> Thrifty | None:
    def evaluate(order: tuple[str, ...]) -> tuple[float, Candidate]:
        cost, candidate = space.evaluate(order)
        excess = sum(max(0.0, n - 1.0) for n in candidate.expected.recompute.values())
        return cost * (1.0 + PENALTY * excess), candidate

    for scored in search_orders(
        space.graph, space.constraints, evaluate, floor=space.floor
    ).by_cost():
        expected = scored.plan.expected
        is_thrifty = max(expected.recompute.values(), default=1.0) <= BUDGET_SLACK
        if is_thrifty and _lowers(space, scored.plan):
            return Thrifty(scored.order, expected.cost, _misfits(space, scored.order))
    return None


def _lowers(space: OrderSpace, candidate: Candidate) -> bool:
    try:
        space.lower(candidate.plan)
    except IllegalOrderError:
        return False
    return True


def with_copies(space: OrderSpace) -> OrderSpace:
    """Return the space in which every tensor with data may be stored anew, for any order."""
    graph = build_views(space.region, space.values, space.apart)
    freed: set[View] = set()
    for leaf in graph.leaves:
        if storage_edges(leaf) and space.values[leaf.value].tensor is not None:
            free_leaf(leaf)
            freed.add(leaf)
    constraints = build_constraints(graph, (), freed)
    return replace(space, graph=graph, freed=frozenset(freed), constraints=constraints)


def _misfits(space: OrderSpace, order: tuple[str, ...]) -> tuple[View, ...]:
    """Return the leaves whose own storage does not fit an order."""
    stored = {
        View(leaf.number, leaf.value, leaf.binding, format=space.values[leaf.value].format): leaf
        for leaf in sorted(space.freed, key=lambda leaf: leaf.number)
    }
    return tuple(stored[leaf] for leaf in misfits(stored, order))
