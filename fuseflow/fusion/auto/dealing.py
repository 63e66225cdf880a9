# SPDX-License-Identifier: MIT
"""Which indices of a kernel are dealt to how many lanes, under a budget.

A kernel is as fast as its busiest node, so lanes go to the indices that this node iterates over,
until another node is busiest, and so on. What each step gains is not guessed: the dealt kernel is
made, counted and timed. A few of the best are followed at every step, because two nests that are
equally busy must both be dealt before anything is gained.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from fuseflow.errors import Location, ScheduleError
from fuseflow.fusion.cost.count import Structure, count_kernel
from fuseflow.fusion.cost.cycles import busy_cycles, time_kernel
from fuseflow.fusion.cost.figures import KernelCounts
from fuseflow.fusion.cost.program import Pricer
from fuseflow.fusion.cost.spaces import PointLimitError, UncountedError
from fuseflow.fusion.lanes import parallelize
from fuseflow.fusion.plan.group import Planned
from fuseflow.fusion.schedule.machine import lanes_of
from fuseflow.ir.dataflow import DataflowGraph
from fuseflow.ir.einsum import Value
from fuseflow.ir.schedule import Budget, IndexRef, Parallel

__all__ = ["Dealer", "deal_all"]

# Numbers of lanes are products of these, and of what the budget is a product of.
STEPS = (2, 3)
# So many ways to deal a kernel are followed at a time.
WIDTH = 3
# Nodes that are busy for this share of the busiest one's time are in the way too.
NEARLY = 0.9
# More lanes must gain at least this share of the cycles.
WORTH = 0.01


# Lanes by index, in the order of a kernel's loops.
_Factors = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class _Dealt:
    """A kernel in lanes, and what it is expected to take.

    `busy` are the indices that its busiest nodes iterate over.
    """

    factors: _Factors
    kernel: DataflowGraph
    cycles: float
    busy: frozenset[str]

    @property
    def lanes(self) -> int:
        """Return how many lanes the innermost loops have."""
        return math.prod(factor for _, factor in self.factors)

    @property
    def rank(self) -> tuple[float, int]:
        """Return what to compare ways to deal by."""
        return self.cycles, len(self.kernel.nodes)


@dataclass(frozen=True, slots=True)
class Dealer:
    """Deals kernels to lanes, as many as the budget allows: of lanes, and of nodes.

    A kernel for which the schedule names lanes is dealt so. The others are dealt as is expected to
    take the fewest cycles; without a budget of lanes they stay as they are.
    """

    budget: Budget

    @property
    def lanes(self) -> int:
        """Return how many lanes a kernel may have."""
        return self.budget.lanes or 1

    def allows(self, kernel: DataflowGraph) -> bool:
        """Return True unless a kernel has too many nodes."""
        return self.budget.nodes is None or len(kernel.nodes) <= self.budget.nodes

    def deal(
        self,
        planned: Planned,
        values: Mapping[str, Value],
        pricer: Pricer,
        *,
        quickly: bool = False,
    ) -> Planned:
        """Return a plan in lanes, as its wishes say from then on.

        Args:
            planned: a plan whose kernel has no lanes yet.
            values: every tensor that it touches.
            pricer: has seen the kernels before.
            quickly: try the whole budget on one index only.
        """
        asked = lanes_of(planned)
        if asked:
            return replace(planned, kernel=_in_lanes(planned.kernel, asked))
        if self.lanes == 1:
            return planned
        try:
            structure = pricer.structure(planned, values)
            chosen = self._choose(planned, structure, quickly=quickly)
        except (UncountedError, PointLimitError, OverflowError):
            return planned
        scopes = frozenset(op.name for op in planned.region.ops)
        parallel = tuple((Parallel(IndexRef(i), n), scopes) for i, n in chosen.factors)
        wishes = replace(planned.wishes, parallel=(*planned.wishes.parallel, *parallel))
        return replace(planned, kernel=chosen.kernel, wishes=wishes)

    def _choose(self, planned: Planned, structure: Structure, *, quickly: bool) -> _Dealt:
        whole = _Dealt((), planned.kernel, *_look(count_kernel(planned.kernel, structure)))
        if quickly:
            found = [whole, *self._try([_longest(whole, planned, self.lanes)], planned, structure)]
        else:
            found = list(self._follow(whole, planned, structure))
        best = min(each.cycles for each in found)
        worthy = (each for each in found if each.cycles <= best * (1 + WORTH))
        return min(worthy, key=lambda each: (each.lanes, *each.rank))

    def _follow(self, whole: _Dealt, planned: Planned, structure: Structure) -> Iterator[_Dealt]:
        """Yield ways to deal a kernel, each with one step more than those before."""
        edge, seen, steps = [whole], {whole.factors}, _steps(self.lanes)
        while edge:
            yield from edge
            grown = set(_grow(edge, planned, steps, self.lanes)) - seen
            seen |= grown
            tried = self._try(sorted(grown), planned, structure)
            edge = sorted(tried, key=lambda each: each.rank)[:WIDTH]

    def _try(
        self, ways: Sequence[_Factors], planned: Planned, structure: Structure
    ) -> Iterator[_Dealt]:
        for factors in ways:
            kernel = _in_lanes(planned.kernel, dict(factors))
            if self.allows(kernel):
                yield _Dealt(factors, kernel, *_look(count_kernel(kernel, structure)))


def deal_all(
    plans: Sequence[Planned], values: Mapping[str, Value], budget: Budget
) -> list[Planned]:
    """Deal the kernels of a program to lanes.

    Raises:
        ScheduleError: P015 if a kernel has more nodes than the budget allows.
    """
    dealer, pricer = Dealer(budget), Pricer()
    dealt: list[Planned] = []
    for planned in plans:
        dealt.append(dealer.deal(planned, values, pricer))
        if dealer.lanes > 1:
            pricer.price(dealt[-1], values)
        kernel = dealt[-1].kernel
        if not dealer.allows(kernel):
            raise ScheduleError(
                "P015",
                f"a kernel of {len(kernel.nodes)} nodes, the budget is {budget.nodes}",
                where=Location(node=kernel.name),
                fix="fuse less, or allow fewer lanes",
            )
    return dealt


def _look(counts: KernelCounts) -> tuple[float, frozenset[str]]:
    """Return the cycles of a kernel, and the indices that its busiest nodes iterate over."""
    timing = time_kernel(counts)
    streams = counts.kernel.streams
    indices = frozenset(
        index
        for node in counts.nodes
        if busy_cycles(node) >= NEARLY * timing.busy
        for sid in (*node.node.inputs, *node.node.outputs)
        if sid is not None
        for index in streams[sid].indices
    )
    return timing.cycles, indices


def _longest(dealt: _Dealt, planned: Planned, lanes: int) -> _Factors:
    """Return the outermost busy index that is long enough for all lanes, or the longest one."""
    extents = planned.plan.graph.classes
    busy = [index for index in planned.plan.order if index in dealt.busy]
    index = max(busy, key=lambda index: min(extents[index], lanes), default=None)
    return () if index is None else ((index, min(extents[index], lanes)),)


def _grow(
    edge: Sequence[_Dealt], planned: Planned, steps: Sequence[int], most: int
) -> Iterator[_Factors]:
    extents = planned.plan.graph.classes
    for dealt in edge:
        known = dict(dealt.factors)
        for index in planned.plan.order:
            for step in steps if index in dealt.busy else ():
                factor = known.get(index, 1) * step
                if dealt.lanes * step <= most and factor <= extents[index]:
                    grown = {**known, index: factor}
                    yield tuple((i, grown[i]) for i in planned.plan.order if i in grown)


def _steps(number: int) -> tuple[int, ...]:
    """Return the factors that lanes may be multiplied by, at most this number of them in all."""
    found = set(STEPS)
    rest, prime = number, 2
    while rest > 1:
        while rest % prime == 0:
            found.add(prime)
            rest //= prime
        prime += 1
    return tuple(sorted(found))


def _in_lanes(kernel: DataflowGraph, factors: Mapping[str, int]) -> DataflowGraph:
    for index, factor in factors.items():
        kernel = parallelize(kernel, index, factor)
    return kernel
