"""The search for a schedule: its choice computes the same, replays, and is close to the best."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings

from fuseflow.errors import ScheduleError
from fuseflow.fusion import FuseOptions, Strategy, fuse, plan_graph
from fuseflow.fusion.auto import partition as auto_partition
from fuseflow.fusion.auto import search as auto_search
from fuseflow.fusion.auto.search import Search
from fuseflow.fusion.auto.text import describe_search
from fuseflow.fusion.passes.sequence import PASSES, State, run_passes
from fuseflow.ir.dataflow import DataflowProgram
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.schedule import PRESETS, Schedule
from fuseflow.ir.schedule_parse import parse_schedule
from fuseflow.ir.testing import make_graph, sparse_array
from fuseflow.sim import simulate
from tests.fusion.checks import assert_computes
from tests.fusion.examples import SPARSE, attention, gcn, gcn_layer
from tests.fusion.test_models import model
from tests.fusion.test_random_graphs import FAMILIES
from tests.strategies import einsum_graphs

AUTO = FuseOptions(Strategy.AUTO)
BAND = np.eye(24) + np.eye(24, k=1) + np.eye(24, k=-9) > 0


def chain() -> EinsumGraph:
    """(A B) C, large enough for the order to matter."""
    rng = np.random.default_rng(0)
    shapes = {"A": (16, 12), "B": (12, 10), "C": (10, 14)}
    return make_graph(
        ["T[i,j] = add[k] mul(A[i,k], B[k,j])", "D[i,l] = add[j] mul(T[i,j], C[j,l])"],
        {name: (sparse_array(rng, shape, 0.3), SPARSE) for name, shape in shapes.items()},
        references=True,
    )


def search(graph: EinsumGraph, text: str = "strategy auto;") -> Search:
    state = State(graph, parse_schedule(text))
    run_passes(state, PASSES[:2])
    assert state.search is not None
    return state.search


def cycles(program: DataflowProgram) -> int:
    report = simulate(program, check=True)
    assert report.check.passed, report.check.failures
    return report.totals.cycles


@pytest.mark.parametrize("family", ["medium", "empty", "filled"])
def test_random_graphs_compute_dense_results(family: str) -> None:
    @settings(max_examples=8)
    @given(einsum_graphs(FAMILIES[family]))
    def check(graph: EinsumGraph) -> None:
        assert_computes(graph, AUTO)

    check()


@pytest.mark.parametrize("name", ["gcn", "graphsage", "sae", "gpt"])
def test_the_choice_replays_and_is_no_worse_than_a_preset(name: str) -> None:
    graph = model(name)
    chosen = fuse(graph, AUTO)
    again = fuse(graph, FuseOptions(schedule=parse_schedule(chosen.schedule)))
    assert again.kernels == chosen.kernels
    assert (again.schedule, again.notes) == (chosen.schedule, chosen.notes)
    best = min(cycles(fuse(graph, FuseOptions(strategy))) for strategy in PRESETS)
    # Equal up to what the estimate of cycles misses.
    assert cycles(chosen) <= 1.02 * best


def every_schedule(graph: EinsumGraph) -> Iterator[Schedule]:
    """Yield every order of two products in one kernel, and in two."""
    for groups in (["fuse g = T, D"], ["fuse g = T", "fuse h = D"]):
        plain = parse_schedule("".join(f"{group};" for group in groups))
        plans = plan_graph(graph, FuseOptions(schedule=plain)).plans
        orders = [itertools.permutations(planned.plan.graph.classes) for planned in plans]
        for chosen in itertools.product(*orders):
            pairs = zip(groups, chosen, strict=True)
            bodies = [f"{g} {{ order only {' -> '.join(o)}; }};" for g, o in pairs]
            yield parse_schedule("budget recompute=1000;" + "".join(bodies))


def test_the_choice_is_close_to_the_best_of_all_that_are_simulated() -> None:
    graph = chain()
    measured: list[int] = []
    for schedule in every_schedule(graph):
        try:
            measured.append(cycles(fuse(graph, FuseOptions(schedule=schedule))))
        except ScheduleError:
            continue
    assert len(measured) > 20
    assert cycles(fuse(graph, AUTO)) <= 1.05 * min(measured)


CASES = {
    "attention": lambda: attention(mask=BAND, depth=4),
    "A(XW)": lambda: gcn_layer("A(XW)"),
    "(AX)W": lambda: gcn_layer("(AX)W"),
    "sae": lambda: model("sae"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_choice_is_close_to_that_of_an_unbounded_search(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = CASES[name]()
    chosen = cycles(fuse(graph, AUTO))
    monkeypatch.setattr(auto_search, "PLANS", 10**9)
    monkeypatch.setattr(auto_search, "ORDERS", 10**9)
    monkeypatch.setattr(auto_partition, "WIDTH", 10**9)
    monkeypatch.setattr(auto_partition, "FAILURES", 10**9)
    monkeypatch.setattr(auto_partition, "SAVED", 0.0)
    assert chosen <= 1.05 * cycles(fuse(graph, AUTO))


def test_a_choice_left_open_in_part() -> None:
    graph = gcn("(AX)W")
    text = "strategy auto; fuse mine = U1, V1; for H { value H materialise; };"
    program = fuse(graph, FuseOptions(schedule=parse_schedule(text)))
    groups = [kernel.einsums for kernel in program.kernels]
    assert ("U1", "V1") in groups
    assert "H" in {group[-1] for group in groups}
    cycles(program)


def test_reassociation_is_considered_if_it_is_allowed() -> None:
    graph = gcn_layer("A(XW)")
    labels = {each.label for each in search(graph, "strategy auto; reassociate on;").ranked}
    assert {"layer", "layer, reassociated"} <= labels
    assert not any("reassociated" in each.label for each in search(graph).ranked)


def test_a_budget_of_no_time_leaves_the_presets() -> None:
    found = search(gcn("(AX)W"), "strategy auto; budget seconds=0;")
    assert found.is_cut_short
    assert {each.label for each in found.ranked} == set(PRESETS)
    lines = list(describe_search(found))
    assert lines[0].startswith("chosen ")
    assert "not all" in lines[-1]


def test_an_impossible_wish_is_refused_with_its_reason() -> None:
    with pytest.raises(ScheduleError, match="nonsense"):
        fuse(chain(), FuseOptions(Strategy.AUTO, order=("nonsense",)))


def test_estimates_are_finite() -> None:
    for each in search(attention()).ranked:
        assert 0 < each.estimate.cycles < math.inf
