# SPDX-License-Identifier: MIT
"""Compares what a compiled program computes with the dense evaluation of its graph.

Strategies go through the whole pipeline; orders go through the lowering alone, so that every loop
order of a region is seen and not only the one that the compiler prefers.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random

import networkx as nx
import numpy as np
from numpy.typing import ArrayLike

from fuseflow.fusion import Fused, FuseOptions, Strategy, plan_graph
from fuseflow.fusion.clusters import Clusters
from fuseflow.fusion.domains import compute_domains
from fuseflow.fusion.lower import Lowering, Plan
from fuseflow.fusion.orders import build_constraints
from fuseflow.fusion.regions import live_einsums, make_region, partition
from fuseflow.fusion.support import Fills, compute_fills
from fuseflow.fusion.tuples import IllegalOrderError, build_nests
from fuseflow.fusion.views import Region, ViewGraph, build_views
from fuseflow.ir.dataflow import DataflowGraph, DataflowProgram
from fuseflow.ir.einsum import Einsum, EinsumGraph, Output, Role, Value
from fuseflow.ir.evaluate import Dense, evaluate, evaluate_outputs
from fuseflow.ir.verify_dataflow import verify_program
from fuseflow.sim import simulate
from tests.fusion.interpreter import run_kernel, run_program

EVERY_STRATEGY = tuple(
    FuseOptions(strategy=strategy, recompute=budget)
    for strategy in Strategy
    for budget in ((None, 1e9) if strategy is Strategy.FULL else (None,))
)


def assert_close(actual: Dense, expected: Dense, where: str) -> None:
    """Require equal values up to rounding; infinities and NaN stand at the same places."""
    scale = np.max(np.abs(expected[np.isfinite(expected)]), initial=1.0)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5 * scale, err_msg=where)


def assert_computes(graph: EinsumGraph, options: FuseOptions | None = None) -> Fused:
    """Fuse a graph and require the results of the dense evaluation."""
    fused = plan_graph(graph, options)
    expected = evaluate_outputs(graph)
    actual = run_program(fused.program)
    for name, array in expected.items():
        assert_close(actual[name], array, f"{name} under {options}")
    return fused


def assert_simulates(program: DataflowProgram, engine: str = "twin") -> None:
    """Require that the tokens of a program carry its references."""
    report = simulate(program, engine=engine, check=True)
    assert report.deadlock is None, report.deadlock
    assert report.check.passed, report.check.failures


def assert_every_strategy(graph: EinsumGraph) -> list[Fused]:
    """Require right results under every strategy, with and without recomputation."""
    return [assert_computes(graph, options) for options in EVERY_STRATEGY]


def assert_denotes(graph: EinsumGraph, **expected: ArrayLike) -> tuple[Orders, Orders]:
    """Require these outputs: of the oracle, under every strategy, and under every order.

    Returns the orders of the whole graph as one kernel, and of one kernel per operator.
    """
    dense = evaluate_outputs(graph)
    for name, array in expected.items():
        assert_close(dense[name], np.asarray(array, dtype=np.float32), f"{name} by the oracle")
    assert_every_strategy(graph)
    fused, unfused = assert_every_order(graph), assert_every_order_unfused(graph)
    assert unfused.run
    return fused, unfused


@dataclass(slots=True)
class Orders:
    """How many orders of how many classes were run, and why others were rejected."""

    run: int = 0
    rejected: list[IllegalOrderError] = field(default_factory=list)


def assert_every_order(graph: EinsumGraph, limit: int = 720, *, tokens: bool = True) -> Orders:
    """Fuse the whole graph into one kernel, under every order that its operands allow.

    Every value that is written is compared, by the list interpreter and (with `tokens`) by the
    simulator. At most `limit` orders are tried.
    """
    walk = _Walk(graph, limit, tokens)
    walk.run([live_einsums(graph)])
    return walk.orders


def assert_every_order_unfused(
    graph: EinsumGraph, limit: int = 720, *, tokens: bool = True
) -> Orders:
    """Make a kernel of every source operator, each under every order.

    A kernel is run for every way in which the ones before it may have written its operands.
    """
    walk = _Walk(graph, limit, tokens)
    walk.run(partition(live_einsums(graph), Strategy.UNFUSED))
    return walk.orders


class _Walk:
    """Runs the kernels of a graph one after the other; a state is what is known of all values."""

    def __init__(self, graph: EinsumGraph, limit: int, tokens: bool) -> None:
        self.graph = graph
        self.limit = limit
        self.tokens = tokens
        self.fills = compute_fills(graph)
        self.expected = evaluate(graph)
        self.orders = Orders()

    def run(self, groups: Sequence[list[Einsum]]) -> None:
        states = [stored_values(self.graph)]
        for number, group in enumerate(groups):
            region = make_region(self.graph, group, f"k{number}")
            reached: dict[tuple[str, ...], dict[str, Value]] = {}
            for state in states:
                for written in self._kernels(region, state):
                    key = tuple(str(written[name].format) for name in region.outputs)
                    reached.setdefault(key, state | written)
            states = list(reached.values())

    def _kernels(self, region: Region, values: dict[str, Value]) -> Iterator[dict[str, Value]]:
        """Lower, run and check a region under each order; yield what it writes."""
        for order in itertools.islice(allowed_orders(build_views(region, values)), self.limit):
            try:
                kernel, declared = lower_region(region, values, self.fills, order)
            except IllegalOrderError as error:
                self.orders.rejected.append(error)
                continue
            self.orders.run += 1
            where = f"{region.name} under {' -> '.join(order)}"
            tensors = {n: v.tensor for n, v in values.items() if v.tensor is not None}
            made = run_kernel(kernel, tensors, values | declared)
            for name, tensor in made.items():
                assert_close(tensor.to_dense(), self.expected[name], f"{name} in {where}")
            self._check_tokens(kernel, values | declared, declared)
            yield {name: replace(declared[name], tensor=made[name]) for name in declared}

    def _check_tokens(
        self, kernel: DataflowGraph, values: Mapping[str, Value], written: Mapping[str, Value]
    ) -> None:
        program = one_kernel_program(kernel, values, {n: self.expected[n] for n in written})
        if self.tokens:
            assert_simulates(program)
        else:
            verify_program(program)


def stored_values(graph: EinsumGraph) -> dict[str, Value]:
    """Return all values of a graph; those with data have the format of their data."""
    return {
        name: value if value.tensor is None else replace(value, format=value.tensor.format)
        for name, value in graph.values.items()
    }


def allowed_orders(views: ViewGraph, rng: Random | None = None) -> Iterator[tuple[str, ...]]:
    """Yield the loop orders that the storage of the operands allows.

    All of them, in the order of the classes; with `rng` an endless sequence of random ones.
    """
    constraints = build_constraints(views)
    if constraints.cycle():
        return
    wanted = nx.DiGraph(sorted(constraints.edges))
    wanted.add_nodes_from(views.classes)
    if rng is None:
        yield from map(tuple, sorted(nx.all_topological_sorts(wanted)))
        return
    while True:
        rank = {name: rng.random() for name in views.classes}
        yield tuple(nx.lexicographical_topological_sort(wanted, key=rank.__getitem__))


def lower_region(
    region: Region, values: Mapping[str, Value], fills: Fills, order: Sequence[str]
) -> tuple[DataflowGraph, dict[str, Value]]:
    """Lower a region under one order; return the kernel and its outputs with their formats.

    Raises:
        IllegalOrderError: if the order cannot be lowered.
    """
    views = build_views(region, values)
    nests = build_nests(views, order)
    domains = compute_domains(views, nests, fills, {})
    plan = Plan(views, tuple(order), nests, domains, Clusters(views, nests, domains))
    kernel, formats = Lowering(plan, values, fills).run(region.name)
    written = {
        name: replace(values[name], format=fmt, fill=fills.value[name])
        for name, fmt in formats.items()
    }
    return kernel, written


def one_kernel_program(
    kernel: DataflowGraph, values: Mapping[str, Value], expected: Mapping[str, Dense]
) -> DataflowProgram:
    """Wrap a kernel as a program whose operands are inputs and whose results have references."""
    touched = (*kernel.tensors_read(), *kernel.tensors_written())
    tensors = {
        name: replace(values[name], role=Role.INPUT)
        if values[name].tensor is not None
        else values[name]
        for name in touched
    }
    outputs = [
        Output(name, name, tuple(range(array.ndim)), array.shape, array)
        for name, array in expected.items()
    ]
    return DataflowProgram(kernel.name, tensors, [kernel], outputs)
