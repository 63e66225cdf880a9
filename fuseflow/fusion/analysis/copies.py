# SPDX-License-Identifier: MIT
"""Copies of views: a value that is needed in different loops may be computed once for each of them.

Two uses of a value share one view as long as they want it in the same loops. Where an order nests
them differently, one stream cannot serve both, and the view is split into one per context; what it
is computed from is split in turn where that is needed, and shared where it is not. A copy has the
binding of its original; it differs in who reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from fuseflow.fusion.analysis.views import View, ViewGraph

__all__ = ["MayCopy", "Part", "never", "split_views"]

# Tells whether a value may be computed in several places.
MayCopy = Callable[[str], bool]


def never(_value: str) -> bool:
    """Allow no copies: every value is computed once."""
    return False


@dataclass(slots=True, eq=False)
class Part:
    """The share of a view that serves the users of one context.

    `loops` are those it runs in and `context` those of its users among them, as sets of bits.
    """

    view: View
    loops: int
    context: int
    users: tuple[Part, ...]
    is_output: bool


def split_views(
    graph: ViewGraph, parts: Mapping[View, Sequence[Part]]
) -> tuple[ViewGraph, dict[View, Part]]:
    """Return the graph in which every part is a view of its own, and the part that each one is.

    Args:
        graph: the views of a region.
        parts: for every view of an operation what it is to be split into, at least one part. If
            none is split, the graph itself is returned.
    """
    if all(len(shares) == 1 for shares in parts.values()):
        return graph, {view: shares[0] for view, shares in parts.items()}
    made: dict[Part, View] = {}
    taken = 1 + max(view.number for view in (*graph.ops, *graph.leaves))
    for view in graph.ops:
        for count, part in enumerate(parts[view]):
            number = taken if count else view.number
            taken += bool(count)
            made[part] = View(number, view.value, view.binding, view.op, view.reduced)
    for part, view in made.items():
        view.consumers = [made[user] for user in part.users]
        view.operands = tuple(
            operand if operand.op is None else made[_serving(part, parts[operand])]
            for operand in part.view.operands
        )
    outputs = {
        name: next(made[part] for part in parts[view] if part.is_output)
        for name, view in graph.outputs.items()
    }
    copied = replace(graph, ops=list(made.values()), outputs=outputs)
    return copied, {view: part for part, view in made.items()}


def _serving(user: Part, parts: Sequence[Part]) -> Part:
    return next(part for part in parts if user in part.users)
