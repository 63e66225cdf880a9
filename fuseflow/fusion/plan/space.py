# SPDX-License-Identifier: MIT
"""The space of loop orders of one region: what each order costs, and the kernel that it gives."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace

from fuseflow.fusion.analysis.clusters import Clusters
from fuseflow.fusion.analysis.copies import MayCopy, never
from fuseflow.fusion.analysis.domains import compute_domains
from fuseflow.fusion.analysis.estimate import Estimate, Floor, Occupancy, estimate
from fuseflow.fusion.analysis.support import Fills
from fuseflow.fusion.analysis.tuples import Loops, Nest, find_loops
from fuseflow.fusion.analysis.views import Region, Use, View, ViewGraph
from fuseflow.fusion.lowering.lower import Lowering, Plan
from fuseflow.fusion.orders.search import Constraints
from fuseflow.fusion.plan.storage import copy_leaves
from fuseflow.ir.dataflow import DataflowGraph
from fuseflow.ir.einsum import Value
from fuseflow.ir.tensor import Format

__all__ = ["Candidate", "Lowered", "OrderSpace", "loops_of"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A legal order of a region with all decisions that follow from it."""

    plan: Plan
    expected: Estimate


@dataclass(frozen=True, slots=True)
class Lowered:
    """A kernel, the copies that its leaves are read from, and how its outputs are written.

    `cells` remembers which node made which cell of the fusion table.
    """

    kernel: DataflowGraph
    copies: Mapping[View, Value]
    formats: Mapping[str, Format]
    cells: Lowering


@dataclass(frozen=True, slots=True)
class OrderSpace:
    """Everything that the choice of an order does not change.

    `freed` leaves are read from copies that fit the order; `dense` gives the dimensions of each
    output that must be written in full; `joint` operations share the loops of their consumers.
    `apart` are the uses that were given views of their own; values that `may_copy` allows get one
    for every context besides.
    """

    region: Region
    graph: ViewGraph
    constraints: Constraints
    freed: frozenset[View]
    values: Mapping[str, Value]
    fills: Fills
    occupancies: Mapping[str, Occupancy]
    dense: Mapping[str, frozenset[int]]
    joint: frozenset[str] = frozenset()
    apart: frozenset[Use] = frozenset()
    may_copy: MayCopy = never
    # Orders under which every operation has the same loops are one and the same kernel.
    _known: dict[Hashable, Candidate] = field(default_factory=dict, init=False, repr=False)
    _floor: Floor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Collect what bounds the cost of every order."""
        object.__setattr__(self, "_floor", Floor(self.graph, self.occupancies))

    def floor(self, order: tuple[str, ...]) -> float:
        """Return what an order costs at least, without looking at who visits what.

        Raises:
            IllegalOrderError: if its loops do not fit together.
        """
        return self._floor.cost(self._loops(order))

    def least_recompute(self, order: tuple[str, ...]) -> dict[str, float]:
        """Return how often an order computes each value at least; raises as `floor` does."""
        return self._floor.recompute(self._loops(order))

    def evaluate(self, order: tuple[str, ...]) -> tuple[float, Candidate]:
        """Return the expected cost of an order, and everything that follows from it.

        Raises:
            IllegalOrderError: if the order cannot be lowered.
        """
        loops = self._loops(order)
        key = loops.key()
        known = self._known.get(key)
        if known is not None:
            return known.expected.cost, replace(known, plan=replace(known.plan, order=order))
        graph, nests = loops.build()
        domains = compute_domains(graph, nests, self.fills, self.dense)
        clusters = Clusters(graph, nests, domains)
        expected = estimate(graph, nests, domains, self.occupancies)
        candidate = Candidate(Plan(graph, order, nests, domains, clusters), expected)
        self._known[key] = candidate
        return expected.cost, candidate

    def _loops(self, order: tuple[str, ...]) -> Loops:
        return find_loops(self.graph, order, self.joint, self.may_copy)

    def lower(self, plan: Plan) -> Lowered:
        """Return the kernel of a plan.

        Raises:
            IllegalOrderError: if a stream would depend on itself.
        """
        copies = copy_leaves(plan, self.values, self.freed)
        values = {**self.values, **{value.name: value for value in copies.values()}}
        stored_as = {leaf: value.name for leaf, value in copies.items()}
        cells = Lowering(plan, values, self.fills, stored_as)
        kernel, formats = cells.run(self.region.name)
        return Lowered(kernel, copies, formats, cells)


def loops_of(graph: ViewGraph, nests: Mapping[View, Nest]) -> Hashable:
    """Return what tells the kernels of one space apart: who runs in which loops for whom."""
    return tuple(
        (nests[view].full, tuple(operand.number for operand in view.operands)) for view in graph.ops
    )
