# SPDX-License-Identifier: MIT
"""Plans: a region becomes one kernel, or is refused with the values at which it could be cut.

A region is refused when no loop order can be lowered, or when every order computes some value more
often than the budget allows.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fuseflow.errors import Location, ScheduleError
from fuseflow.fusion.analysis.estimate import Estimate, Occupancy
from fuseflow.fusion.analysis.support import Fills
from fuseflow.fusion.analysis.tuples import IllegalOrderError
from fuseflow.fusion.analysis.views import Region, View, ViewGraph, build_views
from fuseflow.fusion.lowering.lower import Lowering, Plan
from fuseflow.fusion.orders.search import (
    MOVE_LIMIT,
    Constraints,
    Found,
    Rejected,
    Scored,
    build_constraints,
    search_orders,
)
from fuseflow.fusion.plan.apart import uses_in_the_way
from fuseflow.fusion.plan.memo import Recipe, region_key
from fuseflow.fusion.plan.space import Candidate, OrderSpace
from fuseflow.fusion.plan.storage import free_leaf, misfits, permuted_leaves
from fuseflow.fusion.schedule.global_iteration import Joined, join_spaces
from fuseflow.fusion.schedule.region import UsedIndices, Wishes, find_class
from fuseflow.ir.dataflow import MAX_DEPTH, DataflowGraph
from fuseflow.ir.einsum import Value
from fuseflow.ir.schedule import IndexRef, Order

__all__ = ["Context", "Planned", "StorageConflictError", "plan_region"]

# An estimate above the budget by less than this counts as within it.
BUDGET_SLACK = 1.02
# So many reductions of a region may get loops of their own before it is cut instead.
MAX_APART = 6


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
    copies in another mode order. `recompute` says how often a value may be computed. `dense` names
    intermediates that must be written densely. `memo` has the orders of regions seen before, and
    `moves` bounds how many orders of a large region are compared.
    """

    values: dict[str, Value]
    fills: Fills
    occupancies: dict[str, Occupancy]
    recompute: float
    dense: set[str] = field(default_factory=set)
    used: UsedIndices = field(default_factory=UsedIndices)
    moves: int = MOVE_LIMIT
    memo: dict[Hashable, Recipe] = field(default_factory=dict)

    def accept(self, planned: Planned) -> None:
        """Let later regions see how a region writes its outputs."""
        self.values.update(planned.values)
        self.occupancies.update(planned.expected.occupancy)


@dataclass(frozen=True, slots=True)
class Planned:
    """A region with its kernel, the decisions behind it and what they are expected to cost.

    `values` holds what the kernel needs from later stages: copies of constants, and its outputs
    with the format in which they are written. `copies` names the tensor that a leaf is read from
    if that is a copy. `space` has the other orders, `cells` the fusion table. `row_wise` is the
    cost of the row-wise order, if that is legal; `tried` counts the orders that were compared.
    `meant` says why another order than the one asked for was followed.
    """

    region: Region
    kernel: DataflowGraph
    plan: Plan
    expected: Estimate
    values: Mapping[str, Value]
    copies: Mapping[View, str]
    wishes: Wishes
    space: OrderSpace
    cells: Lowering
    row_wise: float | None
    tried: int
    meant: str = ""


def plan_region(region: Region, context: Context, wishes: Wishes | None = None) -> Planned:
    """Lower a region under its cheapest legal order.

    Raises:
        IllegalOrderError: if there is none; its values are where to cut.
        StorageConflictError: if the storage of an intermediate rules out every order.
        ScheduleError: if the wishes contradict each other.
    """
    wishes = wishes or Wishes()
    base: tuple[str, ...] | None = None
    if wishes.needs_order:
        first = plan_region(region, context, wishes.without_orders())
        base, wishes = first.plan.order, replace(wishes, apart=first.space.apart)
    if wishes.total is not None:
        return _plan_as_meant(region, context, wishes, base)
    return _without_spare_copies(_plan(region, context, wishes, base), region, context)


def _plan_as_meant(
    region: Region, context: Context, wishes: Wishes, base: tuple[str, ...] | None
) -> Planned:
    """Plan under a whole order, or under the one that it can only mean."""
    followed, reasons = wishes, list[str]()
    seen: set[tuple[str, ...]] = set()
    while True:
        try:
            planned = _plan(region, context, followed, base)
        except IllegalOrderError as error:
            if not error.meant or error.meant in seen:
                raise
            seen.add(error.meant)
            reasons.append(f"{', '.join(error.values)} {error.reason.removeprefix('it ')}")
            followed = _in_order(wishes, error.meant)
        else:
            asked = " -> ".join(map(str, wishes.total[0])) if wishes.total else ""
            why = f"in place of {asked}: {'; '.join(reasons)}" if reasons else ""
            return replace(planned, wishes=wishes, meant=why)


def _in_order(wishes: Wishes, order: tuple[str, ...]) -> Wishes:
    """Return the wishes with a whole order that replaces all others."""
    chain = tuple(IndexRef(name) for name in order)
    return replace(wishes, orders=(*wishes.orders, (Order(chain, total=True), frozenset[str]())))


def _without_spare_copies(planned: Planned, region: Region, context: Context) -> Planned:
    """Plan again under the order that was chosen, copying only what does not fit that order.

    Which tensors need a copy was decided before the order was known.
    """
    if not planned.copies:
        return planned
    exact = _in_order(planned.wishes, planned.plan.order)
    exact = replace(exact, apart=planned.space.apart)
    again = _plan(region, context, exact, None)
    return replace(
        again,
        wishes=planned.wishes,
        space=planned.space,
        row_wise=planned.row_wise,
        tried=planned.tried,
    )


def _plan(
    region: Region, context: Context, wishes: Wishes, base: tuple[str, ...] | None
) -> Planned:
    joined = join_spaces(region, context.values, context.fills, wishes.joint)
    limits = {**wishes.limits, **dict.fromkeys(joined.repeated, math.inf)}
    space = _order_space(joined, context, wishes, base, limits)
    key = region_key(space, wishes)
    known = context.memo.get(key)
    if known is not None:
        if known.apart:
            exact = replace(wishes, apart=known.uses_apart(space.region))
            space = _order_space(joined, context, exact, base, limits)
        return _follow(known, space, context, limits, wishes)
    recipe, result = _search(joined, space, context, limits, wishes, base)
    if key is not None and recipe.positions:
        context.memo[key] = recipe
    if isinstance(result, IllegalOrderError):
        raise result
    return result


def _search(
    joined: Joined,
    space: OrderSpace,
    context: Context,
    limits: Mapping[str, float],
    wishes: Wishes,
    base: tuple[str, ...] | None,
) -> tuple[Recipe, Planned | IllegalOrderError]:
    """Search the orders of a space; if none will do, of those with more loops.

    A reduction that shares its loop with what needs its elements again may stand in the way. One
    after the other gets a loop of its own, and computes what it reduces anew. That ends where some
    order can be lowered but computes a value too often: further loops would only make it worse.
    """
    failed: tuple[Recipe, IllegalOrderError] | None = None
    for _ in range(1 + MAX_APART):
        found = search_orders(
            space.graph, space.constraints, space.evaluate, context.moves, floor=space.floor
        )
        recipe, result = _choose(found, space, context, limits, wishes)
        if isinstance(result, Planned):
            return recipe, result
        if found.legal:
            return recipe, result
        failed = failed or (recipe, result)
        uses = uses_in_the_way(found.rejected, space)
        if wishes.total is not None or not uses:
            break
        exact = replace(wishes, apart=space.apart | uses)
        space = _order_space(joined, context, exact, base, limits)
    assert failed is not None
    return failed


def _choose(
    found: Found[Candidate],
    space: OrderSpace,
    context: Context,
    limits: Mapping[str, float],
    wishes: Wishes,
) -> tuple[Recipe, Planned | IllegalOrderError]:
    """Return the kernel of the first order that can be lowered, or the most telling failure."""
    cost = found.row_wise.cost if found.row_wise is not None else None

    def recipe(order: tuple[str, ...]) -> Recipe:
        return Recipe.of(space, order, cost, found.legal)

    excessive: Scored[Candidate] | None = None
    rejected: list[Rejected] = []

    def hopeless(order: tuple[str, ...]) -> bool:
        if excessive is None:
            return False
        return bool(_over_budget(space.least_recompute(order), context, limits))

    for scored in found.best_first(hopeless):
        if _over_budget(scored.plan.expected.recompute, context, limits):
            excessive = excessive or scored
            continue
        chosen = recipe(scored.order)
        try:
            return chosen, _planned(space, scored.plan, wishes, chosen)
        except IllegalOrderError as error:
            rejected.append(Rejected(scored.order, error))
    if excessive is not None and not rejected:
        return recipe(excessive.order), _recomputed(excessive.plan, context, limits)
    rejected = [*found.rejected, *rejected]
    if not rejected:
        reason = "no loop order fits its operands"
        return recipe(()), IllegalOrderError(space.region.ops[-1].output.value, reason)
    telling = _most_telling(rejected)
    chosen = replace(recipe(telling.order), too_deep=_share_too_deep(rejected))
    return chosen, _with_depth(telling.error, chosen)


def _follow(
    recipe: Recipe,
    space: OrderSpace,
    context: Context,
    limits: Mapping[str, float],
    wishes: Wishes,
) -> Planned:
    """Do for a region what was found best for an equal one; it fails for the same reason."""
    try:
        _, candidate = space.evaluate(recipe.order(space.graph))
    except IllegalOrderError as error:
        raise _with_depth(error, recipe) from error
    if _over_budget(candidate.expected.recompute, context, limits):
        raise _recomputed(candidate, context, limits)
    return _planned(space, candidate, wishes, recipe)


def _order_space(
    joined: Joined,
    context: Context,
    wishes: Wishes,
    base: tuple[str, ...] | None,
    limits: Mapping[str, float],
) -> OrderSpace:
    context = replace(context, values=joined.values, fills=joined.fills)
    graph = build_views(joined.region, joined.values, wishes.apart)
    freed = permuted_leaves(graph, joined.values, wishes)
    chains = _chains(graph, context, wishes, base)
    if wishes.total is not None:
        _free_misfits(graph, joined.values, chains[0][1], freed)
    constraints, copied = _satisfiable_constraints(graph, context, chains, freed)
    return OrderSpace(
        region=joined.region,
        graph=graph,
        constraints=constraints,
        freed=copied,
        values=joined.values,
        fills=joined.fills,
        occupancies=context.occupancies,
        dense=_dense_modes(graph, context),
        joint=joined.joint,
        apart=wishes.apart,
        may_copy=lambda value: limits.get(value, context.recompute) > BUDGET_SLACK,
    )


def _chains(
    graph: ViewGraph, context: Context, wishes: Wishes, base: tuple[str, ...] | None
) -> list[tuple[str, list[str]]]:
    """Return the chains of classes that the schedule asks for, each with its cause."""
    chains: list[tuple[str, list[str]]] = []
    for refs, ops in wishes.chains:
        names: list[str] = []
        for ref in refs:
            name = find_class(graph, ref, ops, base)
            context.used.note(ref, name, graph)
            if name is not None and name not in names:
                names.append(name)
        chains.append((f"order {' -> '.join(map(str, refs))}", names))
    if wishes.total is not None:
        _check_complete(graph, chains[0][1])
    for permute, ops in wishes.permutes:
        found = [find_class(graph, ref, ops) for ref in permute.order]
        for ref, name in zip(permute.order, found, strict=True):
            context.used.note(ref, name, graph)
        if set(found) in [set(v.binding) for v in graph.leaves if v.value == permute.tensor]:
            chains.append((f"permute {permute.tensor}", [name for name in found if name]))
    for name, view in sorted(graph.outputs.items()):
        fmt = context.values[name].format
        if fmt is not None:
            chains.append((f"format {name}", [view.binding[mode] for mode in fmt.mode_order]))
    return chains


def _check_complete(graph: ViewGraph, names: Sequence[str]) -> None:
    missing = [name for name in graph.classes if name not in names]
    if missing:
        raise ScheduleError(
            "P013",
            f"order only {' -> '.join(names)} leaves out {', '.join(missing)}",
            where=Location(node=graph.region.name),
            fix="name every index of the kernel, or leave out the word only",
        )


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


def _over_budget(
    times: Mapping[str, float], context: Context, limits: Mapping[str, float]
) -> set[str]:
    """Return the values that would be computed more often than the budget allows."""
    return {
        name
        for name, factor in times.items()
        if factor > limits.get(name, context.recompute) * BUDGET_SLACK
    }


def _recomputed(
    candidate: Candidate, context: Context, limits: Mapping[str, float]
) -> IllegalOrderError:
    """Name the last values of each recomputed chain: writing those to memory ends it."""
    over = _over_budget(candidate.expected.recompute, context, limits)
    last = [
        view.value
        for view in candidate.plan.graph.ops
        if view.value in over and any(user.value not in over for user in view.consumers)
    ]
    values = tuple(dict.fromkeys(last)) or tuple(sorted(over))
    times = max(candidate.expected.recompute[name] for name in values)
    return IllegalOrderError(values, f"computed {times:.3g} times over without it")


def _most_telling(rejected: Sequence[Rejected]) -> Rejected:
    """Return the rejection to report: the values that stand in the way most often."""
    counts = Counter(each.error.values for each in rejected)
    values = max(counts, key=lambda names: (counts[names], names))
    return next(each for each in rejected if each.error.values == values)


def _share_too_deep(rejected: Sequence[Rejected]) -> float:
    return sum(each.error.too_deep for each in rejected) / len(rejected)


def _with_depth(error: IllegalOrderError, recipe: Recipe) -> IllegalOrderError:
    """Add to the cause that stands in the way most often that depth does in other orders."""
    if error.too_deep or not recipe.too_deep:
        return error
    share = f"{recipe.too_deep:.0%} of the orders tried"
    reason = f"{error.reason}; {share} nest streams more than {MAX_DEPTH} deep"
    return IllegalOrderError(error.values, reason, needs_apart=error.needs_apart, meant=error.meant)


def _satisfiable_constraints(
    graph: ViewGraph,
    context: Context,
    chains: Sequence[tuple[str, Sequence[str]]],
    freed: set[View],
) -> tuple[Constraints, frozenset[View]]:
    """Collect constraints, freeing leaves that can be stored anew until no cycle is left.

    Constants, parameters and inputs have data, so a copy in another mode order is made at compile
    time; an intermediate cannot be re-ordered and is stored dense instead.
    """
    while True:
        constraints = build_constraints(graph, chains, freed)
        cycle = constraints.cycle()
        if not cycle:
            return constraints, frozenset(freed)
        causes = {why for edge in cycle for why in constraints.edges[edge]}
        leaves = [leaf for leaf in graph.leaves if leaf.value in causes and leaf not in freed]
        movable = [leaf for leaf in leaves if context.values[leaf.value].tensor is not None]
        if movable:
            leaf = min(movable, key=lambda leaf: (_entries(leaf, context), leaf.number))
            free_leaf(leaf)
            freed.add(leaf)
        elif leaves:
            raise StorageConflictError(leaves[0].value)
        else:
            raise ScheduleError(
                "P013",
                f"these contradict each other: {'; '.join(sorted(causes))}",
                where=Location(node=graph.region.name),
            )


def _free_misfits(
    graph: ViewGraph, values: Mapping[str, Value], order: Sequence[str], freed: set[View]
) -> None:
    """Free exactly the leaves whose storage does not fit a whole order."""
    for leaf in misfits((leaf for leaf in graph.leaves if leaf not in freed), order):
        if values[leaf.value].tensor is None:
            raise StorageConflictError(leaf.value)
        free_leaf(leaf)
        freed.add(leaf)


def _entries(leaf: View, context: Context) -> int:
    tensor = context.values[leaf.value].tensor
    return tensor.stored if tensor is not None else 0


def _planned(space: OrderSpace, chosen: Candidate, wishes: Wishes, recipe: Recipe) -> Planned:
    lowered = space.lower(chosen.plan)
    made = {value.name: value for value in lowered.copies.values()}
    for name, fmt in lowered.formats.items():
        fill = space.fills.value[name]
        made[name] = replace(space.values[name], format=fmt, fill=fill)
    return Planned(
        region=space.region,
        kernel=lowered.kernel,
        plan=chosen.plan,
        expected=chosen.expected,
        values=made,
        copies={leaf: value.name for leaf, value in lowered.copies.items()},
        wishes=wishes,
        space=space,
        cells=lowered.cells,
        row_wise=recipe.row_wise,
        tried=recipe.tried,
    )
