# SPDX-License-Identifier: MIT
"""Which operations share a kernel: the cheapest way to cut a program into groups.

Operators are taken in one evaluation order. Every run of them that hangs together is a possible
group, and the cheapest sequence of groups is found by dynamic programming over its end; for each
end the cheapest ways to store what is read later are kept. This is exact for chains, up to the
number of ways kept; groups that are no run in that order come from presets and from merging.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from fuseflow.fusion.auto.groups import GroupPlanner, Progress
from fuseflow.fusion.regions import is_connected
from fuseflow.ir.einsum import Einsum

__all__ = ["Atom", "cheapest_partition"]

# So many ways to store intermediate results are kept for each end.
WIDTH = 2
# A group does not grow further once it could not be lowered with so many operators in a row.
FAILURES = 2
# What is left of an operator's cost, at least, when it is fused with others.
SAVED = 0.5


@dataclass(frozen=True, slots=True)
class Atom:
    """Operations that stay together; `name` is that of a group of the schedule, else ""."""

    ops: tuple[Einsum, ...]
    name: str = ""


def cheapest_partition(
    atoms: Sequence[Atom], planner: GroupPlanner, start: Progress, bound: float = math.inf
) -> Progress | None:
    """Return the kernels of the cheapest sequence of groups; None if none is cheaper than `bound`.

    Args:
        atoms: in evaluation order; one with a name is a group of its own.
        planner: prices groups.
        start: what is there before the first one.
        bound: cost of the best that is known.
    """
    rest = _least_left(atoms, planner, start)
    ends: list[dict[Hashable, Progress]] = [{} for _ in range(len(atoms) + 1)]
    ends[0] = {(): start}
    for first in range(len(atoms)):
        failures = 0
        for last in range(first + 1, len(atoms) + 1):
            group = atoms[first:last]
            if len(group) > 1 and any(atom.name for atom in group):
                break
            if not _hangs_together(group):
                continue
            found = _extend(group, list(ends[first].values()), planner)
            live = _read_later(atoms[last:])
            for progress in found:
                if progress.cost + rest[last] >= bound:
                    continue
                _keep(ends[last], progress.storage(_among(progress, live)), progress)
            failures = 0 if found else failures + 1
            if failures >= FAILURES:
                break
    return min(ends[-1].values(), key=_price, default=None)


def _least_left(atoms: Sequence[Atom], planner: GroupPlanner, start: Progress) -> list[float]:
    """Return for every cut what follows is bound to cost, roughly.

    Whatever it is fused with, an operator keeps its kernel busy; but a consumer that asks for only
    some of its results may save work.
    """
    alone: list[float] = []
    progress = start
    for atom in atoms:
        options = _extend([atom], [progress], planner)
        if not options:
            break
        progress, before = min(options, key=_price), progress
        alone.append(progress.cost - before.cost)
    alone += [0.0] * (len(atoms) + 1 - len(alone))
    return [SAVED * max(alone[cut:]) for cut in range(len(atoms) + 1)]


def _extend(
    group: Sequence[Atom], before: Sequence[Progress], planner: GroupPlanner
) -> list[Progress]:
    ops = tuple(op for atom in group for op in atom.ops)
    found: list[Progress] = []
    for progress in before:
        name = group[0].name or f"k{len(progress.chosen)}_{ops[-1].output.value}"
        options = planner.kernels(ops, name, progress)
        found += [progress.extend(option, planner.objective) for option in options]
    return found


def _keep(found: dict[Hashable, Progress], key: Hashable, progress: Progress) -> None:
    """Keep a way to store what is read later, unless it is too expensive."""
    if key not in found or _price(progress) < _price(found[key]):
        found[key] = progress
    if len(found) > WIDTH:
        worst = max(found, key=lambda each: _price(found[each]))
        del found[worst]


def _price(progress: Progress) -> tuple[float, int]:
    return progress.cost, len(progress.chosen)


def _read_later(atoms: Sequence[Atom]) -> set[str]:
    return {access.value for atom in atoms for op in atom.ops for access in op.operands}


def _among(progress: Progress, live: set[str]) -> list[str]:
    """Return the values that kernels have written and others will read."""
    made = {name for option in progress.chosen for name in option.planned.region.outputs}
    return sorted(made & live)


def _hangs_together(group: Sequence[Atom]) -> bool:
    """Return True if values flow between all atoms, directly or through others of the group."""
    together, rest = {0}, set(range(1, len(group)))
    grown = True
    while rest and grown:
        near = {
            n
            for n in rest
            if any(
                is_connected(group[m].ops, group[n].ops) or is_connected(group[n].ops, group[m].ops)
                for m in together
            )
        }
        together, rest, grown = together | near, rest - near, bool(near)
    return not rest
