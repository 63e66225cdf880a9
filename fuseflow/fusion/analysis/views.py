# SPDX-License-Identifier: MIT
"""Views: one value under one binding of its dimensions to the index classes of a region.

Unifies the index names of all operations of a region into index classes (FuseFlow, ASPLOS'26,
section 5): two uses of a value with the same binding share one view, so that a diamond of depth n
costs n views and not 2**n. A reduction takes over the class of an operand that is already viewed
(a softmax reduces the row that it later divides), and a fresh class otherwise.

Not here: in which order the classes are iterated (`orders`), and what is visited (`domains`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fuseflow.errors import Location, ScheduleError
from fuseflow.ir.einsum import Access, Einsum, Value
from fuseflow.ir.tensor import Format

__all__ = ["Region", "Use", "View", "ViewGraph", "build_views", "storage_edges"]


# Values may be viewed this often in one region: where every use has its own, diamonds multiply.
VIEW_LIMIT = 4096
# A use of a value: its name, and that of the operation that reads it.
Use = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Region:
    """Operations to be fused, in evaluation order, and the values that must be written to DRAM."""

    name: str
    ops: tuple[Einsum, ...]
    outputs: tuple[str, ...]


@dataclass(slots=True, eq=False)
class View:
    """A value under a binding; `op` is None for a leaf (a tensor in DRAM).

    `operands` are aligned with `op.operands`, `reduced` with `op.over`. `consumers` lists the
    views that read this one, each once. `format` is how a leaf is stored.
    """

    number: int
    value: str
    binding: tuple[str, ...]
    op: Einsum | None = None
    reduced: tuple[str, ...] = ()
    operands: tuple[View, ...] = ()
    consumers: list[View] = field(default_factory=list)
    format: Format | None = None

    @property
    def own(self) -> frozenset[str]:
        """Return the classes that this view's operation iterates by itself."""
        return frozenset(self.binding + self.reduced)

    def __str__(self) -> str:
        return f"{self.value}({','.join(self.binding)})"


@dataclass(slots=True)
class ViewGraph:
    """The views of a region.

    `ops` holds the views of operations, consumers before producers; `leaves` those of tensors;
    `outputs` the view of each output of the region; `classes` the index classes in order of
    creation with their extents.
    """

    region: Region
    ops: list[View] = field(default_factory=list)
    leaves: list[View] = field(default_factory=list)
    outputs: dict[str, View] = field(default_factory=dict)
    classes: dict[str, int] = field(default_factory=dict)

    def is_output(self, view: View) -> bool:
        """Return True if the region writes this view to DRAM."""
        return self.outputs.get(view.value) is view


def build_views(
    region: Region, values: Mapping[str, Value], apart: frozenset[Use] = frozenset()
) -> ViewGraph:
    """Bind every use of every value of a region.

    Args:
        region: the operations; a value that none of them produces is a leaf.
        values: all values of the graph, for extents.
        apart: uses that get a view of their own, and a reduction by one of them a loop of its own.

    Returns:
        The view graph; views are numbered in order of creation, outputs first.

    Raises:
        ScheduleError: P012 if uses that are apart multiply beyond a few thousand.
    """
    return _Binder(region, values, apart).run()


def storage_edges(leaf: View) -> list[tuple[str, str]]:
    """Return the order constraints (outer, inner) that a stored tensor puts on its view.

    A stored level is only reachable below every level stored above it. A run of dense levels
    commutes, because its address is a sum of coordinate times stride.
    """
    fmt = leaf.format
    assert fmt is not None
    classes = [leaf.binding[mode] for mode in fmt.mode_order]
    return [
        (classes[above], classes[below])
        for below in range(len(classes))
        for above in range(below)
        if any(level.is_stored for level in fmt.levels[above : below + 1])
    ]


class _Binder:
    """Walks the operations from the last to the first, so that all uses of a value are known."""

    def __init__(self, region: Region, values: Mapping[str, Value], apart: frozenset[Use]) -> None:
        self.graph = ViewGraph(region)
        self.apart = apart
        self.values = values
        self.producer = {op.output.value: op for op in region.ops}
        self.by_value: dict[str, list[View]] = {}
        self.private: set[View] = set()

    def run(self) -> ViewGraph:
        for op in reversed(self.graph.region.ops):
            self._bind_output(op)
            for view in self.by_value.get(op.output.value, []):
                self._bind_operands(view)
                self.graph.ops.append(view)
        return self.graph

    def _bind_output(self, op: Einsum) -> None:
        """Give an output of the region a view, the one of its consumers if it has one."""
        name = op.output.value
        if name not in self.graph.region.outputs:
            return
        if name not in self.by_value:
            known = self._bound_through_operands(op)
            found = [
                known.get(index) or self._fresh(index, size)
                for index, size in zip(op.output.indices, self.values[name].counts, strict=True)
            ]
            self._request(name, tuple(found), None)
        shared = next((v for v in self.by_value[name] if v not in self.private), None)
        binding = self.by_value[name][0].binding
        self.graph.outputs[name] = shared or self._request(name, binding, None)

    def _bound_through_operands(self, op: Einsum) -> dict[str, str]:
        """Find classes for output indices through the nearest operand that is already viewed.

        Sibling outputs thereby share the loops, and the work, of what both are computed from.
        """
        for names, known in self._viewed_below(op, op.output.indices):
            pairs = zip(names, known.binding, strict=True)
            found = {index: name for index, name in pairs if index is not None}
            if found:
                return found
        return {}

    def _viewed_below(
        self, op: Einsum, indices: Sequence[str]
    ) -> Iterator[tuple[tuple[str | None, ...], View]]:
        """Yield the views of what an operation is computed from, nearest first.

        With each view comes, for every dimension, the index of `op` that runs along it; None if it
        is not one of `indices`. A value that is reached in the same way twice comes once, as in a
        ladder of diamonds the number of paths doubles at every rung.
        """
        trail = [(a.value, _among(a.indices, indices)) for a in op.operands]
        passed: set[tuple[str, tuple[str | None, ...]]] = set()
        for value, names in trail:
            if (value, names) in passed:
                continue
            passed.add((value, names))
            for known in self.by_value.get(value, []):
                yield names, known
            inner = self.producer.get(value)
            if inner is not None and any(names):
                back = dict(zip(inner.output.indices, names, strict=True))
                trail += [(a.value, tuple(map(back.get, a.indices))) for a in inner.operands]

    def _bind_operands(self, view: View) -> None:
        op = view.op
        assert op is not None
        bound = dict(zip(op.output.indices, view.binding, strict=True))
        bound |= self._bind_reduced(view, bound)
        view.reduced = tuple(bound[index] for index in op.over)
        view.operands = tuple(
            self._request(access.value, tuple(bound[i] for i in access.indices), view)
            for access in op.operands
        )

    def _bind_reduced(self, view: View, bound: Mapping[str, str]) -> dict[str, str]:
        """Choose a class for each reduced index: that of a view that fits, else a fresh one."""
        op = view.op
        assert op is not None
        if not op.over:
            return {}
        is_apart = any((access.value, op.name) in self.apart for access in op.operands)
        shared = {} if is_apart else self._shared(view, bound)
        sizes = {i: s for a in op.operands for i, s in self._extents(a)}
        return {i: shared.get(i) or self._fresh(i, sizes[i]) for i in op.over}

    def _shared(self, view: View, bound: Mapping[str, str]) -> dict[str, str]:
        """Return the classes that a view of what is reduced gives to the reduced indices.

        It may be a view of what an operand is computed from: the square that a variance adds up
        is made of the same deviations that are later scaled. The view must agree on all other
        indices. If the result has further ones, the reduced class lies outside those, so nothing
        downstream may need the view again.
        """
        op = view.op
        assert op is not None
        after = _downstream(view)
        for names, known in self._viewed_below(op, (*bound, *op.over)):
            pairs = [(i, c) for i, c in zip(names, known.binding, strict=True) if i is not None]
            found = {i: name for i, name in pairs if i in op.over}
            agrees = all(bound[i] == name for i, name in pairs if i in bound)
            clashes = set(found.values()) & set(bound.values())
            needed_again = after.intersection(known.consumers)
            inside = set(bound.values()) <= set(known.binding)
            if found and agrees and not clashes and (inside or not needed_again):
                return found
        return {}

    def _extents(self, access: Access) -> Iterable[tuple[str, int]]:
        return zip(access.indices, self.values[access.value].counts, strict=True)

    def _request(self, name: str, binding: tuple[str, ...], consumer: View | None) -> View:
        views = self.by_value.setdefault(name, [])
        view = next((v for v in views if v.binding == binding and self._serves(v, consumer)), None)
        if view is None:
            view = self._new_view(name, binding)
            views.append(view)
            if self._is_apart(name, consumer):
                self.private.add(view)
        if consumer is not None and consumer not in view.consumers:
            view.consumers.append(consumer)
        return view

    def _is_apart(self, name: str, consumer: View | None) -> bool:
        if consumer is None or consumer.op is None or name not in self.producer:
            return False
        return (name, consumer.op.name) in self.apart

    def _serves(self, view: View, consumer: View | None) -> bool:
        """Return True if a view of the right binding may be read by one more consumer."""
        if view in self.private or self._is_apart(view.value, consumer):
            return consumer in view.consumers
        return True

    def _new_view(self, name: str, binding: tuple[str, ...]) -> View:
        number = sum(map(len, self.by_value.values()))
        if number > VIEW_LIMIT:
            raise ScheduleError(
                "P012",
                f"there are more than {VIEW_LIMIT} uses of values, each computed anew",
                where=Location(node=self.graph.region.name),
                fix="let more of them share what they read",
            )
        view = View(number, name, binding, self.producer.get(name))
        if view.op is None:
            view.format = self.values[name].format
            self.graph.leaves.append(view)
        return view

    def _fresh(self, index: str, size: int) -> str:
        name, count = index, 1
        while name in self.graph.classes:
            count += 1
            name = f"{index}{count}" if index[-1].isalpha() else f"{index}_{count}"
        self.graph.classes[name] = size
        return name


def _among(names: Sequence[str], wanted: Sequence[str]) -> tuple[str | None, ...]:
    """Replace the names that are not wanted by None."""
    return tuple(name if name in wanted else None for name in names)


def _downstream(view: View) -> set[View]:
    """Return everything that is computed from a view, as far as it is bound yet."""
    found: set[View] = set()
    todo = list(view.consumers)
    while todo:
        current = todo.pop()
        if current not in found:
            found.add(current)
            todo += current.consumers
    return found
