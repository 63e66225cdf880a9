# SPDX-License-Identifier: MIT
"""In which indices is each stream nested? Foreign formats do not say, so it is inferred.

Every scan opens an index. Nodes that read streams together make their indices one, position by
position, so what remains in the end are classes of indices. Streams of different depth that meet
are an error, and so are indices of different names, where the source's names can be trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fuseflow.interop.faults import refuse
from fuseflow.interop.graphs.draft import Draft, DraftNode
from fuseflow.ir import dataflow as df
from fuseflow.ir.dataflow import Op

__all__ = ["Nesting", "infer_nesting"]

Nest = tuple[int, ...]


class Nesting:
    """The nest of every wire, as classes of indices, and the name of every class."""

    def __init__(self, draft: Draft, *, strict: bool) -> None:
        """Start with nothing known; `strict` says that names of indices must agree."""
        self.draft = draft
        self.strict = strict
        self.nests: dict[int, Nest] = {}
        self.forks: dict[int, tuple[int, ...]] = {}
        self._parents: list[int] = []
        self._labels: list[str] = []

    def open(self, label: str) -> int:
        """Return a new index."""
        self._parents.append(len(self._parents))
        self._labels.append(label)
        return len(self._parents) - 1

    def root(self, index: int) -> int:
        """Return the class of an index."""
        while self._parents[index] != index:
            index = self._parents[index]
        return index

    def classes(self, wire: int) -> Nest:
        """Return the nest of a wire, outermost index first."""
        return tuple(self.root(index) for index in self.nests[wire])

    def label(self, index: int) -> str:
        """Return what the source calls an index, "" if it does not say."""
        return self._labels[self.root(index)]

    def names(self) -> Mapping[int, str]:
        """Return a name of its own for every class, as close to the source's as can be."""
        taken: dict[str, int] = {}
        for index in range(len(self._parents)):
            root = self.root(index)
            if root in taken.values():
                continue
            label = self._labels[root] or f"d{len(taken)}"
            name, copies = label, 1
            while name in taken:
                copies += 1
                name = f"{label}_{copies}"
            taken[name] = root
        return {root: name for name, root in taken.items()}

    def follow_lanes(self, node: DraftNode) -> None:
        """Note the depths of the forks that a node is behind; a gather ends the last of them.

        How much deeper its lanes are than what was forked is the depth of a gather, which foreign
        formats do not state.
        """
        inputs = [wire for wire in node.inputs if wire is not None]
        forks = max((self.forks.get(wire, ()) for wire in inputs), default=(), key=len)
        if node.op is Op.FORK:
            forks = (*forks, len(self.nests[inputs[0]]))
        elif node.op is Op.GATHER:
            if not forks:
                raise self._error(node, "it gathers lanes that no fork has dealt")
            depth = len(self.nests[inputs[0]]) - forks[-1]
            node.attrs = df.GatherAttrs(len(inputs), depth)
            forks = forks[:-1]
        self.forks |= {wire: forks for wire in node.outputs if wire is not None}

    def unify(self, node: DraftNode, one: Nest, other: Nest) -> None:
        """Make the indices of two nests the same.

        Raises:
            InterchangeError: X007 if they differ in depth, or in names that count.
        """
        if len(one) != len(other):
            message = f"streams of depth {len(one)} {self._path(one)} and {len(other)}"
            raise self._error(node, f"{message} {self._path(other)} meet")
        for a, b in zip(one, other, strict=True):
            first, second = sorted((self.root(a), self.root(b)))
            if first == second:
                continue
            labels = self._labels[first], self._labels[second]
            if self.strict and all(labels) and labels[0] != labels[1]:
                message = f"index {labels[0]} of {self._path(one)} meets {labels[1]}"
                raise self._error(node, f"{message} of {self._path(other)}")
            self._parents[second] = first
            self._labels[first] = labels[0] or labels[1]

    def _path(self, nest: Nest) -> str:
        return f"({','.join(self.label(index) or '?' for index in nest)})"

    def _error(self, node: DraftNode, message: str) -> Exception:
        return refuse("X007", message, graph=self.draft.name, node=node.name)


def infer_nesting(draft: Draft, *, strict: bool) -> Nesting:
    """Infer the nest of every wire of a sorted draft.

    Raises:
        InterchangeError: X007 with the node where nests do not fit.
    """
    nesting = Nesting(draft, strict=strict)
    for node in draft.nodes:
        nests = [nesting.nests[wire] for wire in node.inputs if wire is not None]
        outputs = _RULES.get(node.op, _same)(nesting, node, nests)
        for wire, nest in zip(node.outputs, outputs, strict=True):
            if wire is not None:
                nesting.nests[wire] = nest
        nesting.follow_lanes(node)
    return nesting


def _same(nesting: Nesting, node: DraftNode, nests: list[Nest]) -> list[Nest]:
    """All streams are read together, and what comes out is nested alike."""
    for other in nests[1:]:
        nesting.unify(node, nests[0], other)
    return [nests[0] if nests else ()] * len(node.outputs)


def _scan(nesting: Nesting, node: DraftNode, nests: list[Nest]) -> list[Nest]:
    return [(*nests[0], nesting.open(node.index))] * len(node.outputs)


def _outer_first(nesting: Nesting, node: DraftNode, nests: list[Nest]) -> list[Nest]:
    """The first stream is one level further out than the second one."""
    outer, inner = nests[0], nests[1]
    nesting.unify(node, outer, inner[:-1])
    for other in nests[2:]:
        nesting.unify(node, inner, other)
    return [outer if node.op is Op.DROP and not number else inner
            for number in range(len(node.outputs))]  # fmt: skip


def _locate(nesting: Nesting, node: DraftNode, nests: list[Nest]) -> list[Nest]:
    if len(nests) > 1:
        nesting.unify(node, nests[1], nests[0][:-1])
    return [nests[0]] * len(node.outputs)


def _reduce(nesting: Nesting, node: DraftNode, nests: list[Nest]) -> list[Nest]:
    nest = nests[0]
    if not nest:
        nesting.unify(node, nest, (nesting.open(""),))
    return [nest[:-1]]


def _spacc(nesting: Nesting, node: DraftNode, nests: list[Nest]) -> list[Nest]:
    """Keys come outermost first, the reduced one before them, then the values."""
    assert isinstance(node.attrs, df.SpaccAttrs)
    order, values = node.attrs.order, nests[node.attrs.order + 1]
    for depth, key in enumerate(nests[: order + 1]):
        nesting.unify(node, key, values[: len(values) - order + depth])
    reduced = len(values) - 1 - order
    kept = values[:reduced] + values[reduced + 1 :]
    return [*(kept[: reduced + 1 + depth] for depth in range(order)), kept]


def _writer(_nesting: Nesting, _node: DraftNode, _nests: list[Nest]) -> list[Nest]:
    return []


_RULES: Mapping[Op, Callable[[Nesting, DraftNode, list[Nest]], list[Nest]]] = {
    Op.SCAN: _scan,
    Op.FULL: _scan,
    Op.REPEAT: _outer_first,
    Op.HOLD: _outer_first,
    Op.DROP: _outer_first,
    Op.LOCATE: _locate,
    Op.REDUCE: _reduce,
    Op.SPACC: _spacc,
    Op.LEVEL_WRITE: _writer,
    Op.VAL_WRITE: _writer,
}
