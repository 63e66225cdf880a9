# SPDX-License-Identifier: MIT
"""Lanes that the compiler chooses under a budget."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuseflow.errors import ScheduleError
from fuseflow.fusion import Fused, FuseOptions, Strategy, fuse, plan_graph
from fuseflow.fusion.cost.program import estimate_program
from fuseflow.fusion.schedule.machine import lanes_of
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.schedule import PRESETS
from fuseflow.ir.schedule_parse import parse_schedule
from fuseflow.sim import simulate
from tests.fusion.checks import assert_computes
from tests.fusion.examples import attention, gcn, gcn_layer, product_chain
from tests.fusion.test_lanes import in_lanes
from tests.fusion.test_models import model
from tests.fusion.test_random_graphs import FAMILIES
from tests.strategies import einsum_graphs

BAND = np.eye(24) + np.eye(24, k=1) + np.eye(24, k=-9) > 0
GRAPHS = {
    "chain": product_chain(),
    "layer": gcn_layer("A(XW)"),
    "gcn": gcn("(AX)W"),
    "attention": attention(mask=BAND, depth=4),
}


def compiled(graph: EinsumGraph, strategy: Strategy, lanes: int) -> Fused:
    return plan_graph(graph, FuseOptions(strategy, lanes=lanes))


def cycles(fused: Fused) -> int:
    report = simulate(fused.program, check=True)
    assert report.check.passed, report.check.failures
    return report.totals.cycles


@settings(max_examples=20)
@given(einsum_graphs(FAMILIES["medium"]), st.sampled_from(PRESETS), st.integers(2, 6))
def test_random_graphs_compute_dense_results(
    graph: EinsumGraph, strategy: Strategy, lanes: int
) -> None:
    assert_computes(graph, FuseOptions(strategy, lanes=lanes))


@pytest.mark.parametrize("strategy", PRESETS)
@pytest.mark.parametrize("name", GRAPHS)
def test_the_lanes_are_close_to_the_best_of_all_that_are_simulated(
    name: str, strategy: Strategy
) -> None:
    fused = compiled(GRAPHS[name], strategy, 4)
    assert all(math.prod(lanes_of(planned).values()) <= 4 for planned in fused.plans)
    cycles(fused)
    whole = fuse(GRAPHS[name], FuseOptions(strategy))
    best: dict[str, int] = {}
    for factors in itertools.product((1, 2, 3, 4), repeat=2):
        indices = sorted({index for kernel in whole.kernels for index in kernel.order})
        for pair in itertools.combinations(indices, 2) if math.prod(factors) <= 4 else ():
            lanes = dict(zip(pair, factors, strict=True))
            for kernel in simulate(in_lanes(whole, lanes)).kernels:
                best[kernel.name] = min(kernel.cycles, best.get(kernel.name, kernel.cycles))
    assert cycles(fused) <= 1.05 * sum(best.values())


def test_a_search_has_lanes_in_view() -> None:
    graph = GRAPHS["attention"]
    chosen = compiled(graph, Strategy.AUTO, 4)
    expected = estimate_program(chosen.plans, chosen.program.tensors).cycles
    for strategy in PRESETS:
        other = compiled(graph, strategy, 4)
        assert expected <= estimate_program(other.plans, other.program.tensors).cycles
    assert cycles(chosen) < cycles(compiled(graph, Strategy.AUTO, 1)) / 2


def test_the_choice_replays() -> None:
    chosen = fuse(model("gpt"), FuseOptions(Strategy.LAYER, lanes=4))
    assert "parallel" in chosen.schedule
    assert "lanes" not in chosen.schedule
    again = fuse(model("gpt"), FuseOptions(schedule=parse_schedule(chosen.schedule)))
    assert again.kernels == chosen.kernels
    assert again.schedule == chosen.schedule


def test_lanes_that_the_schedule_names_stay_as_they_are() -> None:
    schedule = parse_schedule("strategy full; budget lanes=4; for * { parallel i by 2; };")
    fused = plan_graph(GRAPHS["layer"], FuseOptions(schedule=schedule))
    assert [lanes_of(planned) for planned in fused.plans] == [{"i": 2}]


def test_the_budget_of_nodes_holds_with_lanes() -> None:
    graph = GRAPHS["layer"]
    (free,) = compiled(graph, Strategy.FULL, 8).plans
    least = len(fuse(graph, FuseOptions(Strategy.FULL)).kernels[0].nodes)
    limit = (least + len(free.kernel.nodes)) // 2
    (held,) = plan_graph(graph, FuseOptions(Strategy.FULL, lanes=8, nodes=limit)).plans
    assert least < len(held.kernel.nodes) <= limit
    with pytest.raises(ScheduleError, match="P015"):
        fuse(graph, FuseOptions(Strategy.FULL, nodes=least - 1))
    chosen = fuse(graph, FuseOptions(Strategy.AUTO, nodes=least - 1))
    assert all(len(kernel.nodes) < least for kernel in chosen.kernels)
