# SPDX-License-Identifier: MIT
"""The search for a schedule: what `strategy auto` stands for.

Every candidate is a schedule of its own. It is planned as if the user had written it, and priced by
its estimate, so that what wins can be printed, edited and replayed, and is never worse than a
preset by that estimate.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fuseflow.errors import ScheduleError
from fuseflow.fusion.auto.dealing import Dealer
from fuseflow.fusion.auto.groups import MOVES, GroupPlanner, Progress
from fuseflow.fusion.auto.options import Measured, Objective, SearchOptions, cost_of
from fuseflow.fusion.auto.partition import Atom, cheapest_partition
from fuseflow.fusion.auto.tiling import tilings
from fuseflow.fusion.cost.program import ProgramEstimate, estimate_program
from fuseflow.fusion.plan.group import Context, Planned
from fuseflow.fusion.schedule.bind import Bindings
from fuseflow.fusion.schedule.resolved import Decisions, resolve
from fuseflow.ir.dataflow import DataflowProgram
from fuseflow.ir.einsum import EinsumGraph, Value
from fuseflow.ir.schedule import PRESETS, Schedule, Strategy

__all__ = ["Bench", "Considered", "Prepared", "Search", "Trial", "search_schedule"]

# Kernels that a search plans at most, unless a budget of time says otherwise.
PLANS = 400
# Rows of tables that pricing them may make: counts do not depend on the machine, so that neither
# does what is chosen.
ROWS = 100_000_000
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
    """How to try schedules: until there are groups, until there are kernels, to the end.

    `graph` is the model before any schedule has touched it.
    """

    graph: EinsumGraph
    prepare: Callable[[Schedule], Prepared]
    plan: Callable[[Schedule], Trial]
    compile: Callable[[Schedule], DataflowProgram]


@dataclass(frozen=True, slots=True)
class Considered:
    """A schedule that was compared, what it is expected to take, and what it took if it was run."""

    label: str
    schedule: Schedule
    estimate: ProgramEstimate
    measured: Measured | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """What was compared, the best one first, and why other schedules are not possible.

    `objective` is what was to be small. `plans` counts the kernels that were planned for groups;
    `is_cut_short` if some groups were not tried for want of budget, or of patience.
    """

    ranked: tuple[Considered, ...]
    objective: Objective = Objective.CYCLES
    failed: Mapping[str, str] = field(default_factory=dict)
    plans: int = 0
    is_cut_short: bool = False

    @property
    def schedule(self) -> Schedule:
        """Return the schedule that was chosen."""
        return self.ranked[0].schedule


def search_schedule(asked: Schedule, bench: Bench, options: SearchOptions) -> Search:
    """Return the schedules that refine the one asked for, the best one first.

    Ctrl-C ends the search as an empty budget would, once there is something to choose from.

    Raises:
        ScheduleError: the first reason found, if none of them is possible.
    """
    searcher = _Searcher(bench, options, asked.budget.seconds)
    asked = replace(asked, budget=replace(asked.budget, seconds=None))
    variants = dict(_variants(asked, bench, options))
    try:
        for suffix, variant in variants.items():
            for preset in PRESETS:
                searcher.consider(f"{preset}{suffix}", replace(variant, strategy=preset))
        if searcher.found:
            for suffix, variant in variants.items():
                searcher.divide(f"groups{suffix}", replace(variant, strategy=Strategy.UNFUSED))
    except KeyboardInterrupt:
        if not searcher.found:
            raise
        searcher.is_cut_short = True
    if not searcher.found:
        raise next(iter(searcher.failed.values()))
    return searcher.verified() if options.verify and options.measure else searcher.result()


def _variants(
    asked: Schedule, bench: Bench, options: SearchOptions
) -> Iterator[tuple[str, Schedule]]:
    """Yield what is allowed to change in the graph before it is divided into groups."""
    yield "", replace(asked, reassociate=False)
    if asked.reassociate:
        yield ", reassociated", asked
    if options.blocks:
        yield from ((f", {word}", tiled) for word, tiled in tilings(asked, bench.graph))


@dataclass(slots=True)
class _Searcher:
    """Collects candidates; the cheapest one so far bounds what is looked at."""

    bench: Bench
    options: SearchOptions
    seconds: float | None = None
    found: list[Considered] = field(default_factory=list)
    failed: dict[str, ScheduleError] = field(default_factory=dict)
    plans: int = 0
    rows: int = 0
    is_cut_short: bool = False
    _started: float = field(default_factory=time.monotonic)

    def consider(self, label: str, schedule: Schedule) -> None:
        """Price a schedule, as it would be carried out."""
        self.options.tell(f"looking at {label}")
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
            self.options,
            Dealer(schedule.budget),
            PLANS - self.plans,
            ROWS - self.rows,
            self._deadline(),
            objective=self.options.objective,
        )
        self._round(label, schedule, prepared, planner)
        # As many orders as there is budget for, which two kinds of orders share.
        spent = max(planner.plans, 1)
        planner.orders = min(ORDERS, (planner.limit - spent) // (2 * spent))
        label = f"{label}, other orders"
        self._round(label, schedule, prepared, planner)
        if planner.conflicts:
            self._round(
                f"{label}, dense", schedule, prepared, planner, frozenset(planner.conflicts)
            )
        for objective in Objective if self.options.pareto else ():
            if objective is not self.options.objective:
                planner.objective = objective
                self._round(f"{label}, {objective}", schedule, prepared, planner)
        self.plans += planner.plans
        self.rows += planner.rows
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
        bound = min(cost_of(each.estimate, planner.objective) for each in self.found)
        best = cheapest_partition(prepared.atoms, planner, start, bound)
        if best is not None:
            self.consider(label, _resolved(schedule, prepared, best, dense))

    def verified(self) -> Search:
        """Return the same, the most promising ones in the order of what they took when they ran.

        Candidates with the same figures are the same program.
        """
        search, measure = self.result(), self.options.measure
        assert measure is not None
        ran: dict[tuple[float, ...], Measured | None] = {}
        for each in search.ranked:
            if _figures(each) not in ran and len(ran) < self.options.verify:
                self.options.tell(f"running {each.label}")
                ran[_figures(each)] = measure(self.bench.compile(each.schedule))
        if not any(ran.values()):
            return search
        ranked = [replace(each, measured=ran.get(_figures(each))) for each in search.ranked]
        stopped = [e.label for e in ranked if e.measured is None and _figures(e) in ran]
        kept = [each for each in ranked if each.label not in stopped]
        failed = {**search.failed, **dict.fromkeys(stopped, "it did not run to its end")}
        return replace(search, ranked=tuple(sorted(kept, key=self._measured_cost)), failed=failed)

    def _measured_cost(self, each: Considered) -> float:
        """Return what a program took; those that did not run come last, as they are."""
        return math.inf if each.measured is None else cost_of(each.measured, self.options.objective)

    def result(self) -> Search:
        """Return what was found, cheapest first; of equal ones that with the fewest kernels."""
        objective = self.options.objective
        ranked = sorted(
            self.found,
            key=lambda each: (cost_of(each.estimate, objective), len(each.estimate.kernels)),
        )
        reasons = {label: str(error) for label, error in self.failed.items()}
        return Search(tuple(ranked), objective, reasons, self.plans, self.is_cut_short)

    def _deadline(self) -> float:
        return math.inf if self.seconds is None else self._started + self.seconds


def _figures(each: Considered) -> tuple[float, ...]:
    """Return what equal programs have in common."""
    found = each.estimate
    return found.cycles, found.flops, found.bytes, found.tokens


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
