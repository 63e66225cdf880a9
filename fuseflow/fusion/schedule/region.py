# SPDX-License-Identifier: MIT
"""What a schedule says about one region: the directives that reach it, and their indices.

An index is named as the kernel names it, as one of its operations does (`op.index` says which
one), or by position: `outer`, `outer+1`, .. in the order that the kernel has without that wish.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fuseflow.errors import ScheduleError
from fuseflow.fusion.analysis.views import Use, View, ViewGraph
from fuseflow.fusion.schedule.bind import Bindings, Bound
from fuseflow.fusion.schedule.select import unknown
from fuseflow.ir.einsum import Access, Einsum
from fuseflow.ir.schedule import (
    Fifo,
    IndexRef,
    Iterate,
    Iteration,
    Order,
    Parallel,
    Permute,
    Route,
    ValueRoute,
)

__all__ = ["UsedIndices", "Wishes", "find_class", "find_modes", "position_of", "wishes_for"]

_POSITION = re.compile(r"outer(?:\+(\d+))?")
Scopes = frozenset[str]


@dataclass(frozen=True, slots=True)
class Wishes:
    """The directives for one region; each index comes with the operations it is looked up in.

    `limits` overrides, by value, how often it may be computed; `streamed` values must not be
    written to memory, `materialised` ones must be, `recomputed` ones are made anew for every use.
    Uses that are `apart` compute their operand
    anew. `joint` operations share one loop nest.
    """

    orders: tuple[tuple[Order, Scopes], ...] = ()
    permutes: tuple[tuple[Permute, Scopes], ...] = ()
    parallel: tuple[tuple[Parallel, Scopes], ...] = ()
    limits: Mapping[str, float] = field(default_factory=dict)
    streamed: frozenset[str] = frozenset()
    materialised: frozenset[str] = frozenset()
    recomputed: frozenset[str] = frozenset()
    apart: frozenset[Use] = frozenset()
    joint: frozenset[str] = frozenset()
    capacity: int | None = None

    @property
    def chains(self) -> tuple[tuple[tuple[IndexRef, ...], Scopes], ...]:
        """Return the chains of indices that hold; a whole order replaces all before it."""
        total = [n for n, (order, _) in enumerate(self.orders) if order.total]
        return tuple((order.chain, ops) for order, ops in self.orders[total[-1] if total else 0 :])

    @property
    def total(self) -> tuple[tuple[IndexRef, ...], Scopes] | None:
        """Return the last whole order, if there is one."""
        found = [(order.chain, ops) for order, ops in self.orders if order.total]
        return found[-1] if found else None

    @property
    def needs_order(self) -> bool:
        """Return True if an order is given by the position of its indices."""
        return any(position_of(ref) is not None for chain, _ in self.chains for ref in chain)

    def without_orders(self) -> Wishes:
        """Return the same wishes but those for the order."""
        return replace(self, orders=())


def wishes_for(ops: Sequence[Einsum], bindings: Bindings) -> Wishes:
    """Collect the directives that reach at least one operation of a region."""
    names = frozenset(op.name for op in ops)
    reached = [bound for bound in bindings.directives if bound.ops & names]
    routes, uses = _routes(bindings)
    capacities = [bound.choice.capacity for bound in reached if isinstance(bound.choice, Fifo)]
    streamed = _with_route(routes, ValueRoute.STREAM)
    recomputed = _with_route(routes, ValueRoute.RECOMPUTE)
    often = _below({value for value, _ in uses} | recomputed, ops)
    return Wishes(
        orders=tuple((b.choice, b.ops) for b in reached if isinstance(b.choice, Order)),
        permutes=tuple((b.choice, b.ops) for b in reached if isinstance(b.choice, Permute)),
        parallel=tuple((b.choice, b.ops) for b in reached if isinstance(b.choice, Parallel)),
        limits=dict.fromkeys(often, math.inf) | dict.fromkeys(streamed, 1.0),
        streamed=streamed,
        materialised=_with_route(routes, ValueRoute.MATERIALISE),
        recomputed=recomputed,
        apart=frozenset(_uses_of(recomputed, ops)) | {use for use in uses if use[1] in names},
        joint=frozenset(_joint(reached, names)),
        capacity=capacities[-1] if capacities else None,
    )


def _routes(bindings: Bindings) -> tuple[dict[str, ValueRoute], set[Use]]:
    """Return the route of each value, and the single uses that it is computed anew for.

    A use may be in another kernel than the one that writes the value; it then reads it in loops of
    its own.
    """
    routes: dict[str, ValueRoute] = {}
    uses: set[Use] = set()
    for bound in bindings.directives:
        if not isinstance(bound.choice, Route):
            continue
        value, route = bound.choice.value, bound.choice.route
        if bound.choice.use:
            uses.add((value, bound.choice.use))
            if routes.get(value) is ValueRoute.STREAM:
                del routes[value]
        else:
            routes[value] = route
            if route is not ValueRoute.MATERIALISE:
                uses = {use for use in uses if use[0] != value}
    return routes, uses


def _uses_of(values: Collection[str], ops: Sequence[Einsum]) -> Iterator[Use]:
    """Yield all uses of values that a region computes."""
    made = {op.output.value for op in ops}
    for op in ops:
        for access in op.operands:
            if access.value in made and access.value in values:
                yield access.value, op.name


def _below(values: Collection[str], ops: Sequence[Einsum]) -> set[str]:
    """Return what values are computed from in a region: that is computed as often as they are."""
    found = set(values)
    for op in reversed(ops):
        if op.output.value in found:
            found |= {access.value for access in op.operands}
    return found


def _with_route(routes: Mapping[str, ValueRoute], wanted: ValueRoute) -> frozenset[str]:
    return frozenset(value for value, route in routes.items() if route is wanted)


def _joint(reached: Iterable[Bound], names: Scopes) -> set[str]:
    joint: set[str] = set()
    for bound in reached:
        if isinstance(bound.choice, Iterate):
            of_region = bound.ops & names
            is_global = bound.choice.mode is Iteration.GLOBAL
            joint = joint | of_region if is_global else joint - of_region
    return joint


def position_of(ref: IndexRef) -> int | None:
    """Return n for `outer+n`, 0 for `outer`, None for a name."""
    match = None if ref.op else _POSITION.fullmatch(ref.name)
    return None if match is None else int(match[1] or 0)


def find_class(
    graph: ViewGraph, ref: IndexRef, ops: Scopes, order: Sequence[str] | None = None
) -> str | None:
    """Return the index class that a reference means in a region, None if it has none.

    Args:
        graph: the views of the region.
        ref: the reference.
        ops: the operations that the directive speaks of.
        order: the loop order, for positions; without it they are unknown.
    """
    place = position_of(ref)
    if place is not None and ref.name not in graph.classes:
        return order[place] if order is not None and place < len(order) else None
    if not ref.op and ref.name in graph.classes:
        return ref.name
    wanted = {ref.op} if ref.op else ops
    for view in reversed(graph.ops):
        if view.op is not None and view.op.name in wanted:
            bound = dict(_bound_indices(view))
            if ref.name in bound:
                return bound[ref.name]
    return None


def _bound_indices(view: View) -> Iterator[tuple[str, str]]:
    assert view.op is not None
    yield from zip(view.op.output.indices, view.binding, strict=True)
    yield from zip(view.op.over, view.reduced, strict=True)


def find_modes(
    tensor: str, modes: Sequence[IndexRef], ops: Scopes, einsums: Iterable[Einsum]
) -> tuple[int, ...]:
    """Return the dimension of a tensor that each index runs along.

    Raises:
        ScheduleError: P011 if no operation in `ops` accesses the tensor by these indices.
    """
    names = [mode.name for mode in modes]
    uses = [access for op in einsums if op.name in ops for access in _accesses(op, tensor)]
    for access in uses:
        if sorted(access.indices) == sorted(names):
            return tuple(access.indices.index(name) for name in names)
    if not uses:
        raise ScheduleError("P011", f'none of the operations named reads or makes "{tensor}"')
    raise unknown(f"use of {tensor} by the indices", ",".join(names), {str(use) for use in uses})


def _accesses(op: Einsum, tensor: str) -> Iterator[Access]:
    return (access for access in (op.output, *op.operands) if access.value == tensor)


class UsedIndices:
    """Remembers which indices of directives some kernel has, so that the others are reported."""

    def __init__(self) -> None:
        """Start with none."""
        self._found: dict[IndexRef, bool] = {}
        self._known: set[str] = set()

    def note(self, ref: IndexRef, found: str | None, graph: ViewGraph) -> None:
        """Record that a kernel was asked for an index, and what it had."""
        self._found[ref] = self._found.get(ref, False) or found is not None
        self._known |= set(graph.classes)

    def check(self) -> None:
        """Raise P002 for the first index that no kernel had."""
        for ref, found in self._found.items():
            if not found:
                known = ", ".join(sorted(self._known))
                raise ScheduleError(
                    "P002",
                    f'the schedule names index "{ref}", which no kernel has',
                    fix=f"the indices are {known}" if known else None,
                )
