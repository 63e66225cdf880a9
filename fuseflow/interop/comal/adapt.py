# SPDX-License-Identifier: MIT
"""Put a kernel into the primitives that a dialect of ComalGraph has, or say why that cannot be.

Values stay the same; cycles may change by what other primitives cost, and a remark says so. What
has no counterpart is refused with the node's name. In this order:

- a dense index becomes the scan of a tensor that has nothing but a shape;
- a left join becomes a union, intersected with its first input unless that is a dense index;
- a locate below a parent becomes a scan of the dense level, intersected with the coordinates that
  it located unless these are the whole level;
- an accumulator that sends absent keys is united with the dense index of its keys;
- joins get a payload on every input, repeats a signal of references or values;
- references that a stream of keys has none of are those of a repeated root;
- in the public dialect values are repeated as references, in front of the array.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from fuseflow.interop.comal.schema import PUBLIC
from fuseflow.interop.comal.shapes import has_references, outer_shape, shape_of, tap
from fuseflow.interop.faults import refuse
from fuseflow.interop.graphs.draft import Draft, DraftNode
from fuseflow.interop.graphs.origins import is_whole, join_inputs, origin
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
        """Send absent keys by a union with all keys; their values are missing, which reads as 0."""
        assert isinstance(node.attrs, df.SpaccAttrs)
        node.inputs[-1] = None
        size, reduced = node.attrs.full[0], node.inputs[0]
        if not size or reduced is None:
            return
        node.attrs = replace(node.attrs, full=(0,) * node.attrs.order)
        outer = outer_shape(self.draft, reduced, node)
        name, crd = self._space(size), self.draft.wire(CRD, node.name)
        ref = self.draft.wire(REF, node.name)
        scan = DraftNode(Op.SCAN, f"keys of {node.name}", [None], [crd, ref],
                         df.ScanAttrs(name, 0), name, 0, False, node.index)  # fmt: skip
        found = [self.draft.wire(CRD, node.name), self.draft.wire(VAL, node.name)]
        join = DraftNode(Op.JOIN, f"fill of {node.name}", [crd, ref, *found],
                         [node.outputs[0], None, node.outputs[1]],
                         df.JoinAttrs("union", (1, 1)), index=node.index)  # fmt: skip
        node.outputs = list(found)
        place = self.draft.nodes.index(node)
        self.draft.nodes[place + 1 : place + 1] = [scan, join]
        scan.inputs = [self._references(scan, outer)]
        self.draft.remarks.append(f"{node.name} became a union with all keys: cycles differ")

    def enter_space(self, node: DraftNode) -> None:
        """Give the scan of an index tensor references to read."""
        wire = node.inputs[0]
        if id(node) in self.entered and wire is not None and self._kind(wire) is not REF:
            node.inputs[0] = None
            node.inputs[0] = self._references(node, wire)

    def join(self, node: DraftNode) -> None:
        assert isinstance(node.attrs, df.JoinAttrs)
        attrs = node.attrs
        if attrs.keep == "left" and len(attrs.payloads) == 2:
            self._keep_left(node, attrs)
            attrs = node.attrs
        if attrs.keep not in ("intersect", "union"):
            raise self.refuse(node, f"a join that keeps {attrs.keep!r}")
        if self.dialect == PUBLIC and len(attrs.payloads) != 2:
            raise self.refuse(node, f"a join of {len(attrs.payloads)} inputs")
        if max(attrs.payloads) > 1:
            raise self.refuse(node, "several payloads of one input")
        self._add_payloads(node, attrs)

    def _keep_left(self, node: DraftNode, attrs: df.JoinAttrs) -> None:
        """Unite both inputs; where that adds coordinates, intersect with the first one again."""
        node.attrs = replace(attrs, keep="union")
        if is_whole(self.draft, join_inputs(node)[0][0]):
            return
        self._add_payloads(node, node.attrs)
        left = [tap(self.draft, wire) for wire in node.inputs[:2] if wire is not None]
        united = [self.draft.wire(CRD, node.name), self.draft.wire(REF, node.name)]
        join = DraftNode(Op.JOIN, f"left of {node.name}", [*left, *united], node.outputs,
                         df.JoinAttrs("intersect", (1, 1)), index=node.index)  # fmt: skip
        if self._kind(node.inputs[3]) is VAL:
            self.draft.wires[united[1]] = replace(self.draft.wires[united[1]], kind=VAL)
        node.outputs = [united[0], None, united[1]]
        self.draft.nodes.insert(self.draft.nodes.index(node) + 1, join)
        self.draft.remarks.append(f"{node.name} became a union and an intersection: cycles differ")

    def _references(self, node: DraftNode, wire: int) -> int:
        """Return references of the shape of a wire, repeated from a root if its source has none."""
        if self.dialect == PUBLIC or has_references(self.draft, wire):
            return shape_of(self.draft, wire, node, values=False)
        outer = self._root_of(node, wire)
        signal = shape_of(self.draft, wire, node, values=True)
        made = self.draft.wire(REF, node.name)
        repeat = DraftNode(Op.REPEAT, f"repeat {node.tensor}", [outer, signal], [made])
        self.draft.nodes.insert(self.draft.nodes.index(node), repeat)
        return made

    def _add_payloads(self, node: DraftNode, attrs: df.JoinAttrs) -> None:
        """Pair every coordinate input with a payload; what was added comes out void."""
        outputs = iter(node.outputs[1:])
        pairs: list[int | None] = []
        payloads: list[int | None] = []
        for crd, given in join_inputs(node):
            values = self.dialect != PUBLIC
            payload = given[0] if given else shape_of(self.draft, crd, node, values=values)
            pairs += [crd, payload]
            payloads.append(next(outputs) if given else None)
        node.inputs, node.outputs = pairs, [node.outputs[0], *payloads]
        node.attrs = replace(attrs, payloads=(1,) * len(payloads))
        if self.dialect == PUBLIC and any(self._kind(wire) is VAL for wire in pairs):
            raise self.refuse(node, "values as the payload of a join")

    def locate(self, node: DraftNode) -> None:
        assert isinstance(node.attrs, df.LocateAttrs)
        attrs, (crd, parent) = node.attrs, node.inputs
        assert crd is not None
        plain = attrs.stride == 1 and not attrs.base and not attrs.search
        if not plain or (parent is not None and attrs.parent_stride != attrs.size):
            raise self.refuse(node, "a lookup with strides, or of a compressed level")
        if attrs.level and parent is None:
            raise self.refuse(node, f"it enters level {attrs.level} before those above it")
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
            signal = shape_of(self.draft, above, node, values=self.dialect != PUBLIC)
            made = DraftNode(Op.REPEAT, f"repeat {node.tensor}", [outer, signal], [root])
        self.draft.nodes.insert(self.draft.nodes.index(node), made)
        return root

    def _scan_instead(self, node: DraftNode, attrs: df.LocateAttrs, crd: int, parent: int) -> None:
        """Walk the dense level in place of the lookup."""
        scan = DraftNode(Op.SCAN, f"scan for {node.name}", [parent], [None, node.outputs[1]],
                         df.ScanAttrs(node.tensor, attrs.level), node.tensor, node.mode, False,
                         node.index)  # fmt: skip
        self.draft.nodes[self.draft.nodes.index(node)] = scan
        whole = is_whole(self.draft, crd)
        what = "a scan" if whole else "a scan and an intersection"
        self.draft.remarks.append(f"{node.name} became {what}: cycles differ")
        if node.outputs[0] is not None:
            self.draft.bypass(node.outputs[0], crd)
            del self.draft.wires[node.outputs[0]]
            if not whole:
                raise self.refuse(node, "a lookup that hands on its coordinates")
        if whole:
            return
        scan.outputs = [self.draft.wire(CRD, scan.name), self.draft.wire(REF, scan.name)]
        payload = shape_of(self.draft, crd, node, values=self.dialect != PUBLIC)
        join = DraftNode(Op.JOIN, f"join for {node.name}", [crd, payload, *scan.outputs],
                         [None, None, node.outputs[1]], df.JoinAttrs("intersect", (1, 1)),
                         index=node.index)  # fmt: skip
        self.draft.nodes.insert(self.draft.nodes.index(scan) + 1, join)

    def repeat(self, node: DraftNode) -> None:
        signal = node.inputs[1]
        assert signal is not None
        values = self.dialect != PUBLIC
        if self._kind(node.inputs[0]) is CRD:
            raise self.refuse(node, "it repeats coordinates")
        if self._kind(signal) is CRD or (self._kind(signal) is VAL and not values):
            node.inputs[1] = None
            node.inputs[1] = shape_of(self.draft, signal, node, values=values)
        if self._kind(node.inputs[0]) is VAL and not values:
            self._repeat_references(node)

    def _repeat_references(self, node: DraftNode) -> None:
        """Put a repeat of values in front of the array that reads them."""
        array = self.draft.producers().get(node.inputs[0] or 0)
        if array is None or array.op is not Op.ARRAY:
            raise self.refuse(node, "it repeats values")
        between = self.draft.wire(REF, node.name)
        read = array.inputs[0]
        array.inputs, node.inputs[0] = [between], read
        del self.draft.wires[array.outputs[0] or 0]
        array.outputs, node.outputs = node.outputs, [between]
        self.draft.remarks.append(f"{node.name} repeats references: cycles may differ")

    def square(self, node: DraftNode) -> None:
        """Multiply a value by itself where there is no such function."""
        assert isinstance(node.attrs, df.AluAttrs)
        if node.attrs.fn == "square":
            node.attrs = df.AluAttrs("mul", node.attrs.fills * 2)
            node.inputs = node.inputs * 2
            self.draft.share_wires()
            self.draft.remarks.append(f"{node.name} became a product: cycles may differ")

    def _kind(self, wire: int | None) -> StreamKind | None:
        return None if wire is None else self.draft.wires[wire].kind

    def forget_shape(self, node: DraftNode) -> None:
        """Disconnect what tells lists from empty ones; marks of stops do that here."""
        node.inputs[-1] = None


_RULES = (
    (Op.FULL, _Adapter.full),
    (Op.REDUCE, _Adapter.forget_shape),
    (Op.SPACC, _Adapter.accumulate),
    (Op.JOIN, _Adapter.join),
    (Op.LOCATE, _Adapter.locate),
    (Op.REPEAT, _Adapter.repeat),
    (Op.SCAN, _Adapter.enter_space),
    (Op.ALU, _Adapter.square),
)
