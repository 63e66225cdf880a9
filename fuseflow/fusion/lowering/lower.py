# SPDX-License-Identifier: MIT
"""Lowering: views, nests and domains of a region become one graph of streaming primitives.

Every cell of the fusion table (FuseFlow, ASPLOS'26, section 6) is a stream that is made on first
request and remembered: the coordinates of a cluster, the reference of a leaf after a level, the
value of an operand, the result of an operation. Which reducer an operation gets follows from the
position of its reduced classes alone.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from fuseflow.fusion.analysis.clusters import Clusters
from fuseflow.fusion.analysis.domains import EVERYTHING, Domains, implies
from fuseflow.fusion.analysis.support import Fills
from fuseflow.fusion.analysis.tuples import IllegalOrderError, Nest
from fuseflow.fusion.analysis.views import View, ViewGraph
from fuseflow.fusion.lowering.emit import GraphBuilder, Shape, Wire
from fuseflow.fusion.lowering.joins import Joiner, Participant
from fuseflow.fusion.lowering.leaves import LeafWalker
from fuseflow.fusion.lowering.reducers import Reduced, emit_reductions
from fuseflow.fusion.tile_ops import tile_op_of
from fuseflow.ir import dataflow as df
from fuseflow.ir.dataflow import DataflowGraph, Op, StreamKind
from fuseflow.ir.einsum import Value
from fuseflow.ir.tensor import Format, LevelFormat

__all__ = ["Lowering", "Plan"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is decided about a region before nodes are made."""

    graph: ViewGraph
    order: tuple[str, ...]
    nests: Mapping[View, Nest]
    domains: Domains
    clusters: Clusters


class Lowering:
    """Makes the nodes of one region. Use `run`; the other methods are the cells of the table."""

    def __init__(
        self,
        plan: Plan,
        values: Mapping[str, Value],
        fills: Fills,
        stored_as: Mapping[View, str] | None = None,
    ) -> None:
        """Prepare to lower a plan.

        Leaves in `values` have a format; `stored_as` names the tensor of leaves that are read from
        a copy.
        """
        self.plan = plan
        self.values = values
        self._stored_as = stored_as or {}
        self.fills = fills
        self.builder = GraphBuilder()
        self.joiner = Joiner(self.builder)
        self.leaves = LeafWalker(self)
        self._memo: dict[Hashable, object] = {}
        self._active: set[Hashable] = set()

    def run(self, name: str) -> tuple[DataflowGraph, dict[str, Format]]:
        """Return the kernel and the format in which each output of the region is written.

        Raises:
            IllegalOrderError: if a stream would depend on itself, or a condition asks for
                coordinates that are not open at that point.
        """
        for view in reversed(self.plan.graph.ops):
            self.result(view)
        formats = {
            value: self._write(view) for value, view in sorted(self.plan.graph.outputs.items())
        }
        einsums = tuple(op.name for op in self.plan.graph.region.ops)
        return self.builder.finish(name, einsums, self.plan.order), formats

    def tensor(self, leaf: View) -> Value:
        """Return the tensor that a leaf is read from."""
        return self.values[self._stored_as.get(leaf, leaf.value)]

    def format(self, leaf: View) -> Format:
        """Return how a leaf is stored."""
        fmt = self.tensor(leaf).format
        assert fmt is not None
        return fmt

    # Cells -------------------------------------------------------------------------------------

    def crd(self, view: View, name: str) -> Wire:
        """Return the coordinates that an operation iterates at one of its levels."""
        return self._cluster(view, name)[0]

    def payload(self, view: View, name: str, payload: Wire) -> Wire | None:
        """Return what became of a payload in the join of a level; None if it did not enter."""
        return self._cluster(view, name)[1].get(payload)

    def result(self, view: View) -> Reduced:
        """Return the result stream of an operation, with the coordinates born in it."""
        return self._once(("result", view), lambda: self._make_result(view))

    def shape(self, view: View, depth: int, kind: StreamKind) -> Shape:
        """Return the shape of a stream nested in the first `depth` classes of an operation."""
        names = self.plan.nests[view].full[:depth]
        ids = tuple(self.plan.clusters.domain_id((view, name)) for name in names)
        return Shape(kind, names, ids)

    def root(self, tensor: str = "") -> Wire:
        """Return the reference 0 that enters a tensor, or starts a dense loop."""
        label = f"root {tensor}" if tensor else "root"
        shape = Shape(StreamKind.REF)
        return self.builder.add(Op.ROOT, df.RootAttrs(tensor), (), (shape,), name=label)[0]

    def repeat(self, view: View, wire: Wire, depth: int) -> Wire:
        """Repeat a stream nested in `depth` classes of an operation along the next class."""
        name = self.plan.nests[view].full[depth]
        shape = self.shape(view, depth + 1, wire.shape.kind)
        signal = self.crd(view, name)
        (out,) = self.builder.add(
            Op.REPEAT, df.NoAttrs(), (wire, signal), (shape,), name=f"repeat {name}"
        )
        if wire in self.joiner.missing:
            self.joiner.missing.add(out)
        return out

    # Clusters ----------------------------------------------------------------------------------

    def _cluster(self, view: View, name: str) -> tuple[Wire, dict[Wire, Wire]]:
        view, name = self.plan.clusters.root((view, name))
        return self._once(("cluster", view, name), lambda: self._make_cluster(view, name))

    def _make_cluster(self, view: View, name: str) -> tuple[Wire, dict[Wire, Wire]]:
        nest = self.plan.nests[view]
        depth = nest.full.index(name)
        condition = self.plan.domains.at[view, name]
        wanted = {atom for clause in condition for atom in clause}
        participants = self._participants(view, name, wanted)
        missing = wanted.difference(*(participant.atoms for participant in participants))
        if missing:
            absent = ", ".join(sorted(f"{atom[0]} at {name}" for atom in missing))
            raise IllegalOrderError(view.value, f"{absent} is not open in its loop")

        shape = self.shape(view, depth + 1, StreamKind.CRD)

        def every_coordinate() -> Wire:
            return self._every_coordinate(view, name, shape)

        return self.joiner.join(condition, participants, every_coordinate, shape, name)

    def _every_coordinate(self, view: View, name: str, shape: Shape) -> Wire:
        """Return all coordinates of a dense level: from an accumulator that emits it, or new.

        An accumulator may only drive a loop that it does not itself depend on.
        """
        members = {member for member, _ in self._members(view, name)}
        for member, _ in self._members(view, name):
            for operand in member.operands:
                if (operand, name) in self.plan.domains.full and not members & _ancestors(operand):
                    return self.emitted(operand, name)[0]
        depth = len(shape.indices) - 1
        outer = self.crd(view, shape.indices[depth - 1]) if depth else self.root()
        attrs = df.FullAttrs(self.plan.graph.classes[name])
        return self.builder.add(Op.FULL, attrs, (outer,), (shape,), name=f"full {name}")[0]

    def _members(self, view: View, name: str) -> list[tuple[View, str]]:
        return self.plan.clusters.members[self.plan.clusters.root((view, name))]

    def _participants(
        self, view: View, name: str, wanted: set[tuple[View, str]]
    ) -> list[Participant]:
        """Collect what enters the join of a cluster.

        The levels of leaves always do. A finished stream does if the domain is made of it;
        otherwise it is looked up where its value is used, so that it may depend on this cluster.
        """
        found: dict[Wire, Participant] = {}
        for member, _ in self._members(view, name):
            for number, operand in enumerate(member.operands):
                atom = (operand, name)
                payload: Wire | None
                if operand.op is None and self.leaves.is_stored(operand, name):
                    crd, payload = self.leaves.scan(member, number, name)
                elif operand.op is not None and atom in wanted:
                    crd, payload = self.emitted(operand, name)
                else:
                    continue
                known = found.get(crd, Participant(frozenset(), crd))
                new = () if payload is None or payload in known.payloads else (payload,)
                found[crd] = Participant(known.atoms | {atom}, crd, known.payloads + new)
        return list(found.values())

    def _is_detached(self, view: View, name: str) -> bool:
        return self.plan.domains.detached(view, name, self.plan.nests[view])

    def emitted(self, view: View, name: str) -> tuple[Wire, Wire | None]:
        """Return the coordinates of a detached level, with the values if it is the last one."""
        result = self.result(view)
        born = result.born.get(name)
        crd = born if born is not None else self.crd(view, name)
        last = name == self.plan.nests[view].result[-1]
        return crd, result.value if last else None

    # Operations --------------------------------------------------------------------------------

    def _make_result(self, view: View) -> Reduced:
        op = view.op
        assert op is not None
        mapped = self._map(view)
        if op.reduce is None:
            return Reduced(mapped, {})
        return emit_reductions(self, view, mapped)

    def _map(self, view: View) -> Wire:
        """Apply the scalar function; a function that only selects by a pattern needs no node."""
        op = view.op
        assert op is not None
        tile_op = tile_op_of(op, self.values)
        if op.fn == "masked" and tile_op is None and self._always_set(view):
            return self._selected(view, 1)
        if op.fn == "copy" and tile_op is None:
            return self._selected(view, 0)
        inputs = [self.operand(view, number) for number in range(len(view.operands))]
        fills = tuple(self.fills.value[operand.value] for operand in view.operands)
        attrs = df.AluAttrs(op.fn, fills, op.parameters, tile_op)
        shape = self.shape(view, len(self.plan.nests[view].full), StreamKind.VAL)
        label = f"{op.fn} {op.output.value}"
        return self.builder.add(Op.ALU, attrs, inputs, (shape,), name=label, source=op.name)[0]

    def _selected(self, view: View, number: int) -> Wire:
        """Pass an operand on as the result; missing elements take the operand's own fill."""
        op = view.op
        assert op is not None
        wire = self.operand(view, number)
        fill = self.fills.value[view.operands[number].value]
        if wire not in self.joiner.missing or fill == self.fills.mapped[op.name]:
            return wire
        attrs = df.AluAttrs("copy", (fill,))
        label = f"fill {op.output.value}"
        return self.builder.add(Op.ALU, attrs, (wire,), (wire.shape,), name=label, source=op.name)[
            0
        ]

    def _always_set(self, view: View) -> bool:
        """Return True if the mask is a pattern that is stored at every visited coordinate."""
        mask = view.operands[0]
        if mask.op is not None:
            return False
        value = self.tensor(mask)
        if value.tensor is None or value.tensor.values is not None:
            return False
        return all(
            implies(self.plan.domains.at[view, name], frozenset({frozenset({(mask, name)})}))
            for name in mask.binding
            if self.leaves.is_stored(mask, name)
        )

    def operand(self, view: View, number: int) -> Wire:
        """Return the values of an operand, one for each element of the operation's loop nest."""
        operand = view.operands[number]
        if operand.op is None:
            wire = self.leaves.value(view, number)
        else:
            wire = self._produced(view, operand)
        for depth in range(len(wire.shape.indices), len(self.plan.nests[view].full)):
            wire = self.repeat(view, wire, depth)
        return wire

    def _produced(self, view: View, operand: View) -> Wire:
        """Return the values of another operation as seen below the consumer's last join."""
        value = self.result(operand).value
        nest = self.plan.nests[operand]
        if not nest.result or not self._is_detached(operand, nest.result[-1]):
            return value
        name = nest.result[-1]
        if (operand, name) in self.plan.domains.full and self.plan.domains.at[
            view, name
        ] == EVERYTHING:
            return value
        joined = self.payload(view, name, value)
        if joined is not None:
            return joined
        crd, _ = self.emitted(operand, name)
        return self.joiner.lookup(self.crd(view, name), crd, value, name)

    # Results -----------------------------------------------------------------------------------

    def _write(self, view: View) -> Format:
        """Write an output of the region; return its format, modes in loop order."""
        nest = self.plan.nests[view]
        result = self.result(view)
        assert view.op is not None
        source = view.op.name
        levels: list[LevelFormat] = []
        wanted = self.values[view.value].format
        for depth, name in enumerate(nest.result):
            born = result.born.get(name)
            crd = born if born is not None else self.crd(view, name)
            full = self.plan.clusters.result_id((view, name)) == 0
            stored = wanted is not None and wanted.levels[depth].is_stored
            levels.append(LevelFormat.DENSE if full and not stored else LevelFormat.COMPRESSED)
            attrs = df.LevelWriteAttrs(view.value, depth)
            label = f"write {view.value}.{name}"
            self.builder.add(Op.LEVEL_WRITE, attrs, (crd,), (), name=label, source=source)
        value_attrs = df.ValWriteAttrs(view.value, self.fills.value[view.value])
        self.builder.add(
            Op.VAL_WRITE,
            value_attrs,
            (result.value, None),
            (),
            name=f"write {view.value}",
            source=source,
        )
        modes = tuple(view.binding.index(name) for name in nest.result)
        return Format(tuple(levels), modes, self.values[view.value].tile)

    def _once(self, key: Hashable, make: Callable[[], T]) -> T:
        if key not in self._memo:
            if key in self._active:
                raise IllegalOrderError(self.plan.graph.ops[0].value, "a stream needs itself")
            self._active.add(key)
            self._memo[key] = make()
            self._active.discard(key)
        return self._memo[key]  # type: ignore[return-value]  # one type per kind of key


def _ancestors(view: View) -> set[View]:
    """Return all operations that a value is computed from, its own included."""
    found: set[View] = set()
    todo = [view]
    while todo:
        current = todo.pop()
        if current not in found:
            found.add(current)
            todo += current.operands
    return found
