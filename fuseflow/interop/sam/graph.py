# SPDX-License-Identifier: MIT
"""A SAM graph: nodes, and links from an output port to an input port.

Edges of the file name a kind of stream, and sometimes a port in a comment. Ports are matched by
that name first, then by kind and by the order of the file, which is the order of operands too. What
stays ambiguous is an error. Broadcasts dissolve: a link goes from a maker to a reader.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from fuseflow.errors import InterchangeError
from fuseflow.interop.faults import refuse
from fuseflow.interop.sam.dot import Attributes, DotEdge, DotGraph

__all__ = ["Link", "SamGraph", "SamNode", "link_graph"]

JOINS = ("intersect", "union")
PAIRS = ("crddrop", "crdhold")
_DRAWING = ("color", "shape", "style", "label")
_KINDS = ("crd", "ref", "val", "repsig")
_FLAGS = ("special", "vr_special")


@dataclass(slots=True, eq=False)
class SamNode:
    """One node with the attributes that mean something."""

    id: str
    type: str
    attributes: Attributes

    @property
    def title(self) -> str:
        """Return what errors call the node."""
        named = ("outer", "inner") if self.type in PAIRS else ("tensor", "index", "in0")
        words = [self.attributes[name] for name in named if name in self.attributes]
        return " ".join([self.type, *words, f"#{self.id}"])

    def get(self, name: str) -> str:
        """Return an attribute, "" if it is absent."""
        return self.attributes.get(name, "")


@dataclass(slots=True, eq=False)
class Link:
    """One stream from a port of a node to a port of another one."""

    source: SamNode
    output: str
    target: SamNode
    input: str
    kind: str


@dataclass(slots=True)
class SamGraph:
    """Nodes by id, links in the order of the file, and remarks."""

    name: str
    header: str
    nodes: dict[str, SamNode] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def into(self, node: SamNode) -> list[Link]:
        """Return the links that end at a node, in the order of the file."""
        return [link for link in self.links if link.target is node]

    def out_of(self, node: SamNode) -> list[Link]:
        """Return the links that start at a node."""
        return [link for link in self.links if link.source is node]

    def feeding(self, node: SamNode, port: str) -> Link:
        """Return the link that ends at a port.

        Raises:
            InterchangeError: X006 if there is none, or several.
        """
        found = [link for link in self.into(node) if link.input == port]
        if len(found) != 1:
            problem = "several streams" if found else "no stream"
            raise self.error("X006", node, f"its input {port} has {problem}")
        return found[0]

    def remove(self, node: SamNode) -> None:
        """Take a node and its links out."""
        del self.nodes[node.id]
        self.links = [link for link in self.links if node not in (link.source, link.target)]

    def error(self, rule: str, node: SamNode, message: str) -> InterchangeError:
        """Return an error about a node."""
        return refuse(rule, message, graph=self.name, node=node.title)


def link_graph(dot: DotGraph, name: str) -> SamGraph:
    """Return the graph of a DOT text with every edge matched to its ports.

    Raises:
        InterchangeError: X001 if nodes or kinds are missing, X006 if a port cannot be told.
    """
    graph = SamGraph(name, dot.attributes.get("comment", ""))
    for number, attributes in dot.nodes.items():
        kept = {key: value for key, value in attributes.items() if key not in _DRAWING}
        graph.nodes[number] = SamNode(number, kept.pop("type", "node"), kept)
    for edge in dot.edges:
        for end in (edge.source, edge.target):
            if end not in graph.nodes:
                raise refuse("X001", f"an edge names node {end}, which is not there", graph=name)
        _note_flags(graph, edge)
    readings = [
        (graph.nodes[source], graph.nodes[target], kind, at_source, at_target)
        for source, target, kind, at_source, at_target in _without_broadcasts(graph, dot.edges)
    ]
    _match(graph, readings)
    for node in [node for node in graph.nodes.values() if node.type == "broadcast"]:
        graph.remove(node)
    return graph


def _note_flags(graph: SamGraph, edge: DotEdge) -> None:
    found = [flag for flag in _FLAGS if edge.attributes.get(flag) == "true"]
    if found:
        ends = f"{edge.source} -> {edge.target}"
        graph.remarks.append(f"edge {ends}: {', '.join(found)} belongs to a chip, ignored")


def _without_broadcasts(
    graph: SamGraph, edges: Sequence[DotEdge]
) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield source, target, kind, name at the source, name at the target of every stream.

    A name may stand on either side of a broadcast; the nearer one counts.
    """
    outgoing: dict[str, list[DotEdge]] = {}
    incoming: dict[str, DotEdge] = {}
    for edge in edges:
        outgoing.setdefault(edge.source, []).append(edge)
        incoming[edge.target] = edge
    for edge in edges:
        if graph.nodes[edge.target].type == "broadcast":
            if edge.target not in outgoing:
                raise graph.error("X006", graph.nodes[edge.target], "nobody reads it")
            continue
        first, visited = edge, set()
        while graph.nodes[first.source].type == "broadcast":
            copier = first.source
            if copier not in incoming or copier in visited:
                raise graph.error("X006", graph.nodes[copier], "nobody feeds it")
            visited.add(copier)
            first = incoming[copier]
        names = (first.attributes.get("comment", ""), edge.attributes.get("comment", ""))
        kind = edge.attributes.get("type") or first.attributes.get("type", "")
        if kind not in _KINDS:
            message = f'edge {edge.source} -> {edge.target} has kind "{kind}"'
            raise refuse("X001", message, graph=graph.name, fix=f"use {', '.join(_KINDS)}")
        yield first.source, edge.target, kind, names[0] or names[1], names[1] or names[0]


def _match(graph: SamGraph, readings: Sequence[tuple[SamNode, SamNode, str, str, str]]) -> None:
    sides = {
        node: _sides(reading for reading in readings if reading[1] is node)
        for node in graph.nodes.values()
        if node.type in JOINS
    }
    taken: dict[SamNode, list[str]] = {}
    for source, target, kind, at_source, at_target in readings:
        output = _output(graph, source, kind, at_source, sides.get(source, []))
        used = taken.setdefault(target, [])
        port = _input(graph, target, kind, at_target, used, sides.get(target, []))
        used.append(port)
        graph.links.append(Link(source, output, target, port, kind))


def _sides(readings: Iterator[tuple[SamNode, SamNode, str, str, str]]) -> list[str]:
    """Return what the sides of a join are called, in the order of the file."""
    names = [name.removeprefix("in-") for *_, kind, _, name in readings if kind == "crd"]
    return [name or str(number) for number, name in enumerate(names)]


def _output(graph: SamGraph, node: SamNode, kind: str, name: str, sides: list[str]) -> str:
    """Return the output port of an edge."""
    if node.type in JOINS and kind in ("ref", "val"):
        side = name.removeprefix("out-").removeprefix("in-")
        if side not in sides or sides.count(side) > 1:
            message = f'its output "{name}" is none of {", ".join(f"out-{s}" for s in sides)}'
            raise graph.error("X006", node, message)
        return f"pay{sides.index(side)}"
    if node.type in PAIRS:
        return _pair_output(graph, node, kind, name)
    if node.type == "spaccumulator" and kind == "crd":
        return f"crd {name.rpartition('-')[2]}"
    return kind


def _pair_output(graph: SamGraph, node: SamNode, kind: str, name: str) -> str:
    role, _, index = name.partition("-")
    if kind == "val" or role in ("outer", "inner"):
        return "inner" if kind == "val" else role
    for side in ("outer", "inner"):
        if node.get(side) == (index or role):
            return side
    raise graph.error("X006", node, f'its output "{name}" is neither outer nor inner')


def _input(
    graph: SamGraph, node: SamNode, kind: str, name: str, used: list[str], sides: list[str]
) -> str:
    """Return the input port of an edge."""
    if node.type in JOINS:
        return _join_input(graph, node, kind, name.removeprefix("in-"), used, sides)
    index = name.rpartition("-")[2]
    if node.type in PAIRS:
        wanted = [side for side in ("outer", "inner") if node.get(side) == index]
        if kind == "val":
            wanted = ["inner"]
        free = [side for side in wanted or ("outer", "inner") if side not in used]
        if not free:
            raise graph.error("X006", node, f'its input "{name}" is taken')
        return free[0]
    if node.type == "spaccumulator" and kind == "crd":
        return f"crd {index}"
    if kind == "val":
        return f"val{sum(port.startswith('val') for port in used)}"
    return kind


def _join_input(
    graph: SamGraph, node: SamNode, kind: str, side: str, used: list[str], sides: list[str]
) -> str:
    role = "crd" if kind == "crd" else "pay"
    number = sum(port.startswith(role) for port in used)
    if side and sides.count(side) == 1:
        number = sides.index(side)
    port = f"{role}{number}"
    if port in used or number >= len(sides):
        names = ", ".join(f"in-{name}" for name in sides)
        raise graph.error("X006", node, f'its input "in-{side}" is none of {names}, or is taken')
    return port
