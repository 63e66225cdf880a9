# SPDX-License-Identifier: MIT
"""Iteration tuples: which index classes each operation of a region is nested in, for one order.

Factored iteration (FuseFlow, ASPLOS'26, section 3): every operation has a small iteration space of
its own. Classes of a consumer that lie outside an operation's last output class form its context:
the operation is evaluated anew for each of them. Consumers come first, because a context flows
from the consumer to the producer. Uses of a value that want different contexts get copies of it
(`copies`), if that is allowed.

A search asks this of thousands of orders and keeps few, so that loops are sets of bits here, one
per class in the order, outermost first; nests with names are built only of orders that are kept.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from fuseflow.fusion.analysis.copies import MayCopy, Part, never, split_views
from fuseflow.fusion.analysis.views import View, ViewGraph
from fuseflow.ir.dataflow import MAX_DEPTH

__all__ = ["IllegalOrderError", "Loops", "Nest", "build_nests", "find_loops"]


class IllegalOrderError(Exception):
    """An order (or a region, under every order) that cannot be lowered; `values` are the cause."""

    def __init__(
        self,
        value: str | tuple[str, ...],
        reason: str,
        *,
        needs_apart: View | None = None,
        meant: tuple[str, ...] = (),
        too_deep: bool = False,
    ) -> None:
        """Build from the values at which the region could be cut and the reason in words.

        `needs_apart` is a reduction that must not share its loop with what needs it; `meant` is
        an order that does what the illegal one asks for; `too_deep` tells that streams do not nest
        as deep as it asks for.
        """
        self.needs_apart = needs_apart
        self.meant = meant
        self.too_deep = too_deep
        self.values = (value,) if isinstance(value, str) else value
        self.reason = reason
        super().__init__(f"{', '.join(self.values)}: {reason}")


@dataclass(frozen=True, slots=True)
class Nest:
    """The loop nest of one operation: `full` iterates it, `result` is the tuple of its stream.

    `context` holds the classes under which it is re-evaluated, `born` the output classes that lie
    inside a reduced one, so that their coordinates come out of an accumulator.
    """

    full: tuple[str, ...]
    result: tuple[str, ...]
    context: tuple[str, ...]
    born: frozenset[str]

    def prefix(self, name: str) -> tuple[str, ...]:
        """Return the classes up to and including `name`."""
        return self.full[: self.full.index(name) + 1]


@dataclass(slots=True)
class Loops:
    """The loops of every operation under one order, as bits: `parts` of each view, by context."""

    graph: ViewGraph
    order: tuple[str, ...]
    parts: dict[View, list[Part]] = field(default_factory=dict)
    bit: dict[str, int] = field(init=False, repr=False)
    _bits: dict[tuple[str, ...], int] = field(default_factory=dict, repr=False)
    _names: dict[int, tuple[str, ...]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Number the classes."""
        self.bit = {name: 1 << p for p, name in enumerate(self.order)}

    def names(self, loops: int) -> tuple[str, ...]:
        """Return the classes of a set of bits, outermost first."""
        found = self._names.get(loops)
        if found is None:
            found = tuple(name for p, name in enumerate(self.order) if loops >> p & 1)
            self._names[loops] = found
        return found

    def bits(self, names: tuple[str, ...]) -> int:
        """Return classes as a set of bits."""
        found = self._bits.get(names)
        if found is None:
            found = self._bits[names] = sum(self.bit[name] for name in set(names))
        return found

    def key(self) -> Hashable:
        """Return what tells kernels of one graph apart: who runs in which loops for whom."""
        number: dict[Part, int] = {}
        found = []
        for shares in self.parts.values():
            for part in shares:
                number[part] = len(number)
                users = tuple(number[user] for user in part.users)
                found.append((self.names(part.loops), users, part.is_output))
        return tuple(found)

    def build(self) -> tuple[ViewGraph, dict[View, Nest]]:
        """Return the graph, its views split into parts where needed, and the nest of each."""
        graph, part_of = split_views(self.graph, self.parts)
        return graph, {view: self._nest(part) for view, part in part_of.items()}

    def born(self, part: Part) -> int:
        """Return the output classes inside a reduced one, as bits."""
        reduced = self.bits(part.view.reduced)
        return self.bits(part.view.binding) & (-2 * (reduced & -reduced))

    def _nest(self, part: Part) -> Nest:
        return Nest(
            full=self.names(part.loops),
            result=self.names(part.loops & ~self.bits(part.view.reduced)),
            context=self.names(part.context),
            born=frozenset(self.names(self.born(part))),
        )


def build_nests(
    graph: ViewGraph,
    order: Sequence[str],
    joint: frozenset[str] = frozenset(),
    may_copy: MayCopy = never,
) -> tuple[ViewGraph, dict[View, Nest]]:
    """Return the nests that `find_loops` finds, and the graph whose views they are of."""
    return find_loops(graph, order, joint, may_copy).build()


def find_loops(
    graph: ViewGraph,
    order: Sequence[str],
    joint: frozenset[str] = frozenset(),
    may_copy: MayCopy = never,
) -> Loops:
    """Find the loops of every operation under an order of all index classes.

    Args:
        graph: the views of the region.
        order: all its index classes, outermost first.
        joint: names of the operations that run in all loops of their consumers, needed or not.
        may_copy: tells which values may be computed once for every context of their uses.

    Raises:
        IllegalOrderError: if consumers disagree on a context and the value may not be copied, if a
            reduced class does not lie inside the classes under which its result is needed, or if
            loops nest too deep.
    """
    return _Nester(Loops(graph, tuple(order)), joint, may_copy).run()


class _Nester:
    """Nests views one after the other, consumers before producers."""

    def __init__(self, loops: Loops, joint: frozenset[str], may_copy: MayCopy) -> None:
        self.loops = loops
        self.bit = loops.bit
        self.joint = joint
        self.may_copy = may_copy

    def run(self) -> Loops:
        parts, bits = self.loops.parts, self.loops.bits
        for view in self.loops.graph.ops:
            bound, reduced = bits(view.binding), bits(view.reduced)
            contexts = self._contexts(view, bound, reduced)
            if len(contexts) > 1 and not self.may_copy(view.value):
                raise IllegalOrderError(view.value, "its uses are nested in different loops")
            parts[view] = [
                Part(view, bound | reduced | context, context, tuple(users), is_output)
                for context, (users, is_output) in contexts.items()
            ]
            for part in parts[view]:
                if reduced or part.loops.bit_count() > MAX_DEPTH:
                    self._check(part, bound)
        return self.loops

    def _contexts(self, view: View, bound: int, reduced: int) -> dict[int, tuple[list[Part], bool]]:
        """Return the users of a view by the context in which they need it.

        What the region writes is needed in no context; a flag says that this is the one.
        """
        foreign = ~(bound | reduced)
        found: dict[int, tuple[list[Part], bool]] = {}
        if self.loops.graph.is_output(view):
            found[0] = [], True
        is_joint = view.op is not None and view.op.name in self.joint
        for consumer in view.consumers:
            for user in self.loops.parts[consumer]:
                around = user.loops & foreign
                if around and not is_joint:
                    inner = bound | reduced & user.loops
                    around &= (1 << inner.bit_length() >> 1) - 1 if inner else 0
                if around in found:
                    found[around][0].append(user)
                else:
                    found[around] = [user], False
        return found

    def _check(self, part: Part, bound: int) -> None:
        depth = part.loops.bit_count()
        if depth > MAX_DEPTH:
            reason = f"it runs in {depth} nested loops, and streams nest at most {MAX_DEPTH} deep"
            raise IllegalOrderError(part.view.value, reason, too_deep=True)
        for name in part.view.reduced:
            self._check_reduced(part, name, bound)

    def _check_reduced(self, part: Part, name: str, bound: int) -> None:
        """Require that nothing asks for the elements of a reduced class again."""
        view, bit = part.view, self.bit[name]
        inside = -2 * bit
        if bound & inside and any(user.loops & bit for user in part.users):
            needed = ", ".join(self.loops.names(bound & inside))
            reason = f"{name} is reduced and needed again, but encloses {needed}"
            raise IllegalOrderError(view.value, reason, needs_apart=view)
        if part.context & inside:
            each = ", ".join(self.loops.names(part.context & inside))
            reason = f"it is re-evaluated for each {each} inside its reduction over {name}"
            raise IllegalOrderError(view.value, reason, meant=self._inside(name, part.context))

    def _inside(self, name: str, context: int) -> tuple[str, ...]:
        """Return the order with a class just inside the last one of a context.

        A reduction that starts anew in every iteration of a loop runs within it: the order that
        says the opposite can only mean this one.
        """
        order = self.loops.order
        last = context.bit_length()
        before = tuple(each for each in order[:last] if each != name)
        return (*before, name, *order[last:])
