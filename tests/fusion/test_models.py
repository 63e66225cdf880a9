# SPDX-License-Identifier: MIT
"""The reference models, under every strategy and in several loop orders, compute their references.

The orders of a program are drawn around those that the compiler prefers: one class at a time moves
to another place, as long as the kernel can still be lowered.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from random import Random

import pytest

from fuseflow.fusion import Fused, FuseOptions, Strategy, plan_graph
from fuseflow.fusion.analysis.support import Fills, compute_fills
from fuseflow.fusion.analysis.tuples import IllegalOrderError
from fuseflow.fusion.analysis.views import Region, build_views
from fuseflow.fusion.orders.search import build_constraints
from fuseflow.ir.dataflow import DataflowGraph, DataflowProgram
from fuseflow.ir.einsum import EinsumGraph, Value
from fuseflow.models import zoo
from tests.fusion.checks import (
    allowed_orders,
    assert_simulates,
    lower_region,
    stored_values,
)

MODELS: Mapping[str, Mapping[str, str]] = {
    "gcn": {"graph": "powerlaw", "nodes": "24", "features": "6", "hidden": "4", "classes": "3"},
    "graphsage": {"graph": "powerlaw", "nodes": "24", "features": "6", "hidden": "4"},
    "sae": {"input": "20", "hidden": "8", "batch": "3"},
    "gpt": {"seq": "16", "dim": "8", "heads": "2", "ffn": "12", "block": "4", "random_blocks": "1"},
}
PROGRAMS = 5
SEEDS = 40
ATTEMPTS = 12


@cache
def model(name: str) -> EinsumGraph:
    pytest.importorskip("torch")
    from fuseflow.cli.sources import import_case

    return import_case(zoo.build(name, MODELS[name]))


@pytest.mark.parametrize("strategy", Strategy)
@pytest.mark.parametrize("name", MODELS)
def test_model_computes_its_references_in_any_order(name: str, strategy: Strategy) -> None:
    graph = model(name)
    fused = plan_graph(graph, FuseOptions(strategy))
    assert_simulates(fused.program, "engine")
    programs: dict[tuple[tuple[str, ...], ...], DataflowProgram] = {}
    for seed in range(SEEDS):
        program = reordered(graph, fused, Random(seed))
        if program is not None:
            programs[tuple(kernel.order for kernel in program.kernels)] = program
        if len(programs) == PROGRAMS:
            break
    assert len(programs) == PROGRAMS or len(programs) >= legal_orders(graph, fused)
    for program in programs.values():
        assert_simulates(program, "engine")


def legal_orders(graph: EinsumGraph, fused: Fused) -> int:
    """How many orders the first kernel of a program has, as far as that matters."""
    region, values, fills = fused.plans[0].region, stored_values(graph), compute_fills(graph)
    found = 0
    for order in allowed_orders(build_views(region, values)):
        with suppress(IllegalOrderError):
            lower_region(region, values, fills, order)
            found += 1
        if found == PROGRAMS:
            break
    return found


def reordered(graph: EinsumGraph, fused: Fused, rng: Random) -> DataflowProgram | None:
    """The program with the same regions, each in another order if it has one.

    In half of the programs the values between kernels are dense; in the others a kernel may have
    written something that a later one has no order for, which gives None.
    """
    values, fills = stored_values(graph), compute_fills(graph)
    kernels: list[DataflowGraph] = []
    dense = rng.random() < 0.5
    for planned in fused.plans:
        found = lower_anew(planned.region, values, fills, planned.plan.order, rng, dense=dense)
        if found is None:
            return None
        kernels.append(found[0])
        values |= found[1]
    used = {n for k in kernels for n in (*k.tensors_read(), *k.tensors_written())}
    tensors = {name: value for name, value in values.items() if name in used}
    return DataflowProgram(graph.name, tensors, kernels, graph.outputs)


def lower_anew(
    region: Region,
    values: Mapping[str, Value],
    fills: Fills,
    start: tuple[str, ...],
    rng: Random,
    *,
    dense: bool,
) -> tuple[DataflowGraph, dict[str, Value]] | None:
    """Lower a region after some moves away from `start`; None if no order was found."""
    views = build_views(region, values)
    constraints, other_orders = build_constraints(views), allowed_orders(views, rng)
    order, candidate, found = start, start, None
    for _ in range(ATTEMPTS):
        if constraints.allows(candidate):
            with suppress(IllegalOrderError):
                found = lower_region(region, values, fills, candidate, dense=dense)
                order = candidate
        candidate = moved(order, rng) if found else next(other_orders, start)
    return found


def moved(order: tuple[str, ...], rng: Random) -> tuple[str, ...]:
    """The order with one class at another place."""
    names = list(order)
    if names:
        names.insert(rng.randrange(len(names)), names.pop(rng.randrange(len(names))))
    return tuple(names)
