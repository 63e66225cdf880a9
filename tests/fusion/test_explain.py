"""What the compiler says about its decisions is what it decided."""

import numpy as np

from fuseflow.fusion import Fused, FuseOptions, Strategy, plan_graph
from fuseflow.fusion.explain.kernels import explain
from fuseflow.fusion.explain.names import short_names, shorten
from fuseflow.fusion.explain.orders import find_thrifty
from fuseflow.fusion.orders.listing import describe_orders, legal_orders
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.schedule_parse import parse_schedule
from fuseflow.ir.testing import make_graph
from tests.fusion.checks import assert_computes

RING = np.eye(12) + np.eye(12, k=1) + np.eye(12, k=2)


def two_layers() -> EinsumGraph:
    """A two-layer graph network; every node has about three neighbours."""
    rng = np.random.default_rng(0)
    return make_graph(
        [
            "T1[i,k] = add[j] mul(A[i,j], X[j,k])",
            "U1[i,m] = add[k] mul(T1[i,k], W1[k,m])",
            "H[i,m] = relu(U1[i,m])",
            "T2[i,m] = add[j] mul(A[i,j], H[j,m])",
            "U2[i,n] = add[m] mul(T2[i,m], W2[m,n])",
            "Z[i,n] = add(U2[i,n], b[n])",
        ],
        tensors={
            "A": (RING, "dense,compressed"),
            "X": rng.normal(size=(12, 6)),
            "W1": rng.normal(size=(6, 4)),
            "W2": rng.normal(size=(4, 3)),
            "b": rng.normal(size=3),
        },
    )


def explained(fused: Fused) -> str:
    return "\n".join(explain(fused))


def under(text: str, graph: EinsumGraph | None = None) -> Fused:
    return plan_graph(graph or two_layers(), FuseOptions(schedule=parse_schedule(text)))


def test_full_fusion_names_the_recomputation_and_the_order_that_avoids_it() -> None:
    fused = plan_graph(two_layers(), FuseOptions(Strategy.FULL))
    (planned,) = fused.plans
    thrifty = find_thrifty(planned)
    assert thrifty is not None
    text = explained(fused)
    assert "H, T1, U1: 2.75 times over, anew for each i" in text
    assert f"avoided by the order {' -> '.join(thrifty.order)}" in text
    assert "needs a copy of A, stored by" in text


def test_the_order_that_avoids_recomputation_computes_the_same() -> None:
    graph = two_layers()
    (planned,) = plan_graph(graph, FuseOptions(Strategy.FULL)).plans
    thrifty = find_thrifty(planned)
    assert thrifty is not None
    fused = assert_computes(graph, FuseOptions(Strategy.FULL, order=thrifty.order, recompute=1.0))
    (again,) = fused.plans
    assert again.plan.order == thrifty.order
    assert max(again.expected.recompute.values()) == 1.0
    assert {leaf.value for leaf in again.copies} == {leaf.value for leaf in thrifty.copied}


def test_barriers_come_with_their_reasons() -> None:
    text = explained(under("strategy full; budget recompute=1;"))
    assert "H as " in text
    assert "a barrier" in text
    assert "computed 2.75 times over without it" in text


def test_sharing_names_all_readers() -> None:
    graph = make_graph(
        ["top[i] = max[j] copy(S[i,j])", "low[i,j] = sub(S[i,j], top[i])",
         "e[i,j] = exp(low[i,j])", "s[i] = add[j] copy(e[i,j])", "P[i,j] = div(e[i,j], s[i])"],
        tensors={"S": np.ones((3, 4))},
    )  # fmt: skip
    assert "e is computed once and streamed to P, s" in explained(under("fuse p = *;", graph))


def test_densified_loops_name_their_cause() -> None:
    graph = make_graph(
        ["B[i,j] = add(A[i,j], b[j])"],
        tensors={"A": (RING, "compressed,compressed"), "b": np.ones(12)},
    )
    text = explained(under("", graph))
    assert "B visits all 12 of j, not only what A has: add with b, which is everywhere" in text


def test_copies_and_lanes_are_listed() -> None:
    text = explained(under("for T1 { permute A to (j, i); parallel i by 4; };"))
    entries = np.count_nonzero(RING)
    assert f"A is read from A@1,0, stored by (j,i): {entries} entries" in text
    assert "lanes      i by 4" in text


def test_the_choice_of_the_order_is_justified() -> None:
    assert "as the schedule says" in explained(under("fuse g = T1 { order only i -> j -> k; };"))
    assert "row-wise, and no other one is clearly cheaper" in explained(under(""))


def test_legal_orders_are_those_that_can_be_compiled() -> None:
    graph = two_layers()
    fused = under("fuse g = T1, U1 { value T1 recompute; };", graph)
    planned = fused.plans[0]
    found = list(legal_orders(planned))
    assert planned.plan.order in [legal.order for legal in found]
    kernels: dict[int, object] = {}
    for legal in found:
        chain = " -> ".join(legal.order)
        text = f"fuse g = T1, U1 {{ order only {chain}; value T1 recompute; }};"
        again = assert_computes(graph, FuseOptions(schedule=parse_schedule(text)))
        nodes = again.program.kernels[0].nodes
        assert kernels.setdefault(legal.number, nodes) == nodes
    assert 1 < len(kernels) < len(found)


def test_orders_are_described_with_counts_and_the_chosen_one() -> None:
    fused = under("fuse g = T1;")
    lines = list(describe_orders(fused.plans[:1], limit=10))
    assert lines[:5] == [
        "kernel g: 3 indices",
        "  6 without constraints",
        "  3 as tensors are stored",
        "  1 with every operation row-wise",
        "  1 with both",
    ]
    assert len(lines) == 8
    assert sum(line.endswith("<- chosen") for line in lines) == 1


def test_no_more_orders_are_listed_than_asked_for() -> None:
    lines = list(describe_orders(under("fuse g = T1;").plans[:1], limit=2))
    assert lines[-1] == "  the first 2; more with --limit"
    assert list(describe_orders(under("fuse g = T1;").plans[:1], limit=0)) == lines[:5]


NAMES = ("block.0.norm.sub", "block.1.norm.sub", "block.1.relu", "head.linear.add", "x", "a.b")


def test_names_are_cut_to_what_tells_them_apart() -> None:
    assert short_names(NAMES) == {
        "block.0.norm.sub": "block.0.norm.sub",
        "block.1.norm.sub": "block.1.norm.sub",
        "block.1.relu": "block.1.relu",
        "head.linear.add": "linear.add",
        "a.b": "a.b",
    }


def test_a_suffix_that_another_name_has_as_a_whole_is_not_used() -> None:
    assert short_names(["linear.add", "head.linear.add"])["head.linear.add"] == "head.linear.add"


def test_names_in_a_text_are_cut_where_they_are_whole() -> None:
    text = "head.linear.add@1,0 and head.linear.add.more, head.linear.add."
    assert shorten(text, short_names(NAMES)) == (
        "linear.add@1,0 and head.linear.add.more, linear.add."
    )


def test_a_page_tells_how_to_read_cut_names() -> None:
    graph = make_graph(["net.layer.relu[i] = relu(x[i])"], {"x": np.ones(3)})
    page = explained(under("", graph))
    assert "layer.relu[i] = relu(x[i])" in page
    assert "net.layer" not in page.partition("computes")[2]
    assert "a schedule wants them whole" in page
    assert "whole" not in explained(under(""))


def deep_chain(products: int) -> EinsumGraph:
    """A product of so many matrices, computed anew for every row of the one before."""
    rows = "dense,compressed"
    steps = [f"Y{n}[i,k] = add[j] mul(A{n}[i,j], Y{n - 1}[j,k])" for n in range(1, products)]
    stored = {f"A{n}": (np.eye(2), rows) for n in range(products)}
    first = "Y0[i,k] = add[j] mul(A0[i,j], X[j,k])"
    return make_graph([first, *steps], {**stored, "X": np.ones((2, 2))})


def test_a_barrier_for_the_depth_of_streams_says_so() -> None:
    fused = under("strategy full; budget recompute=inf;", deep_chain(11))
    assert len(fused.plans) == 2
    (note,) = (note for note in fused.program.notes if note.startswith("barrier"))
    assert "streams nest at most 8 deep" in note or "nest streams more than 8 deep" in note
    assert len(under("strategy full; budget recompute=inf;", deep_chain(4)).plans) == 1
