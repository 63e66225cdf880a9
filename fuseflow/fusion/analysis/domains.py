# SPDX-License-Identifier: MIT
"""Domains: which coordinates each operation visits at each of its levels.

A domain is a monotone condition over atoms, kept in disjunctive normal form. An atom is one
compressed level of a leaf, or the coordinates that come out of an operation (an accumulator, or a
finished stream that its consumers join). Any superset of what is both stored and demanded is
right, so a condition only ever grows while the fixed point is sought: a coordinate visited in
vain computes the true value, because absent operands enter with their fill.

Demand flows from consumers to producers: that is how a mask reaches the product below it, so that
a masked product samples instead of multiplying densely.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import networkx as nx

from fuseflow.fusion.analysis.support import Fills
from fuseflow.fusion.analysis.tuples import IllegalOrderError, Nest
from fuseflow.fusion.analysis.views import View, ViewGraph

__all__ = [
    "EVERYTHING",
    "JOIN_INPUTS",
    "Atom",
    "Condition",
    "Domains",
    "compute_domains",
    "implies",
]

Atom = tuple[View, str]
Condition = frozenset[frozenset[Atom]]

EVERYTHING: Condition = frozenset({frozenset()})
NOTHING: Condition = frozenset()

# Inputs that one join may have. A join that is neither an intersection nor a union is a table over
# which of them are present, and cannot be split: conditions that mix more atoms are widened.
JOIN_INPUTS = 8


def either(conditions: Iterable[Condition]) -> Condition:
    """Return the disjunction, without clauses that another clause already covers.

    If it mixes too many atoms it is widened to a union of single ones.
    """
    clauses = frozenset().union(*conditions)
    if clauses >= EVERYTHING:
        return EVERYTHING
    kept = frozenset(c for c in clauses if not any(other < c for other in clauses))
    if max(map(len, kept), default=0) < 2 or not _is_mixed(kept):
        return kept
    return frozenset(frozenset({min(clause, key=_atom_key)}) for clause in kept)


def both(conditions: Iterable[Condition]) -> Condition:
    """Return the conjunction, or if that mixes too many atoms the narrower of the conditions."""
    return functools.reduce(_meet, conditions, EVERYTHING)


def _meet(first: Condition, second: Condition) -> Condition:
    if implies(first, second):
        return first
    if implies(second, first):
        return second
    if _is_mixed(first | second) and max(len(first), len(second)) > 1:
        return min(first, second, key=_size)
    return either([frozenset(a | b for a in first for b in second)])


def _is_mixed(clauses: Condition) -> bool:
    """Return True if a join of these clauses would need a table that is too large."""
    return len(clauses) > 1 and len(frozenset().union(*clauses)) > JOIN_INPUTS


def _size(condition: Condition) -> tuple[int, int, list[tuple[int, str]]]:
    atoms = frozenset().union(*condition)
    return len(condition), len(atoms), sorted(map(_atom_key, atoms))


def _atom_key(atom: Atom) -> tuple[int, str]:
    return atom[0].number, atom[1]


def implies(narrow: Condition, wide: Condition) -> bool:
    """Return True if every coordinate that meets `narrow` meets `wide`."""
    if narrow == wide or wide == EVERYTHING:
        return True
    return all(any(clause <= other for clause in wide) for other in narrow)


@dataclass(slots=True)
class Domains:
    """The fixed point: a condition per (operation, level), and how born levels are emitted.

    `support` is where the result may differ from its fill, before any demand.
    `sealed`: consumers want different coordinates there, so each joins the finished stream.
    `full`: the accumulator emits every coordinate of that level.
    """

    at: dict[tuple[View, str], Condition] = field(default_factory=dict)
    support: dict[tuple[View, str], Condition] = field(default_factory=dict)
    sealed: set[tuple[View, str]] = field(default_factory=set)
    full: set[tuple[View, str]] = field(default_factory=set)

    def detached(self, view: View, name: str, nest: Nest) -> bool:
        """Return True if consumers take this level's coordinates from the finished stream."""
        return name in nest.born or (view, name) in self.sealed


def compute_domains(
    graph: ViewGraph,
    nests: Mapping[View, Nest],
    fills: Fills,
    dense_outputs: Mapping[str, frozenset[int]],
) -> Domains:
    """Find the coordinates that every operation visits.

    Args:
        graph: the views of the region.
        nests: their loop nests under one order.
        fills: the fill calculus of the whole graph.
        dense_outputs: for each output value, its dimensions that must be written in full.

    Raises:
        IllegalOrderError: if operations that share a loop cannot agree on its coordinates.
    """
    solver = _Solver(graph, nests, fills, dense_outputs)
    solver.run()
    return solver.domains


class _Solver:
    """Iterates the rules until nothing changes; all its sets only grow."""

    def __init__(
        self,
        graph: ViewGraph,
        nests: Mapping[View, Nest],
        fills: Fills,
        dense_outputs: Mapping[str, frozenset[int]],
    ) -> None:
        self.graph = graph
        self.nests = nests
        self.fills = fills
        self.domains = Domains()
        self.restricting: dict[str, tuple[int, ...]] = {}
        self.bumps: dict[tuple[View, str], Condition] = {}
        self.grown = False
        for name, modes in dense_outputs.items():
            self._write_densely(graph.outputs[name], modes)

    def run(self) -> None:
        limit = 4 + 2 * sum(len(nest.full) for nest in self.nests.values())
        for _ in range(limit):
            before = dict(self.domains.at)
            self.grown = False
            self.domains.support.clear()
            for view in self.graph.ops:
                for name in self.nests[view].full:
                    self.domains.at[view, name] = self._domain(view, name)
            if not self.grown and before == self.domains.at:
                self._check_founded()
                return
        raise IllegalOrderError(self.graph.ops[0].value, "the loops of its uses do not settle")

    def _domain(self, view: View, name: str) -> Condition:
        nest = self.nests[view]
        # What an operation emits lies within what it visits, so asking for it adds nothing.
        own: Atom = (view, name)
        bump = self.bumps.get(own, NOTHING)
        if any(own in clause for clause in bump):
            bump = frozenset(clause for clause in bump if own not in clause)
        if name in nest.context:
            return self._from_context(view, name, bump)
        consumers = view.consumers
        if name in view.reduced or self.domains.detached(view, name, nest) or not consumers:
            if name in nest.born:
                self._settle_born(view, name)
            return either([self._support(view, name), bump])
        wanted = {self.domains.at[consumer, name] for consumer in consumers}
        if self.graph.is_output(view):
            wanted.add(self._support(view, name))
        asked = next(iter(wanted))
        if len(wanted) == 1 and implies(bump, asked):
            return asked
        if name == nest.result[-1]:
            self._seal(view, name)
            return either([self._support(view, name), bump])
        need = either([*wanted, bump, self._support(view, name)])
        for consumer in consumers:
            self._bump(consumer, name, need)
        return need

    def _check_founded(self) -> None:
        """Refuse levels that wait for each other's finished streams."""
        waits = nx.DiGraph()
        for cell, condition in self.domains.at.items():
            atoms = (atom for clause in condition for atom in clause)
            waits.add_edges_from((cell, atom) for atom in atoms if atom[0].op is not None)
        if not nx.is_directed_acyclic_graph(waits):
            raise IllegalOrderError(self.graph.ops[0].value, "two of its loops need each other")

    def _from_context(self, view: View, name: str, bump: Condition) -> Condition:
        for consumer in view.consumers:
            self._bump(consumer, name, bump)
        wanted = {self.domains.at[consumer, name] for consumer in view.consumers}
        return either(wanted)

    def _settle_born(self, view: View, name: str) -> None:
        """Decide how the consumers follow a level that comes out of an accumulator.

        They may join its last level, whose payload is a value. Lists below any other level cannot
        be dropped or added, so there the consumers must iterate exactly what comes out.
        """
        last = name == self.nests[view].result[-1]
        wanted = [self.domains.at[consumer, name] for consumer in view.consumers]
        atom: Condition = frozenset({frozenset({(view, name)})})
        if wanted and last and all(condition == EVERYTHING for condition in wanted):
            self._mark_full(view, name)
        if last:
            return
        if not all(implies(condition, atom) for condition in wanted):
            self._mark_full(view, name)
        emitted = EVERYTHING if (view, name) in self.domains.full else atom
        for consumer in view.consumers:
            self._bump(consumer, name, emitted)

    def _support(self, view: View, name: str) -> Condition:
        """Return where the result of an operation may differ from its fill, at one level."""
        key = (view, name)
        known = self.domains.support
        if key not in known:
            known[key] = self._combine(view, name)
        return known[key]

    def _combine(self, view: View, name: str) -> Condition:
        assert view.op is not None
        terms = [self._term(operand, name) for operand in view.operands]
        if len(terms) == 1:
            return terms[0]
        if view.value not in self.restricting:
            self.restricting[view.value] = self.fills.restricting(view.op)
        restricting = self.restricting[view.value]
        if restricting:
            return both(terms[p] for p in restricting)
        return either(terms)

    def _term(self, operand: View, name: str) -> Condition:
        if name not in operand.binding:
            return EVERYTHING
        if operand.op is None:
            fmt = operand.format
            assert fmt is not None
            level = fmt.mode_order.index(operand.binding.index(name))
            return (
                frozenset({frozenset({(operand, name)})})
                if fmt.levels[level].is_stored
                else EVERYTHING
            )
        if (operand, name) in self.domains.full:
            return EVERYTHING
        if self.domains.detached(operand, name, self.nests[operand]):
            return frozenset({frozenset({(operand, name)})})
        return self._support(operand, name)

    def _seal(self, view: View, name: str) -> None:
        if (view, name) not in self.domains.sealed:
            self.domains.sealed.add((view, name))
            self.grown = True

    def _mark_full(self, view: View, name: str) -> None:
        if (view, name) not in self.domains.full:
            self.domains.full.add((view, name))
            self.grown = True

    def _write_densely(self, view: View, modes: Iterable[int]) -> None:
        for mode in sorted(modes):
            name = view.binding[mode]
            if name in self.nests[view].born:
                self._mark_full(view, name)
            else:
                self._bump(view, name, EVERYTHING)

    def _bump(self, view: View, name: str, condition: Condition) -> None:
        old = self.bumps.get((view, name), NOTHING)
        new = either([old, condition])
        if new != old:
            self.bumps[view, name] = new
            self.grown = True
