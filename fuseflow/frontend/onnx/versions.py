# SPDX-License-Identifier: MIT
"""Brings models of old opsets to the form of opset 13, which everything behind this reads.

Most operators have gained types since, and nothing else. The others are listed here: what was an
attribute and became an operand, and a softmax, which looked at its operand as at a matrix.

Not here: opsets from 13 on, whose attributes are read by the schema of the file's opset.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fuseflow.errors import ModelError
from fuseflow.frontend.onnx.graphs import all_nodes, inner_graphs, subgraphs
from fuseflow.frontend.onnx.tensors import first_line, refuse

if TYPE_CHECKING:
    import onnx

    from fuseflow.frontend.onnx.load import OnnxFile

__all__ = ["FORM", "OPSETS", "modernise"]

OPSETS = range(7, 27)
FORM = 13
"""The oldest opset that is not rewritten."""

_FIX = "export again with opset_version=20, or convert the file with onnx.version_converter"
_LOWEST = float(np.finfo(np.float32).min)
# Same operands and attributes, other results: such a node must not pass for the new one.
_NEW_MEANING = {"Resize": 11, "Scan": 9}

_Nodes = Sequence["onnx.NodeProto"]


def modernise(model: OnnxFile) -> None:
    """Rewrite the nodes of a model, in place, whose opset is older than `FORM`.

    Opsets before 7 pass where the operators of the model are what they were in 7. Raises ModelError
    I211 for an operator that means something else since and has no counterpart here.
    """
    if model.opset >= FORM:
        return
    _refuse_other_meanings(model)
    _Upgrade(model).rewrite(model.proto.graph)
    # Before IR version 4 constants had to be inputs too.
    model.proto.ir_version = max(model.proto.ir_version, 4)
    for entry in model.proto.opset_import:
        if entry.domain in ("", "ai.onnx"):
            entry.version = FORM
    model.opset = FORM


def _refuse_other_meanings(model: OnnxFile) -> None:
    for node in all_nodes(model.proto):
        op = node.op_type
        since = _NEW_MEANING.get(op, 0)
        if model.opset < OPSETS.start and _since(op, model.opset) != _since(op, OPSETS.start):
            since = OPSETS.start
        if model.opset < since:
            message = f"{op} of opset {model.opset} is another operator since opset {since}"
            raise refuse(model.path, "I211 onnx-version", message, node=node.name or op, fix=_FIX)


def _since(op: str, opset: int) -> int:
    """Return the opset that last changed an operator; 0 where there is no such operator."""
    import onnx

    try:
        return int(onnx.defs.get_schema(op, opset, "").since_version)
    except onnx.defs.SchemaError:
        return 0


class _Upgrade:
    """Rewrites single nodes; what were attributes become constants of the model."""

    def __init__(self, model: OnnxFile) -> None:
        self._model = model
        self._opset = model.opset
        self._ranks = _ranks(model)
        self._count = 0

    def rewrite(self, graph: onnx.GraphProto) -> None:
        """Rewrite the nodes of a graph, those of branches and bodies first."""
        nodes: list[onnx.NodeProto] = []
        for node in graph.node:
            for inner in subgraphs(node):
                self.rewrite(inner)
            before, rule = _REWRITES.get(node.op_type, (0, None))
            nodes += rule(self, node) if rule is not None and self._opset < before else (node,)
        # What the loop holds are the nodes of the graph itself, so they are copied before they go.
        copies = [_copy(node) for node in nodes]
        del graph.node[:]
        graph.node.extend(copies)

    def rank(self, name: str) -> int | None:
        """Return the number of dimensions of a value, None if inference does not tell."""
        return self._ranks.get(name)

    def refusal(self, node: onnx.NodeProto, message: str) -> ModelError:
        """Return the error for a node that has no counterpart."""
        where = node.name or node.op_type
        return refuse(self._model.path, "I211 onnx-version", message, node=where, fix=_FIX)

    def constant(self, value: Any, dtype: type) -> str:
        """Add a constant and return its name."""
        from onnx import numpy_helper

        self._count += 1
        name = f"fuseflow.upgrade.{self._count}"
        array: npt.NDArray[Any] = np.asarray(value, dtype=dtype)
        self._model.constants[name] = array
        self._model.proto.graph.initializer.append(numpy_helper.from_array(array, name))
        return name


def _ranks(model: OnnxFile) -> dict[str, int]:
    """Return the rank of every value that shape inference knows, inside of branches as well."""
    import onnx

    if not any(node.op_type in _AS_MATRIX for node in all_nodes(model.proto)):
        return {}
    try:
        inferred = onnx.shape_inference.infer_shapes(model.proto)
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError) as error:
        raise refuse(model.path, "I215 onnx-check", first_line(error)) from error
    graphs = (inferred.graph, *inner_graphs(inferred))
    values = [each for g in graphs for each in (*g.input, *g.output, *g.value_info)]
    ranks = {name: array.ndim for name, array in model.constants.items()}
    return ranks | {
        value.name: len(value.type.tensor_type.shape.dim)
        for value in values
        if value.type.tensor_type.HasField("shape")
    }


def _copy(node: onnx.NodeProto) -> onnx.NodeProto:
    import onnx

    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy


def _take(node: onnx.NodeProto, name: str) -> Any:
    """Remove an attribute and return its value, None if the node does not have it."""
    from onnx import helper

    for place, attribute in enumerate(node.attribute):
        if attribute.name == name:
            value = helper.get_attribute_value(attribute)
            del node.attribute[place]
            return value
    return None


def _axes(upgrade: _Upgrade, node: onnx.NodeProto) -> _Nodes:
    """Squeeze, Unsqueeze, ReduceSum: the axes."""
    axes = _take(node, "axes")
    if axes is not None:
        node.input.append(upgrade.constant(axes, np.int64))
    return (node,)


def _split(upgrade: _Upgrade, node: onnx.NodeProto) -> _Nodes:
    sizes = _take(node, "split")
    if sizes is not None:
        node.input.append(upgrade.constant(sizes, np.int64))
    return (node,)


def _slice(upgrade: _Upgrade, node: onnx.NodeProto) -> _Nodes:
    starts, ends, axes = (_take(node, name) for name in ("starts", "ends", "axes"))
    for bounds in (starts, ends, axes):
        if bounds is not None:
            node.input.append(upgrade.constant(bounds, np.int64))
    return (node,)


def _clip(upgrade: _Upgrade, node: onnx.NodeProto) -> _Nodes:
    for name, default in (("min", _LOWEST), ("max", -_LOWEST)):
        bound = _take(node, name)
        is_free = bound is None or np.float32(bound) == np.float32(default)
        node.input.append("" if is_free else upgrade.constant(bound, np.float32))
    return (node,)


def _pad(upgrade: _Upgrade, node: onnx.NodeProto) -> _Nodes:
    pads, value = _take(node, "pads"), _take(node, "value")
    node.input.append(upgrade.constant(pads or [], np.int64))
    node.input.append(upgrade.constant(value or 0.0, np.float32))
    return (node,)


def _top_k(upgrade: _Upgrade, node: onnx.NodeProto) -> _Nodes:
    count = _take(node, "k")
    if count is not None:
        node.input.append(upgrade.constant([count], np.int64))
    return (node,)


def _dropout(upgrade: _Upgrade, node: onnx.NodeProto) -> _Nodes:
    """What is exported from opset 7 on hands on its operand, whatever the ratio."""
    _take(node, "ratio")
    return (node,)


def _scatter(upgrade: _Upgrade, node: onnx.NodeProto) -> _Nodes:
    node.op_type = "ScatterElements"
    return (node,)


def _batch_norm(upgrade: _Upgrade, node: onnx.NodeProto) -> _Nodes:
    if _take(node, "spatial") == 0:
        raise upgrade.refusal(node, "BatchNormalization with statistics per element")
    return (node,)


def _as_matrix(upgrade: _Upgrade, node: onnx.NodeProto) -> _Nodes:
    """Softmax and its like: over all dimensions from `axis` on, as if they were one."""
    from onnx import helper

    axis, rank = _take(node, "axis"), upgrade.rank(node.input[0])
    axis = 1 if axis is None else axis
    if rank is not None and axis % max(rank, 1) == rank - 1:
        node.attribute.append(helper.make_attribute("axis", -1))
        return (node,)
    (x,), (y,) = node.input, node.output
    shape, matrix, result = f"{y}/shape", f"{y}/matrix", f"{y}/rows"
    node.input[0], node.output[0] = matrix, result
    node.attribute.append(helper.make_attribute("axis", -1))
    return (
        helper.make_node("Shape", [x], [shape], f"{node.name}/shape"),
        helper.make_node("Flatten", [x], [matrix], f"{node.name}/matrix", axis=axis),
        node,
        helper.make_node("Reshape", [result, shape], [y], f"{node.name}/reshape"),
    )


_AS_MATRIX = ("Hardmax", "LogSoftmax", "Softmax")

_Rewrite = Callable[[_Upgrade, "onnx.NodeProto"], _Nodes]
_REWRITES: Mapping[str, tuple[int, _Rewrite | None]] = {
    **dict.fromkeys(_AS_MATRIX, (13, _as_matrix)),
    "BatchNormalization": (9, _batch_norm),
    "Clip": (11, _clip),
    "Dropout": (12, _dropout),
    "Pad": (11, _pad),
    "ReduceSum": (13, _axes),
    "Scatter": (11, _scatter),
    "Slice": (10, _slice),
    "Split": (13, _split),
    "Squeeze": (13, _axes),
    "TopK": (10, _top_k),
    "Unsqueeze": (13, _axes),
}
"""The opset that changed an operator, and how to write its older form today."""
