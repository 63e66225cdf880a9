# SPDX-License-Identifier: MIT
"""The scalar functions and reductions: one table row each, read by every stage.

A row holds what sparsity needs to know (where an operand absorbs the other one), what counting
needs (FLOPs) and a float32 reference. It does not say how a node is timed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy import float32

__all__ = [
    "REDUCTIONS",
    "SCALAR_FUNCTIONS",
    "Reduction",
    "ScalarFunction",
    "apply_scalar",
    "fold_fill",
]

Operand = Any
INF = float("inf")


@dataclass(frozen=True, slots=True)
class ScalarFunction:
    """One function of scalars.

    `absorbing[p]` lists the values of operand p at which the result no longer depends on the
    other operand, provided that one is finite; with `guarded` whatever that one is. `parameters`
    names the constants that an einsum or an ALU node carries. `flops` counts one application.
    """

    name: str
    arity: int
    reference: Callable[..., npt.NDArray[np.float32]]
    absorbing: tuple[tuple[float, ...], ...] = ((), ())
    parameters: tuple[str, ...] = ()
    flops: int = 1
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class Reduction:
    """An associative combination with its identity; `ufunc` reduces arrays."""

    name: str
    identity: float
    ufunc: np.ufunc


def _sigmoid(x: Operand) -> Operand:
    return float32(1) / (float32(1) + np.exp(-x))


def _gelu(x: Operand) -> Operand:
    return float32(0.5) * x * (float32(1) + _erf(x * float32(0.7071067811865476)))


def _gelu_tanh(x: Operand) -> Operand:
    inner = float32(0.7978845608028654) * (x + float32(0.044715) * x * x * x)
    return float32(0.5) * x * (float32(1) + np.tanh(inner))


def _erf(x: Operand) -> Operand:
    return np.vectorize(math.erf, otypes=[np.float32])(x) if np.size(x) else x


def _safe_sub(a: Operand, b: Operand) -> Operand:
    return np.where((a == -INF) & (b == -INF), float32(-INF), np.subtract(a, b))


def _safe_div(a: Operand, b: Operand) -> Operand:
    return np.where((a == 0) & (b == 0), float32(0), np.divide(a, b))


def _masked(mask: Operand, x: Operand, fill: float) -> Operand:
    return np.where(np.asarray(mask) != 0, x, float32(fill))


_ROWS = (
    ScalarFunction("copy", 1, lambda x: x, flops=0),
    ScalarFunction("neg", 1, np.negative),
    ScalarFunction("abs", 1, np.abs),
    ScalarFunction("relu", 1, lambda x: np.maximum(x, float32(0))),
    ScalarFunction(
        "leaky_relu",
        1,
        lambda x, slope: np.where(x < 0, float32(slope) * x, x),
        parameters=("slope",),
    ),
    ScalarFunction("exp", 1, np.exp),
    ScalarFunction("log", 1, np.log),
    ScalarFunction("sqrt", 1, np.sqrt),
    ScalarFunction("rsqrt", 1, lambda x: float32(1) / np.sqrt(x)),
    ScalarFunction("reciprocal", 1, lambda x: float32(1) / x),
    ScalarFunction("square", 1, lambda x: x * x),
    ScalarFunction("sigmoid", 1, _sigmoid, flops=4),
    ScalarFunction("silu", 1, lambda x: x * _sigmoid(x), flops=5),
    ScalarFunction("tanh", 1, np.tanh),
    ScalarFunction("erf", 1, _erf),
    ScalarFunction("gelu", 1, _gelu, flops=5),
    ScalarFunction("gelu_tanh", 1, _gelu_tanh, flops=9),
    ScalarFunction("sin", 1, np.sin),
    ScalarFunction("cos", 1, np.cos),
    ScalarFunction("add_scalar", 1, lambda x, c: x + float32(c), parameters=("c",)),
    ScalarFunction("mul_scalar", 1, lambda x, c: x * float32(c), parameters=("c",)),
    ScalarFunction("rsub_scalar", 1, lambda x, c: float32(c) - x, parameters=("c",)),
    ScalarFunction("rdiv_scalar", 1, lambda x, c: float32(c) / x, parameters=("c",)),
    ScalarFunction("div_scalar", 1, lambda x, c: x / float32(c), parameters=("c",)),
    ScalarFunction("pow_scalar", 1, lambda x, c: np.power(x, float32(c)), parameters=("c",)),
    ScalarFunction("max_scalar", 1, lambda x, c: np.maximum(x, float32(c)), parameters=("c",)),
    ScalarFunction("min_scalar", 1, lambda x, c: np.minimum(x, float32(c)), parameters=("c",)),
    ScalarFunction("mul", 2, np.multiply, ((0.0,), (0.0,))),
    ScalarFunction("add", 2, np.add, ((INF, -INF), (INF, -INF))),
    ScalarFunction("sub", 2, np.subtract, ((INF, -INF), (INF, -INF))),
    ScalarFunction("div", 2, np.divide, ((), (INF, -INF))),
    ScalarFunction("max", 2, np.maximum, ((INF,), (INF,))),
    ScalarFunction("min", 2, np.minimum, ((-INF,), (-INF,))),
    ScalarFunction("pow", 2, np.float_power, ((1.0,), (0.0,))),
    # The two safe forms belong to a softmax whose empty rows the importer has settled: there
    # -inf - -inf is -inf and 0 / 0 is 0, so that an absent score stays absent.
    ScalarFunction("safe_sub", 2, _safe_sub, ((-INF,), ()), guarded=True),
    ScalarFunction("safe_div", 2, _safe_div, ((0.0,), ()), guarded=True),
    # masked(mask, x) = x where the mask is set, else the parameter `fill`.
    ScalarFunction("masked", 2, _masked, ((0.0,), ()), parameters=("fill",), flops=0, guarded=True),
)

SCALAR_FUNCTIONS: Mapping[str, ScalarFunction] = {row.name: row for row in _ROWS}

REDUCTIONS: Mapping[str, Reduction] = {
    row.name: row
    for row in (
        Reduction("add", 0.0, np.add),
        Reduction("max", -INF, np.maximum),
        Reduction("min", INF, np.minimum),
        Reduction("mul", 1.0, np.multiply),
    )
}


def apply_scalar(
    name: str, operands: tuple[npt.ArrayLike, ...], parameters: tuple[float, ...] = ()
) -> npt.NDArray[np.float32]:
    """Evaluate a scalar function on float32 arrays with IEEE rules and without warnings."""
    row = SCALAR_FUNCTIONS[name]
    arrays = tuple(np.asarray(operand, dtype=np.float32) for operand in operands)
    with np.errstate(all="ignore"):
        return np.asarray(row.reference(*arrays, *parameters), dtype=np.float32)


def fold_fill(reduction: str, fill: float, extent: int) -> float:
    """Return the reduction of `extent` copies of a fill in float32; of none: the identity."""
    row = REDUCTIONS[reduction]
    if extent == 0 or fill == row.identity:
        return row.identity
    if reduction == "add":
        return float(np.float32(fill) * np.float32(extent))
    return float(np.float32(fill) ** np.float32(extent)) if reduction == "mul" else fill
