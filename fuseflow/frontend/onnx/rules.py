# SPDX-License-Identifier: MIT
"""What the live nodes of an ONNX graph mean: one row of `RULES` per operator.

A rule reads its operands and attributes from a `RuleContext` and spells the node with the methods
of `OpBuilder`. Attributes are those of the file's opset, defaults filled in, so a rule asks for an
attribute or an operand, never for a version. Shape operators are in `onnx.shape_rules`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial, reduce

from fuseflow.frontend.graph import activations, channels, spellings
from fuseflow.frontend.onnx.attention import attention
from fuseflow.frontend.onnx.context import Rule, RuleContext
from fuseflow.frontend.onnx.functions import FUNCTION_RULES
from fuseflow.frontend.onnx.messages import MESSAGE_RULES
from fuseflow.frontend.onnx.shape_rules import SHAPE_RULES

__all__ = ["RULES"]


def _unary(fn: str, c: RuleContext) -> str:
    return c.builder.map(fn, c.value(0))


def _binary(fn: str, c: RuleContext) -> str:
    return _combine(c, fn, c.node.inputs[:2])


def _variadic(fn: str, c: RuleContext) -> str:
    first, *rest = c.node.inputs
    if not rest:
        return c.value(0)
    total = _combine(c, fn, (first, rest[0]))
    return reduce(lambda left, name: _apply(c, fn, left, name), rest[1:], total)


def _combine(c: RuleContext, fn: str, names: tuple[str, ...]) -> str:
    """Apply a function of two scalars; a known number becomes a parameter of the function."""
    x, y = names
    number = c.number(x, len(c.shape(y)))
    if number is not None:
        return spellings.scalar(c.builder, fn, c.name(y), number, reverse=True)
    return _apply(c, fn, c.name(x), y)


def _apply(c: RuleContext, fn: str, left: str, name: str) -> str:
    number = c.number(name, len(c.builder.shape(left)))
    if number is not None:
        return spellings.scalar(c.builder, fn, left, number)
    return c.builder.map(fn, left, c.name(name))


def _mean(c: RuleContext) -> str:
    return spellings.scalar(c.builder, "div", _variadic("add", c), len(c.node.inputs))


def _pow(c: RuleContext) -> str:
    exponent = c.number(c.node.input(1), len(c.shape(c.node.input(0))))
    if exponent is None:
        return c.builder.map("pow", c.value(0), c.value(1))
    return spellings.scalar(c.builder, "pow", c.value(0), exponent)


def _clip(c: RuleContext) -> str:
    result = c.value(0)
    for fn, position in (("max", 1), ("min", 2)):
        if c.node.input(position):
            result = _apply(c, fn, result, c.node.input(position))
    return result


def _leaky_relu(c: RuleContext) -> str:
    return c.builder.map("leaky_relu", c.value(0), parameters=(c.real("alpha"),))


def _prelu(c: RuleContext) -> str:
    slope = c.number(c.node.input(1), len(c.shape(c.node.input(0))))
    b, x = c.builder, c.value(0)
    if slope is not None:
        return b.map("leaky_relu", x, parameters=(slope,))
    return b.map(
        "add", b.map("relu", x), b.map("mul", c.value(1), spellings.scalar(b, "min", x, 0))
    )


def _gelu(c: RuleContext) -> str:
    return c.builder.map(
        "gelu_tanh" if c.node.attrs["approximate"] == "tanh" else "gelu", c.value(0)
    )


def _swish(c: RuleContext) -> str:
    if c.real("alpha") != 1:
        raise c.error(f"alpha must be 1, not {c.real('alpha'):g}")
    return c.builder.map("silu", c.value(0))


def _where(c: RuleContext) -> str:
    return c.builder.where(c.value(0), c.value(1), c.value(2))


def _matmul(c: RuleContext) -> str:
    transposed = bool(c.node.attrs.get("transB"))
    return spellings.matmul(c.builder, c.value(0), c.value(1), transpose_y=transposed)


def _gemm(c: RuleContext) -> str:
    attrs = c.node.attrs
    product = spellings.matmul(
        c.builder,
        c.value(0),
        c.value(1),
        transpose_x=bool(attrs["transA"]),
        transpose_y=bool(attrs["transB"]),
    )
    product = spellings.scalar(c.builder, "mul", product, c.real("alpha"))
    if not c.node.input(2) or c.real("beta") == 0:
        return product
    bias = spellings.scalar(c.builder, "mul", c.value(2), c.real("beta"))
    return c.builder.map("add", product, bias)


def _einsum(c: RuleContext) -> str:
    operands = [c.value(position) for position in range(len(c.node.inputs))]
    return spellings.einsum(c.builder, c.node.attrs["equation"], operands)


def _softmax(c: RuleContext) -> str:
    zero_rows = bool(c.node.attrs.get("zero_rows"))
    return c.builder.softmax(c.value(0), c.node.attrs["axis"], zero_rows=zero_rows)


def _log_softmax(c: RuleContext) -> str:
    return c.builder.log_softmax(c.value(0), c.node.attrs["axis"])


def _layer_norm(c: RuleContext) -> tuple[str, ...]:
    weight, bias = (c.value(place) if c.node.input(place) else "" for place in (1, 2))
    y = c.builder.layer_norm(c.value(0), _norm_axes(c), c.real("epsilon"), weight, bias)
    return (y, *_moments(c)) if any(map(c.is_used, c.node.outputs[1:])) else (y,)


def _moments(c: RuleContext) -> tuple[str, str]:
    """Return the mean and the inverse of the deviation that a layer norm divides by."""
    b, x, axes = c.builder, c.value(0), _norm_axes(c)
    mean = b.reduce("mean", x, axes, keepdim=True)
    variance = b.reduce("mean", b.map("square", b.map("sub", x, mean)), axes, keepdim=True)
    return mean, b.map("rsqrt", spellings.scalar(b, "add", variance, c.real("epsilon")))


def _rms_norm(c: RuleContext) -> str:
    weight = c.value(1) if c.node.input(1) else ""
    return c.builder.rms_norm(c.value(0), _norm_axes(c), c.real("epsilon"), weight)


def _norm_axes(c: RuleContext) -> tuple[int, ...]:
    """Return the dimensions that are normalised: all from `axis` on, or the given ones."""
    if "axes" in c.node.attrs:
        return tuple(c.node.attrs["axes"])
    rank = len(c.shape(c.node.input(0)))
    return tuple(range(c.node.attrs["axis"] % rank, rank))


def _batch_norm(c: RuleContext) -> str:
    if c.node.attrs.get("training_mode"):
        raise c.error("it computes statistics of its input", fix="export in eval mode")
    weight, bias, mean, variance = (c.value(place) for place in range(1, 5))
    eps = c.real("epsilon")
    return channels.batch_norm(c.builder, c.value(0), mean, variance, eps, weight, bias)


def _instance_norm(c: RuleContext) -> str:
    x, weight, bias = (c.value(place) for place in range(3))
    return channels.group_norm(c.builder, x, c.builder.shape(x)[1], c.real("epsilon"), weight, bias)


def _reduce_logarithms(c: RuleContext) -> str:
    x = c.value(0)
    axes = _axes(c) or range(len(c.builder.shape(x)))
    keepdim = bool(c.node.attrs["keepdims"])
    return activations.log_sum_exp(c.builder, x, tuple(axes), keepdim=keepdim)


def _reduce_magnitudes(c: RuleContext) -> str:
    return _reduce_value(c, "add", c.builder.map("abs", c.value(0)))


def _reduce(op: str, c: RuleContext) -> str:
    return _reduce_value(c, op, c.value(0))


def _reduce_squares(c: RuleContext) -> str:
    return _reduce_value(c, "add", c.builder.map("square", c.value(0)))


def _reduce_norm(c: RuleContext) -> str:
    return c.builder.map("sqrt", _reduce_squares(c))


def _axes(c: RuleContext) -> Sequence[int]:
    given = c.known(1) if c.node.input(1) else None
    return c.node.attrs.get("axes", ()) if given is None else given.reshape(-1).tolist()


def _reduce_value(c: RuleContext, op: str, x: str) -> str:
    axes = _axes(c)
    if not len(axes) and c.node.attrs.get("noop_with_empty_axes"):
        return x
    return c.builder.reduce(op, x, axes, keepdim=bool(c.node.attrs["keepdims"]))


_UNARY = {
    "Abs": "abs",
    "Cos": "cos",
    "Erf": "erf",
    "Exp": "exp",
    "Log": "log",
    "Neg": "neg",
    "Reciprocal": "reciprocal",
    "Relu": "relu",
    "Rsqrt": "rsqrt",  # made by the patterns; no such operator is in a file
    "Sigmoid": "sigmoid",
    "Sin": "sin",
    "Sqrt": "sqrt",
    "Tanh": "tanh",
}
_BINARY = {"Add": "add", "Div": "div", "Mul": "mul", "Sub": "sub"}
_VARIADIC = {"Max": "max", "Min": "min", "Sum": "add"}
_REDUCE = {
    "ReduceMax": "max",
    "ReduceMean": "mean",
    "ReduceMin": "min",
    "ReduceProd": "mul",
    "ReduceSum": "add",
}

RULES: Mapping[str, Rule] = {
    **{op: partial(_unary, fn) for op, fn in _UNARY.items()},
    **{op: partial(_binary, fn) for op, fn in _BINARY.items()},
    **{op: partial(_variadic, fn) for op, fn in _VARIADIC.items()},
    **{op: partial(_reduce, fn) for op, fn in _REDUCE.items()},
    **FUNCTION_RULES,
    **MESSAGE_RULES,
    **SHAPE_RULES,
    "Attention": attention,
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Einsum": _einsum,
    "Gelu": _gelu,
    "Gemm": _gemm,
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "LeakyRelu": _leaky_relu,
    "LogSoftmax": _log_softmax,
    "MatMul": _matmul,
    "Mean": _mean,
    "PRelu": _prelu,
    "Pow": _pow,
    "RMSNormalization": _rms_norm,
    "ReduceL1": _reduce_magnitudes,
    "ReduceL2": _reduce_norm,
    "ReduceLogSumExp": _reduce_logarithms,
    "ReduceSumSquare": _reduce_squares,
    "Softmax": _softmax,
    "Swish": _swish,
    "Where": _where,
}
