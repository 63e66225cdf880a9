# SPDX-License-Identifier: MIT
"""Iteration tuples: which index classes each operation of a region is nested in, for one order.

Factored iteration (FuseFlow, ASPLOS'26, section 3): every operation has a small iteration space of
its own. Classes of a consumer that lie outside an operation's last output class form its context:
the operation is evaluated anew for each of them. Consumers come first, because a context flows
from the consumer to the producer. Uses of a value that want different contexts get copies of it
(`copies`), if that is allowed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fuseflow.fusion.analysis.copies import MayCopy, Part, never, split_views
from fuseflow.fusion.analysis.views import View, ViewGraph
from fuseflow.ir.dataflow import MAX_DEPTH

__all__ = ["IllegalOrderError", "Nest", "build_nests"]


class IllegalOrderError(Exception):
    """An order (or a region, under every order) that cannot be lowered; `values` are the cause."""

    def __init__(
        self, value: str | tuple[str, ...], reason: str, needs_apart: View | None = None
    ) -> None:
        """Build from the values at which the region could be cut and the reason in words.

        `needs_apart` is a reduction that must not share its loop with what needs it.
        """
        self.needs_apart = needs_apart
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


def build_nests(
    graph: ViewGraph,
    order: Sequence[str],
    joint: frozenset[str] = frozenset(),
    may_copy: MayCopy = never,
) -> tuple[ViewGraph, dict[View, Nest]]:
    """Compute the nest of every operation under an order of all index classes.

    Args:
        graph: the views of the region.
        order: all its index classes, outermost first.
        joint: names of the operations that run in all loops of their consumers, needed or not.
        may_copy: tells which values may be computed once for every context of their uses.

    Returns:
        The graph, in which views whose uses are nested in different loops are split, and the nest
        of each of its views.

    Raises:
        IllegalOrderError: if consumers disagree on a context and the value may not be copied, if a
            reduced class does not lie inside the classes under which its result is needed, or if
            loops nest too deep.
    """
    return _Nester(graph, order, joint, may_copy).run()


class _Nester:
    """Nests views one after the other, consumers before producers."""

    def __init__(
        self, graph: ViewGraph, order: Sequence[str], joint: frozenset[str], may_copy: MayCopy
    ) -> None:
        self.graph = graph
        self.position = {name: p for p, name in enumerate(order)}
        self.joint = joint
        self.may_copy = may_copy
        self.parts: dict[View, list[Part]] = {}

    def run(self) -> tuple[ViewGraph, dict[View, Nest]]:
        for view in self.graph.ops:
            contexts = self._contexts(view)
            if len(contexts) > 1 and not self.may_copy(view.value):
                raise IllegalOrderError(view.value, "its uses are nested in different loops")
            self.parts[view] = [
                Part(view, self._nest(view, context, users), tuple(users), is_output)
                for context, (users, is_output) in contexts.items()
            ]
        return split_views(self.graph, self.parts)

    def _contexts(self, view: View) -> dict[frozenset[str], tuple[list[Part], bool]]:
        """Return the users of a view by the context in which they need it.

        What the region writes is needed in no context; a flag says that this is the one.
        """
        none = frozenset[str]()
        is_output = self.graph.is_output(view)
        found: dict[frozenset[str], tuple[list[Part], bool]] = (
            {none: ([], True)} if is_output else {}
        )
        is_joint = view.op is not None and view.op.name in self.joint
        for consumer in view.consumers:
            for user in self.parts[consumer]:
                context = (
                    frozenset(user.nest.full) - view.own
                    if is_joint
                    else self._context_in(view, user.nest)
                )
                found.setdefault(context, ([], False))[0].append(user)
        return found

    def _context_in(self, view: View, consumer: Nest) -> frozenset[str]:
        inner = [self.position[v] for v in view.binding]
        inner += [self.position[r] for r in view.reduced if r in consumer.full]
        limit = max(inner, default=-1)
        own = view.own
        return frozenset(v for v in consumer.full if v not in own and self.position[v] < limit)

    def _nest(self, view: View, context: frozenset[str], users: Sequence[Part]) -> Nest:
        position = self.position
        full = tuple(sorted(view.own | context, key=position.__getitem__))
        if len(full) > MAX_DEPTH:
            reason = (
                f"it runs in {len(full)} nested loops, and streams nest at most {MAX_DEPTH} deep"
            )
            raise IllegalOrderError(view.value, reason)
        for r in view.reduced:
            self._check_reduced(view, r, context, users)
        outermost = min((position[r] for r in view.reduced), default=len(position))
        return Nest(
            full=full,
            result=tuple(v for v in full if v not in view.reduced),
            context=tuple(sorted(context, key=position.__getitem__)),
            born=frozenset(v for v in view.binding if position[v] > outermost),
        )

    def _check_reduced(
        self, view: View, r: str, context: frozenset[str], users: Sequence[Part]
    ) -> None:
        """Require that nothing asks for the elements of a reduced class again."""
        outer = self.position[r]
        needed = [v for v in view.binding if self.position[v] > outer]
        if needed and any(r in user.nest.full for user in users):
            reason = f"{r} is reduced and needed again, but encloses {', '.join(needed)}"
            raise IllegalOrderError(view.value, reason, needs_apart=view)
        inside = [v for v in context if self.position[v] > outer]
        if inside:
            reason = (
                f"it is re-evaluated for each {', '.join(inside)} inside its reduction over {r}"
            )
            raise IllegalOrderError(view.value, reason)
