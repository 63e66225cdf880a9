# SPDX-License-Identifier: MIT
"""The search for a loop order spares itself work, and finds what it would find without that."""

import itertools
from functools import cache

from fuseflow.cli.sources import import_case
from fuseflow.fusion import FuseOptions, Strategy
from fuseflow.fusion.analysis.tuples import IllegalOrderError
from fuseflow.fusion.orders.count import list_orders
from fuseflow.fusion.orders.search import search_orders
from fuseflow.fusion.pipeline import plan_graph
from fuseflow.fusion.plan.space import OrderSpace
from fuseflow.models import zoo


@cache
def spaces() -> dict[str, OrderSpace]:
    """The orders of every kernel of the reference models, with budgets that allow copies."""
    found = {}
    for name, strategy in itertools.product(zoo.names(), (Strategy.LAYER, Strategy.FULL)):
        graph = import_case(zoo.build(name, {}))
        for planned in plan_graph(graph, FuseOptions(strategy, recompute=16.0)).plans:
            found[f"{strategy} {planned.kernel.name}"] = planned.space
    return found


def test_there_is_something_to_search() -> None:
    assert len(spaces()) > 10
    assert max(len(space.graph.classes) for space in spaces().values()) > 5


def test_no_order_costs_less_than_its_floor() -> None:
    compared = 0
    for title, space in spaces().items():
        orders = list_orders(tuple(space.graph.classes), space.constraints.edges)
        for order in itertools.islice(orders, 0, 200, 5):
            try:
                cost, candidate = space.evaluate(order)
            except IllegalOrderError:
                continue
            assert space.floor(order) <= cost * (1 + 1e-9), f"{title} {order}"
            times = candidate.expected.recompute
            for value, least in space.least_recompute(order).items():
                assert least <= times[value] * (1 + 1e-9), f"{title} {order}: {value}"
            compared += 1
    assert compared > 80


def test_a_search_with_floors_finds_the_same_and_evaluates_less() -> None:
    seen = {False: 0, True: 0}
    for title, space in spaces().items():
        found = {}
        for spares in (False, True):

            def evaluate(order: tuple[str, ...], spares: bool = spares) -> tuple[float, float]:
                seen[spares] += 1
                cost, _ = space.evaluate(order)  # noqa: B023
                return cost, cost

            floor = space.floor if spares else None
            search = search_orders(space.graph, space.constraints, evaluate, 200, floor=floor)
            best = itertools.islice(search.best_first(), 5)
            found[spares] = [(scored.cost, scored.order) for scored in best]
        assert found[True] == found[False], title
    assert seen[True] < seen[False] / 2


def test_orders_that_are_not_wanted_are_not_evaluated() -> None:
    space = next(s for title, s in spaces().items() if len(s.graph.classes) == 8)
    tried = []

    def evaluate(order: tuple[str, ...]) -> tuple[float, None]:
        tried.append(order)
        return space.evaluate(order)[0], None

    search = search_orders(space.graph, space.constraints, evaluate, 100, floor=space.floor)
    before = set(tried)
    wanted = [scored.order for scored in search.best_first(skip=lambda _: True)]
    assert set(tried) == before
    assert set(wanted) <= before
    assert search.legal > len(before)
