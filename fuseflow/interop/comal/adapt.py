# SPDX-License-Identifier: MIT
"""Put a kernel into the primitives that a dialect of ComalGraph has, or say why that cannot be.

Values stay the same where that can be had; cycles may change by what other primitives cost. A
remark says which of both changes. In this order:

- a dense index becomes the scan of a tensor that has nothing but a shape;
- joins become what `joins.py` says;
- a locate below a parent becomes a scan of the dense level, intersected with the coordinates that
  it located unless these are the whole level;
- an accumulator that sends absent keys is united with the dense index of its keys;
- repeats get a signal of references or values;
- references that a stream of keys has none of are those of a repeated root;
- in the public dialect values are repeated as references, in front of the array;
- functions become others that compute the same, or nearly so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fuseflow.interop.comal.joins import adapt_join
from fuseflow.interop.comal.limits import NEAREST, is_function
from fuseflow.interop.comal.schema import LATEST, PUBLIC
from fuseflow.interop.comal.shapes import has_references, outer_shape, references_of, shape_of
from fuseflow.interop.faults import refuse
from fuseflow.interop.graphs.draft import Draft, DraftNode
from fuseflow.interop.graphs.origins import is_whole, origin
from fuseflow.ir import dataflow as df
from fuseflow.ir.dataflow import Op, StreamKind
from fuseflow.ir.einsum import Value

__all__ = ["adapt"]

CRD, REF, VAL = StreamKind.CRD, StreamKind.REF, StreamKind.VAL


def adapt(draft: Draft, tensors: Mapping[str, Value], dialect: str) -> dict[str, int]:
    """Edit a draft in place; return the index tensors that it needs, with their sizes.

    Raises:
        InterchangeError: X004 for what the dialect cannot express.
    """
    adapter = _Adapter(draft, tensors, dialect)
    for op, rule in _RULES:
        for node in [node for node in draft.nodes if node.op is op]:
            rule(adapter, node)
    draft.prune(dissolve=False)
    return adapter.spaces


class _Adapter:
    def __init__(self, draft: Draft, tensors: Mapping[str, Value], dialect: str) -> None:
        self.draft = draft
        self.tensors = tensors
        self.dialect = dialect
        self.spaces: dict[str, int] = {}
        self.entered: set[int] = set()

    def refuse(self, node: DraftNode, message: str) -> Exception:
        return refuse("X004", f"{self.dialect} cannot express it: {message}",
                      graph=self.draft.name, node=node.name)  # fmt: skip

    def full(self, node: DraftNode) -> None:
        """Scan an index tensor; its references have no meaning but a shape."""
        assert isinstance(node.attrs, df.FullAttrs)
        node.tensor = self._space(node.attrs.size)
        node.op, node.attrs = Op.SCAN, df.ScanAttrs(node.tensor, 0)
        node.mode, node.compressed = 0, False
        node.outputs.append(None)
        self.entered.add(id(node))

    def _space(self, size: int) -> str:
        """Return the name of the index tensor of a size."""
        name = f"index{size}"
        while name in self.tensors:
            name += "_"
        self.spaces[name] = size
        return name

    def accumulate(self, node: DraftNode) -> None:
        """Send absent keys, which an accumulator does not do there."""
        assert isinstance(node.attrs, df.SpaccAttrs)
        node.inputs[-1] = None
        full, reduced = node.attrs.full, node.inputs[0]
        if is_function(node, self.dialect) or not any(full) or reduced is None:
            return
        alone = node.attrs.order == 1 and not node.attrs.missing
        node.attrs = replace(node.attrs, full=(0,) * node.attrs.order, missing=0.0)
        outer = outer_shape(self.draft, reduced, node)
        if alone and self.dialect != PUBLIC:
            self._fill_keys(node, full[0], outer)
        else:
            self._replace_keys(node, full, outer)

    def _fill_keys(self, node: DraftNode, size: int, outer: int) -> None:
        """Unite the keys with all keys; values of those added are missing, which reads as 0."""
        ref = self.draft.wire(REF, node.name)
        scan = self._scan_keys(node, size, self.draft.wire(CRD, node.name), ref)
        found = [self.draft.wire(CRD, node.name), self.draft.wire(VAL, node.name)]
        join = DraftNode(Op.JOIN, f"fill of {node.name}", [scan.outputs[0], ref, *found],
                         [node.outputs[0], None, node.outputs[1]],
                         df.JoinAttrs("union", (1, 1)), index=node.index)  # fmt: skip
        node.outputs = list(found)
        place = self.draft.nodes.index(node)
        self.draft.nodes[place + 1 : place + 1] = [scan, join]
        scan.inputs = [self._references(scan, outer)]
        self.draft.remarks.append(f"{node.name} became a union with all keys: cycles differ")

    def _replace_keys(self, node: DraftNode, full: Sequence[int], outer: int) -> None:
        """Take the keys of full levels from dense indices, as if every key had a value."""
        place = self.draft.nodes.index(node)
        above: int | None = None
        for level, size in enumerate(full):
            if not size:
                break
            crd, node.outputs[level] = node.outputs[level], None
            ref = self.draft.wire(REF, node.name)
            scan = self._scan_keys(node, size, crd, ref)
            self.draft.nodes.insert(place + 1 + level, scan)
            scan.inputs = [self._references(scan, outer) if above is None else above]
            above, place = ref, self.draft.nodes.index(node)
        self.draft.remarks.append(
            f"{node.name} sends no key that has no value: other values there if there is one"
        )

    def _scan_keys(self, node: DraftNode, size: int, crd: int | None, ref: int) -> DraftNode:
        name = self._space(size)
        return DraftNode(Op.SCAN, f"keys of {node.name}", [None], [crd, ref],
                         df.ScanAttrs(name, 0), name, 0, False, node.index)  # fmt: skip

    def enter_space(self, node: DraftNode) -> None:
        """Give the scan of an index tensor references to read."""
        wire = node.inputs[0]
        if id(node) in self.entered and wire is not None and self._kind(wire) is not REF:
            node.inputs[0] = None
            node.inputs[0] = self._references(node, wire)

    def join(self, node: DraftNode) -> None:
        adapt_join(self.draft, node, self.dialect)

    def _references(self, node: DraftNode, wire: int) -> int:
        """Return references of the shape of a wire, repeated from a root if its source has none."""
        if self.dialect == PUBLIC:
            return references_of(self.draft, wire, node)
        if has_references(self.draft, wire):
            return shape_of(self.draft, wire, node, values=False)
        outer = self._root_of(node, wire)
        signal = shape_of(self.draft, wire, node, values=True)
        made = self.draft.wire(REF, node.name)
        repeat = DraftNode(Op.REPEAT, f"repeat {node.tensor}", [outer, signal], [made])
        self.draft.nodes.insert(self.draft.nodes.index(node), repeat)
        return made

    def _signal(self, node: DraftNode, wire: int) -> int:
        """Return references, or values where they will do, of the shape of a wire."""
        if self.dialect == PUBLIC:
            return references_of(self.draft, wire, node)
        return shape_of(self.draft, wire, node, values=True)

    def locate(self, node: DraftNode) -> None:
        assert isinstance(node.attrs, df.LocateAttrs)
        attrs, (crd, parent) = node.attrs, node.inputs
        assert crd is not None
        plain = attrs.stride == 1 and not attrs.base and not attrs.search
        plain = plain and (parent is None or attrs.parent_stride == attrs.size)
        if not plain or (attrs.level and parent is None):
            message = f"{node.name} looks up other places there: other values there"
            self.draft.remarks.append(message)
        if parent is None and self.dialect != PUBLIC and has_references(self.draft, crd):
            node.inputs.append(shape_of(self.draft, crd, node, values=False))
            return
        if parent is None:
            parent = self._root_of(node, crd)
        self._scan_instead(node, attrs, crd, parent)

    def _root_of(self, node: DraftNode, crd: int) -> int:
        """Return a reference to the tensor for each list of coordinates: its root, repeated."""
        above = outer_shape(self.draft, crd, node)
        root = self.draft.wire(REF, node.name)
        if origin(self.draft, above)[0].op is Op.ROOT:
            made = DraftNode(Op.ROOT, f"root {node.tensor}", [], [root],
                             df.RootAttrs(node.tensor), node.tensor)  # fmt: skip
        else:
            outer = self._root_of(node, above)
            signal = self._signal(node, above)
            made = DraftNode(Op.REPEAT, f"repeat {node.tensor}", [outer, signal], [root])
        self.draft.nodes.insert(self.draft.nodes.index(node), made)
        return root

    def _scan_instead(self, node: DraftNode, attrs: df.LocateAttrs, crd: int, parent: int) -> None:
        """Walk the dense level in place of the lookup."""
        whole = is_whole(self.draft, crd)
        what = "a scan" if whole else "a scan and an intersection"
        self.draft.remarks.append(f"{node.name} became {what}: cycles differ")
        found = list(node.outputs)
        node.op, node.attrs = Op.SCAN, df.ScanAttrs(node.tensor, attrs.level)
        node.compressed, node.inputs, node.outputs = False, [parent], [None, found[1]]
        if whole:
            if found[0] is not None:
                self.draft.bypass(found[0], crd)
                del self.draft.wires[found[0]]
            return
        node.outputs = [self.draft.wire(CRD, node.name), self.draft.wire(REF, node.name)]
        payload = self._signal(node, crd)
        join = DraftNode(Op.JOIN, f"join for {node.name}", [crd, payload, *node.outputs],
                         [found[0], None, found[1]], df.JoinAttrs("intersect", (1, 1)),
                         index=node.index)  # fmt: skip
        self.draft.nodes.insert(self.draft.nodes.index(node) + 1, join)

    def repeat(self, node: DraftNode) -> None:
        signal = node.inputs[1]
        assert signal is not None
        values = self.dialect != PUBLIC
        if self._kind(node.inputs[0]) is CRD:
            raise self.refuse(node, "it repeats coordinates")
        if self._kind(node.inputs[0]) is VAL and not values:
            array = self.draft.producers().get(node.inputs[0] or 0)
            if array is None or array.op is not Op.ARRAY:
                self._repeat_by_name(node)
                return
            self._repeat_references(node, array)
        if self._kind(signal) is CRD or (self._kind(signal) is VAL and not values):
            node.inputs[1] = None
            node.inputs[1] = self._signal(node, signal)

    def _repeat_by_name(self, node: DraftNode) -> None:
        """Repeat values over coordinates by a function."""
        if self._kind(node.inputs[1]) is not CRD:
            raise self.refuse(node, "it repeats values over a stream of no coordinates")
        self.name_function(node)

    def _repeat_references(self, node: DraftNode, array: DraftNode) -> None:
        """Put a repeat of values in front of the array that reads them."""
        between = self.draft.wire(REF, node.name)
        read = array.inputs[0]
        array.inputs, node.inputs[0] = [between], read
        del self.draft.wires[array.outputs[0] or 0]
        array.outputs, node.outputs = node.outputs, [between]
        self.draft.remarks.append(f"{node.name} repeats references: cycles may differ")

    def function(self, node: DraftNode) -> None:
        """Take what computes the same, or comes close, where there is no such function."""
        assert isinstance(node.attrs, df.AluAttrs)
        fn, fills = node.attrs.fn, node.attrs.fills
        if fn == "square":
            node.attrs = df.AluAttrs("mul", fills * 2)
            node.inputs = node.inputs * 2
            self.draft.share_wires()
            self.draft.remarks.append(f"{node.name} became a product: cycles may differ")
        elif fn in _FACTORS and self.dialect == LATEST:
            node.attrs = df.AluAttrs("mul_scalar", fills, (_FACTORS[fn],))
        elif fn in NEAREST:
            near, where = NEAREST[fn]
            node.attrs = df.AluAttrs(near, fills)
            self.draft.remarks.append(f"{node.name} became {near}: other values there {where}")
        self.name_function(node)

    def lanes(self, node: DraftNode) -> None:
        """Deal and gather in turn, as is the only way there."""
        at_fork = node.op is Op.FORK
        ends = node.outputs if at_fork else node.inputs
        if ends[-1] is not None:
            ends[-1] = None
            if not at_fork:
                message = f"{node.name} gathers in turn: other values there"
                self.draft.remarks.append(message)

    def _kind(self, wire: int | None) -> StreamKind | None:
        return None if wire is None else self.draft.wires[wire].kind

    def forget_shape(self, node: DraftNode) -> None:
        """Disconnect what tells lists from empty ones; marks of stops do that here."""
        node.inputs[-1] = None
        self.name_function(node)

    def name_function(self, node: DraftNode) -> None:
        """Say of what has no operator that it is but a name there."""
        if is_function(node, self.dialect) or node.op is Op.REPEAT:
            self.draft.remarks.append(f"{node.name} became a function: no simulator there runs it")


_FACTORS = {"copy": 1.0, "neg": -1.0}
"""Functions that are products with a number."""

_RULES = (
    (Op.FULL, _Adapter.full),
    (Op.REDUCE, _Adapter.forget_shape),
    (Op.SPACC, _Adapter.accumulate),
    (Op.JOIN, _Adapter.join),
    (Op.LOCATE, _Adapter.locate),
    (Op.REPEAT, _Adapter.repeat),
    (Op.SCAN, _Adapter.enter_space),
    (Op.ALU, _Adapter.function),
    (Op.SPACC, _Adapter.name_function),
    (Op.VALDROP, _Adapter.name_function),
    (Op.FORK, _Adapter.lanes),
    (Op.GATHER, _Adapter.lanes),
)
