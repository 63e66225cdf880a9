# SPDX-License-Identifier: MIT
"""How each ATen operator that computes is spelled; one row of `RULES` per operator.

Not here: operators that only move indices (see `torch.shapes`), and calls on constants alone,
which torch itself evaluates (see `torch.graph`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fuseflow.frontend.graph import channels, spellings
from fuseflow.frontend.graph.ops import OpValue
from fuseflow.frontend.torch.activations import ACTIVATION_RULES
from fuseflow.frontend.torch.args import Call, Rule
from fuseflow.frontend.torch.conditions import CONDITION_RULES
from fuseflow.frontend.torch.messages import MESSAGE_RULES
from fuseflow.frontend.torch.shapes import SHAPE_RULES
from fuseflow.frontend.torch.sparse import SPARSE_RULES
from fuseflow.ir.einsum import Role

__all__ = ["RULES"]

FLOAT_EPS = float(np.finfo(np.float32).eps)

PAD_MODES = {
    "constant": "constant",
    "circular": "wrap",
    "reflect": "reflect",
    "replicate": "edge",
}
"""NumPy's name of every mode of padding."""
UNARY = {
    "abs": "abs",
    "cos": "cos",
    "erf": "erf",
    "exp": "exp",
    "log": "log",
    "neg": "neg",
    "reciprocal": "reciprocal",
    "relu": "relu",
    "rsqrt": "rsqrt",
    "sigmoid": "sigmoid",
    "silu": "silu",
    "sin": "sin",
    "sqrt": "sqrt",
    "square": "square",
    "tanh": "tanh",
}


def _unary(fn: str) -> Rule:
    return lambda call: call.builder.map(fn, call.tensor("self"))


def _binary(fn: str) -> Rule:
    return lambda call: call.binary(fn)


def _add(call: Call) -> str:
    return _scaled_other(call, "add")


def _sub(call: Call) -> str:
    return _scaled_other(call, "sub")


def _scaled_other(call: Call, fn: str) -> str:
    """Spell self + alpha * other, and the same with a minus."""
    alpha = float(call.get("alpha", 1))
    if alpha == 1:
        return call.binary(fn)
    b = call.builder
    if call.is_number("other"):
        return spellings.scalar(b, fn, call.tensor("self"), alpha * float(call.get("other")))
    other = spellings.scalar(b, "mul", call.tensor("other"), alpha)
    return b.map(fn, call.tensor("self"), other)


def _rsub(call: Call) -> str:
    call.require("alpha", (None, 1))
    return call.binary("sub", "other", "self")


def _div(call: Call) -> str:
    call.require("rounding_mode", (None,))
    return call.binary("div")


def _pow(call: Call) -> str:
    b = call.builder
    if call.is_number("self"):
        return b.map("pow", b.constant(np.float32(call.get("self"))), call.tensor("exponent"))
    if not call.is_number("exponent"):
        return b.map("pow", call.tensor("self"), call.tensor("exponent"))
    return spellings.scalar(b, "pow", call.tensor("self"), float(call.get("exponent")))


def _addcmul(call: Call) -> str:
    b = call.builder
    product = b.map("mul", call.tensor("tensor1"), call.tensor("tensor2"))
    product = spellings.scalar(b, "mul", product, float(call.get("value", 1)))
    return b.map("add", call.tensor("self"), product)


def _clamp(low: str, high: str) -> Rule:
    """Return the rule of a clamp whose bounds have these argument names."""

    def rule(call: Call) -> str:
        y = call.tensor("self")
        for fn, name in (("max", low), ("min", high)):
            if call.is_number(name):
                y = spellings.scalar(call.builder, fn, y, float(call.get(name)))
            elif call.maybe(name):
                y = call.builder.map(fn, y, call.tensor(name))
        return y

    return rule


def _relu6(call: Call) -> str:
    b = call.builder
    return spellings.scalar(b, "min", b.map("relu", call.tensor("self")), 6.0)


def _gelu(call: Call) -> str:
    fn = "gelu_tanh" if call.texts.get("approximate") == "tanh" else "gelu"
    return call.builder.map(fn, call.tensor("self"))


def _leaky_relu(call: Call) -> str:
    slope = float(call.get("negative_slope", 0.01))
    return call.builder.map("leaky_relu", call.tensor("self"), parameters=(slope,))


# Reductions.


def _reduce(op: str) -> Rule:
    def rule(call: Call) -> str:
        keepdim = bool(call.get("keepdim", False))
        return call.builder.reduce(op, call.tensor("self"), call.dims(), keepdim=keepdim)

    return rule


def _extremum(op: str) -> Rule:
    """Return the rule of max and min: of all, of two tensors, or along a dimension.

    Along a dimension the second result, the positions, is not a value of the graph.
    """
    reduce = _reduce(op)

    def rule(call: Call) -> str | tuple[str, ...]:
        if "other" in call.arguments:
            return call.binary(op)
        result = reduce(call)
        return (str(result),) if "dim" in call.arguments else result

    return rule


def _softmax(call: Call) -> str:
    return call.builder.softmax(call.tensor("self"), call.get("dim"))


def _log_softmax(call: Call) -> str:
    return call.builder.log_softmax(call.tensor("self"), call.get("dim"))


# Normalisation.


def _layer_norm(call: Call) -> str:
    b, x = call.builder, call.tensor("input")
    dims = range(-len(call.get("normalized_shape")), 0)
    eps = float(call.get("eps", 1e-5))
    return b.layer_norm(x, dims, eps, call.maybe("weight"), call.maybe("bias"))


def _native_layer_norm(call: Call) -> tuple[str, ...]:
    return (_layer_norm(call),)


def _rms_norm(call: Call) -> str:
    dims = range(-len(call.get("normalized_shape")), 0)
    eps = float(call.get("eps", FLOAT_EPS))
    return call.builder.rms_norm(call.tensor("input"), dims, eps, call.maybe("weight"))


def _group_norm(call: Call) -> str:
    weight, bias = call.maybe("weight"), call.maybe("bias")
    eps = float(call.get("eps", 1e-5))
    groups = int(call.get("num_groups"))
    return channels.group_norm(call.builder, call.tensor("input"), groups, eps, weight, bias)


def _batch_norm(call: Call) -> str:
    call.require("training", (None, False))
    mean, variance = (call.maybe(n) for n in ("running_mean", "running_var"))
    if not (mean and variance):
        raise call.refusal("batch norm without running statistics is not supported")
    weight, bias = (call.maybe(n) for n in ("weight", "bias"))
    x, eps = call.tensor("input"), float(call.get("eps", 1e-5))
    return channels.batch_norm(call.builder, x, mean, variance, eps, weight, bias)


def _pad(call: Call) -> str:
    """Pad dimensions from the last one on, two numbers each."""
    rank, flat = len(call.builder.shape(call.tensor("self"))), call.get("pad")
    last = [(int(a), int(b)) for a, b in zip(flat[::2], flat[1::2], strict=True)][::-1]
    pads = [(0, 0)] * (rank - len(last)) + last
    mode = PAD_MODES[call.texts.get("mode", "constant")]
    value = float(call.get("value", 0) or 0)
    return channels.pad(call.builder, call.tensor("self"), pads, mode, value)


# Contractions.


def _matmul(first: str, second: str) -> Rule:
    def rule(call: Call) -> str:
        return spellings.matmul(call.builder, call.tensor(first), call.tensor(second))

    return rule


def _linear(call: Call) -> str:
    operands = call.tensor("input"), call.tensor("weight"), call.maybe("bias")
    return spellings.linear(call.builder, *operands)


def _add_matmul(first: str, second: str) -> Rule:
    """Return the rule of beta * self + alpha * (first @ second)."""

    def rule(call: Call) -> str:
        b = call.builder
        product = spellings.matmul(b, call.tensor(first), call.tensor(second))
        product = spellings.scalar(b, "mul", product, float(call.get("alpha", 1)))
        beta = float(call.get("beta", 1))
        if beta == 0:
            return product
        return b.map("add", product, spellings.scalar(b, "mul", call.tensor("self"), beta))

    return rule


def _einsum(call: Call) -> str:
    return spellings.einsum(call.builder, call.texts["equation"], call.tensors("tensors"))


def _outer(call: Call) -> str:
    operands = call.tensor("self"), call.tensor("vec2")
    return call.builder.contract(operands, (("m",), ("n",)), ("m", "n"))


def _attention(call: Call) -> str:
    b = call.builder
    call.require("dropout_p", (None, 0, 0.0))
    q, k, v = (call.tensor(name) for name in ("query", "key", "value"))
    mask, scale = call.maybe("attn_mask"), call.get("scale")
    if call.get("enable_gqa", False):
        k, v = (_repeat_heads(call, x, b.shape(q)[-3]) for x in (k, v))
    if call.get("is_causal", False):
        rows, columns = b.shape(q)[-2], b.shape(k)[-2]
        mask = b.constant(np.tril(np.ones((rows, columns), dtype=bool)), "causal_mask")
    data = b.graph.values[mask].data if mask else None
    if data is not None and data.dtype == bool:
        return spellings.attention(b, q, k, v, scale=scale, mask=mask)
    return spellings.attention(b, q, k, v, scale=scale, additive=mask)


def _repeat_heads(call: Call, x: str, heads: int) -> str:
    """Let several heads of queries share one of keys: [.., own, s, e] to [.., heads, s, e]."""
    b = call.builder
    *batch, own, rows, width = b.shape(x)
    grouped = b.expand(b.unsqueeze(x, (-3,)), (*batch, own, heads // own, rows, width))
    return b.reshape(grouped, (*batch, heads, rows, width))


def _embedding(call: Call) -> str:
    """Multiply the table by a sparse input with a single one per token: its row of the table."""
    b, indices = call.builder, call.tensor("indices")
    tokens = b.graph.values[indices]
    rows = b.shape(call.tensor("weight"))[0]
    places = np.asarray(tokens.data)[..., None]
    one_hot = np.zeros((*tokens.shape, rows), dtype=np.float32)
    np.put_along_axis(one_hot, places, 1, axis=-1)
    layout = ",".join(["compressed"] * one_hot.ndim)
    label = tokens.label or indices
    value = OpValue(label, one_hot.shape, Role.INPUT, one_hot, layout, "one-hot", label)
    return spellings.matmul(b, b.add_value(value), call.tensor("weight"))


# Choices.


def _where(call: Call) -> str:
    b = call.builder
    return b.where(call.tensor("condition"), call.tensor("self"), call.tensor("other"))


def _masked_fill(call: Call) -> str:
    return call.builder.where(call.tensor("mask"), call.tensor("value"), call.tensor("self"))


def _triangle(keep: Callable[..., Any]) -> Rule:
    def rule(call: Call) -> str:
        b, x = call.builder, call.tensor("self")
        pattern = keep(np.ones(b.shape(x)[-2:], dtype=bool), call.get("diagonal", 0))
        return b.where(b.constant(pattern, "triangle"), x, b.constant(np.float32(0)))

    return rule


RULES: Mapping[str, Rule] = {
    **SHAPE_RULES,
    **ACTIVATION_RULES,
    **CONDITION_RULES,
    **MESSAGE_RULES,
    **SPARSE_RULES,
    **{name: _unary(fn) for name, fn in UNARY.items()},
    "_log_softmax": _log_softmax,
    "_native_batch_norm_legit_no_training": lambda call: (_batch_norm(call),),
    "_softmax": _softmax,
    "_sparse_addmm": _add_matmul("mat1", "mat2"),
    "add": _add,
    "addcmul": _addcmul,
    "addmm": _add_matmul("mat1", "mat2"),
    "addmv": _add_matmul("mat", "vec"),
    "amax": _reduce("max"),
    "amin": _reduce("min"),
    "baddbmm": _add_matmul("batch1", "batch2"),
    "batch_norm": _batch_norm,
    "bmm": _matmul("self", "mat2"),
    "clamp": _clamp("min", "max"),
    "clamp_max": _clamp("", "max"),
    "clamp_min": _clamp("min", ""),
    "constant_pad_nd": _pad,
    "div": _div,
    "dot": _matmul("self", "tensor"),
    "einsum": _einsum,
    "embedding": _embedding,
    "gelu": _gelu,
    "group_norm": _group_norm,
    "hardtanh": _clamp("min_val", "max_val"),
    "layer_norm": _layer_norm,
    "leaky_relu": _leaky_relu,
    "linear": _linear,
    "log_softmax": _log_softmax,
    "masked_fill": _masked_fill,
    "matmul": _matmul("self", "other"),
    "max": _extremum("max"),
    "maximum": _binary("max"),
    "mean": _reduce("mean"),
    "min": _extremum("min"),
    "minimum": _binary("min"),
    "mm": _matmul("self", "mat2"),
    "mul": _binary("mul"),
    "mv": _matmul("self", "vec"),
    "native_layer_norm": _native_layer_norm,
    "outer": _outer,
    "pad": _pad,
    "pow": _pow,
    "prod": _reduce("mul"),
    "relu6": _relu6,
    "rms_norm": _rms_norm,
    "rsub": _rsub,
    "scaled_dot_product_attention": _attention,
    "softmax": _softmax,
    "sub": _sub,
    "sum": _reduce("add"),
    "tril": _triangle(np.tril),
    "triu": _triangle(np.triu),
    "where": _where,
}
