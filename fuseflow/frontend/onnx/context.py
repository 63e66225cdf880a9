# SPDX-License-Identifier: MIT
"""What a rule sees of the node that it translates: operands, numbers, attributes, errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from fuseflow.errors import ModelError
from fuseflow.frontend.graph.builder import OpBuilder
from fuseflow.frontend.graph.location import locate
from fuseflow.frontend.graph.ops import OpValue
from fuseflow.frontend.onnx.fold import LiveGraph, OnnxNode
from fuseflow.frontend.onnx.lazy import compact
from fuseflow.ir.einsum import Role

__all__ = ["Rule", "RuleContext"]

Array = npt.NDArray[Any]

_NO_NODE = OnnxNode("", (), (), {}, ())


@dataclass(slots=True)
class RuleContext:
    """Translates the nodes of `live` one by one; `node` is the current one.

    `names` maps a name of the file to the value that stands for it; known arrays become parameters
    or constants when a rule first uses them. `inputs` are those that are known because no einsum
    computes with their type. `layouts` are format texts that the file itself states, with the rule
    that found each.
    """

    builder: OpBuilder
    live: LiveGraph
    inputs: frozenset[str]
    layouts: Mapping[str, tuple[str, str]]
    names: dict[str, str] = field(default_factory=dict)
    node: OnnxNode = _NO_NODE

    def value(self, position: int) -> str:
        """Return the value of an operand, as a name of the builder."""
        return self.name(self.node.inputs[position])

    def name(self, name: str) -> str:
        """Return the value that stands for a name of the file."""
        if name not in self.names:
            self.names[name] = self._materialise(name)
        return self.names[name]

    def known(self, position: int) -> Array | None:
        """Return the array of an operand, None if it is computed."""
        return self.live.known.get(self.node.input(position))

    def ints(self, position: int, what: str) -> list[int]:
        """Return an operand that must be a known list of integers, such as axes."""
        array = self.known(position)
        if array is None:
            raise self.error(f"its {what} must be constants")
        return [int(value) for value in array.reshape(-1)]

    def number(self, name: str, rank: int) -> float | None:
        """Return a known number that does not widen a partner of that rank, else None."""
        array = self.live.known.get(name)
        if array is None or array.size != 1 or array.ndim > rank:
            return None
        return _shortest(array.reshape(()))

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a name of the file."""
        if name in self.live.known:
            return self.live.known[name].shape
        return tuple(dim.dim_value for dim in self.live.types[name].tensor_type.shape.dim)

    def real(self, attribute: str) -> float:
        """Return an attribute that is a float32, as the shortest decimal that rounds to it."""
        return _shortest(self.node.attrs[attribute])

    def is_used(self, name: str) -> bool:
        """Tell whether a node or an output reads `name`."""
        return name in self.live.outputs or any(name in node.inputs for node in self.live.nodes)

    def require_number(self) -> None:
        """Refuse a node that computes in another type than float32; conditions are numbers too."""
        from onnx import TensorProto

        for name in filter(None, self.node.outputs):
            element = self.live.types[name].tensor_type.elem_type
            if element not in (TensorProto.FLOAT, TensorProto.BOOL):
                kind = TensorProto.DataType.Name(element).lower()
                raise self.error(f'"{name}" is {kind}, not float32', fix="export in float32")

    def error(self, message: str, fix: str | None = None) -> ModelError:
        """Return the error for a form of the operator that has no rule."""
        where = locate(self.node.origin.loc)
        return ModelError(
            "I002 unsupported-form", f"{self.node.op}: {message}", where=where, fix=fix
        )

    def results(self, results: str | Sequence[str]) -> None:
        """Record what the current node's outputs are."""
        values = [results] if isinstance(results, str) else results
        for name, value in zip(self.node.outputs, values, strict=False):
            self.names[name] = value

    def _materialise(self, name: str) -> str:
        shape, array = self.live.known[name].shape, compact(self.live.known[name])
        if array.dtype.kind != "b":
            array = array.astype(np.float32)
        role = Role.PARAMETER if name in self.live.parameters else Role.CONSTANT
        if name in self.inputs:
            role = Role.INPUT
        layout, rule = self.layouts.get(name, ("", ""))
        label = self.live.labels.get(name, name)
        value = OpValue(label, array.shape, role, array, layout, rule)
        return self.builder.expand(self.builder.add_value(value), shape)


Rule = Callable[[RuleContext], str | Sequence[str]]


def _shortest(value: Any) -> float:
    return float(str(np.float32(value)))
