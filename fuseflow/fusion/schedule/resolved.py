# SPDX-License-Identifier: MIT
"""The resolved schedule: every choice that was made, so that compiling it again changes nothing.

Choices of the compiler carry their reasons; the notes of a program are read off them, so that a
program compiled from its own schedule has the same notes as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from fuseflow.fusion.plan.group import Planned
from fuseflow.fusion.schedule.bind import Bindings, Bound
from fuseflow.fusion.schedule.region import find_class
from fuseflow.ir.einsum import Einsum, EinsumGraph
from fuseflow.ir.schedule import (
    Assoc,
    Block,
    Directive,
    Fifo,
    FuseGroup,
    IndexRef,
    Iterate,
    Iteration,
    OpName,
    Order,
    Parallel,
    Permute,
    Route,
    Schedule,
    Scoped,
    Store,
    ValueRoute,
)

__all__ = ["Decisions", "notes_of", "resolve"]

READABLE = "so that later kernels can read it"


@dataclass(frozen=True, slots=True)
class Decisions:
    """What was decided besides the plans: see `Planner` and `Context` for the fields."""

    graph: EinsumGraph
    bindings: Bindings
    barriers: Mapping[str, str]
    dense: frozenset[str]
    recompute: float


def resolve(asked: Schedule, plans: Sequence[Planned], decisions: Decisions) -> Schedule:
    """Return the schedule that says everything that was decided.

    Args:
        asked: the schedule of the user, whose preset is kept.
        plans: the kernels.
        decisions: the rest.
    """
    return Schedule(
        strategy=asked.strategy,
        scope_depth=asked.scope_depth,
        groups=tuple(_group(planned, decisions) for planned in plans),
        scoped=tuple(_scoped(plans, decisions)),
        budget=replace(asked.budget, recompute=decisions.recompute, lanes=None),
        strict_nonfinite=asked.strict_nonfinite,
    )


def notes_of(schedule: Schedule, plans: Sequence[Planned]) -> list[str]:
    """Return what a user should know: barriers, densified values, rewritten products, copies."""
    bodies = [directive for scoped in schedule.scoped for directive in scoped.directives]
    bodies += [directive for group in schedule.groups for directive in group.directives]
    notes = [_note(directive) for directive in bodies if directive.reason]
    for planned in plans:
        for leaf, copy in planned.copies.items():
            notes.append(f"{planned.kernel.name}: {leaf.value} is read from a copy, {copy}")
    return notes


def _note(directive: Directive) -> str:
    match directive.choice:
        case Route(value=value):
            return f"barrier after {value}: {directive.reason}"
        case Store(tensor=tensor):
            return f"{tensor} is stored dense, {directive.reason}"
        case Assoc(expression=expression):
            return f"multiplied as {expression}: {directive.reason}"
        case Order(chain=chain):
            return f"order {' -> '.join(map(str, chain))} {directive.reason}"
    return directive.reason


def _scoped(plans: Sequence[Planned], decisions: Decisions) -> Iterator[Scoped]:
    """Yield what changes the graph before anything is planned, and loops shared in part."""
    for bound in decisions.bindings.directives:
        is_constant = (
            isinstance(bound.choice, Store)
            and decisions.graph.values[bound.choice.tensor].tensor is not None
        )
        if is_constant or isinstance(bound.choice, (Assoc, Block)):
            yield _alone(bound, decisions.graph)
    for planned in plans:
        if planned.wishes.joint != frozenset(planned.kernel.einsums):
            for name in planned.kernel.einsums:
                if name in planned.wishes.joint:
                    yield Scoped(OpName(name), (Directive(Iterate(Iteration.GLOBAL)),))


def _alone(bound: Bound, graph: EinsumGraph) -> Scoped:
    """Say for one operation what holds for the whole graph."""
    op = next(op for op in graph.einsums if op.name in bound.ops and _speaks_of(bound, op))
    return Scoped(OpName(op.name), (Directive(bound.choice, bound.reason),))


def _speaks_of(bound: Bound, op: Einsum) -> bool:
    """Return True if a directive means the same if it is said of this operation alone."""
    if not isinstance(bound.choice, Store) or not bound.choice.modes:
        return True
    wanted = sorted(mode.name for mode in bound.choice.modes)
    return any(
        access.value == bound.choice.tensor and sorted(access.indices) == wanted
        for access in (op.output, *op.operands)
    )


def _group(planned: Planned, decisions: Decisions) -> FuseGroup:
    directives = (
        *_loops(planned, decisions),
        *_storage(planned, decisions),
        *_routes(planned, decisions),
        *_machine(planned),
    )
    members = tuple(OpName(name) for name in planned.kernel.einsums)
    return FuseGroup(planned.kernel.name, members, directives)


def _loops(planned: Planned, decisions: Decisions) -> Iterator[Directive]:
    if planned.plan.order:
        chain = tuple(IndexRef(name) for name in planned.plan.order)
        reasons = (
            bound.reason
            for bound in reversed(decisions.bindings.directives)
            if isinstance(bound.choice, Order) and bound.ops & set(planned.kernel.einsums)
        )
        yield Directive(Order(chain, total=True), planned.meant or next(reasons, ""))
    if planned.wishes.joint == frozenset(planned.kernel.einsums):
        yield Directive(Iterate(Iteration.GLOBAL))


def _storage(planned: Planned, decisions: Decisions) -> Iterator[Directive]:
    graph = planned.plan.graph
    for permute, ops in planned.wishes.permutes:
        names = [find_class(graph, ref, ops) for ref in permute.order]
        if all(names):
            yield Directive(Permute(permute.tensor, tuple(IndexRef(name or "") for name in names)))
    indices = {op.output.value: op.output.indices for op in planned.region.ops}
    asked = {
        bound.choice.tensor: bound.reason
        for bound in decisions.bindings.directives
        if isinstance(bound.choice, Store)
    }
    for name in sorted(planned.plan.graph.outputs):
        fmt = planned.values[name].format
        assert fmt is not None
        # Any other format follows from the order.
        if name in decisions.dense or name in asked:
            modes = tuple(IndexRef(indices[name][mode]) for mode in fmt.mode_order)
            reason = READABLE if name in decisions.dense else asked[name]
            yield Directive(Store(name, fmt.levels, modes), reason)


def _routes(planned: Planned, decisions: Decisions) -> Iterator[Directive]:
    read = {access.value for op in planned.region.ops for access in op.operands}
    for op in planned.region.ops:
        name = op.output.value
        # What is also read in its own kernel is written, but no barrier for those readers.
        if name in decisions.barriers and name not in read:
            yield Directive(Route(name, ValueRoute.MATERIALISE), decisions.barriers[name])
        elif name in planned.wishes.streamed:
            yield Directive(Route(name, ValueRoute.STREAM))
        elif name in planned.wishes.recomputed:
            yield Directive(Route(name, ValueRoute.RECOMPUTE))
        for access in {a.value: a for a in op.operands}.values():
            use = (access.value, op.name)
            if use in planned.space.apart and access.value not in planned.wishes.recomputed:
                yield Directive(Route(access.value, ValueRoute.RECOMPUTE, op.name))


def _machine(planned: Planned) -> Iterator[Directive]:
    graph, order = planned.plan.graph, planned.plan.order
    for parallel, ops in planned.wishes.parallel:
        name = find_class(graph, parallel.index, ops, order)
        if name is not None:
            yield Directive(Parallel(IndexRef(name), parallel.factor, parallel.join))
    if planned.wishes.capacity is not None:
        yield Directive(Fifo(planned.wishes.capacity))
