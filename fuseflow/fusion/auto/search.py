# SPDX-License-Identifier: MIT
"""The search for a schedule: what `strategy auto` stands for.

Every candidate is a schedule of its own. It is planned as if the user had written it, and priced by
its estimate, so that what wins can be printed, edited and replayed, and is never worse than a
preset by that estimate.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fuseflow.errors import ScheduleError
from fuseflow.fusion.auto.dealing import Dealer
from fuseflow.fusion.auto.groups import MOVES, GroupPlanner, Progress
from fuseflow.fusion.auto.partition import Atom, cheapest_partition
from fuseflow.fusion.cost.program import ProgramEstimate, estimate_program
from fuseflow.fusion.plan.group import Context, Planned
from fuseflow.fusion.schedule.bind import Bindings
from fuseflow.fusion.schedule.resolved import Decisions, resolve
from fuseflow.ir.einsum import EinsumGraph, Value
from fuseflow.ir.schedule import PRESETS, Schedule, Strategy

__all__ = ["Bench", "Considered", "Prepared", "Search", "Trial", "search_schedule"]

# Kernels that a search plans at most, unless a budget of time says otherwise.
PLANS = 400
# Loop orders of each kind that are tried for every group.
ORDERS = 3


@dataclass(frozen=True, slots=True)
class Trial:
    """A schedule carried out as far as its kernels; `values` has all tensors with formats."""

    plans: Sequence[Planned]
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A graph that is ready to be grouped, under the schedule that prepared it."""

    graph: EinsumGraph
    bindings: Bindings
    context: Context
    atoms: Sequence[Atom]


@dataclass(frozen=True, slots=True)
class Bench:
    """How to try schedules: as far as groups can be made, and as far as kernels."""

    prepare: Callable[[Schedule], Prepared]
    plan: Callable[[Schedule], Trial]


@dataclass(frozen=True, slots=True)
class Considered:
    """A schedule that was compared, and what it is expected to take."""

    label: str
    schedule: Schedule
    estimate: ProgramEstimate


@dataclass(frozen=True, slots=True)
class Search:
    """What was compared, cheapest first, and why other schedules are not possible.

    `plans` counts the kernels that were planned for groups; `is_cut_short` if some groups were
    not tried for want of budget.
    """

    ranked: tuple[Considered, ...]
    failed: Mapping[str, str] = field(default_factory=dict)
    plans: int = 0
    is_cut_short: bool = False

    @property
    def schedule(self) -> Schedule:
        """Return the schedule that was chosen."""
        return self.ranked[0].schedule


def search_schedule(asked: Schedule, bench: Bench) -> Search:
    """Return the schedules that refine the one asked for, cheapest first.

    Raises:
        ScheduleError: the first reason found, if none of them is possible.
    """
    searcher = _Searcher(bench, asked.budget.seconds)
    asked = replace(asked, budget=replace(asked.budget, seconds=None))
    variants = {"": asked}
    if asked.reassociate:
        variants = {"": replace(asked, reassociate=False), ", reassociated": asked}
    for suffix, variant in variants.items():
        for preset in PRESETS:
            searcher.consider(f"{preset}{suffix}", replace(variant, strategy=preset))
    if not searcher.found:
        raise next(iter(searcher.failed.values()))
    for suffix, variant in variants.items():
        searcher.divide(f"groups{suffix}", replace(variant, strategy=Strategy.UNFUSED))
    return searcher.result()


@dataclass(slots=True)
class _Searcher:
    """Collects candidates; the cheapest one so far bounds what is looked at."""

    bench: Bench
    seconds: float | None = None
    found: list[Considered] = field(default_factory=list)
    failed: dict[str, ScheduleError] = field(default_factory=dict)
    plans: int = 0
    is_cut_short: bool = False
    _started: float = field(default_factory=time.monotonic)

    def consider(self, label: str, schedule: Schedule) -> None:
        """Price a schedule, as it would be carried out."""
        try:
            trial = self.bench.plan(schedule)
        except ScheduleError as error:
            self.failed[label] = error
            return
        estimate = estimate_program(trial.plans, trial.values)
        self.found.append(Considered(label, schedule, estimate))

    def divide(self, label: str, schedule: Schedule) -> None:
        """Consider the cheapest sequences of groups: first in preferred orders, then in others.

        Values that some group could only read if they were stored densely are so in another round.
        """
        try:
            prepared = self.bench.prepare(schedule)
        except ScheduleError:
            return
        planner = GroupPlanner(
            prepared.graph,
            prepared.bindings,
            Dealer(schedule.budget),
            PLANS - self.plans,
            self._deadline(),
        )
        self._round(label, schedule, prepared, planner)
        # As many orders as there is budget for, which two kinds of orders share.
        spent = max(planner.plans, 1)
        planner.orders = min(ORDERS, (planner.limit - spent) // (2 * spent))
        self._round(label, schedule, prepared, planner)
        if planner.conflicts:
            self._round(label, schedule, prepared, planner, frozenset(planner.conflicts))
        self.plans += planner.plans
        self.is_cut_short |= planner.is_cut_short

    def _round(
        self,
        label: str,
        schedule: Schedule,
        prepared: Prepared,
        planner: GroupPlanner,
        dense: frozenset[str] = frozenset(),
    ) -> None:
        start = Progress(replace(prepared.context, dense=set(dense), moves=MOVES))
        bound = min(each.estimate.cycles for each in self.found)
        best = cheapest_partition(prepared.atoms, planner, start, bound)
        if best is not None:
            self.consider(label, _resolved(schedule, prepared, best, dense))

    def result(self) -> Search:
        """Return what was found, cheapest first; of equal ones that with the fewest kernels."""
        ranked = sorted(
            self.found, key=lambda each: (each.estimate.cycles, len(each.estimate.kernels))
        )
        reasons = {label: str(error) for label, error in self.failed.items()}
        return Search(tuple(ranked), reasons, self.plans, self.is_cut_short)

    def _deadline(self) -> float:
        return math.inf if self.seconds is None else self._started + self.seconds


def _resolved(
    schedule: Schedule, prepared: Prepared, best: Progress, dense: frozenset[str]
) -> Schedule:
    """Return the schedule that makes these kernels."""
    plans = [option.planned for option in best.chosen]
    factors = [n for planned in plans for n in planned.expected.recompute.values()]
    decisions = Decisions(
        graph=prepared.graph,
        bindings=prepared.bindings,
        barriers={},
        dense=dense,
        recompute=float(math.ceil(max(factors, default=1.0))),
    )
    found = resolve(schedule, plans, decisions)
    groups = tuple(
        group
        if group.name in names
        else replace(group, name=f"k{n}_{plans[n].region.ops[-1].name}")
        for names in [{atom.name for atom in prepared.atoms if atom.name}]
        for n, group in enumerate(found.groups)
    )
    return replace(found, groups=groups)
