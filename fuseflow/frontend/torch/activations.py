# SPDX-License-Identifier: MIT
"""ATen functions that have no scalar function of their own, spelled with several.

The parts of each carry one composite name. What ONNX has too is in `activations`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from fuseflow.frontend.graph import activations, comparisons, spellings
from fuseflow.frontend.graph.builder import OpBuilder
from fuseflow.frontend.torch.args import Call, Rule

__all__ = ["ACTIVATION_RULES"]

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def _composite(spell: Callable[[Call], str]) -> Rule:
    """Return a rule whose operators carry the name of the function that spells them."""

    def rule(call: Call) -> str:
        with call.builder.composite(spell.__name__.strip("_")):
            return spell(call)

    return rule


def _softplus(call: Call) -> str:
    b, beta = call.builder, float(call.get("beta", 1))
    scaled = spellings.scalar(b, "mul", call.tensor("self"), beta)
    return spellings.scalar(b, "div", activations.softplus(b, scaled), beta)


def _log_sigmoid(call: Call) -> str:
    b = call.builder
    return b.map("neg", activations.softplus(b, b.map("neg", call.tensor("self"))))


def _elu(call: Call) -> str:
    call.require("scale", (None, 1))
    call.require("input_scale", (None, 1))
    return activations.elu(call.builder, call.tensor("self"), float(call.get("alpha", 1)))


def _celu(call: Call) -> str:
    return activations.celu(call.builder, call.tensor("self"), float(call.get("alpha", 1)))


def _selu(call: Call) -> str:
    return activations.selu(call.builder, call.tensor("self"), SELU_ALPHA, SELU_SCALE)


def _of_self(spell: Callable[[OpBuilder, str], str]) -> Rule:
    return lambda call: spell(call.builder, call.tensor("self"))


def _prelu(call: Call) -> str:
    b, x, slope = call.builder, call.tensor("self"), call.tensor("weight")
    if len(b.shape(x)) > 2 and len(b.shape(slope)) == 1:
        slope = b.reshape(slope, (-1, *(1,) * (len(b.shape(x)) - 2)))
    below = b.map("mul", spellings.scalar(b, "min", x, 0.0), slope)
    return b.map("add", b.map("relu", x), below)


def _glu(call: Call) -> str:
    b, x, dim = call.builder, call.tensor("self"), call.get("dim", -1)
    half = b.shape(x)[b.dim(x, dim)] // 2
    first, second = b.split(x, (half, half), dim)
    return b.map("mul", first, b.map("sigmoid", second))


def _log1p(call: Call) -> str:
    b = call.builder
    return b.map("log", spellings.scalar(b, "add", call.tensor("self"), 1.0))


def _expm1(call: Call) -> str:
    b = call.builder
    return spellings.scalar(b, "sub", b.map("exp", call.tensor("self")), 1.0)


def _log2(call: Call) -> str:
    b = call.builder
    return spellings.scalar(b, "mul", b.map("log", call.tensor("self")), 1 / math.log(2))


def _logsumexp(call: Call) -> str:
    keepdim = bool(call.get("keepdim", False))
    return activations.log_sum_exp(call.builder, call.tensor("self"), call.dims(), keepdim=keepdim)


def _vector_norm(call: Call) -> str:
    """Spell the norms of order 1, 2 and inf."""
    b, x, dims = call.builder, call.tensor("self"), call.dims()
    keepdim = bool(call.get("keepdim", False))
    order = call.get("ord", call.get("p", 2))
    if order == math.inf:
        return b.reduce("max", b.map("abs", x), dims, keepdim=keepdim)
    if order == 1:
        return b.reduce("add", b.map("abs", x), dims, keepdim=keepdim)
    if order != 2:
        raise call.refusal(f"a norm of order {order} is not supported")
    return b.map("sqrt", b.reduce("add", b.map("square", x), dims, keepdim=keepdim))


def _variance(call: Call) -> str:
    b, x = call.builder, call.tensor("self")
    dims = tuple(b.dim(x, d) for d in call.dims()) or tuple(range(len(b.shape(x))))
    correction = float(call.get("correction", 1.0 if call.get("unbiased", True) else 0.0))
    degrees = math.prod(b.shape(x)[d] for d in dims) - correction
    if degrees <= 0:
        raise call.refusal("a variance of too few elements is not a number")
    centred = b.map("sub", x, b.reduce("mean", x, dims, keepdim=True))
    keepdim = bool(call.get("keepdim", False))
    total = b.reduce("add", b.map("square", centred), dims, keepdim=keepdim)
    return spellings.scalar(b, "mul", total, 1 / degrees)


def _deviation(call: Call) -> str:
    return call.builder.map("sqrt", _variance(call))


ACTIVATION_RULES: Mapping[str, Rule] = {
    **{
        name: _composite(spell)
        for name, spell in (
            ("_prelu_kernel", _prelu),
            ("expm1", _expm1),
            ("glu", _glu),
            ("linalg_vector_norm", _vector_norm),
            ("log1p", _log1p),
            ("log2", _log2),
            ("log_sigmoid", _log_sigmoid),
            ("norm", _vector_norm),
            ("prelu", _prelu),
            ("softplus", _softplus),
            ("std", _deviation),
            ("var", _variance),
        )
    },
    "celu": _celu,
    "elu": _elu,
    "hardsigmoid": _of_self(activations.hard_sigmoid),
    "hardswish": _of_self(activations.hard_swish),
    "logsumexp": _logsumexp,
    "mish": _of_self(activations.mish),
    "selu": _selu,
    "sign": _of_self(comparisons.sign),
}
