"""Estimates: counts are those of the simulation, cycles are close to it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuseflow.fusion import FuseOptions, Strategy, fuse, plan_graph
from fuseflow.fusion.cost.cycles import time_kernel
from fuseflow.fusion.cost.program import KernelEstimate, ProgramEstimate, estimate_program
from fuseflow.fusion.cost.text import describe_estimate
from fuseflow.fusion.passes.sequence import PASSES, State, run_passes
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.schedule import PRESETS
from fuseflow.ir.schedule_parse import parse_schedule
from fuseflow.ir.testing import sparse_array
from tests.fusion.costs import assert_counts
from tests.fusion.examples import CSC, CSR, attention, gcn, gcn_layer, product_chain
from tests.fusion.test_models import MODELS, model
from tests.fusion.test_random_graphs import FAMILIES
from tests.strategies import einsum_graphs


@pytest.mark.parametrize("family", FAMILIES)
def test_counts_of_random_graphs_are_those_of_the_simulation(family: str) -> None:
    @settings(max_examples=40)
    @given(einsum_graphs(FAMILIES[family]), st.sampled_from(PRESETS))
    def check(graph: EinsumGraph, strategy: Strategy) -> None:
        assert_counts(fuse(graph, FuseOptions(strategy)))

    check()


@pytest.mark.parametrize("strategy", PRESETS)
@pytest.mark.parametrize("name", MODELS)
def test_models_are_counted_exactly_and_timed_closely(name: str, strategy: Strategy) -> None:
    counts, report = assert_counts(fuse(model(name), FuseOptions(strategy)))
    expected = sum(time_kernel(each).cycles for each in counts)
    assert expected == pytest.approx(report.totals.cycles, rel=0.1)


EXAMPLES = {
    "attention": attention(),
    "chain": product_chain(),
    "layer": gcn_layer("A(XW)"),
    "gcn": gcn("(AX)W"),
}


@pytest.mark.parametrize("strategy", PRESETS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_estimate_has_the_totals_of_the_simulation(name: str, strategy: Strategy) -> None:
    fused = plan_graph(EXAMPLES[name], FuseOptions(strategy))
    _, report = assert_counts(fused.program)
    found = estimate_program(fused.plans, fused.program.tensors)
    totals = report.totals
    assert found.is_exact
    assert found.flops == totals.flops
    assert found.bytes == totals.dram_read_bytes + totals.dram_write_bytes
    assert found.tokens == totals.tokens
    functions = {each.fn: each.flops for each in totals.functions}
    assert sum(kernel.functions.get("mul", 0) for kernel in found.kernels) == functions["mul"]


def in_order(graph: EinsumGraph, order: str) -> KernelEstimate:
    """Return the estimate of one kernel in this order."""
    schedule = parse_schedule(f"strategy full; budget recompute=1e9; for * {{ order {order}; }};")
    fused = plan_graph(graph, FuseOptions(schedule=schedule))
    (kernel,) = estimate_program(fused.plans, fused.program.tensors, repeats=True).kernels
    return kernel


def products(graph: EinsumGraph, order: str) -> int:
    """Return how many products one kernel in this order is expected to compute."""
    return in_order(graph, order).functions["mul"]


def test_hazard_h22_recompute_unpriced() -> None:
    """The products of two orders of two layers, counted by hand: work is that of each visit."""
    rng = np.random.default_rng(1)
    a, x = sparse_array(rng, (30, 30), 0.15), sparse_array(rng, (30, 20), 0.2)
    adjacency, features = (a != 0).astype(int), (x != 0).astype(int)
    hidden, classes = 6, 4
    # Row by row: products of the first layer for each of its rows, and for each visit of them.
    aggregated = adjacency @ features.sum(axis=1)
    reached = ((adjacency @ features) > 0).sum(axis=1)
    per_row = aggregated + hidden * reached + hidden * classes
    last = classes * adjacency.sum()
    graph = gcn("(AX)W", (CSR, CSC), adjacency=a, features=x, hidden=hidden, classes=classes)
    assert products(graph, "l -> p -> m -> c -> j -> i") == per_row.sum() + last
    graph = gcn("(AX)W", adjacency=a, features=x, hidden=hidden, classes=classes)
    visits = adjacency.sum(axis=0)
    assert products(graph, "i -> l -> p -> m -> c -> j") == visits @ per_row + last
    chosen = plan_graph(graph, FuseOptions(Strategy.AUTO))
    found = estimate_program(chosen.plans, chosen.program.tensors)
    assert sum(kernel.functions["mul"] for kernel in found.kernels) == per_row.sum() + last


def test_repeats_are_counted_from_the_visits_of_each_row() -> None:
    """Rows with many neighbours have more products, and are visited more often."""
    rng = np.random.default_rng(2)
    a = sparse_array(rng, (30, 30), 0.15)
    a[:, :3] = 1
    x = sparse_array(rng, (30, 20), 0.2)
    adjacency, features = (a != 0).astype(int), (x != 0).astype(int)
    graph = gcn("(AX)W", adjacency=a, features=x, hidden=6, classes=4)
    kernel = in_order(graph, "i -> l -> p -> m -> c -> j")
    visits, aggregated = adjacency.sum(axis=0), adjacency @ features.sum(axis=1)
    assert kernel.recompute["Y1"] == pytest.approx(visits @ aggregated / aggregated.sum())
    assert kernel.recompute["H"] == pytest.approx(visits.sum() / np.count_nonzero(visits))
    assert kernel.is_recount


def test_a_search_ends_after_as_much_work_on_every_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = gcn_layer("(AX)W")
    whole = plan_graph(graph, FuseOptions(Strategy.AUTO)).state.search
    monkeypatch.setattr("fuseflow.fusion.auto.search.ROWS", 1)
    cut = plan_graph(graph, FuseOptions(Strategy.AUTO)).state.search
    assert whole is not None
    assert cut is not None
    assert (whole.is_cut_short, cut.is_cut_short) == (False, True)
    assert cut.plans < whole.plans
    assert {str(preset) for preset in PRESETS} <= {each.label for each in cut.ranked}


def test_copies_of_constants_are_named_with_their_size() -> None:
    kernel = in_order(product_chain(), "k -> i -> j -> l")
    (name,) = kernel.copies
    assert name.endswith("@1,0")
    assert kernel.copies[name] % 4 == 0
    found = ProgramEstimate((kernel,))
    assert any(name in line and "not counted" in line for line in describe_estimate(found))


def test_the_page_of_an_estimate() -> None:
    fused = plan_graph(gcn_layer("(AX)W"), FuseOptions(Strategy.FULL))
    found = estimate_program(fused.plans, fused.program.tensors)
    lines = list(describe_estimate(found))
    assert lines[0].endswith("counts are exact")
    assert f"  operations {found.flops:,}: " in lines[1]
    assert lines[-2].startswith(f"program: about {found.cycles:,.0f} cycles; exact: ")


def test_auto_is_no_worse_than_a_preset() -> None:
    for graph in EXAMPLES.values():
        state = State(graph, parse_schedule("strategy auto;"))
        run_passes(state, PASSES[:2])
        assert state.search is not None
        best = state.search.ranked[0].estimate.cycles
        for strategy in PRESETS:
            fused = plan_graph(graph, FuseOptions(strategy))
            assert best <= estimate_program(fused.plans, fused.program.tensors).cycles
