# SPDX-License-Identifier: MIT
"""Kernels that a group of operations can become, each with its price.

What a group costs depends on the operations before it only through how they store what it reads;
groups are priced once for each such way. A group is tried in the order that planning prefers, in
the orders that look cheapest besides, and in those that need copies of constants.
"""

from __future__ import annotations

import math
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fuseflow.errors import ScheduleError
from fuseflow.fusion.analysis.tuples import IllegalOrderError
from fuseflow.fusion.analysis.views import Use
from fuseflow.fusion.auto.dealing import Dealer
from fuseflow.fusion.auto.options import Objective, SearchOptions, cost_of
from fuseflow.fusion.cost.program import KernelEstimate, Pricer
from fuseflow.fusion.explain.orders import with_copies
from fuseflow.fusion.orders.search import search_orders
from fuseflow.fusion.plan.group import Context, Planned, StorageConflictError, plan_region
from fuseflow.fusion.plan.space import loops_of
from fuseflow.fusion.regions import make_region
from fuseflow.fusion.schedule.bind import Bindings
from fuseflow.fusion.schedule.region import Wishes, wishes_for
from fuseflow.ir.einsum import Einsum, EinsumGraph, Value
from fuseflow.ir.schedule import IndexRef, Order
from fuseflow.ir.tensor import Level

__all__ = ["MOVES", "GroupOption", "GroupPlanner", "Progress"]

# An order is not tried if its longest loop alone looks this much longer than the kernel that is
# known; the look is at mean densities, so that it may be wrong by as much.
HOPELESS = 1.25
# Orders of a large group that are compared by their looks.
MOVES = 24


@dataclass(frozen=True, slots=True)
class GroupOption:
    """One kernel for a group; `results` is the structure of what it writes."""

    planned: Planned
    estimate: KernelEstimate
    results: Mapping[str, tuple[Level, ...]]


@dataclass(frozen=True, slots=True)
class Progress:
    """Kernels chosen so far, and what they leave for those that follow."""

    context: Context
    levels: Mapping[str, tuple[Level, ...]] = field(default_factory=dict)
    chosen: tuple[GroupOption, ...] = ()
    cost: float = 0.0

    def extend(self, option: GroupOption, objective: Objective) -> Progress:
        """Return the progress with one more kernel."""
        context = replace(
            self.context,
            values={**self.context.values},
            occupancies={**self.context.occupancies},
        )
        context.accept(option.planned)
        return Progress(
            context,
            {**self.levels, **option.results},
            (*self.chosen, option),
            self.cost + cost_of(option.estimate, objective),
        )

    def storage(self, names: Sequence[str]) -> Hashable:
        """Return how values are stored, as far as it makes a difference to who reads them."""
        found: list[Hashable] = []
        for name in names:
            value = self.context.values[name]
            is_known = value.tensor is not None or value.format is None or value.format.is_dense
            found.append((name, value.format, 0 if is_known else id(self.levels.get(name))))
        return tuple(found)


@dataclass(slots=True)
class GroupPlanner:
    """Plans and prices groups; `orders` is how many loop orders of each kind to try besides.

    `plans` counts kernels that were planned, `rows` the work of pricing them. No group is planned
    any more beyond `limit` and `row_limit`, or after the `deadline` (of the monotonic clock), and
    `is_cut_short` tells. `conflicts` are values that had to be stored dense for some group.
    """

    graph: EinsumGraph
    bindings: Bindings
    options: SearchOptions
    dealer: Dealer
    limit: int
    row_limit: int
    deadline: float = math.inf
    orders: int = 0
    objective: Objective = Objective.CYCLES
    plans: int = 0
    rows: int = 0
    is_cut_short: bool = False
    conflicts: set[str] = field(default_factory=set)
    _consumers: dict[str, list[Einsum]] = field(init=False)
    _known: dict[Hashable, tuple[GroupOption, ...]] = field(default_factory=dict)
    _priced: dict[Hashable, GroupOption | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._consumers = self.graph.consumers()

    def kernels(
        self, ops: tuple[Einsum, ...], name: str, before: Progress
    ) -> Sequence[GroupOption]:
        """Return the cheapest kernel for each way to store the results; none if there is none."""
        made = {op.output.value for op in ops}
        read = sorted({a.value for op in ops for a in op.operands} - made)
        dense = frozenset(before.context.dense)
        group = (tuple(op.name for op in ops), before.storage(read), dense)
        key = (group, self.orders, self.objective)
        if key not in self._known:
            if self._is_spent():
                self.is_cut_short = True
                return ()
            self._known[key] = tuple(self._best(_Task(ops, name, before, group)))
        return self._known[key]

    def _is_spent(self) -> bool:
        is_late = time.monotonic() > self.deadline
        return self.plans >= self.limit or self.rows >= self.row_limit or is_late

    def _best(self, task: _Task) -> list[GroupOption]:
        best: dict[Hashable, GroupOption] = {}
        for option in self._all(task):
            outputs = option.planned.values
            key = tuple((n, str(outputs[n].format)) for n in sorted(option.planned.region.outputs))
            if key not in best or self.cost(option) < self.cost(best[key]):
                best[key] = option
        return sorted(best.values(), key=self.cost)

    def cost(self, option: GroupOption) -> float:
        """Return what is to be small of a kernel."""
        return cost_of(option.estimate, self.objective)

    def _all(self, task: _Task) -> Iterator[GroupOption]:
        wishes = wishes_for(task.ops, self.bindings)
        if not self._is_wanted(task.ops, wishes):
            return
        default = self._option(task, wishes)
        if default is None:
            return
        yield default
        if wishes.orders or not self.orders:
            return
        tried = {default.planned.plan.order}
        for order in self._orders(default):
            if order not in tried:
                tried.add(order)
                option = self._option(task, wishes, order, default.planned.space.apart)
                if option is not None and not option.estimate.reason:
                    yield option

    def _is_wanted(self, ops: tuple[Einsum, ...], wishes: Wishes) -> bool:
        """Return False if the schedule ends a kernel within the group, or forbids its end."""
        made = {op.output.value for op in ops}
        read = {access.value for op in ops for access in op.operands}
        region = make_region(self.graph, ops, "", self._consumers)
        results = {output.value for output in self.graph.outputs}
        streamed = wishes.streamed.intersection(region.outputs) - results
        return not (made & read & wishes.materialised or streamed)

    def _orders(self, first: GroupOption) -> Iterator[tuple[str, ...]]:
        """Yield the orders that look cheapest: as things are stored, and with copies."""
        planned = first.planned
        for space in (planned.space, with_copies(planned.space)):
            found = search_orders(space.graph, space.constraints, space.evaluate, MOVES)
            by_loops: dict[Hashable, tuple[float, float, tuple[str, ...]]] = {}
            for scored in found.best_first():
                loops = loops_of(scored.plan.plan.graph, scored.plan.plan.nests)
                longest = max(scored.plan.expected.visits.values(), default=0.0)
                by_loops.setdefault(loops, (longest, scored.cost, scored.order))
            for longest, _, order in sorted(by_loops.values())[: self.orders]:
                limit = HOPELESS * first.estimate.cycles * self.dealer.lanes
                if self.objective is not Objective.CYCLES or longest < limit:
                    yield order

    def _option(
        self,
        task: _Task,
        wishes: Wishes,
        order: tuple[str, ...] | None = None,
        apart: frozenset[Use] = frozenset(),
    ) -> GroupOption | None:
        """Return the kernel of a group in an order, with these uses apart; None: the preferred."""
        key = (task.key, order)
        if key not in self._priced:
            planned = self._plan(task, wishes, order, apart)
            self._priced[key] = None if planned is None else self._price(planned, task.before)
        return self._priced[key]

    def _plan(
        self,
        task: _Task,
        wishes: Wishes,
        order: tuple[str, ...] | None,
        apart: frozenset[Use],
    ) -> Planned | None:
        self.plans += 1
        self.options.tell(f"{self.plans} kernels tried")
        region = make_region(self.graph, task.ops, task.name, self._consumers)
        ordered = wishes
        if order is not None:
            chain = Order(tuple(IndexRef(index) for index in order), total=True)
            ordered = replace(wishes, orders=((chain, frozenset[str]()),), apart=apart)
        try:
            planned = plan_region(region, task.before.context, ordered)
        except StorageConflictError as conflict:
            self.conflicts.add(conflict.value)
        except (IllegalOrderError, ScheduleError):
            pass
        else:
            return replace(planned, wishes=wishes)
        return None

    def _price(self, planned: Planned, before: Progress) -> GroupOption | None:
        """Return a kernel with its price in lanes; which ones is settled when it is chosen."""
        if not self.dealer.allows(planned.kernel):
            return None
        values: dict[str, Value] = {**before.context.values, **planned.values}
        pricer = Pricer({**before.levels})
        dealt = self.dealer.deal(planned, values, pricer, quickly=True)
        estimate = pricer.price(dealt, values)
        self.rows += pricer.rows
        outputs = {n: pricer.levels[n] for n in planned.region.outputs if n in pricer.levels}
        return GroupOption(planned, estimate, outputs)


@dataclass(frozen=True, slots=True)
class _Task:
    """A group to plan; `key` has what its price depends on."""

    ops: tuple[Einsum, ...]
    name: str
    before: Progress
    key: Hashable
