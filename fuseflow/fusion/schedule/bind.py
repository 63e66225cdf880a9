# SPDX-License-Identifier: MIT
"""Binds a schedule to a graph: names become operations and values, or errors.

What no kernel can do yet is refused here by name. Whether the rest is legal for a kernel is found
out when the kernel is planned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from fuseflow.errors import Location, ScheduleError
from fuseflow.fusion.schedule.select import select, unknown
from fuseflow.ir.einsum import EinsumGraph, Role
from fuseflow.ir.schedule import (
    Assoc,
    Block,
    Budget,
    Choice,
    IndexRef,
    JoinPoint,
    Not,
    Order,
    Parallel,
    Permute,
    Route,
    Schedule,
    Selector,
    Store,
    ValueRoute,
)

__all__ = ["Bindings", "Bound", "Group", "bind_rewrites", "bind_schedule"]

# What changes the graph itself, before anything is fused.
_REWRITES = (Assoc, Block)


@dataclass(frozen=True, slots=True)
class Group:
    """Operations that the user wants in one kernel, by name, in evaluation order."""

    name: str
    ops: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bound:
    """A directive and the operations that it speaks of."""

    ops: frozenset[str]
    choice: Choice
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Bindings:
    """A schedule in terms of one graph; later directives win."""

    groups: tuple[Group, ...] = ()
    directives: tuple[Bound, ...] = ()
    budget: Budget = field(default_factory=Budget)


def bind_rewrites(schedule: Schedule, graph: EinsumGraph) -> tuple[Bound, ...]:
    """Return the directives that rewrite the graph, which comes before everything else.

    Raises:
        ScheduleError: P011 for a name that does not exist.
    """
    return tuple(_directives(schedule, graph, rewrites=True, added={}))


def bind_schedule(
    schedule: Schedule,
    graph: EinsumGraph,
    rewrites: tuple[Bound, ...] = (),
    added: Mapping[str, str] | None = None,
) -> Bindings:
    """Find the operations, values and indices that a schedule names.

    Args:
        schedule: what the user wants.
        graph: the model, as `rewrites` left it.
        rewrites: the directives that were applied already.
        added: operations that a rewrite added, with the one that they belong to; they go wherever
            that goes unless they are named themselves.

    Raises:
        ScheduleError: P011 for a name that does not exist, P012 for what is not supported.
    """
    _check_budget(schedule.budget)
    owner: dict[str, str] = {}
    for group in schedule.groups:
        owner |= dict.fromkeys(_union(group.members, graph), group.name)
    for name, original in (added or {}).items():
        if original in owner:
            owner.setdefault(name, owner[original])
    bound = tuple(_directives(schedule, graph, rewrites=False, added=added or {}))
    for each in bound:
        _check(each, graph)
    order = [op.name for op in graph.einsums if op.name in owner]
    groups = (
        Group(group.name, tuple(name for name in order if owner[name] == group.name))
        for group in schedule.groups
    )
    return Bindings(tuple(g for g in groups if g.ops), rewrites + bound, schedule.budget)


def _union(selectors: Iterable[Selector], graph: EinsumGraph) -> frozenset[str]:
    """Return the operations of all selectors; `not` behind another one takes away from it."""
    found: set[str] = set()
    for number, selector in enumerate(selectors):
        if number and isinstance(selector, Not):
            found -= {op.name for op in select(selector.inner, graph)}
        else:
            found |= {op.name for op in select(selector, graph)}
    return frozenset(found)


def _directives(
    schedule: Schedule, graph: EinsumGraph, *, rewrites: bool, added: Mapping[str, str]
) -> Iterator[Bound]:
    """Yield the directives that rewrite, or the others: those of groups, then those without.

    Operations are looked up only where there is such a directive, since the other kind may name
    what does not exist yet.
    """
    bodies = [(group.members, group.directives) for group in schedule.groups]
    bodies += [((scoped.target,), scoped.directives) for scoped in schedule.scoped]
    for selectors, directives in bodies:
        wanted = [d for d in directives if isinstance(d.choice, _REWRITES) == rewrites]
        if wanted:
            ops = _union(selectors, graph)
            ops |= {name for name, original in added.items() if original in ops}
            yield from (Bound(ops, d.choice, d.reason) for d in wanted)


def _check(bound: Bound, graph: EinsumGraph) -> None:
    _check_supported(bound.choice)
    _check_values(bound.choice, graph)
    for ref in _indices(bound.choice):
        _check_index(ref, graph)


def _check_budget(budget: Budget) -> None:
    enforced = "lanes, nodes and recompute are, and with strategy auto seconds"
    for key in ("spacc_bytes", "fifo_bytes", "seconds"):
        if getattr(budget, key) is not None:
            raise ScheduleError("P012", f"budget {key} is not enforced, only {enforced}")


def _check_supported(choice: Choice) -> None:
    match choice:
        case Store(tile=tile) if tile:
            raise ScheduleError(
                "P012",
                "format: the tile of a value follows from the tiles of its indices",
                fix="write block INDEX:N",
            )
        case Parallel(join=JoinPoint.LATE):
            raise ScheduleError(
                "P012",
                "parallel: lanes cannot join late, after a reduction",
                fix="leave out the join point: lanes meet before whatever needs all of them",
            )
        case Route(value=value, route=ValueRoute.REPLAY | ValueRoute.BUFFER as route):
            raise ScheduleError(
                "P012",
                f'value "{value}" {route}: no kernel keeps a value on chip to send it again',
                fix="write recompute or materialise",
            )


def _check_values(choice: Choice, graph: EinsumGraph) -> None:
    match choice:
        case Route(value=name, use=use) if use:
            _check_use(name, use, graph)
        case Route(value=name):
            made = graph.producers()
            if name not in made:
                raise unknown("computed value", name, made)
        case Store(tensor=name) | Permute(tensor=name):
            if name not in graph.values:
                raise unknown("value", name, graph.values)
            value = graph.values[name]
            if isinstance(choice, Permute) and value.role is Role.INTERMEDIATE:
                raise ScheduleError(
                    "P012",
                    f'permute "{name}": it is computed, so it has no copy in another order',
                    fix=f"say how it is written: format {name} [..] modes (..)",
                )
            order = choice.levels if isinstance(choice, Store) else choice.order
            modes = choice.modes or order if isinstance(choice, Store) else order
            if not len(order) == len(modes) == len(value.shape):
                raise ScheduleError(
                    "P013", f'"{name}" has {len(value.shape)} dimensions', where=Location(node=name)
                )


def _check_use(name: str, use: str, graph: EinsumGraph) -> None:
    if name not in graph.values:
        raise unknown("value", name, graph.values)
    readers = {op.name for op in graph.consumers()[name]}
    if use not in readers:
        raise unknown(f'operation that reads "{name}"', use, readers)


def _indices(choice: Choice) -> tuple[IndexRef, ...]:
    match choice:
        case Order(chain=chain):
            return chain
        case Parallel(index=index):
            return (index,)
        case Store(modes=modes):
            return modes
        case Permute(order=order):
            return order
    return ()


def _check_index(ref: IndexRef, graph: EinsumGraph) -> None:
    """Check `operation.index`; a bare name may be an index class, which no graph knows yet."""
    if not ref.op:
        return
    op = next((op for op in graph.einsums if op.name == ref.op), None)
    if op is None:
        raise unknown("operation", ref.op, {op.name for op in graph.einsums})
    names = {index for access in (op.output, *op.operands) for index in access.indices}
    if ref.name not in names:
        raise unknown(f'index of "{ref.op}"', ref.name, names)
