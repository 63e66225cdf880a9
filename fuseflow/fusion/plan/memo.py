# SPDX-License-Identifier: MIT
"""Remembers which order was chosen for a region, so that equal layers are searched once.

Two regions are equal if they differ in names only: the same operations on tensors of the same
shapes, formats and occupancies, under the same limits. Only the outcome of the search is
remembered; the kernel is made, and checked, for each region by itself.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

from fuseflow.fusion.analysis.views import Region, Use, ViewGraph
from fuseflow.fusion.plan.space import OrderSpace
from fuseflow.fusion.schedule.region import Wishes
from fuseflow.ir.einsum import Access, Value

__all__ = ["Recipe", "region_key"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """The order to take, or the one that says best why there is none, by position of classes.

    `apart` are the uses that were given views of their own, by position of operation and operand.
    `too_deep` is the share of orders that nest streams too deep, if no order will do.
    """

    positions: tuple[int, ...]
    row_wise: float | None
    tried: int
    apart: tuple[tuple[int, int], ...]
    too_deep: float = 0.0

    @classmethod
    def of(
        cls, space: OrderSpace, order: Sequence[str], row_wise: float | None, tried: int
    ) -> Recipe:
        """Write an order in terms of the classes of its region."""
        number = {name: n for n, name in enumerate(space.graph.classes)}
        apart = (
            (n, p)
            for n, op in enumerate(space.region.ops)
            for p, access in enumerate(op.operands)
            if (access.value, op.name) in space.apart
        )
        return cls(tuple(number[name] for name in order), row_wise, tried, tuple(apart))

    def order(self, graph: ViewGraph) -> tuple[str, ...]:
        """Return the order in terms of an equal region."""
        names = tuple(graph.classes)
        return tuple(names[position] for position in self.positions)

    def uses_apart(self, region: Region) -> frozenset[Use]:
        """Return the uses with views of their own in terms of an equal region."""
        ops = region.ops
        return frozenset((ops[n].operands[p].value, ops[n].name) for n, p in self.apart)


def region_key(space: OrderSpace, wishes: Wishes) -> Hashable:
    """Return what equal regions share; None if the schedule tells them apart by names."""
    if wishes.orders or wishes.permutes or wishes.joint or wishes.apart:
        return None
    return tuple(_Signature(space, wishes).parts())


class _Signature:
    """Numbers values and indices in the order in which operations mention them."""

    def __init__(self, space: OrderSpace, wishes: Wishes) -> None:
        self.space = space
        self.limits = wishes.limits
        self.numbers: dict[str, int] = {}
        self.indices: dict[str, int] = {}

    def parts(self) -> Iterator[Hashable]:
        space = self.space
        made = {op.output.value for op in space.region.ops}
        for op in space.region.ops:
            operands = tuple(self._access(access) for access in op.operands)
            output = self._access(op.output)
            over = tuple(self._index(index) for index in op.over)
            yield op.fn, op.parameters, op.reduce, operands, output, over
            yield space.dense.get(op.output.value), self.limits.get(op.output.value)
        for name in self.numbers:
            value = space.values[name]
            yield value.shape, value.tile, value.format, name in space.fills.finite
            if name not in made:
                yield space.fills.value[name], space.occupancies[name], _entries(value)

    def _access(self, access: Access) -> Hashable:
        number = self.numbers.setdefault(access.value, len(self.numbers))
        return number, tuple(self._index(index) for index in access.indices)

    def _index(self, index: str) -> int:
        return self.indices.setdefault(index, len(self.indices))


def _entries(value: Value) -> int | None:
    """Return how much there is to copy; a dense tensor fits every order, whoever made it."""
    if value.tensor is None or value.format is None or value.format.is_dense:
        return None
    return value.tensor.stored
