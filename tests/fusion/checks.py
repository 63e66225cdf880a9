# SPDX-License-Identifier: MIT
"""Compares what a compiled program computes with the dense evaluation of its graph.

Strategies go through the whole pipeline; orders go through the lowering alone, so that every loop
order of a region is seen and not only the one that the compiler prefers.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random

import networkx as nx
import numpy as np
from numpy.typing import ArrayLike

from fuseflow.fusion import Fused, FuseOptions, Strategy, plan_graph
from fuseflow.fusion.analysis.clusters import Clusters
from fuseflow.fusion.analysis.domains import compute_domains
from fuseflow.fusion.analysis.support import Fills, compute_fills
from fuseflow.fusion.analysis.tuples import IllegalOrderError, build_nests
from fuseflow.fusion.analysis.views import Region, Use, ViewGraph, build_views
from fuseflow.fusion.lowering.lower import Lowering, Plan
from fuseflow.fusion.orders.search import build_constraints
from fuseflow.fusion.regions import live_einsums, make_region, partition
from fuseflow.ir.dataflow import DataflowGraph, DataflowProgram
from fuseflow.ir.einsum import Einsum, EinsumGraph, Output, Role, Value
from fuseflow.ir.evaluate import Dense, evaluate, evaluate_outputs
from fuseflow.ir.schedule import PRESETS, Iteration
from fuseflow.ir.tensor import Tensor, tensor_from_dense
from fuseflow.ir.verify_dataflow import verify_program
from fuseflow.sim import simulate
from tests.fusion.interpreter import run_kernel, run_program

EVERY_STRATEGY = (
    *(FuseOptions(strategy) for strategy in PRESETS),
    FuseOptions(Strategy.FULL, recompute=1e9),
    FuseOptions(Strategy.FULL, iteration=Iteration.GLOBAL),
)
"""All granularities; full fusion with any recomputation, and with one loop nest as well."""

# Orders that are tried before a group is cut, and how likely a cut is after each operation.
RANDOM_ORDERS = 4
CUTS = 0.25
# How likely a use is to compute its operand anew.
APART = 0.15


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
    """Require right results under every strategy."""
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
    """How many orders were run as they are, how many with copies, and why others were rejected."""

    run: int = 0
    copied: int = 0
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


def assert_random_orders(graph: EinsumGraph, rng: Random, *, tokens: bool = False) -> Orders:
    """Cut the graph into kernels at random places and run each under a random order.

    A group that has no legal order is cut once more. An operand whose storage fits no order of a
    single operation is stored dense.
    """
    walk = _Walk(graph, RANDOM_ORDERS, tokens)
    walk.run_at_random(rng)
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

    def run_at_random(self, rng: Random) -> None:
        values = stored_values(self.graph)
        todo = deque(_chunks(live_einsums(self.graph), rng))
        while todo:
            group = todo.popleft()
            region = make_region(self.graph, group, f"k_{group[-1].name}")
            written = next(self._kernels(region, values, rng), None)
            if written is not None:
                values |= written
            elif len(group) > 1:
                cut = rng.randrange(1, len(group))
                todo.extendleft([group[cut:], group[:cut]])
            else:
                stored = stored_dense(group[0], values)
                assert stored, f"{group[0]} has no legal order"
                values |= stored
                todo.appendleft(group)

    def _kernels(
        self, region: Region, values: dict[str, Value], rng: Random | None = None
    ) -> Iterator[dict[str, Value]]:
        """Lower, run and check a region under each order; yield what it writes.

        Orders that need copies of values are run with those as well.
        """
        apart = random_uses(region, rng) if rng is not None else frozenset()
        orders = allowed_orders(build_views(region, values, apart), rng)
        for order in itertools.islice(orders, self.limit):
            where = f"{region.name} under {' -> '.join(order)}, {sorted(apart)} apart"
            try:
                kernel, declared = lower_region(region, values, self.fills, order, apart=apart)
            except IllegalOrderError as error:
                self.orders.rejected.append(error)
                try:
                    kernel, declared = lower_region(
                        region, values, self.fills, order, copies=True, apart=apart
                    )
                except IllegalOrderError:
                    continue
                self.orders.copied += 1
                where = f"{where}, with copies"
            else:
                self.orders.run += 1
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


def random_uses(region: Region, rng: Random) -> frozenset[Use]:
    """Choose uses that compute their operand anew."""
    uses = [(access.value, op.name) for op in region.ops for access in op.operands]
    return frozenset(use for use in uses if rng.random() < APART)


def describe(graph: EinsumGraph) -> str:
    """Return the call that builds a graph, for reports of failures."""
    tensors = {name: _spec(v.tensor) for name, v in graph.values.items() if v.tensor is not None}
    outputs = [output.value for output in graph.outputs]
    return f"make_graph({[str(op) for op in graph.einsums]}, {tensors}, {outputs})"


def _spec(tensor: Tensor) -> tuple[object, str]:
    words = " pattern" if tensor.values is None else f" fill={tensor.fill}"
    return tensor.to_dense().tolist(), f"{tensor.format}{words}"


def _chunks(ops: Sequence[Einsum], rng: Random) -> list[list[Einsum]]:
    """Cut a list at random places; a stretch of the evaluation order is convex."""
    cuts = [0, *(n for n in range(1, len(ops)) if rng.random() < CUTS), len(ops)]
    return [list(ops[first:last]) for first, last in itertools.pairwise(cuts)]


def stored_dense(op: Einsum, values: Mapping[str, Value]) -> dict[str, Value]:
    """Return the operands with data that are not dense yet as dense ones."""
    stored: dict[str, Value] = {}
    for name in sorted({access.value for access in op.operands}):
        tensor = values[name].tensor
        if tensor is not None and not tensor.format.is_dense:
            dense = tensor_from_dense(tensor.to_dense(), fill=tensor.fill)
            stored[name] = replace(values[name], tensor=dense, format=dense.format)
    return stored


def stored_values(graph: EinsumGraph) -> dict[str, Value]:
    """Return all values of a graph; those with data have the format of their data."""
    return {
        name: value if value.tensor is None else replace(value, format=value.tensor.format)
        for name, value in graph.values.items()
    }


def allowed_orders(views: ViewGraph, rng: Random | None = None) -> Iterator[tuple[str, ...]]:
    """Yield the loop orders that the storage of the operands allows.

    All of them; with `rng` an endless sequence of random ones.
    """
    constraints = build_constraints(views)
    if constraints.cycle():
        return
    wanted = nx.DiGraph(sorted(constraints.edges))
    wanted.add_nodes_from(views.classes)
    if rng is None:
        yield from map(tuple, nx.all_topological_sorts(wanted))
        return
    while True:
        rank = {name: rng.random() for name in views.classes}
        yield tuple(nx.lexicographical_topological_sort(wanted, key=rank.__getitem__))


def lower_region(
    region: Region,
    values: Mapping[str, Value],
    fills: Fills,
    order: Sequence[str],
    *,
    dense: bool = False,
    copies: bool = False,
    apart: frozenset[Use] = frozenset(),
) -> tuple[DataflowGraph, dict[str, Value]]:
    """Lower a region under one order; return the kernel and its outputs with their formats.

    With `dense` the outputs are written in full, with `copies` values are computed once for every
    nest of their uses, and those that are `apart` anew for each.

    Raises:
        IllegalOrderError: if the order cannot be lowered.
    """
    shared = build_views(region, values, apart)
    views, nests = build_nests(shared, order, may_copy=lambda _: copies)
    modes = {n: frozenset(range(len(v.binding))) for n, v in views.outputs.items() if dense}
    domains = compute_domains(views, nests, fills, modes)
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
