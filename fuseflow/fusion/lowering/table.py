# SPDX-License-Identifier: MIT
"""The fusion table of a kernel as a grid: rows are loops, columns are views, cells are nodes.

A cell holds the id of the node that makes the stream of that view at that loop (FuseFlow,
ASPLOS'26, section 6). `7*` repeats an element once per coordinate of the loop, `3 -7-` is node 3
behind join 7, `13!` comes out of an accumulator with every coordinate of the loop, `.` is nothing.
The last row, val, has the nodes that read or compute values.

Ids are those of the kernel as it was lowered, before lanes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fuseflow.fusion.analysis.views import View
from fuseflow.fusion.lowering.emit import Origin, Wire
from fuseflow.fusion.plan.group import Planned
from fuseflow.ir.dataflow import JoinAttrs, Op

__all__ = ["FusionTable", "format_table", "make_table"]

VAL = "val"
NOTHING = "."
WIDTH = 100


class FusionTable:
    """Cells by (view, row); a cell lists nodes in the order in which the stream passes them."""

    def __init__(self, columns: Sequence[View], rows: Sequence[str]) -> None:
        """Start with an empty grid; the row `val` comes last."""
        self.columns = tuple(columns)
        self.rows = (*rows, VAL)
        self._cells: dict[tuple[View, str], list[str]] = {}

    def add(self, view: View, row: str, text: str) -> None:
        """Put a node into a cell, once."""
        cell = self._cells.setdefault((view, row), [])
        if text not in cell:
            cell.append(text)

    def cell(self, view: View, row: str) -> str:
        """Return the text of a cell."""
        texts = self._cells.get((view, row), [])
        return " ".join(texts) or NOTHING


def make_table(planned: Planned) -> FusionTable:
    """Collect the cells of a kernel."""
    return _Filler(planned).run()


def format_table(table: FusionTable, title: str) -> Iterator[str]:
    """Yield the lines of a grid, in several panels if it is wide."""
    names = _short_names([view.value for view in table.columns])
    columns = [
        [name, *(table.cell(view, row) for row in table.rows)]
        for name, view in zip(names, table.columns, strict=True)
    ]
    labels = ["", *table.rows]
    edge = max(map(len, labels))
    yield title
    for panel in _panels(columns, WIDTH - edge):
        widths = [max(map(len, column)) for column in panel]
        for number, label in enumerate(labels):
            cells = (c[number].ljust(width) for c, width in zip(panel, widths, strict=True))
            yield f"  {label.ljust(edge)}  {'  '.join(cells)}".rstrip()
        yield ""


class _Filler:
    """Asks the lowering for its cells again; each is remembered, so nothing new is made."""

    def __init__(self, planned: Planned) -> None:
        self.planned = planned
        self.cells = planned.cells
        self.table = FusionTable(list(_columns(planned)), planned.plan.order)

    def run(self) -> FusionTable:
        for view in reversed(self.planned.plan.graph.ops):
            for number, operand in enumerate(view.operands):
                self._follow(operand, self.cells.operand(view, number))
            self._loops(view)
            self._values(view)
        return self.table

    def _origin(self, wire: Wire) -> Origin:
        return self.cells.builder.origin(wire)

    def _follow(self, operand: View, wire: Wire) -> None:
        """Walk from the stream that an operation reads back to where its operand comes from."""
        current: Wire | None = wire
        while current is not None:
            origin = self._origin(current)
            row = current.shape.indices[-1] if current.shape.indices else VAL
            if origin.op is Op.REPEAT:
                self._put(operand, row, origin, "{}*")
                current = origin.inputs[0]
            elif origin.op is Op.JOIN:
                current = _payload(origin, current)
                before = self._origin(current)
                if operand.op is None:
                    self._put(operand, row, before, "{}")
                    current = before.inputs[0]
                else:
                    self._put(operand, row, origin, "-{}-")
                    return
                self._put(operand, row, origin, "-{}-")
            elif origin.op in (Op.SCAN, Op.LOCATE):
                self._put(operand, row, origin, "{}")
                current = origin.inputs[-1]
            elif origin.op is Op.ARRAY:
                self._put(operand, VAL, origin, "{}")
                current = origin.inputs[0]
            else:
                return

    def _loops(self, view: View) -> None:
        """Enter what opens each loop of an operation, and what is born in its reductions."""
        nest = self.planned.plan.nests[view]
        born = self.cells.result(view).born
        for name in nest.full:
            self._put(view, name, self._origin(self.cells.crd(view, name)), "{}")
            if name in born:
                full = (view, name) in self.planned.plan.domains.full
                self._put(view, name, self._origin(born[name]), "{}!" if full else "{}")

    def _values(self, view: View) -> None:
        """Enter the nodes that compute an operation, the scalar function first."""
        assert view.op is not None
        chain: list[Origin] = []
        todo = [self.cells.result(view).value]
        while todo:
            origin = self._origin(todo.pop())
            if view.op.name in origin.sources and origin not in chain:
                chain.append(origin)
                todo += [wire for wire in origin.inputs if wire is not None]
        for origin in sorted(chain, key=lambda origin: (origin.node is None, origin.node or 0)):
            self._put(view, VAL, origin, "{}")

    def _put(self, view: View, row: str, origin: Origin, pattern: str) -> None:
        if origin.node is not None:
            self.table.add(view, row, pattern.format(origin.node))


def _payload(origin: Origin, wire: Wire) -> Wire:
    """Return the input of a join that leaves it as `wire`."""
    assert isinstance(origin.attrs, JoinAttrs)
    inputs = iter(origin.inputs)
    payloads: list[Wire] = []
    for count in origin.attrs.payloads:
        next(inputs)
        for _ in range(count):
            payload = next(inputs)
            assert payload is not None
            payloads.append(payload)
    return payloads[wire.port - 1]


def _columns(planned: Planned) -> Iterator[View]:
    """Yield the views, producers first, each tensor before its first use."""
    seen: set[View] = set()
    for view in reversed(planned.plan.graph.ops):
        for operand in view.operands:
            if operand.op is None and operand not in seen:
                seen.add(operand)
                yield operand
        yield view


def _short_names(names: Sequence[str]) -> list[str]:
    """Drop leading parts of dotted names as long as they stay apart; several views get primes."""
    short: list[str] = []
    for name in names:
        parts = name.split(".")
        others = set(names) - {name}
        for count in range(1, len(parts) + 1):
            tail = ".".join(parts[-count:])
            if not any(other == tail or other.endswith(f".{tail}") for other in others):
                break
        short.append(tail)
    return [name + "'" * short[:n].count(name) for n, name in enumerate(short)]


def _panels(columns: Sequence[list[str]], width: int) -> Iterator[list[list[str]]]:
    """Split columns so that each panel fits into a width; a wide column stands alone."""
    panel: list[list[str]] = []
    used = 0
    for column in columns:
        need = 2 + max(map(len, column))
        if panel and used + need > width:
            yield panel
            panel, used = [], 0
        panel.append(column)
        used += need
    if panel:
        yield panel
