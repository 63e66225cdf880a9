# SPDX-License-Identifier: MIT
"""The space of loop orders of one region: what each order costs, and the kernel that it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from fuseflow.fusion.clusters import Clusters
from fuseflow.fusion.domains import compute_domains
from fuseflow.fusion.estimate import Estimate, Occupancy, estimate
from fuseflow.fusion.lower import Lowering, Plan
from fuseflow.fusion.orders import Constraints
from fuseflow.fusion.plan_storage import copy_leaves
from fuseflow.fusion.support import Fills
from fuseflow.fusion.tuples import build_nests
from fuseflow.fusion.views import Region, View, ViewGraph
from fuseflow.ir.dataflow import DataflowGraph
from fuseflow.ir.einsum import Value
from fuseflow.ir.tensor import Format

__all__ = ["Candidate", "Lowered", "OrderSpace"]


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
    # Orders under which every operation has the same loops are one and the same kernel.
    _known: dict[tuple[tuple[str, ...], ...], Candidate] = field(
        default_factory=dict, init=False, repr=False
    )

    def evaluate(self, order: tuple[str, ...]) -> tuple[float, Candidate]:
        """Return the expected cost of an order, and everything that follows from it.

        Raises:
            IllegalOrderError: if the order cannot be lowered.
        """
        nests = build_nests(self.graph, order, self.joint)
        loops = tuple(nests[view].full for view in self.graph.ops)
        known = self._known.get(loops)
        if known is not None:
            return known.expected.cost, replace(known, plan=replace(known.plan, order=order))
        domains = compute_domains(self.graph, nests, self.fills, self.dense)
        clusters = Clusters(self.graph, nests, domains)
        expected = estimate(self.graph, nests, domains, self.occupancies)
        candidate = Candidate(Plan(self.graph, order, nests, domains, clusters), expected)
        self._known[loops] = candidate
        return expected.cost, candidate

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
