"""Counts of loop orders: against enumeration, and those that the paper prints."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuseflow.errors import ScheduleError
from fuseflow.fusion import FuseOptions, Strategy, plan_graph
from fuseflow.fusion.orders.count import OrderCount, count_orders, list_orders
from fuseflow.fusion.orders.per_use import build_views_per_use
from fuseflow.fusion.orders.search import row_wise_edges
from fuseflow.fusion.plan.group import Planned
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.testing import make_graph

NAMES = "abcdef"
EDGES = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=8)

GCN = [
    "T1[i,k] = add[j] mul(A[i,j], X[j,k])",
    "U1[i,m] = add[k] mul(T1[i,k], W1[k,m])",
    "B1[i,m] = add(U1[i,m], b1[m])",
    "H[i,m] = relu(B1[i,m])",
    "T2[i,m] = add[j] mul(A[i,j], H[j,m])",
    "U2[i,n] = add[m] mul(T2[i,m], W2[m,n])",
    "B2[i,n] = add(U2[i,n], b2[n])",
    "top[i] = max[n] copy(B2[i,n])",
    "sub[i,n] = sub(B2[i,n], top[i])",
    "exp[i,n] = exp(sub[i,n])",
    "sum[i] = add[n] copy(exp[i,n])",
    "Z[i,n] = div(exp[i,n], sum[i])",
]
SAGE = [
    "S1[i,m] = add[k] mul(X[i,k], V1[k,m])",
    "T1[i,k] = add[j] mul(A[i,j], X[j,k])",
    "N1[i,m] = add[k] mul(T1[i,k], W1[k,m])",
    "B1[i,m] = add(S1[i,m], N1[i,m])",
    "H[i,m] = relu(B1[i,m])",
    "S2[i,n] = add[m] mul(H[i,m], V2[m,n])",
    "T2[i,m] = add[j] mul(A[i,j], H[j,m])",
    "N2[i,n] = add[m] mul(T2[i,m], W2[m,n])",
    "Z[i,n] = add(S2[i,n], N2[i,n])",
]


def network(einsums: list[str]) -> EinsumGraph:
    adjacency = np.eye(4) + np.eye(4, k=1)
    shapes = {"X": (4, 3), "W1": (3, 2), "V1": (3, 2), "W2": (2, 3), "V2": (2, 3)}
    used = " ".join(einsums)
    tensors = {name: np.ones(shape) for name, shape in shapes.items() if f"{name}[" in used}
    biases = {"b1": np.ones(2), "b2": np.ones(3)}
    tensors |= {name: array for name, array in biases.items() if f"{name}[" in used}
    return make_graph(einsums, tensors={"A": (adjacency, "dense,compressed"), **tensors})


def fully_fused(einsums: list[str]) -> Planned:
    (planned,) = plan_graph(network(einsums), FuseOptions(Strategy.FULL)).plans
    return planned


@given(EDGES)
def test_counts_and_lists_agree_with_trying_all_orders(edges: list[tuple[str, str]]) -> None:
    wanted = [
        order
        for order in itertools.permutations(NAMES)
        if all(order.index(a) < order.index(b) for a, b in edges)
    ]
    assert count_orders(NAMES, edges) == OrderCount(len(wanted))
    assert list(list_orders(NAMES, edges)) == wanted


def test_orders_are_listed_lazily() -> None:
    names = [f"i{n}" for n in range(30)]
    assert next(list_orders(names, [])) == tuple(names)


def test_independent_parts_are_merged_by_multinomials() -> None:
    names = [f"i{n}" for n in range(40)]
    assert count_orders(names, []) == OrderCount(math.factorial(40))
    assert count_orders(names, itertools.pairwise(names)) == OrderCount(1)


def test_beyond_the_limit_the_count_is_a_lower_bound() -> None:
    edges = [("a", name) for name in "bcdefghij"]
    exact = count_orders("abcdefghij", edges)
    capped = count_orders("abcdefghij", edges, limit=100)
    assert exact == OrderCount(math.factorial(9))
    assert not capped.exact
    assert 1 < capped.number <= exact.number


@pytest.mark.parametrize(
    ("einsums", "classes", "pinned"), [(SAGE, 11, 1134), (GCN, 18, 63_063_000)]
)
def test_views_per_use_give_the_counts_of_the_paper(
    einsums: list[str], classes: int, pinned: int
) -> None:
    """FuseFlow, ASPLOS'26, table 4: 3.9e7 and 1.1e3, about 1e15 and 6.3e7."""
    planned = fully_fused(einsums)
    graph = build_views_per_use(planned.region, planned.space.values)
    free = count_orders(graph.classes, [])
    assert (len(graph.classes), free) == (classes, OrderCount(math.factorial(classes)))
    assert count_orders(graph.classes, row_wise_edges(graph)) == OrderCount(pinned)


def test_shared_views_need_far_fewer_classes() -> None:
    graph = fully_fused(GCN).plan.graph
    assert count_orders(graph.classes, []) == OrderCount(720)
    assert count_orders(graph.classes, row_wise_edges(graph)) == OrderCount(1)


def test_too_many_uses_are_refused() -> None:
    einsums = [f"y{n + 1}[i] = add(y{n}[i], y{n}[i])" for n in range(20)]
    graph = make_graph(einsums, tensors={"y0": np.ones(2)})
    (planned,) = plan_graph(graph, FuseOptions(Strategy.FULL)).plans
    with pytest.raises(ScheduleError, match="P012"):
        build_views_per_use(planned.region, planned.space.values)
