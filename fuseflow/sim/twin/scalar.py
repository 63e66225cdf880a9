# SPDX-License-Identifier: MIT
"""Scalar functions and reductions on single float32 values, bit by bit as the engine computes them.

One row for each row of `fuseflow.ir.scalar`. Every operation is rounded to float32. exp, log, tanh,
erf, sin, cos and pow are the C library's functions of doubles, rounded once; composite functions
follow the formula of the table, left to right, each step rounded. max(a, b) is a if a >= b or a is
not a number, else b; min likewise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import float32

from fuseflow.ir.dataflow import TileOp
from fuseflow.sim.tokens import Token

__all__ = ["COMBINE", "SCALAR", "Precision", "apply", "combine", "equals", "fold_absent", "narrow"]

Number = np.float32
Precision = Any  # np.float32 or np.float64
INF = math.inf
ONE = float32(1)
ZERO = float32(0)
HALF = float32(0.5)


def _c_function(
    function: Callable[[float], float], overflow: float = INF, pole: float = math.nan
) -> Callable[[Number], Number]:
    """Wrap a function of `math`: what Python raises, C returns."""

    def call(x: Number) -> Number:
        try:
            return float32(function(float(x)))
        except OverflowError:
            return float32(overflow)
        except ValueError:
            return float32(pole if x == 0 else math.nan)

    return call


_exp = _c_function(math.exp)
_log = _c_function(math.log, pole=-INF)
_tanh = _c_function(math.tanh)
_erf = _c_function(math.erf)
_sin = _c_function(math.sin)
_cos = _c_function(math.cos)


def _pow(x: Number, y: float) -> Number:
    return float32(_power(float(x), float(float32(y))))


def _power(base: float, exponent: float) -> float:
    odd = math.isfinite(exponent) and exponent % 2 == 1
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return -math.inf if base < 0 and odd else math.inf
    except ValueError:
        if base != 0:
            return math.nan
        return math.copysign(math.inf, base) if odd else math.inf


def _max(a: Number, b: Number) -> Number:
    return a if a >= b or a != a else b


def _min(a: Number, b: Number) -> Number:
    return a if a <= b or a != a else b


def _sigmoid(x: Number) -> Number:
    return ONE / (ONE + _exp(-x))


def _gelu(x: Number) -> Number:
    return HALF * x * (ONE + _erf(x * float32(0.7071067811865476)))


def _gelu_tanh(x: Number) -> Number:
    inner = float32(0.7978845608028654) * (x + float32(0.044715) * x * x * x)
    return HALF * x * (ONE + _tanh(inner))


def _safe_sub(a: Number, b: Number) -> Number:
    return a if a == -INF and b == -INF else a - b


def _safe_div(a: Number, b: Number) -> Number:
    return ZERO if a == 0 and b == 0 else a / b


SCALAR: dict[str, Callable[..., Number]] = {
    "copy": lambda x: x,
    "neg": lambda x: -x,
    "abs": abs,
    "relu": lambda x: _max(x, ZERO),
    "leaky_relu": lambda x, slope: float32(slope) * x if x < 0 else x,
    "exp": _exp,
    "log": _log,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: ONE / np.sqrt(x),
    "reciprocal": lambda x: ONE / x,
    "square": lambda x: x * x,
    "sigmoid": _sigmoid,
    "silu": lambda x: x * _sigmoid(x),
    "tanh": _tanh,
    "erf": _erf,
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "sin": _sin,
    "cos": _cos,
    "add_scalar": lambda x, c: x + float32(c),
    "mul_scalar": lambda x, c: x * float32(c),
    "rsub_scalar": lambda x, c: float32(c) - x,
    "rdiv_scalar": lambda x, c: float32(c) / x,
    "div_scalar": lambda x, c: x / float32(c),
    "pow_scalar": _pow,
    "max_scalar": lambda x, c: _max(x, float32(c)),
    "min_scalar": lambda x, c: _min(x, float32(c)),
    "mul": lambda a, b: a * b,
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "div": lambda a, b: a / b,
    "max": _max,
    "min": _min,
    "pow": _pow,
    "safe_sub": _safe_sub,
    "safe_div": _safe_div,
    "masked": lambda mask, x, fill: x if mask != 0 else float32(fill),
}

COMBINE: dict[str, Callable[[Number, Number], Number]] = {
    name: SCALAR[name] for name in ("add", "max", "min", "mul")
}


def apply(
    name: str,
    operands: tuple[Token, ...],
    parameters: tuple[float, ...],
    tile_op: TileOp | None = None,
) -> Token:
    """Apply a function to numbers, or to tiles: element by element, or as `tile_op` says."""
    if tile_op is not None:
        return _apply_to_tiles(name, operands, parameters, tile_op)
    return _each(lambda *values: SCALAR[name](*values, *parameters), operands)


def _apply_to_tiles(
    name: str, operands: tuple[Token, ...], parameters: tuple[float, ...], op: TileOp
) -> Token:
    """Evaluate a tile operation point by point; folded axes ascend, the last one fastest."""
    shape = tuple(op.sizes[axis] for axis in op.result.axes)
    folded = [axis for axis in range(len(op.sizes)) if axis not in op.result.axes]
    arrays = [
        np.broadcast_to(np.asarray(x, np.float32), [op.sizes[axis] for axis in tile.axes])
        for x, tile in zip(operands, op.operands, strict=True)
    ]
    out = np.empty(shape, np.float32)
    for outer in np.ndindex(shape):
        point = dict(zip(op.result.axes, outer, strict=True))
        total: Number | None = None
        for inner in np.ndindex(*(op.sizes[axis] for axis in folded)):
            point |= zip(folded, inner, strict=True)
            values = (
                float32(array[tuple(point[axis] for axis in tile.axes)])
                for array, tile in zip(arrays, op.operands, strict=True)
            )
            made = SCALAR[name](*values, *parameters)
            total = made if total is None else COMBINE[op.fold](total, made)
        out[outer] = total
    return out if shape else out[()]


def combine(op: str, left: Token, right: Token, precision: Precision = float32) -> Token:
    """Combine two numbers or tiles by a reduction operator."""
    return _each(COMBINE[op], (left, right), precision)


def fold_absent(
    op: str, acc: Token, fill: Any, absent: int, precision: Precision = float32
) -> Token:
    """Fold `absent` copies of the fill into an accumulator, in one step."""
    if absent == 0:
        return acc
    copies = fill
    if op == "add":
        copies = _each(lambda x: precision(absent) * x, (_number(fill),), precision)
    elif op == "mul":
        copies = _each(
            lambda x: precision(_power(float(x), float(absent))), (_number(fill),), precision
        )
    return combine(op, acc, copies, precision)


def narrow(value: Token) -> Token:
    """Round a number or tile to float32."""
    return value.astype(float32) if isinstance(value, np.ndarray) else float32(value)


def equals(value: Token, fill: Any) -> bool:
    """Return whether a number equals the fill, or a tile does everywhere."""
    return bool(np.all(value == np.asarray(fill, np.float32)))


def _number(value: Any) -> Token:
    return value if isinstance(value, np.ndarray) else float32(value)


def _each(
    function: Callable[..., Number], operands: tuple[Any, ...], precision: Precision = float32
) -> Token:
    """Call a function on numbers, or on the elements of tiles; numbers serve every element."""
    shapes = [operand.shape for operand in operands if isinstance(operand, np.ndarray)]
    if not shapes:
        return function(*map(precision, operands))
    columns = [np.broadcast_to(np.asarray(x, precision), shapes[0]).flat for x in operands]
    values = [function(*row) for row in zip(*columns, strict=True)]
    return np.array(values, precision).reshape(shapes[0])
