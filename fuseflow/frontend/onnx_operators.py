# SPDX-License-Identifier: MIT
"""Which nodes of an ONNX graph fold away, and a report on all operators that cannot be imported.

Both are decided from names alone, before any data is read: what depends on constants, shapes and
integer inputs is constant, whatever the operator; the rest must have a rule.
"""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING

from fuseflow.errors import ModelError
from fuseflow.frontend.location import unsupported
from fuseflow.frontend.onnx_source import Origins
from fuseflow.ir.einsum import SourceLoc

if TYPE_CHECKING:
    import onnx

    from fuseflow.frontend.onnx_load import OnnxFile

__all__ = ["COPIES", "SHAPE_OF", "is_constant", "require_supported"]

SHAPE_OF = frozenset({"Shape", "Size"})
"""Operators that look at the shape of their operand only."""

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


def require_supported(model: OnnxFile, rules: frozenset[str]) -> None:
    """Refuse a model with operators that are neither constant nor in `rules`, all at once.

    Raises ModelError I001 with a finding for each such operator: how often it occurs and where.
    """
    origins = Origins(model.proto.graph)
    known = {*model.constants, *(value.name for value in model.inputs if not _is_float(value))}
    refused: dict[str, list[SourceLoc]] = {}
    for node in model.proto.graph.node:
        origin = origins.of(node)
        if is_constant(node, known) or (node.op_type in SHAPE_OF and _is_standard(node)):
            known.update(node.output)
        elif not _is_standard(node) or node.op_type not in rules | COPIES:
            domain = "" if _is_standard(node) else f"{node.domain}::"
            refused.setdefault(f"{domain}{node.op_type}", []).append(origin.loc)
    if refused:
        findings = [unsupported(what, places) for what, places in sorted(refused.items())]
        raise ModelError.from_findings(findings)


def _is_standard(node: onnx.NodeProto) -> bool:
    return node.domain in ("", "ai.onnx")


def _is_float(value: onnx.ValueInfoProto) -> bool:
    from onnx import TensorProto

    element = value.type.tensor_type.elem_type
    return element in (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16)
