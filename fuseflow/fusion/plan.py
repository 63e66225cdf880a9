# SPDX-License-Identifier: MIT
"""Plans: a region becomes one kernel, or is cut at a value and becomes several.

A region is cut when no loop order can be lowered, or when every order computes some value more
often than the budget allows. Every cut is reported with its reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from fuseflow.fusion.clusters import Clusters
from fuseflow.fusion.domains import compute_domains
from fuseflow.fusion.estimate import Estimate, Occupancy, estimate
from fuseflow.fusion.lower import Lowering, Plan
from fuseflow.fusion.orders import Constraints, build_constraints, search_orders
from fuseflow.fusion.support import Fills
from fuseflow.fusion.tuples import IllegalOrderError, build_nests
from fuseflow.fusion.views import Region, View, ViewGraph, build_views
from fuseflow.ir.dataflow import DataflowGraph
from fuseflow.ir.einsum import Value
from fuseflow.ir.tensor import Format, LevelFormat, tensor_from_coordinates

__all__ = ["Context", "Planned", "StorageConflictError", "plan_region"]

# An estimate above the budget by less than this counts as within it.
BUDGET_SLACK = 1.02


class StorageConflictError(Exception):
    """The stored order of an intermediate fits no order of a region that reads it."""

    def __init__(self, value: str) -> None:
        """Name the intermediate, which could be stored dense instead."""
        self.value = value
        super().__init__(value)


@dataclass(slots=True)
class Context:
    """What all regions of a program share.

    `values` grows: outputs of accepted regions get their format there, and constants may get
    copies in another mode order. `dense` names intermediates that must be written densely.
    """

    values: dict[str, Value]
    fills: Fills
    occupancies: dict[str, Occupancy]
    recompute: float
    chain: tuple[str, ...] = ()
    dense: set[str] = field(default_factory=set)

    def accept(self, planned: Planned) -> None:
        """Let later regions see how a region writes its outputs."""
        self.values.update(planned.values)
        self.occupancies.update(planned.expected.occupancy)


@dataclass(frozen=True, slots=True)
class Planned:
    """A region with its kernel, the decisions behind it and what they are expected to cost.

    `values` holds what the kernel needs from later stages: copies of constants, and its outputs
    with the format in which they are written.
    """

    region: Region
    kernel: DataflowGraph
    plan: Plan
    expected: Estimate
    values: Mapping[str, Value]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Candidate:
    plan: Plan
    expected: Estimate


def plan_region(region: Region, context: Context) -> Planned:
    """Lower a region under its cheapest legal order.

    Raises:
        IllegalOrderError: if there is none; its values are where to cut.
        StorageConflictError: if the storage of an intermediate rules out every order.
    """
    graph = build_views(region, context.values)
    constraints, copied = _satisfiable_constraints(graph, context)
    candidates, rejected = search_orders(
        graph, constraints, lambda order: _evaluate(graph, order, context)
    )
    affordable = [c for c in candidates if not _over_budget(c.plan.expected, context)]
    for scored in affordable:
        try:
            return _lower(region, scored.plan, context, copied)
        except IllegalOrderError as error:
            rejected.append(error)
    if candidates and not affordable:
        raise _recomputed(candidates[0].plan, context)
    raise _most_telling(region, rejected)


def _evaluate(
    graph: ViewGraph, order: tuple[str, ...], context: Context
) -> tuple[float, _Candidate]:
    nests = build_nests(graph, order)
    domains = compute_domains(graph, nests, context.fills, _dense_modes(graph, context))
    clusters = Clusters(graph, nests, domains)
    expected = estimate(graph, nests, domains, context.occupancies)
    return expected.cost, _Candidate(Plan(graph, order, nests, domains, clusters), expected)


def _dense_modes(graph: ViewGraph, context: Context) -> dict[str, frozenset[int]]:
    """Return the dimensions of each output that must be written in full."""
    wanted: dict[str, frozenset[int]] = {}
    for name in graph.outputs:
        value = context.values[name]
        modes = set(range(len(value.shape))) if name in context.dense else set()
        if value.format is not None:
            pairs = zip(value.format.levels, value.format.mode_order, strict=True)
            modes |= {mode for level, mode in pairs if not level.is_stored}
        wanted[name] = frozenset(modes)
    return wanted


def _over_budget(expected: Estimate, context: Context) -> set[str]:
    """Return the values that would be computed more often than the budget allows."""
    limit = context.recompute * BUDGET_SLACK
    return {name for name, factor in expected.recompute.items() if factor > limit}


def _recomputed(candidate: _Candidate, context: Context) -> IllegalOrderError:
    """Name the last values of each recomputed chain: writing those to memory ends it."""
    over = _over_budget(candidate.expected, context)
    last = [
        view.value
        for view in candidate.plan.graph.ops
        if view.value in over and any(user.value not in over for user in view.consumers)
    ]
    values = tuple(dict.fromkeys(last)) or tuple(sorted(over))
    times = max(candidate.expected.recompute[name] for name in values)
    return IllegalOrderError(values, f"computed {times:.3g} times over without it")


def _most_telling(region: Region, rejected: Sequence[IllegalOrderError]) -> IllegalOrderError:
    """Return the rejection to report: the values that stand in the way most often."""
    if not rejected:
        return IllegalOrderError(region.ops[-1].output.value, "no loop order fits its operands")
    counts = Counter(error.values for error in rejected)
    values = max(counts, key=lambda names: (counts[names], names))
    return next(error for error in rejected if error.values == values)


def _satisfiable_constraints(
    graph: ViewGraph, context: Context
) -> tuple[Constraints, frozenset[View]]:
    """Collect constraints, freeing leaves that can be stored anew until no cycle is left.

    Constants, parameters and inputs have data, so a copy in another mode order is made at compile
    time; an intermediate cannot be re-ordered and is stored dense instead.
    """
    freed: set[View] = set()
    while True:
        constraints = build_constraints(graph, context.chain, freed)
        cycle = constraints.cycle()
        if not cycle:
            return constraints, frozenset(freed)
        causes = {why for edge in cycle for why in constraints.edges[edge]}
        leaves = [leaf for leaf in graph.leaves if leaf.value in causes and leaf not in freed]
        movable = [leaf for leaf in leaves if context.values[leaf.value].tensor is not None]
        if movable:
            leaf = min(movable, key=lambda leaf: (_entries(leaf, context), leaf.number))
            leaf.format = _all_compressed(leaf)
            freed.add(leaf)
        elif leaves:
            raise StorageConflictError(leaves[0].value)
        else:
            chain = " -> ".join(context.chain)
            raise IllegalOrderError(graph.region.ops[-1].output.value, f"{chain} is a cycle")


def _all_compressed(leaf: View) -> Format:
    """Return a format that holds the same entries in any mode order, patterns included."""
    order = len(leaf.binding)
    return Format((LevelFormat.COMPRESSED,) * order, tuple(range(order)))


def _entries(leaf: View, context: Context) -> int:
    tensor = context.values[leaf.value].tensor
    return tensor.stored if tensor is not None else 0


def _lower(
    region: Region, candidate: _Candidate, context: Context, copied: frozenset[View]
) -> Planned:
    plan = candidate.plan
    copies, notes = _copies(plan, context, copied)
    values = context.values | {value.name: value for value in copies.values()}
    stored_as = {leaf: value.name for leaf, value in copies.items()}
    kernel, formats = Lowering(plan, values, context.fills, stored_as).run(region.name)
    made = {value.name: value for value in copies.values()}
    for name, fmt in formats.items():
        made[name] = replace(values[name], format=fmt, fill=context.fills.value[name])
    return Planned(region, kernel, plan, candidate.expected, made, tuple(notes))


def _copies(
    plan: Plan, context: Context, freed: frozenset[View]
) -> tuple[dict[View, Value], list[str]]:
    """Store the freed leaves in the chosen order, under names that say so."""
    copies: dict[View, Value] = {}
    notes: list[str] = []
    position = {name: p for p, name in enumerate(plan.order)}
    for leaf in sorted(freed, key=lambda leaf: leaf.number):
        value = context.values[leaf.value]
        modes = tuple(sorted(range(len(leaf.binding)), key=lambda m: position[leaf.binding[m]]))
        copy = _stored_in_order(value, leaf, modes)
        copies[leaf] = context.values.get(copy.name, copy)
        notes.append(f"{plan.graph.region.name}: {value.name} is read from a copy, {copy.name}")
    return copies, notes


def _stored_in_order(value: Value, leaf: View, modes: tuple[int, ...]) -> Value:
    """Return a copy of the value with the levels of its view, in an order of modes."""
    tensor = value.tensor
    assert tensor is not None
    assert leaf.format is not None
    fmt = Format(leaf.format.levels, modes)
    entries = tensor.coordinates()
    copy = tensor_from_coordinates(tensor.shape, entries, tensor.values, fmt, fill=tensor.fill)
    return replace(value, name=f"{value.name}@{','.join(map(str, modes))}", format=fmt, tensor=copy)
