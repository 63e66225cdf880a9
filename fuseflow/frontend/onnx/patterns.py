# SPDX-License-Identifier: MIT
"""Undoes what exporters do to operators: one operator that was spelled with several nodes, again.

Each pattern looks at one node and what produces its operands, and returns the nodes that compute
the same result instead; what is no longer used is dropped at the end. Where the exporter tells
which nodes belong to one operator of the framework, a pattern stays within that operator, so that
what users spelled themselves is left as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fuseflow.frontend.graph.masks import NEVER
from fuseflow.frontend.onnx.fold import LiveGraph, OnnxNode
from fuseflow.frontend.onnx.source import Origin

__all__ = ["MATCHED_ONLY", "recognise"]

# Operators without a rule, which must all be part of a pattern.
MATCHED_ONLY = frozenset({"IsNaN"})

_TOLERANCE = 1e-6
_LAYER_NORM_OPSET = 17
_LEGACY_WEIGHT = "onnx::MatMul_"

Array = npt.NDArray[Any]


def recognise(live: LiveGraph, opset: int) -> None:
    """Replace spelled-out operators in place; `opset` is that of the file."""
    surroundings = _Surroundings(live, {}, opset)
    producers = surroundings.producers
    nodes: list[OnnxNode] = []
    for node in live.nodes:
        for result in _rewrite(surroundings, node):
            nodes.append(result)
            producers.update((name, result) for name in result.outputs if name)
    live.nodes = _drop_unused(nodes, live.outputs)


def _rewrite(around: _Surroundings, root: OnnxNode) -> Sequence[OnnxNode]:
    for pattern in _PATTERNS.get(root.op, ()):
        found = pattern(_Match(around, root))
        if found is not None:
            return found
    return (root,)


def _drop_unused(nodes: Sequence[OnnxNode], outputs: Sequence[str]) -> list[OnnxNode]:
    needed = set(outputs)
    kept = []
    for node in reversed(nodes):
        if needed.intersection(node.outputs):
            kept.append(node)
            needed.update(node.inputs)
    return kept[::-1]


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """What all matches share: the graph, and who produces what so far."""

    live: LiveGraph
    producers: dict[str, OnnxNode]
    opset: int


@dataclass(frozen=True, slots=True)
class _Match:
    """One attempt to match a pattern at `root`; `seen` collects the origins it has met."""

    around: _Surroundings
    root: OnnxNode
    seen: dict[Origin, None] = field(default_factory=dict)

    @property
    def live(self) -> LiveGraph:
        """The graph of the root."""
        return self.around.live

    def is_parameter(self, name: str) -> bool:
        """Tell whether `name` is an array that the model owns, not one that was computed."""
        return name in self.live.parameters

    def peek(self, name: str, *ops: str) -> OnnxNode | None:
        """Return the node that computes `name`, if it is one of `ops` and of the same operator."""
        node = self.around.producers.get(name)
        same = node is not None and node.origin.operator == self.root.origin.operator
        return node if node is not None and same and node.op in ops else None

    def producer(self, name: str, *ops: str) -> OnnxNode | None:
        """Return the same as `peek`, as a part of what the pattern replaces."""
        node = self.peek(name, *ops)
        if node is not None:
            self.seen.update(dict.fromkeys(node.origins))
        return node

    def number(self, name: str) -> float | None:
        """Return the value of a known array of one element."""
        array = self.live.known.get(name)
        return float(array.reshape(())) if array is not None and array.size == 1 else None

    def is_number(self, name: str, value: float) -> bool:
        """Tell whether `name` is a known number, up to the rounding of float32."""
        found = self.number(name)
        return found is not None and math.isclose(found, value, rel_tol=_TOLERANCE)

    def product(self, name: str) -> tuple[float, tuple[str, ...]]:
        """Return `name` as a number times other values, through multiplications and divisions."""
        number = self.number(name)
        if number is not None:
            return number, ()
        node = self.producer(name, "Mul", "Div")
        return (1.0, (name,)) if node is None else self.product_of(node)

    def product_of(self, node: OnnxNode) -> tuple[float, tuple[str, ...]]:
        """Return a multiplication or division as a number times other values."""
        divisor = self.number(node.input(1))
        if node.op == "Div" and not divisor:
            return 1.0, node.outputs
        first, second = self.product(node.input(0)), self.product(node.input(1))
        if node.op == "Div" and divisor:
            return first[0] / divisor, first[1]
        return first[0] * second[0], first[1] + second[1]

    def sum_with(self, name: str, number: float) -> str | None:
        """Return x if `name` is x plus that number."""
        node = self.producer(name, "Add")
        if node is None:
            return None
        pairs = (node.inputs, node.inputs[::-1])
        return next((x for x, c in pairs if self.is_number(c, number)), None)

    def replaced(self, op: str, *inputs: str, **attrs: Any) -> tuple[OnnxNode]:
        """Return one node in place of the root and of the nodes that the pattern has met."""
        origins = tuple(dict.fromkeys((*self.root.origins, *self.seen)))
        return (replace(self.root, op=op, inputs=inputs, attrs=attrs, origins=origins),)


def _gelu(match: _Match) -> Sequence[OnnxNode] | None:
    """``0.5 x (1 + erf(x / sqrt 2))``, or its form with tanh, multiplied in any order."""
    number, leaves = match.product_of(match.root)
    if len(leaves) != 2 or not math.isclose(number, 0.5, rel_tol=_TOLERANCE):
        return None
    for x, factor in (leaves, leaves[::-1]):
        inner = match.sum_with(factor, 1.0)
        curve = match.producer(inner, "Erf", "Tanh") if inner else None
        if curve is None:
            continue
        is_curve = _is_erf_argument if curve.op == "Erf" else _is_tanh_argument
        if is_curve(match, curve.input(0), x):
            return match.replaced("Gelu", x, approximate="none" if curve.op == "Erf" else "tanh")
    return None


def _is_erf_argument(match: _Match, name: str, x: str) -> bool:
    number, leaves = match.product(name)
    return leaves == (x,) and math.isclose(number, math.sqrt(0.5), rel_tol=_TOLERANCE)


def _is_tanh_argument(match: _Match, name: str, x: str) -> bool:
    """``sqrt(2 / pi) (x + 0.044715 x^3)``."""
    number, leaves = match.product(name)
    total = match.producer(leaves[0], "Add") if len(leaves) == 1 else None
    if total is None or x not in total.inputs:
        return False
    cubic = total.inputs[1 - total.inputs.index(x)]
    factor, parts = match.product(cubic)
    return (
        math.isclose(number, math.sqrt(2 / math.pi), rel_tol=_TOLERANCE)
        and math.isclose(factor, 0.044715, rel_tol=_TOLERANCE)
        and (parts == (x, x, x) or (len(parts) == 1 and _is_cube(match, parts[0], x)))
    )


def _is_cube(match: _Match, name: str, x: str) -> bool:
    power = match.producer(name, "Pow")
    return power is not None and power.input(0) == x and match.is_number(power.input(1), 3.0)


def _silu(match: _Match) -> Sequence[OnnxNode] | None:
    """``x sigmoid(x)``."""
    for x, gate in (match.root.inputs, match.root.inputs[::-1]):
        sigmoid = match.producer(gate, "Sigmoid")
        if sigmoid is not None and sigmoid.input(0) == x:
            return match.replaced("Swish", x, alpha=1.0)
    return None


def _rsqrt(match: _Match) -> Sequence[OnnxNode] | None:
    """``1 / sqrt(x)``."""
    is_division = match.root.op == "Div"
    if is_division and not match.is_number(match.root.input(0), 1.0):
        return None
    root = match.producer(match.root.inputs[-1], "Sqrt")
    return None if root is None else match.replaced("Rsqrt", root.input(0))


def _spelled_layer_norm(match: _Match) -> Sequence[OnnxNode] | None:
    """``(x - mean(x)) / sqrt(mean((x - mean(x))^2) + eps)``, from before LayerNormalization."""
    if match.around.opset >= _LAYER_NORM_OPSET:
        return None
    centered = match.producer(match.root.input(0), "Sub")
    deviation = match.producer(match.root.input(1), "Sqrt")
    total = match.producer(deviation.input(0), "Add") if deviation else None
    mean = match.producer(centered.input(1), "ReduceMean") if centered else None
    if centered is None or mean is None or total is None or mean.input(0) != centered.input(0):
        return None
    variance, eps = match.producer(total.input(0), "ReduceMean"), match.number(total.input(1))
    if variance is None or eps is None or _axes(match, variance) != _axes(match, mean):
        return None
    if not _is_square(match, variance.input(0), centered):
        return None
    return match.replaced(
        "LayerNormalization", mean.input(0), axes=_axes(match, mean), epsilon=eps, spelled=True
    )


def _axes(match: _Match, node: OnnxNode) -> tuple[int, ...]:
    given = match.live.known.get(node.input(1))
    return tuple(int(axis) for axis in (node.attrs.get("axes", ()) if given is None else given))


def _is_square(match: _Match, name: str, base: OnnxNode) -> bool:
    """Tell whether `name` is the square of what `base` computes, maybe computed once more."""
    power = match.producer(name, "Pow", "Mul")
    if power is None:
        return False
    if power.op == "Mul":
        return power.inputs == (base.outputs[0], base.outputs[0])
    again = match.producer(power.input(0), "Sub")
    same = again is not None and again.inputs == base.inputs
    return same and match.is_number(power.input(1), 2.0)


def _spelled_affine(match: _Match) -> Sequence[OnnxNode] | None:
    """The scale and shift behind a layer norm that was spelled out."""
    for x, constant in (match.root.inputs, match.root.inputs[::-1]):
        norm = match.producer(x, "LayerNormalization")
        place = 1 if match.root.op == "Mul" else 2
        if norm and norm.attrs.get("spelled") and len(norm.inputs) == place:
            array = match.live.known.get(constant)
            if array is not None and array.ndim == len(norm.attrs["axes"]):
                return match.replaced(norm.op, *norm.inputs, constant, **norm.attrs)
    return None


def _plain_layer_norm(match: _Match) -> Sequence[OnnxNode] | None:
    """A layer norm without scale and shift, to which the exporter added ones and zeros."""
    root = match.root
    scale, shift = (match.live.known.get(root.input(place)) for place in (1, 2))
    has_parameters = bool(root.origin.parameters) or (
        not root.origin.operator and match.is_parameter(root.input(1))
    )
    if has_parameters or scale is None or (root.input(2) and shift is None):
        return None
    if (scale != 1).any() or (shift is not None and shift.any()):
        return None
    return match.replaced(root.op, root.input(0), **root.attrs)


def _nan_guard(match: _Match) -> Sequence[OnnxNode] | None:
    """``where(isnan(p), 0, p)`` behind a softmax: a row of -inf alone gives zeros.

    A mask of large finite numbers never gives NaN; then the guard does nothing.
    """
    test = match.producer(match.root.input(0), "IsNaN")
    softmax = match.producer(match.root.input(2), "Softmax")
    if test is None or softmax is None or test.input(0) != softmax.outputs[0]:
        return None
    if match.number(match.root.input(1)) != 0:
        return None
    zero_rows = not _adds_large_numbers(match, softmax.input(0))
    return match.replaced("Softmax", softmax.input(0), **softmax.attrs, zero_rows=zero_rows)


def _adds_large_numbers(match: _Match, name: str) -> bool:
    addition = match.peek(name, "Add")
    addends = [match.live.known.get(x) for x in addition.inputs] if addition else []
    return any(a is not None and (np.isfinite(a) & (a <= NEVER)).any() for a in addends)


def _attention_scale(match: _Match) -> Sequence[OnnxNode] | None:
    """The square root of attention's scale, multiplied into queries and into keys."""
    sides = [match.producer(name, "Mul") for name in match.root.inputs]
    parts = [match.product_of(side) for side in sides if side is not None]
    numbers = [number for number, leaves in parts if len(leaves) == 1]
    if len(numbers) != 2 or numbers[0] != numbers[1] or numbers[0] == 1:
        return None
    query, key = (leaves[0] for _, leaves in parts)
    result = match.root.outputs[0]
    product, scale = f"{result}/unscaled", f"{result}/scale"
    match.live.types[product] = match.live.types[result]
    match.live.known[scale] = np.array(numbers[0] * numbers[1], dtype=np.float32)
    return (
        replace(match.root, inputs=(query, key), outputs=(product,)),
        replace(match.root, op="Mul", inputs=(product, scale), attrs={}),
    )


def _absorbed_minimum(match: _Match) -> Sequence[OnnxNode] | None:
    """A maximum of updates and of their least one: the legacy exporter's base of a scatter."""
    root = match.root
    start = match.producer(root.input(0), "ScatterElements")
    wide = match.producer(start.input(2), "Expand") if start else None
    least = match.sum_with(wide.input(0), 0.0) if wide else None
    minimum = match.producer(least, "ReduceMin") if least else None
    if start is None or minimum is None or minimum.input(0) != root.input(2):
        return None
    lists = [match.live.known.get(node.input(1)) for node in (root, start)]
    if lists[0] is None or lists[1] is None or not np.array_equal(lists[0], lists[1]):
        return None
    if _axes(match, minimum) or start.attrs != root.attrs or root.attrs["reduction"] != "max":
        return None
    return match.replaced(root.op, start.input(0), *root.inputs[1:], **root.attrs)


def _linear(match: _Match) -> Sequence[OnnxNode] | None:
    """A linear layer whose weight the exporter transposed and renamed: transpose it back."""
    x, constant = match.root.inputs
    weight = match.live.known.get(constant)
    name = _linear_weight(match, constant)
    if weight is None or weight.ndim != 2 or name is None:
        return None
    name = _store(match.live, name, weight.T)
    return match.replaced("MatMul", x, name, transB=1)


def _linear_weight(match: _Match, constant: str) -> str | None:
    """Return the name of the weight if the root belongs to a linear layer."""
    origin = match.root.origin
    if "aten.linear." in origin.operator:
        return origin.parameters[0] if origin.parameters else constant
    is_legacy = (
        constant.startswith(_LEGACY_WEIGHT) and match.is_parameter(constant) and origin.scope
    )
    return f"{origin.scope}.weight" if is_legacy else None


def _linear_bias(match: _Match) -> Sequence[OnnxNode] | None:
    """The bias of a linear layer, which the legacy exporter puts first."""
    bias, product = match.root.inputs
    linear = match.peek(product, "MatMul")
    if bias not in match.live.known or linear is None or not linear.attrs.get("transB"):
        return None
    if linear.origin.scope != match.root.origin.scope:
        return None
    return match.replaced("Add", product, bias)


def _parameter_names(match: _Match) -> Sequence[OnnxNode] | None:
    """Names of parameters that the exporter merged because they had equal values."""
    root, names = match.root, iter(match.root.origin.parameters)
    constants = [name for name in root.inputs if match.is_parameter(name)]
    if len(constants) != len(root.origin.parameters):
        return None
    pairs = zip(root.origin.parameters, constants, strict=True)
    if any(not _may_be(match.live, parameter, name) for parameter, name in pairs):
        return None
    inputs = (
        _store(match.live, next(names), match.live.known[name])
        if match.is_parameter(name)
        else name
        for name in root.inputs
    )
    return match.replaced(root.op, *inputs, **root.attrs)


def _may_be(live: LiveGraph, parameter: str, constant: str) -> bool:
    """False if the parameter is there under its own name, and something else."""
    known = live.known.get(parameter)
    return known is None or np.array_equal(known, live.known[constant], equal_nan=True)


def _store(live: LiveGraph, name: str, array: Array) -> str:
    """Keep an array under `name`, or under a free name like it if another array has that one."""
    wanted, number = name, 0
    while name in live.types or (
        name in live.known and not np.array_equal(live.known[name], array, equal_nan=True)
    ):
        number += 1
        name = f"{wanted}_{number}"
    live.known.setdefault(name, array)
    live.parameters.add(name)
    return name


_Pattern = Callable[[_Match], Sequence[OnnxNode] | None]

_PATTERNS: Mapping[str, tuple[_Pattern, ...]] = {
    "Add": (_spelled_affine, _linear_bias, _parameter_names),
    "Div": (_rsqrt, _spelled_layer_norm, _parameter_names),
    "Gemm": (_parameter_names,),
    "LayerNormalization": (_plain_layer_norm, _parameter_names),
    "MatMul": (_attention_scale, _linear, _parameter_names),
    "Mul": (_gelu, _silu, _spelled_affine, _parameter_names),
    "Reciprocal": (_rsqrt,),
    "RMSNormalization": (_parameter_names,),
    "ScatterElements": (_absorbed_minimum,),
    "Sub": (_parameter_names,),
    "Where": (_nan_guard,),
}
