# SPDX-License-Identifier: MIT
"""Opens an ONNX file, trusts nothing in it, and hands out a checked graph and its constants.

Large constants are taken out of the protobuf first, so that the checker and shape inference see a
small model whatever the size of the weights. Functions are inlined, sparse initializers become
dense arrays with their pattern kept, external data is read only from the model's own folder.
Not here: what the operators mean (`onnx.rules`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fuseflow.errors import Location, UsageError
from fuseflow.frontend.onnx.graphs import all_nodes, inner_graphs, with_inner
from fuseflow.frontend.onnx.tensors import LIMIT_BYTES, first_line, read_sparse, read_tensor, refuse
from fuseflow.frontend.onnx.versions import OPSETS, modernise

if TYPE_CHECKING:
    import onnx

__all__ = ["OnnxFile", "check_model", "load_onnx"]

# Calls of functions multiply; a model that is longer than this is not a model.
_LIMIT_NODES = 200_000
# Constants above this many elements are not needed to infer shapes.
SMALL = 1024
_SPARSITY_KEY = "fuseflow.sparsity"

Array = npt.NDArray[Any]


@dataclass(slots=True)
class OnnxFile:
    """A checked model: `proto` holds the nodes, `constants` every initializer as an array.

    `patterns` has the stored positions (bool) of each sparse initializer, `layouts` the format
    texts that metadata of inputs and initializers state. `is_part` says that `proto` is not all
    that the file holds.
    """

    path: Path
    proto: onnx.ModelProto
    opset: int
    constants: dict[str, Array] = field(default_factory=dict)
    patterns: dict[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    layouts: dict[str, str] = field(default_factory=dict)
    is_part: bool = False

    @property
    def inputs(self) -> list[onnx.ValueInfoProto]:
        """Return the inputs that have no default, in order."""
        return [value for value in self.proto.graph.input if value.name not in self.constants]


def load_onnx(path: Path) -> OnnxFile:
    """Read, check and normalise the model at `path`.

    Raises UsageError if there is no such file, ModelError if it is no model, is damaged, reaches
    outside its folder, or uses a version that is not supported.
    """
    proto = _parse(path)
    opset = _check_versions(path, proto)
    _refuse_uneven_splits(path, proto)
    _refuse_unknown_ranks(path, proto)
    model = OnnxFile(path, proto, opset, layouts=_stated_layouts(proto.graph))
    _take_constants(model)
    model.proto = _inline_functions(model)
    modernise(model)
    check_model(model)
    return model


def _parse(path: Path) -> onnx.ModelProto:
    import onnx

    if not path.is_file():
        raise UsageError("U003 no-file", "there is no such file", where=Location(file=str(path)))
    if path.stat().st_size > LIMIT_BYTES:
        raise refuse(
            path, "I210 onnx-file", "is larger than 2 GiB", fix="export with external data"
        )
    try:
        proto = onnx.ModelProto.FromString(path.read_bytes())
    # protobuf's own error, whose class only the wire layer may import.
    except Exception as error:
        raise refuse(path, "I210 onnx-file", "is truncated or no ONNX model") from error
    # Empty bytes, and bytes cut between two fields, parse as a model without an end.
    if not proto.ir_version or not proto.graph.output:
        raise refuse(path, "I210 onnx-file", "is truncated or no ONNX model: it has no outputs")
    # Protobuf does not look at names; it hands out those that are no text as bytes.
    if any(isinstance(text, bytes) for text in _texts(proto)):
        raise refuse(path, "I210 onnx-file", "has a name that is no UTF-8 text")
    return proto


def _texts(proto: onnx.ModelProto) -> Iterator[object]:
    """Yield every name and every other text of a model, as protobuf hands it out."""
    graphs = [proto.graph, *inner_graphs(proto)]
    values = [each for g in graphs for each in (*g.input, *g.output, *g.value_info)]
    tensors = [each for g in graphs for each in g.initializer]
    tensors += [sparse.values for g in graphs for sparse in g.sparse_initializer]
    for node in all_nodes(proto):
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (entry.name for entry in node.attribute)
    for function in proto.functions:
        yield from (function.name, function.domain, *function.input, *function.output)
    for value in values:
        yield value.name
        yield from (dim.dim_param for dim in value.type.tensor_type.shape.dim)
    for tensor in tensors:
        yield tensor.name
        yield from (entry.value for entry in tensor.external_data)
    for metadata in _metadata(proto.graph):
        yield from (metadata.key, metadata.value)
    yield from (entry.domain for entry in proto.opset_import)


def _metadata(graph: onnx.GraphProto) -> Iterator[onnx.StringStringEntryProto]:
    """Yield the metadata of the graph and of everything in it."""
    yield from graph.metadata_props
    for node in graph.node:
        yield from node.metadata_props
    for value in (*graph.input, *graph.output, *graph.value_info):
        yield from value.metadata_props
    for tensor in graph.initializer:
        yield from tensor.metadata_props


def _check_versions(path: Path, proto: onnx.ModelProto) -> int:
    import onnx

    if proto.ir_version > onnx.IR_VERSION:
        message = f"has IR version {proto.ir_version}, the installed onnx reads {onnx.IR_VERSION}"
        raise refuse(path, "I211 onnx-version", message, fix="install a newer onnx")
    versions = [entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")]
    if not versions or not 0 < versions[0] < OPSETS.stop:
        found = versions[0] if versions else "none"
        message = f"uses opset {found}, supported are {OPSETS.start} to {OPSETS.stop - 1}"
        fix = "export again with opset_version=20, or 23 for attention"
        raise refuse(path, "I211 onnx-version", message, fix=fix)
    return int(versions[0])


def _refuse_uneven_splits(path: Path, proto: onnx.ModelProto) -> None:
    """Refuse a Split that claims more outputs than it has: inference makes room for all of them."""
    for node in all_nodes(proto):
        claimed = [entry.i for entry in node.attribute if entry.name == "num_outputs"]
        if node.op_type == "Split" and claimed and claimed[0] != len(node.output):
            message = f"Split has {len(node.output)} outputs and claims {claimed[0]}"
            raise refuse(path, "I215 onnx-check", message, node=node.name or None)


def _refuse_unknown_ranks(path: Path, proto: onnx.ModelProto) -> None:
    for value in proto.graph.input:
        if value.type.HasField("tensor_type") and not value.type.tensor_type.HasField("shape"):
            message = "the input declares no shape, as exporters write sparse tensors"
            fix = "export with a dense tensor in its place, and say in a sidecar how it is stored"
            raise refuse(path, "I207 input-type", message, node=value.name, fix=fix)


def _stated_layouts(graph: onnx.GraphProto) -> dict[str, str]:
    holders: list[onnx.ValueInfoProto | onnx.TensorProto] = [*graph.input, *graph.initializer]
    return {
        holder.name: entry.value
        for holder in holders
        for entry in holder.metadata_props
        if entry.key == _SPARSITY_KEY
    }


def _take_constants(model: OnnxFile) -> None:
    """Move initializers into arrays; the protobuf keeps the small ones for shape inference."""
    import onnx

    graph = model.proto.graph
    declared = {value.name for value in graph.input}
    small: list[onnx.TensorProto] = []
    for tensor in graph.initializer:
        model.constants[tensor.name] = array = read_tensor(model.path, tensor)
        if array.size <= SMALL:
            small.append(onnx.numpy_helper.from_array(array, tensor.name))
        elif tensor.name not in declared:
            graph.input.append(_declare(tensor.name, tensor.data_type, array.shape))
    for sparse in graph.sparse_initializer:
        name = sparse.values.name
        model.constants[name], model.patterns[name] = read_sparse(model.path, sparse)
        if name not in declared:
            graph.input.append(_declare(name, sparse.values.data_type, tuple(sparse.dims)))
    del graph.initializer[:]
    del graph.sparse_initializer[:]
    graph.initializer.extend(small)
    _check_inner_tensors(model)


def _check_inner_tensors(model: OnnxFile) -> None:
    """Check the tensors of nodes, branches and bodies, which stay in the protobuf."""
    import onnx

    for graph in inner_graphs(model.proto):
        for tensor in graph.initializer:
            read_tensor(model.path, tensor)
    for node in all_nodes(model.proto):
        for attribute in node.attribute:
            if attribute.t.data_location == onnx.TensorProto.EXTERNAL:
                read_tensor(model.path, attribute.t)


def _declare(name: str, data_type: int, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
    from onnx import helper

    return helper.make_tensor_value_info(name, data_type, shape)


def _inline_functions(model: OnnxFile) -> onnx.ModelProto:
    if not model.proto.functions:
        return model.proto
    from onnx import inliner
    from onnx.checker import ValidationError

    try:
        # Also refuses functions that call themselves, before the count below relies on it.
        inliner.inline_local_functions(_functions_only(model.proto))
        _require_countable(model)
        return inliner.inline_local_functions(model.proto)
    except (ValidationError, RuntimeError, ValueError) as error:
        raise refuse(model.path, "I215 onnx-check", first_line(error)) from error


def _functions_only(proto: onnx.ModelProto) -> onnx.ModelProto:
    import onnx

    bare = onnx.ModelProto()
    bare.CopyFrom(proto)
    del bare.graph.node[:]
    return bare


def _require_countable(model: OnnxFile) -> None:
    """Refuse a model whose functions, calling each other, unfold to too many nodes."""
    lengths: dict[tuple[str, str], int] = {}
    bodies = {(entry.domain, entry.name): entry for entry in model.proto.functions}

    def length(key: tuple[str, str]) -> int:
        if key not in lengths:
            nodes = with_inner(bodies[key].node if key in bodies else ())
            lengths[key] = 1 + sum(length((node.domain, node.op_type)) for node in nodes)
        return lengths[key]

    nodes = with_inner(model.proto.graph.node)
    total = sum(length((node.domain, node.op_type)) for node in nodes)
    if total > _LIMIT_NODES:
        message = f"unfolds to {total} nodes, more than {_LIMIT_NODES}"
        raise refuse(model.path, "I215 onnx-check", message)


def check_model(model: OnnxFile) -> None:
    """Check the protobuf by the rules of onnx, with the shapes of all values.

    Shapes wait for a second call where branches may give different ones. Raises ModelError I215.
    """
    import onnx
    from onnx import checker

    try:
        checker.check_model(model.proto, full_check=not any(inner_graphs(model.proto)))
    except (
        checker.ValidationError,
        onnx.shape_inference.InferenceError,
        RuntimeError,
        ValueError,
    ) as error:
        raise refuse(model.path, "I215 onnx-check", first_line(error)) from error
