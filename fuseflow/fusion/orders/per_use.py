# SPDX-License-Identifier: MIT
"""Views per use: every use of every value gets a view of its own, as if all were recomputed.

Only for counting orders the way the paper's table 4 does; kernels are always made of shared views
(`views`). A reduction shares the class of its operand only where the row that it reduces is used
again by the same consumer, as in a softmax.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fuseflow.errors import Location, ScheduleError
from fuseflow.fusion.analysis.views import Region, View, ViewGraph
from fuseflow.ir.einsum import Einsum, Value

__all__ = ["build_views_per_use"]

# A diamond of depth n has 2**n uses.
VIEW_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class _Use:
    """An operation on the path from an output to what is bound next, with its indices."""

    op: Einsum
    bound: Mapping[str, str]


def build_views_per_use(region: Region, values: Mapping[str, Value]) -> ViewGraph:
    """Bind every use of every value of a region separately.

    Raises:
        ScheduleError: P012 if there are more than a few thousand uses.
    """
    return _Unfolder(region, values).run()


class _Unfolder:
    """Walks from the outputs to the leaves, once for every path."""

    def __init__(self, region: Region, values: Mapping[str, Value]) -> None:
        self.graph = ViewGraph(region)
        self.values = values
        self.producer = {op.output.value: op for op in region.ops}
        self.count = 0

    def run(self) -> ViewGraph:
        for name in self.graph.region.outputs:
            sizes = zip(self.producer[name].output.indices, self.values[name].shape, strict=True)
            binding = tuple(self._fresh(index, size) for index, size in sizes)
            self.graph.outputs[name] = self._use(name, binding, ())
        return self.graph

    def _use(self, name: str, binding: tuple[str, ...], path: tuple[_Use, ...]) -> View:
        view = View(self.count, name, binding, self.producer.get(name))
        self.count += 1
        if self.count > VIEW_LIMIT:
            raise ScheduleError(
                "P012",
                f"there are more than {VIEW_LIMIT} uses of values",
                where=Location(node=self.graph.region.name),
                fix="count shared views",
            )
        if view.op is None:
            view.format = self.values[name].format
            self.graph.leaves.append(view)
            return view
        self.graph.ops.append(view)
        bound = dict(zip(view.op.output.indices, binding, strict=True))
        for index in view.op.over:
            bound[index] = self._shared(view.op, index, bound, path) or self._fresh_of(
                view.op, index
            )
        view.reduced = tuple(bound[index] for index in view.op.over)
        below = (*path, _Use(view.op, bound))
        view.operands = tuple(
            self._use(access.value, tuple(bound[i] for i in access.indices), below)
            for access in view.op.operands
        )
        return view

    def _shared(
        self, op: Einsum, index: str, bound: Mapping[str, str], path: tuple[_Use, ...]
    ) -> str | None:
        """Return the class of a reduced index that a consumer uses again, if one does."""
        for use in reversed(path):
            for access in use.op.operands:
                binding = tuple(use.bound[i] for i in access.indices)
                for names in self._ways_to(op, access.value):
                    pairs = dict(zip(names, binding, strict=True))
                    agrees = all(bound[i] == pairs[i] for i in pairs if i in bound)
                    if index in pairs and agrees and pairs[index] not in bound.values():
                        return pairs[index]
        return None

    def _ways_to(self, op: Einsum, value: str) -> Iterator[tuple[str, ...]]:
        """Yield the indices of `op` by which it is computed from a value."""
        trail = [(a.value, a.indices) for a in op.operands]
        for name, names in trail:
            if name == value:
                yield names
            inner = self.producer.get(name)
            if inner is not None and len(trail) < VIEW_LIMIT:
                back = dict(zip(inner.output.indices, names, strict=True))
                trail += [
                    (a.value, tuple(back.get(i, f"{i} of {inner.name}") for i in a.indices))
                    for a in inner.operands
                ]

    def _fresh_of(self, op: Einsum, index: str) -> str:
        for access in op.operands:
            if index in access.indices:
                size = self.values[access.value].shape[access.indices.index(index)]
                return self._fresh(index, size)
        raise AssertionError(f"{index} is in no operand of {op}")

    def _fresh(self, index: str, size: int) -> str:
        name, count = index, 1
        while name in self.graph.classes:
            count += 1
            name = f"{index}_{count}"
        self.graph.classes[name] = size
        return name
