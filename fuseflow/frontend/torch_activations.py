# SPDX-License-Identifier: MIT
"""ATen functions that have no scalar function of their own, spelled with several.

The parts of each carry one composite name. Where torch guards against overflow, so does the
spelling.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from fuseflow.frontend import spellings
from fuseflow.frontend.builder import OpBuilder
from fuseflow.frontend.torch_args import Call, Rule

__all__ = ["ACTIVATION_RULES"]

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def _composite(spell: Callable[[Call], str]) -> Rule:
    """Return a rule whose operators carry the name of the function that spells them."""

    def rule(call: Call) -> str:
        with call.builder.composite(spell.__name__.strip("_")):
            return spell(call)

    return rule


def _hardsigmoid(call: Call) -> str:
    b = call.builder
    shifted = spellings.scalar(b, "add", call.tensor("self"), 3.0)
    bounded = spellings.scalar(b, "min", b.map("relu", shifted), 6.0)
    return spellings.scalar(b, "div", bounded, 6.0)


def _hardswish(call: Call) -> str:
    return call.builder.map("mul", call.tensor("self"), _hardsigmoid(call))


def _softplus_of(b: OpBuilder, x: str) -> str:
    """Spell log(1 + exp(x)) as max(x, 0) + log(1 + exp(-|x|)), which cannot overflow."""
    small = b.map("exp", b.map("neg", b.map("abs", x)))
    rest = b.map("log", spellings.scalar(b, "add", small, 1.0))
    return b.map("add", b.map("relu", x), rest)


def _softplus(call: Call) -> str:
    b, beta = call.builder, float(call.get("beta", 1))
    scaled = spellings.scalar(b, "mul", call.tensor("self"), beta)
    return spellings.scalar(b, "div", _softplus_of(b, scaled), beta)


def _log_sigmoid(call: Call) -> str:
    b = call.builder
    return b.map("neg", _softplus_of(b, b.map("neg", call.tensor("self"))))


def _mish(call: Call) -> str:
    b, x = call.builder, call.tensor("self")
    return b.map("mul", x, b.map("tanh", _softplus_of(b, x)))


def _elu_of(b: OpBuilder, x: str, alpha: float, divisor: float = 1.0) -> str:
    """Spell max(x, 0) + alpha * (exp(min(x, 0) / divisor) - 1)."""
    negative = spellings.scalar(b, "div", spellings.scalar(b, "min", x, 0.0), divisor)
    below = spellings.scalar(b, "sub", b.map("exp", negative), 1.0)
    return b.map("add", b.map("relu", x), spellings.scalar(b, "mul", below, alpha))


def _elu(call: Call) -> str:
    call.require("scale", (None, 1))
    call.require("input_scale", (None, 1))
    return _elu_of(call.builder, call.tensor("self"), float(call.get("alpha", 1)))


def _celu(call: Call) -> str:
    alpha = float(call.get("alpha", 1))
    return _elu_of(call.builder, call.tensor("self"), alpha, alpha)


def _selu(call: Call) -> str:
    b = call.builder
    return spellings.scalar(b, "mul", _elu_of(b, call.tensor("self"), SELU_ALPHA), SELU_SCALE)


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
    b, x, dims = call.builder, call.tensor("self"), call.dims()
    keepdim = bool(call.get("keepdim", False))
    maximum = b.reduce("max", x, dims, keepdim=True)
    shifted = b.map("exp", b.map("sub", x, maximum))
    total = b.map("log", b.reduce("add", shifted, dims, keepdim=keepdim))
    return b.map("add", total, maximum if keepdim else b.reduce("max", maximum, dims))


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
    name: _composite(spell)
    for name, spell in (
        ("_prelu_kernel", _prelu),
        ("celu", _celu),
        ("elu", _elu),
        ("expm1", _expm1),
        ("glu", _glu),
        ("hardsigmoid", _hardsigmoid),
        ("hardswish", _hardswish),
        ("linalg_vector_norm", _vector_norm),
        ("log1p", _log1p),
        ("log2", _log2),
        ("log_sigmoid", _log_sigmoid),
        ("logsumexp", _logsumexp),
        ("mish", _mish),
        ("norm", _vector_norm),
        ("prelu", _prelu),
        ("selu", _selu),
        ("softplus", _softplus),
        ("std", _deviation),
        ("var", _variance),
    )
}
