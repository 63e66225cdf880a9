# SPDX-License-Identifier: MIT
"""Iteration tuples: which index classes each operation of a region is nested in, for one order.

Factored iteration (FuseFlow, ASPLOS'26, section 3): every operation has a small iteration space of
its own. Classes of a consumer that lie outside an operation's last output class form its context:
the operation is evaluated anew for each of them. Consumers come first, because a context flows
from the consumer to the producer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fuseflow.fusion.views import View, ViewGraph
from fuseflow.ir.dataflow import MAX_DEPTH

__all__ = ["IllegalOrderError", "Nest", "build_nests"]


class IllegalOrderError(Exception):
    """An order (or a region, under every order) that cannot be lowered; `values` are the cause."""

    def __init__(self, value: str | tuple[str, ...], reason: str) -> None:
        """Build from the values at which the region could be cut and the reason in words."""
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
    graph: ViewGraph, order: Sequence[str], joint: frozenset[str] = frozenset()
) -> dict[View, Nest]:
    """Compute the nest of every operation under an order of all index classes.

    Args:
        graph: the views of the region.
        order: all its index classes, outermost first.
        joint: names of the operations that run in all loops of their consumers, needed or not.

    Raises:
        IllegalOrderError: if consumers disagree on a context, if a reduced class does not lie
            inside the classes under which its result is needed, or if loops nest too deep.
    """
    position = {name: p for p, name in enumerate(order)}
    nests: dict[View, Nest] = {}
    for view in graph.ops:
        is_joint = view.op is not None and view.op.name in joint
        context = _context(graph, view, nests, position, is_joint)
        nests[view] = _nest(view, context, nests, position)
    return nests


def _context(
    graph: ViewGraph,
    view: View,
    nests: Mapping[View, Nest],
    position: Mapping[str, int],
    is_joint: bool,
) -> frozenset[str]:
    contexts = {
        frozenset(nests[consumer].full) - view.own
        if is_joint
        else _context_in(view, nests[consumer], position)
        for consumer in view.consumers
    }
    if graph.is_output(view):
        contexts.add(frozenset())
    if len(contexts) > 1:
        raise IllegalOrderError(view.value, "its uses are nested in different loops")
    return next(iter(contexts))


def _context_in(view: View, consumer: Nest, position: Mapping[str, int]) -> frozenset[str]:
    inner = [position[v] for v in view.binding]
    inner += [position[r] for r in view.reduced if r in consumer.full]
    limit = max(inner, default=-1)
    own = view.own
    return frozenset(v for v in consumer.full if v not in own and position[v] < limit)


def _nest(
    view: View, context: frozenset[str], nests: Mapping[View, Nest], position: Mapping[str, int]
) -> Nest:
    full = tuple(sorted(view.own | context, key=position.__getitem__))
    if len(full) > MAX_DEPTH:
        reason = f"it runs in {len(full)} nested loops, and streams nest at most {MAX_DEPTH} deep"
        raise IllegalOrderError(view.value, reason)
    for r in view.reduced:
        shared = any(r in nests[consumer].full for consumer in view.consumers)
        needed = [v for v in view.binding if position[v] > position[r]]
        if shared and needed:
            reason = f"{r} is reduced and needed again, but encloses {', '.join(needed)}"
            raise IllegalOrderError(view.value, reason)
        inside = [v for v in context if position[v] > position[r]]
        if inside:
            reason = (
                f"it is re-evaluated for each {', '.join(inside)} inside its reduction over {r}"
            )
            raise IllegalOrderError(view.value, reason)
    outermost = min((position[r] for r in view.reduced), default=len(position))
    return Nest(
        full=full,
        result=tuple(v for v in full if v not in view.reduced),
        context=tuple(sorted(context, key=position.__getitem__)),
        born=frozenset(v for v in view.binding if position[v] > outermost),
    )
