# SPDX-License-Identifier: MIT
"""Evaluates the part of an ONNX graph that does not depend on floating-point inputs.

What remains are the live nodes: each has outputs of known shape, operands that are live or known
arrays, and attributes with the defaults of the file's opset filled in. Shapes of live values are
known, so that shape arithmetic folds away. Not here: what a live node means (`onnx.rules`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fuseflow.errors import Location, ModelError
from fuseflow.frontend.graph.edges import is_edge_weight
from fuseflow.frontend.onnx.lazy import BROADCASTS, LISTED, fold_lazily
from fuseflow.frontend.onnx.operators import (
    COPIES,
    DATA_DEPENDENT,
    SHAPE_OF,
    is_constant,
    is_lookup,
    tables,
)
from fuseflow.frontend.onnx.source import Origin, Origins
from fuseflow.frontend.onnx.tensors import LIMIT_BYTES, first_line

if TYPE_CHECKING:
    import onnx

    from fuseflow.frontend.onnx.load import OnnxFile

__all__ = ["Folder", "LiveGraph", "OnnxNode", "fold"]

# Arrays of at most this size are shown to shape inference, which needs shapes, axes and bounds.
_SMALL = 1024
# Elements of a constant that is kept as a broadcast: what it repeats takes far less memory.
_LIMIT_BROADCAST = 2**34

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class OnnxNode:
    """A node after folding; absent operands have the name "" and `attrs` holds Python values."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, Any]
    origins: tuple[Origin, ...]

    @property
    def origin(self) -> Origin:
        """Return where the first of the nodes that this one stands for comes from."""
        return self.origins[0]

    def input(self, position: int) -> str:
        """Return the name of an operand, "" if it is absent."""
        return self.inputs[position] if position < len(self.inputs) else ""


@dataclass(slots=True)
class LiveGraph:
    """The live nodes in order, the known arrays, and the types of everything else.

    `parameters` names the arrays that are the model's own, as opposed to computed ones; `labels`
    has the input that a known array comes from, where it is a single one; `outputs` are the names
    behind the outputs of the model, in its order.
    """

    nodes: list[OnnxNode] = field(default_factory=list)
    known: dict[str, Array] = field(default_factory=dict)
    types: dict[str, onnx.TypeProto] = field(default_factory=dict)
    parameters: set[str] = field(default_factory=set)
    labels: dict[str, str] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)


def fold(model: OnnxFile, inputs: Mapping[str, Array]) -> LiveGraph:
    """Fold the graph of `model`, whose operators are all supported, with data for all inputs.

    Integer and boolean inputs count as known, because no einsum computes with them, and so do the
    weights of edges. Raises
    ModelError for a shape that depends on values (I015), a node that cannot be evaluated (I217), a
    conversion of a computed value to another type (I002).
    """
    folder = Folder(model, inputs)
    for node in model.proto.graph.node:
        folder.visit(node)
    folder.live.outputs = [folder.resolve(value.name) for value in model.proto.graph.output]
    return folder.live


class Folder:
    """Walks the nodes once; knows a name as an array or as a live value."""

    def __init__(self, model: OnnxFile, inputs: Mapping[str, Array]) -> None:
        from onnx import helper

        self.live = LiveGraph(known=dict(model.constants), parameters=set(model.constants))
        self._model = model
        self._origins = Origins(model.proto.graph)
        self._alias: dict[str, str] = {}
        self._tables = tables(model)
        self._bound: set[str] = set()
        integers = [array.shape for array in inputs.values() if array.dtype.kind != "f"]
        for name, array in inputs.items():
            if array.dtype.kind == "f" and not is_edge_weight(array.shape, integers):
                element = helper.np_dtype_to_tensor_dtype(array.dtype)
                self.live.types[name] = helper.make_tensor_type_proto(element, array.shape)
            else:
                self.live.known[name] = array
                self.live.labels[name] = name
                self._bound.add(name)

    def resolve(self, name: str) -> str:
        """Return the name of the value that `name` is a copy of."""
        return self._alias.get(name, name)

    def visit(self, proto: onnx.NodeProto) -> None:
        """Fold, forward, keep or report one node."""
        origin = self._origins.of(proto)
        names = [self.resolve(name) for name in proto.input]
        if names != list(proto.input):
            proto = _with_inputs(proto, names)
        is_known = is_constant(proto, self.live.known)
        if is_known and not is_lookup(proto, self._tables, self._bound):
            self._evaluate(proto)
        elif proto.op_type in SHAPE_OF:
            self._take_shape(proto)
        elif proto.op_type in COPIES and self._is_copy(proto):
            self._alias[proto.output[0]] = names[0]
            self._know_mask(proto)
        else:
            self._keep(proto, origin)

    def _is_copy(self, proto: onnx.NodeProto) -> bool:
        """Tell whether a node hands on its operand as it is.

        A condition that becomes a number keeps its node, since others want operands of its type.
        """
        if proto.op_type in ("Cast", "CastLike"):
            before, after = self._type(proto.input[0]), self._infer(proto)[proto.output[0]]
            return bool(before.tensor_type.elem_type == after.tensor_type.elem_type)
        return proto.op_type != "Dropout" or self._drops_nothing(proto)

    def _drops_nothing(self, proto: onnx.NodeProto) -> bool:
        """Tell whether a Dropout is not in training, or has the ratio 0."""
        is_zero = [
            name in self.live.known and not self.live.known[name].any() for name in proto.input[1:]
        ]
        return len(proto.input) < 3 or any(is_zero)

    def _know_mask(self, proto: onnx.NodeProto) -> None:
        """Let the mask of a Dropout that drops nothing be known: it is true everywhere."""
        for name in filter(None, proto.output[1:]):
            self.live.types.update(self._infer(proto))
            self._require_static(proto, name)
            shape = [dim.dim_value for dim in self.live.types[name].tensor_type.shape.dim]
            self.live.known[name] = np.ones(shape, np.bool_)

    def _keep(self, proto: onnx.NodeProto, origin: Origin) -> None:
        self.live.types.update(self._infer(proto))
        for name in proto.output:
            if name:
                self._require_static(proto, name)
        attrs = _attributes(proto, self._model.opset)
        inputs, outputs = tuple(proto.input), tuple(proto.output)
        self.live.nodes.append(OnnxNode(proto.op_type, inputs, outputs, attrs, (origin,)))

    def _require_static(self, proto: onnx.NodeProto, name: str) -> None:
        tensor = self.live.types[name].tensor_type
        dims = tensor.shape.dim
        if not tensor.HasField("shape") or not all(dim.HasField("dim_value") for dim in dims):
            raise self._error(
                "I015 dynamic-shape",
                proto,
                f'the shape of "{name}" depends on values',
                fix="export with fixed shapes",
            )

    def _take_shape(self, proto: onnx.NodeProto) -> None:
        dims = self._type(proto.input[0]).tensor_type.shape.dim
        shape = np.array([dim.dim_value for dim in dims], dtype=np.int64)
        if proto.op_type == "Size":
            self.live.known[proto.output[0]] = np.array(shape.prod(), dtype=np.int64)
            return
        attrs = _attributes(proto, self._model.opset)
        self.live.known[proto.output[0]] = shape[attrs.get("start", 0) : attrs.get("end")]

    def _evaluate(self, proto: onnx.NodeProto) -> None:
        """Compute the node, unless the result is too large."""
        names = dict.fromkeys(name for name in proto.input if name)
        operands = {name: self.live.known[name] for name in names}
        self._require_bounded(proto, operands)
        try:
            with np.errstate(all="ignore"):
                lazy = fold_lazily(
                    proto.op_type,
                    [operands[name] for name in proto.input if name],
                    _attributes(proto, self._model.opset),
                )
                results = [lazy] if lazy is not None else self._run(proto, operands)
        # The evaluator runs Python of its own for every operator and may raise anything.
        except Exception as error:
            message = f"cannot be evaluated: {first_line(error)}"
            raise self._error("I217 constant-folding", proto, message) from error
        if self._bound.intersection(names):
            self._bound.update(proto.output)
        labels = {self.live.labels[name] for name in names if name in self.live.labels}
        for name, result in zip(filter(None, proto.output), results, strict=True):
            self.live.known[name] = np.asarray(result)
            if len(labels) == 1:
                self.live.labels[name] = min(labels)
        # The legacy exporter writes a parameter that equals another one as a copy of it.
        if proto.op_type == "Identity" and proto.input[0] in self.live.parameters:
            self.live.parameters.add(proto.output[0])

    def _run(self, proto: onnx.NodeProto, feeds: Mapping[str, Array]) -> Sequence[Any]:
        """Compute the node with the reference evaluator of onnx."""
        from onnx import helper
        from onnx.reference import ReferenceEvaluator

        graph = helper.make_graph(
            [proto],
            "fold",
            [helper.make_value_info(name, self._type(name)) for name in feeds],
            [helper.make_empty_tensor_value_info(name) for name in proto.output if name],
        )
        model = helper.make_model(graph, opset_imports=self._model.proto.opset_import)
        return list(ReferenceEvaluator(model).run(None, dict(feeds)))

    def _require_bounded(self, proto: onnx.NodeProto, operands: Mapping[str, Array]) -> None:
        """Refuse a node that would write out too much, or that reads too large a broadcast."""
        limit = _LIMIT_BROADCAST if proto.op_type in BROADCASTS else LIMIT_BYTES // 8
        sizes: dict[str, int | None] = {}
        if proto.op_type not in LISTED:
            sizes.update((name, array.size) for name, array in operands.items())
        if proto.op_type not in DATA_DEPENDENT and proto.op_type != "Constant":
            for name, inferred in self._infer(proto).items():
                dims = inferred.tensor_type.shape.dim
                is_known = all(dim.HasField("dim_value") for dim in dims)
                extents = [max(dim.dim_value, 0) for dim in dims]
                sizes[name] = int(np.prod(extents, dtype=object)) if is_known else None
        for name, size in sizes.items():
            if size is None or size > limit:
                elements = "an unknown number of" if size is None else size
                message = f'the constant "{name}" would have {elements} elements'
                raise self._error("I217 constant-folding", proto, message)

    def _infer(self, proto: onnx.NodeProto) -> dict[str, onnx.TypeProto]:
        import onnx
        from onnx import numpy_helper

        known = {name: self.live.known[name] for name in proto.input if name in self.live.known}
        data = {
            name: numpy_helper.from_array(array, name)
            for name, array in known.items()
            if array.size <= _SMALL
        }
        try:
            return onnx.shape_inference.infer_node_outputs(
                onnx.defs.get_schema(proto.op_type, self._model.opset, ""),
                proto,
                {name: self._type(name) for name in proto.input if name},
                data,
                opset_imports=list(self._model.proto.opset_import),
                ir_version=self._model.proto.ir_version,
            )
        except (
            onnx.checker.ValidationError,
            onnx.shape_inference.InferenceError,
            onnx.defs.SchemaError,
            RuntimeError,
        ) as error:
            raise self._error("I215 onnx-check", proto, first_line(error)) from error

    def _type(self, name: str) -> onnx.TypeProto:
        from onnx import helper

        if name in self.live.types:
            return self.live.types[name]
        array = self.live.known[name]
        element = helper.np_dtype_to_tensor_dtype(array.dtype)
        return helper.make_tensor_type_proto(element, array.shape)

    def _error(
        self, rule: str, proto: onnx.NodeProto, message: str, fix: str | None = None
    ) -> ModelError:
        node = proto.name or proto.output[0]
        where = Location(file=str(self._model.path), node=node)
        return ModelError(rule, f"{proto.op_type}: {message}", where=where, fix=fix)


def _with_inputs(proto: onnx.NodeProto, names: Sequence[str]) -> onnx.NodeProto:
    import onnx

    copy = onnx.NodeProto()
    copy.CopyFrom(proto)
    del copy.input[:]
    copy.input.extend(names)
    return copy


def _attributes(proto: onnx.NodeProto, opset: int) -> dict[str, Any]:
    """Return the attributes as Python values, with the defaults of the operator's schema."""
    import onnx
    from onnx import helper

    schema = onnx.defs.get_schema(proto.op_type, opset, "")
    defaults = {
        name: helper.get_attribute_value(attribute.default_value)
        for name, attribute in schema.attributes.items()
        if attribute.default_value.type != onnx.AttributeProto.UNDEFINED
    }
    given = {entry.name: helper.get_attribute_value(entry) for entry in proto.attribute}
    return {name: _plain(value) for name, value in (defaults | given).items()}


def _plain(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
