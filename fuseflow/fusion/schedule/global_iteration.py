# SPDX-License-Identifier: MIT
"""Global iteration: a tree of products and sums runs in one loop nest over all of its indices.

The baseline that factored iteration is compared with (FuseFlow, ASPLOS'26, section 3). Sums move
out of the tree, A B C = sum over k and j of (A B) C, so that only the root reduces, and every
product below it is taken anew at each point of the root's loops. Only linear operations can be
part of a tree; any other one starts a space of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from fuseflow.fusion.analysis.support import Fills, compute_fills
from fuseflow.fusion.analysis.views import Region
from fuseflow.ir.einsum import Access, Einsum, EinsumGraph, Value

__all__ = ["Joined", "join_spaces"]

# A sum of these is the same function of the sum, in each operand.
LINEAR = frozenset({"copy", "neg", "mul", "mul_scalar", "div_scalar"})


@dataclass(frozen=True, slots=True)
class Joined:
    """A region in which trees were joined; without any it is the region that was given.

    `joint` names the operations that iterate all loops of their consumer, `repeated` the values
    that they make.
    """

    region: Region
    values: dict[str, Value]
    fills: Fills
    joint: frozenset[str] = frozenset()
    repeated: tuple[str, ...] = ()


def join_spaces(
    region: Region, values: dict[str, Value], fills: Fills, wanted: frozenset[str]
) -> Joined:
    """Join every tree of linear operations among those wanted.

    Args:
        region: what is fused; values that it writes are roots, as are values used twice.
        values: all values of the graph.
        fills: their fills.
        wanted: names of the operations that shall iterate globally.
    """
    if not wanted:
        return Joined(region, values, fills)
    joiner = _Joiner(region, values, wanted)
    ops = joiner.run()
    if not joiner.inner:
        return Joined(region, values, fills)
    joined = values | joiner.values
    part = EinsumGraph(region.name, joined, ops)
    names = frozenset(op.name for op in ops if op.output.value in joiner.inner)
    return Joined(
        replace(region, ops=tuple(ops)),
        joined,
        compute_fills(part, strict=fills.strict, known=fills),
        names,
        tuple(joiner.inner),
    )


class _Joiner:
    """Rewrites operations in evaluation order, producers before consumers."""

    def __init__(self, region: Region, values: Mapping[str, Value], wanted: frozenset[str]) -> None:
        self.region = region
        self.wanted = wanted
        self.uses = Counter(access.value for op in region.ops for access in op.operands)
        self.extents = {op.name: _extents(op, values) for op in region.ops if self._can_join(op)}
        self.known = values
        self.ops: dict[str, Einsum] = {}
        self.values: dict[str, Value] = {}
        self.inner: list[str] = []

    def run(self) -> list[Einsum]:
        for op in self.region.ops:
            self.ops[op.output.value] = self._absorb(op) if self._can_join(op) else op
        return list(self.ops.values())

    def _can_join(self, op: Einsum) -> bool:
        return op.name in self.wanted and op.fn in LINEAR and op.reduce in (None, "add")

    def _absorb(self, op: Einsum) -> Einsum:
        """Take over the sums of all operands that nothing else needs."""
        for number, access in enumerate(op.operands):
            inner = self.ops.get(access.value)
            if inner is not None and self._is_private(inner):
                op = self._take_over(op, number, inner)
        return op

    def _is_private(self, inner: Einsum) -> bool:
        value = inner.output.value
        is_output = value in self.region.outputs
        return self._can_join(inner) and self.uses[value] == 1 and not is_output

    def _take_over(self, op: Einsum, number: int, inner: Einsum) -> Einsum:
        value = inner.output.value
        extents = self.extents[op.name]
        moved = {index: _fresh(index, extents) for index in inner.over}
        sizes = tuple(self.extents[inner.name][index] for index in inner.over)
        extents.update(zip(moved.values(), sizes, strict=True))
        opened = Access(value, inner.output.indices + inner.over)
        self.ops[value] = replace(inner, output=opened, reduce=None, over=())
        old = self.known[value]
        self.values[value] = replace(old, shape=old.shape + sizes)
        self.inner.append(value)
        access = op.operands[number]
        operands = list(op.operands)
        operands[number] = Access(value, access.indices + tuple(moved.values()))
        over = op.over + tuple(moved.values())
        return replace(op, operands=tuple(operands), reduce="add" if over else op.reduce, over=over)


def _extents(op: Einsum, values: Mapping[str, Value]) -> dict[str, int]:
    return {
        index: size
        for access in op.operands
        for index, size in zip(access.indices, values[access.value].shape, strict=True)
    }


def _fresh(index: str, taken: Mapping[str, int]) -> str:
    name, count = index, 1
    while name in taken:
        count += 1
        name = f"{index}_{count}"
    return name
