# SPDX-License-Identifier: MIT
"""What `ff-fuse --list-orders` prints: how many orders a kernel has, and the legal ones."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

from fuseflow.fusion.analysis.tuples import IllegalOrderError
from fuseflow.fusion.analysis.views import ViewGraph
from fuseflow.fusion.explain.orders import recomputed_under
from fuseflow.fusion.orders.count import count_orders, list_orders
from fuseflow.fusion.orders.per_use import build_views_per_use
from fuseflow.fusion.orders.search import build_constraints, row_wise_edges
from fuseflow.fusion.plan.group import Planned
from fuseflow.fusion.plan.space import loops_of

__all__ = ["LegalOrder", "describe_orders", "legal_orders"]


@dataclass(frozen=True, slots=True)
class LegalOrder:
    """An order that can be lowered, its expected cost, and the worst recomputation.

    Orders with one `number` give the same kernel: every operation has the same loops.
    """

    number: int
    order: tuple[str, ...]
    cost: float
    recompute: float


def describe_orders(
    plans: Sequence[Planned], limit: int, *, per_use: bool = False
) -> Iterator[str]:
    """Yield counts for every kernel, and up to `limit` legal orders, one at a time.

    Orders with the same number in front give the same kernel. `per_use` counts views of every use
    of a value instead of shared ones.
    """
    for planned in plans:
        graph = planned.space.graph
        if per_use:
            graph = build_views_per_use(planned.region, planned.space.values)
        yield f"kernel {planned.kernel.name}: {len(graph.classes)} indices"
        yield from _counts(graph, planned)
        shown = 0
        for found in itertools.islice(legal_orders(planned), limit):
            shown += 1
            yield f"  {_describe(found, planned)}"
        if limit and not shown:
            yield "  none of them can be lowered"
        elif limit and shown == limit:
            yield f"  the first {limit}; more with --limit"


def legal_orders(planned: Planned) -> Iterator[LegalOrder]:
    """Yield the orders that storage allows and that can be lowered, lazily."""
    space = planned.space
    numbers: dict[Hashable, int] = {}
    for order in list_orders(tuple(space.graph.classes), space.constraints.edges):
        try:
            cost, candidate = space.evaluate(order)
            space.lower(candidate.plan)
        except IllegalOrderError:
            continue
        worst = max(recomputed_under(candidate.expected, space).values(), default=1.0)
        loops = loops_of(candidate.plan.graph, candidate.plan.nests)
        yield LegalOrder(numbers.setdefault(loops, len(numbers) + 1), order, cost, worst)


def _counts(graph: ViewGraph, planned: Planned) -> Iterator[str]:
    names = tuple(graph.classes)
    freed = planned.space.freed if graph is planned.space.graph else frozenset()
    storage = build_constraints(graph, (), freed).edges
    pins = list(row_wise_edges(graph))
    yield f"  {count_orders(names, ())} without constraints"
    yield f"  {count_orders(names, storage)} as tensors are stored"
    yield f"  {count_orders(names, pins)} with every operation row-wise"
    yield f"  {count_orders(names, [*storage, *pins])} with both"


def _describe(found: LegalOrder, planned: Planned) -> str:
    order = " -> ".join(found.order) or "(scalar)"
    text = f"{found.number:3}  {order}  cost {found.cost:.4g}"
    if found.recompute > 1:
        text += f", recomputes up to {found.recompute:.3g} times"
    return f"{text}  <- chosen" if found.order == planned.plan.order else text
