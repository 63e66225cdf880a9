# SPDX-License-Identifier: MIT
"""Values that are needed in different loops are computed once for each, if the budget allows."""

import numpy as np
import pytest

from fuseflow.errors import ScheduleError
from fuseflow.fusion import Fused, FuseOptions, Strategy, plan_graph
from fuseflow.fusion.explain.kernels import explain
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.schedule_parse import parse_schedule
from fuseflow.ir.testing import make_graph
from tests.fusion.checks import assert_computes, assert_simulates

INF = float("inf")
RNG = np.random.default_rng(5)


def attention() -> EinsumGraph:
    """Queries, keys and values are all computed from N: once per row, and once per pair of rows."""
    return make_graph(
        [
            "N[i,j] = relu(X[i,j])",
            "Q[i,m] = add[j] mul(N[i,j], A[j,m])",
            "K[i,m] = add[j] mul(N[i,j], B[j,m])",
            "V[i,n] = add[j] mul(N[i,j], C[j,n])",
            "S[i,p] = add[m] mul(Q[i,m], K[p,m])",
            "O[i,n] = add[p] mul(S[i,p], V[p,n])",
        ],
        tensors={
            "X": RNG.normal(size=(6, 4)),
            "A": RNG.normal(size=(4, 2)),
            "B": RNG.normal(size=(4, 2)),
            "C": RNG.normal(size=(4, 3)),
        },
        references=True,
    )


def norm() -> EinsumGraph:
    """A row is summed, scaled by the sum, and mixed with other rows through its columns."""
    return make_graph(
        [
            "Y[i,j] = square(X[i,j])",
            "s[i] = add[j] copy(Y[i,j])",
            "Z[i,j] = div(Y[i,j], s[i])",
            "O[j,k] = add[i] mul(Z[i,j], W[i,k])",
            "P[j,k] = relu(O[j,k])",
        ],
        tensors={"X": 1 + RNG.random(size=(5, 4)), "W": RNG.normal(size=(5, 3))},
        references=True,
    )


def under(text: str, graph: EinsumGraph) -> Fused:
    return assert_computes(graph, FuseOptions(schedule=parse_schedule(text)))


def copies_of(fused: Fused, value: str) -> int:
    return sum(view.value == value for plan in fused.plans for view in plan.plan.graph.ops)


def test_full_fusion_with_any_recomputation_is_one_kernel() -> None:
    fused = assert_computes(attention(), FuseOptions(Strategy.FULL, recompute=INF))
    (planned,) = fused.plans
    assert fused.program.notes == []
    assert copies_of(fused, "N") >= 2
    assert planned.expected.recompute["N"] > 6
    assert_simulates(fused.program)


def test_without_recomputation_there_are_barriers_and_no_copies() -> None:
    fused = assert_computes(attention(), FuseOptions(Strategy.FULL, recompute=1.0))
    assert len(fused.plans) > 1
    assert all(copies_of(fused, op.output.value) == 1 for op in attention().einsums)


def test_copies_are_explained_with_their_users() -> None:
    fused = plan_graph(attention(), FuseOptions(Strategy.FULL, recompute=INF))
    text = "\n".join(explain(fused))
    assert f"in {copies_of(fused, 'N')} copies: for " in text
    assert " each " in text


def test_a_value_that_is_streamed_is_not_copied() -> None:
    text = "strategy full; budget recompute=inf; for N { value N stream; };"
    with pytest.raises(ScheduleError, match='value "N" cannot be streamed'):
        under(text, attention())


def test_a_value_that_is_materialised_is_not_copied() -> None:
    text = "strategy full; budget recompute=inf; for N { value N materialise; };"
    fused = under(text, attention())
    assert copies_of(fused, "N") == 1
    assert "N" in fused.program.tensors


def test_a_value_is_recomputed_for_every_use_if_asked_to() -> None:
    graph = norm()
    shared = under("fuse g = Y, s, Z;", graph)
    assert copies_of(shared, "Y") == 1
    anew = under("fuse g = Y, s, Z { value Y recompute; };", graph)
    assert copies_of(anew, "Y") == 2
    assert_simulates(anew.program)
    one = under("fuse g = Y, s, Z { value Y recompute for s; };", graph)
    assert copies_of(one, "Y") == 2


def test_of_two_routes_the_later_one_holds() -> None:
    text = "fuse g = Y, s, Z {{ value Y {}; value Y {}; }};"
    assert copies_of(under(text.format("recompute for s", "stream"), norm()), "Y") == 1
    assert copies_of(under(text.format("stream", "recompute for s"), norm()), "Y") == 2


@pytest.mark.parametrize("use", ["O", "nothing"])
def test_a_use_that_does_not_exist_is_an_error(use: str) -> None:
    with pytest.raises(ScheduleError, match='operation that reads "Y"') as caught:
        under(f"for Y {{ value Y recompute for {use}; }};", norm())
    assert caught.value.rule == "P011"


def test_a_reduction_in_the_way_gets_a_loop_of_its_own() -> None:
    order = ("j", "i", "k")
    (alone,) = plan_graph(norm(), FuseOptions(Strategy.FULL, order=order, recompute=INF)).plans
    assert ("Y", "s") in alone.space.apart
    fused = assert_computes(norm(), FuseOptions(Strategy.FULL, order=order, recompute=INF))
    text = "\n".join(explain(fused))
    assert "Y is reduced to s in a loop of its own" in text
    assert "value Y recompute for s" in fused.program.schedule
    assert_simulates(fused.program)


@pytest.mark.parametrize(
    ("graph", "options"),
    [
        (attention(), FuseOptions(Strategy.FULL, recompute=INF)),
        (norm(), FuseOptions(Strategy.FULL, order=("j", "i", "k"), recompute=INF)),
        (norm(), FuseOptions(schedule=parse_schedule("fuse g = Y, s, Z { value Y recompute; };"))),
    ],
)
def test_copies_are_part_of_the_resolved_schedule(graph: EinsumGraph, options: FuseOptions) -> None:
    first = plan_graph(graph, options)
    again = plan_graph(graph, FuseOptions(schedule=parse_schedule(first.program.schedule)))
    assert again.program.schedule == first.program.schedule
    assert repr(again.program.kernels) == repr(first.program.kernels)


def test_uses_that_multiply_beyond_reason_are_refused() -> None:
    ops = [f"y{n + 1}[i] = add(y{n}[i], z{n}[i])" for n in range(14)]
    doubled = [f"z{n}[i] = neg(y{n}[i])" for n in range(14)]
    lines = [line for pair in zip(doubled, ops, strict=True) for line in pair]
    graph = make_graph(lines, tensors={"y0": np.ones(2)})
    made = [f"y{n}" for n in range(1, 14)] + [f"z{n}" for n in range(14)]
    routes = " ".join(f"value {name} recompute;" for name in made)
    with pytest.raises(ScheduleError, match="uses of values") as caught:
        under(f"fuse g = glob(*) {{ {routes} }};", graph)
    assert caught.value.rule == "P012"
