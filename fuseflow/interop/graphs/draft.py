# SPDX-License-Identifier: MIT
"""A foreign graph as it was read: primitives of ours, but tensors and index tuples still open.

A foreign format says which tensor and which logical dimension a node touches. Which storage level
that is, how deep every stream is nested, and what is written where follows from the whole graph.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from fuseflow.interop.faults import refuse
from fuseflow.ir.dataflow import BroadcastAttrs, NoAttrs, Node, NodeAttrs, Op, StreamKind
from fuseflow.ir.op_specs import Port, ports_of

__all__ = ["Draft", "DraftNode", "Wire"]


@dataclass(frozen=True, slots=True)
class Wire:
    """One stream: its kind, the name it shall have, and room for tokens if that is stated."""

    kind: StreamKind
    name: str = ""
    capacity: int | None = None


@dataclass(slots=True, eq=False)
class DraftNode:
    """One node, with ports as `OP_SPECS` has them.

    `attrs` is final where ports depend on it; nodes that touch tensors have `tensor`, `mode` (the
    logical dimension) and `compressed` instead, None where the source does not say; with `final`
    their attributes are final too. `index` is the name of the index that a node opens, merges or
    writes, `number` its place in the source.
    """

    op: Op
    name: str
    inputs: list[int | None]
    outputs: list[int | None]
    attrs: NodeAttrs = field(default_factory=NoAttrs)
    tensor: str = ""
    mode: int | None = None
    compressed: bool | None = None
    index: str = ""
    number: int = 0
    final: bool = False

    def ports(self) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
        """Return input and output ports; those of tensor nodes do not depend on attributes."""
        return ports_of(Node(0, self.op, self.name, (), (), self.attrs))

    def copied(self) -> Iterator[tuple[int, int]]:
        """Yield (input wire, output wire) for every output that hands an input on unchanged."""
        inputs, outputs = self.ports()
        numbers = {port.name: number for number, port in enumerate(inputs)}
        for port, wire in zip(outputs, self.outputs, strict=False):
            source = self.inputs[numbers[port.same_as]] if port.same_as else None
            if source is not None and wire is not None:
                yield source, wire


@dataclass(slots=True)
class Draft:
    """A foreign graph; `remarks` says what was changed or must be watched.

    An `exact` one is wired as ours are, and nothing in it must be rewritten.
    """

    name: str
    nodes: list[DraftNode] = field(default_factory=list)
    wires: dict[int, Wire] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    exact: bool = False

    def wire(self, kind: StreamKind, name: str = "") -> int:
        """Add a wire under a free number."""
        number = max(self.wires, default=0) + 1
        self.wires[number] = Wire(kind, name)
        return number

    def producers(self) -> dict[int, DraftNode]:
        """Return the node that feeds each wire."""
        return {wire: node for node in self.nodes for wire in node.outputs if wire is not None}

    def readers(self) -> dict[int, list[tuple[DraftNode, int]]]:
        """Return the nodes that read each wire, with the position of the port."""
        found: dict[int, list[tuple[DraftNode, int]]] = {wire: [] for wire in self.wires}
        for node in self.nodes:
            for port, wire in enumerate(node.inputs):
                if wire is not None:
                    found[wire].append((node, port))
        return found

    def bypass(self, old: int, new: int) -> None:
        """Let everything that reads one wire read another one."""
        for node in self.nodes:
            node.inputs = [new if wire == old else wire for wire in node.inputs]

    def share_wires(self) -> None:
        """Put one broadcast behind every wire that several ports read.

        Broadcasts among the readers become a part of it: what they copy is one copy away from the
        producer before and after.
        """
        for wire, readers in sorted(self.readers().items()):
            if len(readers) < 2:
                continue
            spec = self.wires[wire]
            lanes: list[int | None] = []
            for node, port in readers:
                if node.op is Op.BROADCAST:
                    lanes += node.outputs
                    self.nodes.remove(node)
                else:
                    node.inputs[port] = self.wire(spec.kind, spec.name)
                    lanes.append(node.inputs[port])
            self.broadcast(wire, lanes)

    def broadcast(self, wire: int, lanes: list[int | None]) -> DraftNode:
        """Add a broadcast of a wire, right behind the node that feeds it."""
        name = f"broadcast {self.wires[wire].name or wire}"
        copier = DraftNode(Op.BROADCAST, name, [wire], lanes, BroadcastAttrs(len(lanes)))
        places = [n for n, node in enumerate(self.nodes) if wire in node.outputs]
        self.nodes.insert(places[0] + 1 if places else len(self.nodes), copier)
        return copier

    def prune(self, *, dissolve: bool = True) -> None:
        """Make outputs that nobody reads void, and drop broadcasts that this leaves useless.

        A broadcast that lost all readers but one is useless too, unless `dissolve` is False.
        """
        while True:
            readers = self.readers()
            unread = {wire for wire, users in readers.items() if not users}
            narrowed = [node for node in self.nodes if self._narrow(node, unread, dissolve)]
            for wire in unread:
                del self.wires[wire]
            if not narrowed:
                return
            self.nodes = [
                node for node in self.nodes if node.outputs or node.op is not Op.BROADCAST
            ]

    def _narrow(self, node: DraftNode, unread: set[int], dissolve: bool) -> bool:
        """Take unread outputs from a node; return whether that freed a wire that it reads."""
        if not unread.intersection(wire for wire in node.outputs if wire is not None):
            return False
        if node.op is not Op.BROADCAST:
            node.outputs = [None if wire in unread else wire for wire in node.outputs]
            return False
        lanes = [wire for wire in node.outputs if wire is not None and wire not in unread]
        source = node.inputs[0]
        assert source is not None
        if len(lanes) == 1 and dissolve:
            self.bypass(lanes[0], source)
            del self.wires[lanes[0]]
        if not lanes or (len(lanes) == 1 and dissolve):
            node.inputs, node.outputs = [], []
            return True
        node.outputs, node.attrs = list(lanes), BroadcastAttrs(len(lanes))
        return False

    def sort(self) -> None:
        """Put every node behind those that feed it; an order that does so already is kept.

        Raises:
            InterchangeError: X003 if the graph has a cycle, or a wire lacks its producer.
        """
        producers = self.producers()
        places = {id(node): place for place, node in enumerate(self.nodes)}
        feeds: dict[int, list[int]] = {place: [] for place in places.values()}
        waits = [0] * len(self.nodes)
        for place, node in enumerate(self.nodes):
            for source in self._sources(node, producers):
                feeds[places[id(source)]].append(place)
                waits[place] += 1
        ready = [place for place, count in enumerate(waits) if not count]
        ordered: list[DraftNode] = []
        while ready:
            place = heapq.heappop(ready)
            ordered.append(self.nodes[place])
            for reader in feeds[place]:
                waits[reader] -= 1
                if not waits[reader]:
                    heapq.heappush(ready, reader)
        if len(ordered) < len(self.nodes):
            stuck = next(node for node, count in zip(self.nodes, waits, strict=True) if count)
            message = "this node waits for itself: the graph has a cycle"
            raise refuse("X003", message, graph=self.name, node=stuck.name)
        self.nodes = ordered

    def _sources(self, node: DraftNode, producers: Mapping[int, DraftNode]) -> list[DraftNode]:
        missing = [wire for wire in node.inputs if wire is not None and wire not in producers]
        if missing:
            message = f"input stream {self.wires[missing[0]].name or missing[0]} has no producer"
            raise refuse("X003", message, graph=self.name, node=node.name)
        return [producers[wire] for wire in node.inputs if wire is not None]
