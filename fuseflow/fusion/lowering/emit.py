# SPDX-License-Identifier: MIT
"""Builds one dataflow graph: equal nodes once, fan-out made explicit, dead nodes left out.

Lowering asks for nodes and gets wires; it need not know whether a node existed before or how many
readers a wire will have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from fuseflow.ir.dataflow import (
    BroadcastAttrs,
    DataflowGraph,
    Node,
    NodeAttrs,
    Op,
    Stream,
    StreamKind,
)

__all__ = ["GraphBuilder", "Origin", "Shape", "Wire"]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a stream carries: its kind, its open index classes and one domain id for each."""

    kind: StreamKind
    indices: tuple[str, ...] = ()
    domains: tuple[int, ...] = ()

    def within(self, name: str, domain: int) -> Shape:
        """Return the shape one level deeper."""
        return Shape(self.kind, (*self.indices, name), (*self.domains, domain))

    def of_kind(self, kind: StreamKind) -> Shape:
        """Return the same nesting for another kind of element."""
        return Shape(kind, self.indices, self.domains)


@dataclass(frozen=True, slots=True)
class Wire:
    """One output of one draft node."""

    node: int
    port: int
    shape: Shape


@dataclass(frozen=True, slots=True)
class Origin:
    """What makes a wire; `node` is its id in the finished graph, None if it is not in it."""

    node: int | None
    op: Op
    attrs: NodeAttrs
    inputs: tuple[Wire | None, ...]
    sources: tuple[str, ...]


@dataclass(slots=True)
class _Draft:
    op: Op
    attrs: NodeAttrs
    name: str
    inputs: tuple[Wire | None, ...]
    outputs: tuple[Shape, ...]
    sources: list[str] = field(default_factory=list)


class GraphBuilder:
    """Collects draft nodes in creation order, which is a topological order."""

    def __init__(self) -> None:
        """Start an empty graph."""
        self._drafts: list[_Draft] = []
        self._known: dict[tuple[object, ...], int] = {}
        self._numbers: dict[int, int] = {}

    def add(
        self,
        op: Op,
        attrs: NodeAttrs,
        inputs: Sequence[Wire | None],
        outputs: Sequence[Shape],
        *,
        name: str,
        source: str = "",
        sources: Sequence[str] = (),
    ) -> tuple[Wire, ...]:
        """Return the outputs of a node with these attributes and inputs, made on first request.

        Nodes that do the same in different loops stay apart, so that every stream has one nesting.
        """
        key = (op, attrs, tuple(inputs), tuple(outputs))
        number = self._known.setdefault(key, len(self._drafts))
        if number == len(self._drafts):
            self._drafts.append(_Draft(op, attrs, name, tuple(inputs), tuple(outputs)))
        draft = self._drafts[number]
        new = [s for s in (source, *sources) if s and s not in draft.sources]
        draft.sources.extend(new)
        return tuple(Wire(number, port, shape) for port, shape in enumerate(draft.outputs))

    def finish(self, name: str, einsums: tuple[str, ...], order: tuple[str, ...]) -> DataflowGraph:
        """Return the graph of all nodes that a writer depends on."""
        assembler = _Assembler(self._drafts, self._live())
        graph = assembler.run(DataflowGraph(name, einsums=einsums, order=order))
        self._numbers = assembler.numbers
        return graph

    def origin(self, wire: Wire) -> Origin:
        """Return what makes a wire, under its id in the graph that was finished last."""
        draft = self._drafts[wire.node]
        sources = tuple(draft.sources)
        return Origin(self._numbers.get(wire.node), draft.op, draft.attrs, draft.inputs, sources)

    def _live(self) -> set[int]:
        """Return the drafts that a node without outputs (a writer) reads, directly or not."""
        live: set[int] = set()
        todo = [n for n, draft in enumerate(self._drafts) if not draft.outputs]
        while todo:
            number = todo.pop()
            if number not in live:
                live.add(number)
                todo += [wire.node for wire in self._drafts[number].inputs if wire is not None]
        return live


class _Assembler:
    """Numbers streams and nodes, and puts a broadcast behind every wire with several readers."""

    def __init__(self, drafts: Sequence[_Draft], live: set[int]) -> None:
        self.drafts = [(n, draft) for n, draft in enumerate(drafts) if n in live]
        self.readers: dict[tuple[int, int], int] = {}
        for _, draft in self.drafts:
            for wire in draft.inputs:
                if wire is not None:
                    key = (wire.node, wire.port)
                    self.readers[key] = self.readers.get(key, 0) + 1
        self.supply: dict[tuple[int, int], list[int]] = {}
        self.numbers: dict[int, int] = {}

    def run(self, graph: DataflowGraph) -> DataflowGraph:
        for number, draft in self.drafts:
            inputs = tuple(self._take(wire) for wire in draft.inputs)
            outputs = tuple(
                self._open(graph, (number, port), shape, f"{draft.name}.{port}")
                for port, shape in enumerate(draft.outputs)
            )
            self.numbers[number] = len(graph.nodes)
            self._append(graph, draft, inputs, outputs)
            for port, sid in enumerate(outputs):
                if sid is not None:
                    self._fan_out(graph, (number, port), sid, draft)
        return graph

    def _take(self, wire: Wire | None) -> int | None:
        return None if wire is None else self.supply[wire.node, wire.port].pop(0)

    def _open(
        self, graph: DataflowGraph, key: tuple[int, int], shape: Shape, name: str
    ) -> int | None:
        return self._stream(graph, shape, name) if self.readers.get(key) else None

    def _stream(self, graph: DataflowGraph, shape: Shape, name: str) -> int:
        sid = len(graph.streams) + 1
        graph.streams[sid] = Stream(sid, shape.kind, shape.indices, shape.domains, name)
        return sid

    def _append(
        self,
        graph: DataflowGraph,
        draft: _Draft,
        inputs: tuple[int | None, ...],
        outputs: tuple[int | None, ...],
    ) -> None:
        node = Node(
            len(graph.nodes), draft.op, draft.name, inputs, outputs, draft.attrs, (*draft.sources,)
        )
        graph.nodes.append(node)

    def _fan_out(self, graph: DataflowGraph, key: tuple[int, int], sid: int, draft: _Draft) -> None:
        count = self.readers[key]
        if count == 1:
            self.supply[key] = [sid]
            return
        shape = draft.outputs[key[1]]
        name = f"{graph.streams[sid].name} copies"
        copies = [self._stream(graph, shape, f"{name}.{c}") for c in range(count)]
        node = Node(
            len(graph.nodes),
            Op.BROADCAST,
            name,
            (sid,),
            tuple(copies),
            BroadcastAttrs(count),
            (*draft.sources,),
        )
        graph.nodes.append(node)
        self.supply[key] = copies
