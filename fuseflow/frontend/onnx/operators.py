# SPDX-License-Identifier: MIT
"""Which nodes of an ONNX graph fold away, and a report on all operators that cannot be imported.

Both are decided from names alone, before any data is read: what depends on constants, shapes and
integer inputs is constant, whatever the operator; the rest must have a rule.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fuseflow.errors import Finding, ModelError
from fuseflow.frontend.graph.edges import is_edge_weight
from fuseflow.frontend.graph.location import describe, locate, unsupported
from fuseflow.frontend.onnx.graphs import subgraphs
from fuseflow.frontend.onnx.source import Origins
from fuseflow.ir.einsum import SourceLoc

if TYPE_CHECKING:
    import onnx

    from fuseflow.frontend.onnx.load import OnnxFile

__all__ = [
    "COPIES",
    "DATA_DEPENDENT",
    "SHAPE_OF",
    "Unsupported",
    "find_unsupported",
    "is_constant",
    "is_lookup",
    "require_supported",
    "shape_that_follows",
    "tables",
]

SHAPE_OF = frozenset({"Shape", "Size"})
"""Operators that look at the shape of their operand only."""

DATA_DEPENDENT = frozenset({"Compress", "NonZero", "Unique"})
"""Operators whose results have an extent that depends on values, at most that of their operand."""

COPIES = frozenset({"Cast", "CastLike", "Dropout", "Identity"})
"""Operators that hand on their operand, or must not be there."""

_RANDOM = frozenset(
    {"Bernoulli", "Multinomial"}
    | {f"Random{kind}{like}" for kind in ("Normal", "Uniform") for like in ("", "Like")}
)


def is_constant(node: onnx.NodeProto, known: Container[str]) -> bool:
    """Tell whether the results of a node follow from `known` values, the same every time."""
    if not _is_standard(node) or node.op_type in _RANDOM:
        return False
    return all(name in known for name in node.input if name)


def tables(model: OnnxFile) -> frozenset[str]:
    """Return the names of the float constants whose rows a Gather may look up."""
    constants = model.constants.items()
    return frozenset(
        name for name, array in constants if array.ndim > 1 and array.dtype.kind == "f"
    )


def is_lookup(node: onnx.NodeProto, known: Container[str], bound: Container[str]) -> bool:
    """Tell whether a node looks up rows of a table by what follows from an input.

    `known` has the tables, `bound` what follows from inputs. Such a node is an embedding: work for
    the machine, though the result is known where the input is bound.
    """
    if not _is_standard(node) or node.op_type != "Gather":
        return False
    return node.input[0] in known and node.input[1] in bound


@dataclass(frozen=True, slots=True)
class Unsupported:
    """The nodes without a rule: findings, one per operator, and places in the list of nodes.

    `known` names the values that are constant, which no rule is needed for.
    """

    findings: tuple[Finding, ...]
    places: frozenset[int]
    known: frozenset[str]


def require_supported(model: OnnxFile, rules: frozenset[str]) -> None:
    """Refuse a model with operators that are neither constant nor in `rules`, all at once.

    Raises ModelError I001 with a finding for each such operator: how often it occurs and where;
    I212 for control flow.
    """
    found = find_unsupported(model, rules)
    if found.findings:
        raise ModelError.from_findings(found.findings)


def find_unsupported(model: OnnxFile, rules: frozenset[str]) -> Unsupported:
    """Return the nodes of `model` that are neither constant nor have a rule in `rules`."""
    origins = Origins(model.proto.graph)
    bound, rows = set(_data_inputs(model)), tables(model)
    known = {*model.constants, *bound}
    refused: dict[str, list[SourceLoc]] = {}
    control: list[Finding] = []
    places: set[int] = set()
    for place, node in enumerate(model.proto.graph.node):
        origin = origins.of(node)
        if any(subgraphs(node)):
            control.append(_control_flow(origin.loc))
            places.add(place)
        elif node.op_type in SHAPE_OF and _is_standard(node):
            known.update(node.output)
        elif is_constant(node, known) and not is_lookup(node, rows, bound):
            known.update(node.output)
            if bound.intersection(node.input):
                bound.update(node.output)
        elif not _is_standard(node) or node.op_type not in rules | COPIES:
            domain = "" if _is_standard(node) else f"{node.domain}::"
            refused.setdefault(f"{domain}{node.op_type}", []).append(origin.loc)
            places.add(place)
    findings = [unsupported(what, where, rules) for what, where in sorted(refused.items())]
    return Unsupported((*control, *findings), frozenset(places), frozenset(known))


def _control_flow(source: SourceLoc) -> Finding:
    message = f"{source.op} in {describe(source)} runs a subgraph as computed values decide"
    fix = "decide outside of the model, or choose elements with Where"
    return Finding("I212 control-flow", message, locate(source), fix)


def shape_that_follows(graph: onnx.GraphProto, name: str) -> str:
    """Return the first operator whose shape depends on the values of an input, "" for none."""
    derived = {name}
    for node in graph.node:
        if derived.intersection(node.input) and node.op_type not in SHAPE_OF:
            if node.op_type in DATA_DEPENDENT:
                return node.op_type
            derived.update(node.output)
    return ""


def _data_inputs(model: OnnxFile) -> Iterator[str]:
    """Yield the inputs whose data decide what is computed: integers, booleans, edge weights."""
    shapes = {value.name: _declared_shape(value) for value in model.inputs}
    integers = [shapes[value.name] for value in model.inputs if not _is_float(value)]
    for value in model.inputs:
        if not _is_float(value) or is_edge_weight(shapes[value.name], integers):
            yield value.name


def _declared_shape(value: onnx.ValueInfoProto) -> list[int | str]:
    dims = value.type.tensor_type.shape.dim
    return [dim.dim_param or int(dim.dim_value) for dim in dims]


def _is_standard(node: onnx.NodeProto) -> bool:
    return node.domain in ("", "ai.onnx")


def _is_float(value: onnx.ValueInfoProto) -> bool:
    from onnx import TensorProto

    element = value.type.tensor_type.elem_type
    return element in (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16)
