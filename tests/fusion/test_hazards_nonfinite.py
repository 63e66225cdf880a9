# SPDX-License-Identifier: MIT
"""Hazard h21: 0 times infinity is NaN, and an absent operand is 0.

Tensors are scanned, so what is stored in them is never skipped wrongly. A computed value is taken
as finite unless the schedule is strict; then bounds have to prove it.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuseflow.fusion import Fused, FuseOptions, Strategy, plan_graph
from fuseflow.fusion.analysis.bounds import compute_bounds, is_bounded
from fuseflow.fusion.explain.kernels import explain
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.evaluate import evaluate
from fuseflow.ir.schedule_parse import parse_schedule
from fuseflow.ir.testing import make_graph
from fuseflow.sim import simulate
from tests.fusion.checks import EVERY_STRATEGY, assert_computes, assert_denotes
from tests.strategies import GraphShape, einsum_graphs

INF, NAN = float("inf"), float("nan")
STRICT = FuseOptions(Strategy.FULL, strict_nonfinite=True)


def computed_infinity(fn: str = "exp") -> EinsumGraph:
    """The second row of A is empty, and H is not finite exactly there."""
    return make_graph(
        [f"H[i] = {fn}(x[i])", "Z[i,j] = mul(A[i,j], H[i])"],
        tensors={
            "x": np.array([1.0, 1e30]),
            "A": (np.array([[2.0, 3.0], [0.0, 0.0]]), "dense,compressed"),
        },
        references=True,
    )


def nodes_of(fused: Fused) -> list[int]:
    return [len(planned.kernel.nodes) for planned in fused.plans]


@pytest.mark.parametrize("fmt", ["dense,compressed", "compressed,compressed"])
def test_hazard_h21_stored_infinity_meets_an_absent_operand(fmt: str) -> None:
    graph = make_graph(
        ["Z[i,j] = mul(A[i,j], x[j])", "s[i] = add[j] mul(A[i,j], x[j])"],
        tensors={"A": (np.array([[1.0, 0.0], [2.0, 0.0]]), fmt), "x": np.array([1.0, INF])},
        outputs=["Z", "s"],
    )
    assert_denotes(graph, Z=[[1, NAN], [2, NAN]], s=[NAN, NAN])


@pytest.mark.parametrize("fn", ["exp", "square"])
@pytest.mark.parametrize("strategy", [Strategy.UNFUSED, Strategy.LAYER, Strategy.FULL])
def test_hazard_h21_strict_programs_multiply_computed_infinities(
    fn: str, strategy: Strategy
) -> None:
    fused = assert_computes(computed_infinity(fn), FuseOptions(strategy, strict_nonfinite=True))
    report = simulate(fused.program, check=True)
    assert report.check.passed, report.check.failures


def test_hazard_h21_by_default_a_check_finds_what_was_assumed_wrongly() -> None:
    fused = plan_graph(computed_infinity(), FuseOptions(Strategy.FULL))
    assert "assumes    H is finite where Z skips it" in "\n".join(explain(fused))
    report = simulate(fused.program, check=True)
    assert not report.check.passed


def test_hazard_h21_what_is_proven_finite_is_still_skipped() -> None:
    graph = make_graph(
        ["H[i] = sigmoid(x[i])", "Z[i,j] = mul(A[i,j], H[i])"],
        tensors={"x": np.ones(2), "A": (np.eye(2), "dense,compressed")},
    )
    strict = assert_computes(graph, STRICT)
    assert nodes_of(strict) == nodes_of(plan_graph(graph, FuseOptions(Strategy.FULL)))
    assert "assumes" not in "\n".join(explain(strict))


def test_hazard_h21_strictness_is_part_of_the_schedule() -> None:
    graph = computed_infinity()
    first = plan_graph(graph, STRICT)
    assert "strict_nonfinite on;" in first.program.schedule
    again = plan_graph(graph, FuseOptions(schedule=parse_schedule(first.program.schedule)))
    assert again.program.schedule == first.program.schedule
    assert nodes_of(again) == nodes_of(first)


@settings(max_examples=150)
@given(einsum_graphs(GraphShape(max_ops=5, nonfinite=True)), st.sampled_from(EVERY_STRATEGY))
def test_bounds_hold_and_strict_programs_compute_the_same(
    graph: EinsumGraph, options: FuseOptions
) -> None:
    bounds = compute_bounds(graph)
    for name, array in evaluate(graph).items():
        if is_bounded(bounds[name]):
            low, high = bounds[name]
            assert np.isfinite(array).all()
            assert ((array >= low) & (array <= high)).all(), name
    assert_computes(
        graph,
        FuseOptions(
            options.strategy,
            recompute=options.recompute,
            iteration=options.iteration,
            strict_nonfinite=True,
        ),
    )
