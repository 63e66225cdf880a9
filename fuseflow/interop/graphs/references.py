# SPDX-License-Identifier: MIT
"""Which tensor and which storage level does each node walk? Reference streams tell.

A foreign scan names a logical dimension. Its level is the number of levels that lie between the
root of the tensor and the scan, along the references. A root and a locate need not say whose they
are: that is found backwards, from the nodes that read what they send.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from fuseflow.interop.faults import refuse
from fuseflow.interop.graphs.draft import Draft, DraftNode
from fuseflow.ir.dataflow import LocateAttrs, Op, StreamKind

__all__ = ["Walk", "owners_of", "trace_references"]


@dataclass(slots=True)
class Walk:
    """What a graph does with one tensor that it reads, by level.

    `modes` has the logical dimension that the source states, `compressed` the format, `wires` a
    stream that is nested in the index of the level last. `depth` is how many levels lie above the
    values.
    """

    modes: dict[int, int] = field(default_factory=dict)
    compressed: dict[int, bool] = field(default_factory=dict)
    wires: dict[int, list[int]] = field(default_factory=dict)
    depth: int = 0


class _Tracer:
    def __init__(self, draft: Draft, spaces: Collection[str] = ()) -> None:
        self.draft = draft
        self.spaces = spaces
        self.wanted: dict[int, str] = {}
        self.visited: dict[int, int] = {}
        self.levels: dict[int, int] = {}
        self.walks: dict[str, Walk] = {}

    def look_back(self) -> None:
        """Find out whose references every wire carries, from readers to producers."""
        for node in reversed(self.draft.nodes):
            if node.op in (Op.SCAN, Op.ARRAY) and node.tensor not in self.spaces:
                self._want(node, node.inputs[0], node.tensor)
            for source, copy in node.copied():
                if self.draft.wires[source].kind is StreamKind.REF and copy in self.wanted:
                    self._want(node, source, self.wanted[copy])
            sent = node.outputs[-1] if node.op in (Op.ROOT, Op.LOCATE) else None
            if sent is not None:
                node.tensor = self.wanted.get(sent, node.tensor)
            if node.op is Op.LOCATE:
                self._want(node, node.inputs[1], node.tensor)

    def look_ahead(self) -> None:
        """Count the levels behind every reference, and note what is walked."""
        for node in self.draft.nodes:
            if node.op is Op.ROOT:
                self._leave(node.outputs[0], 0)
            elif node.op is Op.LOCATE:
                self._look_up(node)
            elif node.op is Op.SCAN:
                self._enter(node, self._arrival(node))
            elif node.op is Op.ARRAY:
                walk = self.walks.setdefault(node.tensor, Walk())
                walk.depth = max(walk.depth, self._arrival(node))
            for source, wire in node.copied():
                if source in self.visited:
                    self._leave(wire, self.visited[source])

    def _want(self, node: DraftNode, wire: int | None, tensor: str) -> None:
        if wire is None:
            return
        other = self.wanted.setdefault(wire, tensor)
        if other != tensor:
            name = self.draft.wires[wire].name or str(wire)
            message = f'references of stream {name} enter "{tensor}" and "{other}"'
            raise refuse("X008", message, graph=self.draft.name, node=node.name)

    def _arrival(self, node: DraftNode) -> int:
        wire = node.inputs[0]
        if wire is None or wire not in self.visited:
            message = "the references that it reads come from no root"
            raise refuse("X008", message, graph=self.draft.name, node=node.name)
        return self.visited[wire]

    def _look_up(self, node: DraftNode) -> None:
        """Note what a locate enters; ours may enter dense levels in any order."""
        parent = node.inputs[1]
        above = self.visited.get(parent, 0) if parent is not None else 0
        level = node.attrs.level if isinstance(node.attrs, LocateAttrs) else 0
        self._enter(node, level)
        self._leave(node.outputs[1], max(above, level + 1))

    def _enter(self, node: DraftNode, level: int) -> None:
        """Note that a node walks a level, and that its references are behind it."""
        walk = self.walks.setdefault(node.tensor, Walk())
        self.levels[id(node)] = level
        agrees = True
        if node.mode is not None:
            agrees = walk.modes.setdefault(level, node.mode) == node.mode
        if node.compressed is not None:
            stated = walk.compressed.setdefault(level, node.compressed)
            agrees = agrees and stated == node.compressed
        if not agrees:
            message = f'nodes disagree on level {level} of "{node.tensor}"'
            raise refuse("X008", message, graph=self.draft.name, node=node.name)
        crd = node.outputs[0]
        wire = node.outputs[1] if crd is None else crd
        if wire is not None and not isinstance(node.attrs, LocateAttrs):
            walk.wires.setdefault(level, []).append(wire)
        walk.depth = max(walk.depth, level + 1)
        self._leave(node.outputs[1], level + 1)

    def _leave(self, wire: int | None, visited: int) -> None:
        if wire is not None:
            self.visited[wire] = visited


def owners_of(draft: Draft, spaces: Collection[str]) -> dict[int, str]:
    """Return the tensor that the references of each wire enter; the draft must be sorted.

    `spaces` are index tensors, which any reference may enter.
    """
    tracer = _Tracer(draft, spaces)
    tracer.look_back()
    return tracer.wanted


def trace_references(draft: Draft) -> tuple[dict[str, Walk], dict[int, int]]:
    """Return how each tensor is walked, and the level of every scan and locate by `id`.

    Roots and locates are given the tensor that they belong to; the draft must be sorted.

    Raises:
        InterchangeError: X008 if references of one stream enter two tensors, or come from nowhere.
    """
    tracer = _Tracer(draft)
    tracer.look_back()
    tracer.look_ahead()
    return tracer.walks, tracer.levels
