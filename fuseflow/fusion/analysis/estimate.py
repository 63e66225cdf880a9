# SPDX-License-Identifier: MIT
"""Expected iteration counts of a plan, from the level statistics of its tensors.

Levels are taken as independent, so the figures rank loop orders; they are not a promise of
cycles. Only ratios of what is stored enter: nothing here depends on values.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fuseflow.fusion.analysis.domains import Atom, Condition, Domains
from fuseflow.fusion.analysis.tuples import Loops, Nest
from fuseflow.fusion.analysis.views import View, ViewGraph
from fuseflow.ir.tensor import Tensor

__all__ = ["Estimate", "Floor", "Occupancy", "estimate", "measure_levels"]

# Share of the coordinates of a fiber that is stored, for each dimension of a tensor.
Occupancy = tuple[float, ...]


def measure_levels(tensor: Tensor) -> Occupancy:
    """Return the mean share of stored coordinates per fiber, by dimension."""
    shares = [1.0] * len(tensor.shape)
    parents = 1
    for level, mode in zip(tensor.levels, tensor.mode_order, strict=True):
        positions = level.positions(parents)
        capacity = parents * level.size
        shares[mode] = positions / capacity if capacity else 1.0
        parents = positions
    return tuple(shares)


@dataclass(slots=True)
class Estimate:
    """What one plan is expected to do.

    `visits[op]` counts iterations of its innermost loop; `cost` adds up the tokens of every level,
    the values read from DRAM and the entries held in accumulators; `recompute[value]` is how many
    times over a value is computed, in all its views; `occupancy[value]` holds for the outputs.
    """

    visits: dict[View, float] = field(default_factory=dict)
    cost: float = 0.0
    recompute: dict[str, float] = field(default_factory=dict)
    occupancy: dict[str, Occupancy] = field(default_factory=dict)


def estimate(
    graph: ViewGraph,
    nests: Mapping[View, Nest],
    domains: Domains,
    occupancies: Mapping[str, Occupancy],
) -> Estimate:
    """Estimate a plan; `occupancies` has an entry for every leaf."""
    counter = _Counter(graph, nests, domains, occupancies)
    result = Estimate()
    for view in graph.ops:
        counts = counter.visits(view)
        result.visits[view] = counts[-1]
        result.cost += sum(counts) + counter.held(view)
        result.cost += counter.scanned(view, counts) + counter.reads(view, counts)
        rounds = counts[-1] / max(counter.alone(view), 1.0) if nests[view].context else 1.0
        result.recompute[view.value] = result.recompute.get(view.value, 0.0) + rounds
    for name, view in graph.outputs.items():
        result.occupancy[name] = tuple(counter.result_share(view, v) for v in view.binding)
    return result


class Floor:
    """What every order of a region costs and recomputes at least, from its loops alone.

    A loop is taken to visit only what all stored levels along it have in common: no condition on
    these levels, as far as they are independent, is narrower. Reads of single coordinates, and
    what joins drop, are left out.
    """

    def __init__(self, graph: ViewGraph, occupancies: Mapping[str, Occupancy]) -> None:
        """Collect the stored levels along each class; `occupancies` has an entry for every leaf."""
        self._sizes = graph.classes
        self._visited: dict[str, float] = dict(graph.classes)
        for leaf in graph.leaves:
            assert leaf.format is not None
            for level, mode in zip(leaf.format.levels, leaf.format.mode_order, strict=True):
                if level.is_stored:
                    share = min(1.0, occupancies[leaf.value][mode])
                    self._visited[leaf.binding[mode]] *= share
        self._tokens: dict[tuple[str, ...], tuple[float, float]] = {(): (1.0, 1.0)}

    def cost(self, loops: Loops) -> float:
        """Return a lower bound for the cost of all operations, each in its loops."""
        total = 0.0
        for view, parts in loops.parts.items():
            leaves = [loops.bits(leaf.binding) for leaf in view.operands if leaf.op is None]
            for part in parts:
                total += self._count(loops.names(part.loops))[1]
                for bits in leaves:
                    around = part.loops & ((1 << bits.bit_length()) - 1)
                    total += self._count(loops.names(around))[0]
                born = loops.born(part)
                if born:
                    total += math.prod(self._sizes[name] for name in loops.names(born))
        return total

    def recompute(self, loops: Loops) -> dict[str, float]:
        """Return how often each value is computed at least."""
        least: dict[str, float] = {}
        for view, parts in loops.parts.items():
            alone = math.prod(self._sizes[name] for name in view.own)
            for part in parts:
                visits = self._count(loops.names(part.loops))[0]
                rounds = visits / max(alone, 1.0) if part.context else 1.0
                least[view.value] = least.get(view.value, 0.0) + rounds
        return least

    def _count(self, names: tuple[str, ...]) -> tuple[float, float]:
        """Return the iterations of a nest, and those of all its prefixes."""
        if names not in self._tokens:
            outer, tokens = self._count(names[:-1])
            inner = outer * self._visited[names[-1]]
            self._tokens[names] = inner, tokens + inner
        return self._tokens[names]


class _Counter:
    """Expected fiber lengths; shares of born levels are remembered per (operation, level)."""

    def __init__(
        self,
        graph: ViewGraph,
        nests: Mapping[View, Nest],
        domains: Domains,
        occupancies: Mapping[str, Occupancy],
    ) -> None:
        self.graph = graph
        self.nests = nests
        self.domains = domains
        self.occupancies = occupancies
        self._born: dict[Atom, float] = {}

    def visits(self, view: View) -> list[float]:
        """Return the expected iterations of each prefix of the nest, starting with 1."""
        counts = [1.0]
        for name in self.nests[view].full:
            share = self._share(self.domains.at[view, name])
            counts.append(counts[-1] * self.graph.classes[name] * share)
        return counts

    def scanned(self, view: View, counts: list[float]) -> float:
        """Return the stored coordinates that the operation walks: a join drops some of them."""
        loops = self.nests[view].full
        return sum(
            counts[loops.index(v)] * self.graph.classes[v] * self._atom((leaf, v))
            for leaf in view.operands
            if leaf.format is not None
            for level, mode in zip(leaf.format.levels, leaf.format.mode_order, strict=True)
            for v in (leaf.binding[mode],)
            if level.is_stored
        )

    def reads(self, view: View, counts: list[float]) -> float:
        """Return the values that the operation reads from DRAM."""
        loops = self.nests[view].full
        return sum(
            counts[max((loops.index(v) + 1 for v in operand.binding), default=0)]
            for operand in view.operands
            if operand.op is None
        )

    def held(self, view: View) -> float:
        """Return the entries that the operation's accumulators hold, and emit, at a time."""
        loops = self.nests[view].full
        born = [v for v in loops if v in self.nests[view].born]
        return math.prod(self.graph.classes[v] for v in born) if born else 0.0

    def alone(self, view: View) -> float:
        """Return the iterations if the operation ran by itself, on all that it can produce."""
        return math.prod(
            self.graph.classes[v] * self._share(self.domains.support[view, v])
            for v in sorted(view.own)
        )

    def result_share(self, view: View, name: str) -> float:
        """Return the expected occupancy of a level of an operation's result."""
        if (view, name) in self.domains.full:
            return 1.0
        if name not in self.nests[view].born:
            return self._share(self.domains.at[view, name])
        key = (view, name)
        if key not in self._born:
            loops = self.nests[view].full
            inner = [v for v in view.reduced if loops.index(v) < loops.index(name)]
            rounds = math.prod(
                self.graph.classes[v] * self._share(self.domains.at[view, v]) for v in inner
            )
            share = self._share(self.domains.at[view, name])
            self._born[key] = 1.0 - (1.0 - min(share, 1.0)) ** max(rounds, 0.0)
        return self._born[key]

    def _share(self, condition: Condition) -> float:
        """Return the expected share of coordinates that meet a condition, atoms independent."""
        absent = math.prod(1.0 - self._all_of(clause) for clause in condition)
        return 1.0 - absent

    def _all_of(self, clause: Iterable[Atom]) -> float:
        return math.prod(self._atom(atom) for atom in sorted(clause, key=_atom_key))

    def _atom(self, atom: Atom) -> float:
        view, name = atom
        if view.op is not None:
            return self.result_share(view, name)
        return self.occupancies[view.value][view.binding.index(name)]


def _atom_key(atom: Atom) -> tuple[int, str]:
    return atom[0].number, atom[1]
