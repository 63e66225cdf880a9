# SPDX-License-Identifier: MIT
"""The text of a DOT graph: statements and attributes, with no idea of what they mean.

Tolerant where files of this family differ: strings hold raw line ends, attributes are separated by
blanks, commas or semicolons, a node may be listed twice. Node attributes occur plainly and packed
in a comment, `comment="type=reduce,index=i"`; the plain ones count.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field

from fuseflow.interop.faults import malformed

__all__ = ["DotEdge", "DotGraph", "parse_dot"]

_TOKEN = re.compile(
    r"""\s*(?:(?:\#|//)[^\n]*\s*|/\*.*?\*/\s*)*(?:
        (?P<string>"(?:[^"\\]|\\.)*")
      | (?P<arrow>->|--)
      | (?P<mark>[{}\[\]=,;])
      | (?P<word>[^\s{}\[\]=,;"#-]+(?:-(?!>)[^\s{}\[\]=,;"-]*)*|-[0-9.]+)
    )""",
    re.VERBOSE | re.DOTALL,
)
_REST = re.compile(r"\s*(?:(?:#|//)[^\n]*\s*|/\*.*?\*/\s*)*\Z", re.DOTALL)
_DEFAULTS = ("graph", "node", "edge")

Attributes = dict[str, str]


@dataclass(frozen=True, slots=True)
class DotEdge:
    """One edge, in the order of the file."""

    source: str
    target: str
    attributes: Attributes


@dataclass(slots=True)
class DotGraph:
    """A graph: its name and attributes, nodes by id, edges in the order of the file."""

    name: str = ""
    attributes: Attributes = field(default_factory=dict)
    nodes: dict[str, Attributes] = field(default_factory=dict)
    edges: list[DotEdge] = field(default_factory=list)


def parse_dot(text: str) -> DotGraph:
    """Read one directed graph.

    Raises:
        InterchangeError: X001 with the line, for what is no DOT text, for subgraphs, for undirected
            edges, and for a node that is listed twice with different attributes.
    """
    return _Parser(text).graph()


class _Parser:
    """One token of lookahead, `kind` "end" behind the last one."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.start = 0
        self.kind, self.token = "", ""
        self.advance()

    def graph(self) -> DotGraph:
        while self.token.lower() == "strict":
            self.advance()
        if self.token.lower() != "digraph":
            raise self.error('expected "digraph"')
        self.advance()
        graph = DotGraph(self._id() if self.token != "{" else "")
        self._expect("{")
        while self.token != "}" or self.kind == "string":
            if self.kind == "end":
                raise self.error('the text ends before "}"')
            if self.token == ";" and self.kind == "mark":
                self.advance()
            else:
                self._statement(graph)
        self.advance()
        return graph

    def _statement(self, graph: DotGraph) -> None:
        name = self._id()
        if self.token == "=":
            self.advance()
            graph.attributes[name] = self._id()
            return
        targets = [name]
        while self.kind == "arrow":
            if self.token != "->":
                raise self.error("expected a directed edge, ->")
            self.advance()
            targets.append(self._id())
        attributes = self._attributes()
        if len(targets) > 1:
            pairs = itertools.pairwise(targets)
            graph.edges += [DotEdge(source, target, attributes) for source, target in pairs]
        elif name in _DEFAULTS:
            return
        elif graph.nodes.setdefault(name, _unpacked(attributes)) != _unpacked(attributes):
            raise self.error(f"node {name} is listed twice, with different attributes")

    def _attributes(self) -> Attributes:
        found: Attributes = {}
        while self.token == "[" and self.kind == "mark":
            self.advance()
            while self.token != "]" or self.kind == "string":
                if self.kind == "mark" and self.token in (",", ";"):
                    self.advance()
                    continue
                name = self._id()
                self._expect("=")
                found[name] = self._id()
            self.advance()
        return found

    def _id(self) -> str:
        if self.kind not in ("word", "string"):
            raise self.error(f"expected a name, found {self.token or 'the end'}")
        token = self.token[1:-1].replace('\\"', '"') if self.kind == "string" else self.token
        self.advance()
        return token

    def _expect(self, mark: str) -> None:
        if self.kind != "mark" or self.token != mark:
            raise self.error(f'expected "{mark}", found {self.token or "the end"}')
        self.advance()

    def advance(self) -> None:
        """Read the next token."""
        if _REST.match(self.text, self.position):
            self.kind, self.token = "end", ""
            return
        match = _TOKEN.match(self.text, self.position)
        if match is None or match.lastgroup is None:
            self.start = self.position
            raise self.error("this is no DOT text")
        self.kind, self.token = match.lastgroup, match[match.lastgroup]
        self.start, self.position = match.start(match.lastgroup), match.end()

    def error(self, message: str) -> Exception:
        """Return an error at the current token."""
        line = self.text.count("\n", 0, self.start) + 1
        return malformed(f"line {line}: {message}")


def _unpacked(attributes: Attributes) -> Attributes:
    """Return the attributes of a node, those packed in its comment included."""
    packed = (item.partition("=") for item in attributes.get("comment", "").split(","))
    found = {name.strip(): value.strip() for name, equals, value in packed if equals}
    return found | {name: value for name, value in attributes.items() if name != "comment"}
