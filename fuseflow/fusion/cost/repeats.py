# SPDX-License-Identifier: MIT
"""How many times over values are computed, from the points at which their operations run.

An operation that runs in the loops of a consumer meets the same coordinates of its own again and
again; it may also be there more than once, in different loops. Its factor is the number of points
at which it runs over that of its different coordinates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from fuseflow.fusion.analysis.views import View
from fuseflow.fusion.cost.count import Structure
from fuseflow.fusion.cost.figures import KernelCounts
from fuseflow.fusion.cost.spaces import Space
from fuseflow.fusion.cost.table import Ints
from fuseflow.fusion.explain.orders import recomputed
from fuseflow.fusion.plan.group import Planned
from fuseflow.ir.dataflow import Op

__all__ = ["repeat_factors"]


def repeat_factors(
    planned: Planned, counts: KernelCounts, structure: Structure
) -> dict[str, float]:
    """Return how often values are computed, of those that are expected to be more than once.

    Raises:
        PointLimitError: if there are too many points to tell apart.
    """
    factors = recomputed(planned)
    for value in factors:
        points, coordinates = 0, list[Ints]()
        for view, space, indices in _runs(planned, counts, value):
            points += structure.spaces.points(space)
            coordinates.append(_own(view, space, indices, structure, planned.plan.graph.classes))
        if points:
            factors[value] = points / _distinct(np.concatenate(coordinates))
    return {value: factor for value, factor in factors.items() if factor > 1}


def _distinct(numbers: Ints) -> int:
    """Return how many different numbers there are; sorting beats the hashing of `np.unique`."""
    numbers.sort()
    return 1 + int(np.count_nonzero(numbers[1:] != numbers[:-1]))


def _runs(
    planned: Planned, counts: KernelCounts, value: str
) -> Iterator[tuple[View, Space, tuple[str, ...]]]:
    """Yield the spaces in which a value is computed, each once, with the loops that make them."""
    seen: set[Space] = set()
    views = [view for view in planned.plan.graph.ops if view.value == value]
    for node in counts.nodes:
        sid = node.node.outputs[0] if node.node.op is Op.ALU else None
        for view in views if sid is not None else ():
            assert sid is not None
            assert view.op is not None
            space, indices = counts.spaces[sid], counts.kernel.streams[sid].indices
            is_here = view.op.name in node.node.sources and view.own <= set(indices)
            if is_here and space not in seen:
                seen.add(space)
                yield view, space, indices


def _own(
    view: View,
    space: Space,
    indices: tuple[str, ...],
    structure: Structure,
    extents: Mapping[str, int],
) -> Ints:
    """Return the different coordinates of an operation's own loops, each as one number."""
    column = dict(zip(indices, space.coordinates(), strict=True))
    order = [column[name] for name in (*view.binding, *view.reduced)]
    rows = structure.spaces.rows(space, order)
    number = np.zeros(len(rows), dtype=np.int64)
    for name, each in zip((*view.binding, *view.reduced), order, strict=True):
        number = number * extents[name] + rows.columns[each]
    return number
