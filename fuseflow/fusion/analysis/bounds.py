# SPDX-License-Identifier: MIT
"""Bounds: intervals that every element of a value lies in, from its data or from its operands.

A value whose interval is small against the largest float32 cannot hold an infinity or a NaN, so an
absent operand may annihilate it in a product. Intervals forget that operands depend on each other:
what they prove is true, but they do not prove everything that is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from fuseflow.fusion.tile_ops import folded_elements
from fuseflow.ir.einsum import Einsum, EinsumGraph, Value

__all__ = ["Interval", "compute_bounds", "is_bounded"]

Interval = tuple[float, float]

EVERYTHING: Interval = (-math.inf, math.inf)
# Far enough below the largest float32 (3.4e38) that intermediate results do not overflow either.
LIMIT = 1e37
# How much wider than in exact arithmetic a result may be: relative, for each rounding.
ROUNDING = 2.0**-22


def compute_bounds(
    graph: EinsumGraph, known: Mapping[str, Interval] | None = None
) -> dict[str, Interval]:
    """Return an interval for every value of a graph, in evaluation order.

    Args:
        graph: tensors have data; a value that has neither data nor a producer may be anything.
        known: intervals of such values.
    """
    made = graph.producers()
    known = known or {}
    bounds = {
        name: known.get(name) or _of_data(value)
        for name, value in graph.values.items()
        if name not in made
    }
    sizes = graph.index_sizes()
    for op in graph.einsums:
        inner = tuple(bounds[access.value] for access in op.operands)
        count = math.prod(sizes[i] for i in op.over) * folded_elements(op, graph.values)
        bounds[op.output.value] = _clip(_reduced(op, _rounded(_mapped(op, inner)), count))
    return bounds


def is_bounded(interval: Interval) -> bool:
    """Return True if nothing in an interval is, or is about to become, an infinity."""
    return interval[0] >= -LIMIT and interval[1] <= LIMIT


def _of_data(value: Value) -> Interval:
    if value.tensor is None:
        return EVERYTHING
    fill, data = value.tensor.fill, value.tensor.values
    if data is None:
        return min(fill, 1.0), max(fill, 1.0)
    numbers = np.asarray(data, dtype=np.float64)
    low, high = numbers.min(initial=fill), numbers.max(initial=fill)
    return _clip((float(low), float(high)))


def _clip(interval: Interval) -> Interval:
    return interval if is_bounded(interval) else EVERYTHING


def _rounded(interval: Interval) -> Interval:
    """Return where results lie after one rounding, which changes no sign."""
    low, high = interval
    return (low - ROUNDING * abs(low), high + ROUNDING * abs(high))


def _summed(each: Interval, count: int) -> Interval:
    """Return where sums lie, in whatever order; those of numbers of one sign keep it."""
    low, high = min(0.0, each[0] * count), max(0.0, each[1] * count)
    slack = count * ROUNDING * max(-low, high)
    return (low - slack if low else 0.0, high + slack if high else 0.0)


def _reduced(op: Einsum, each: Interval, count: int) -> Interval:
    """Return where a reduction of up to `count` elements lies; of none it is the identity."""
    low, high = each
    if op.reduce is None or not is_bounded(each):
        return each
    if op.reduce == "add":
        return _summed(each, count)
    if op.reduce == "mul":
        most = max(1.0, abs(low), abs(high))
        size = most**count if count * math.log10(most) < 300 else math.inf
        return (-2 * size, 2 * size)
    return each if count else EVERYTHING


def _mapped(op: Einsum, operands: tuple[Interval, ...]) -> Interval:
    """Return where a scalar function of bounded operands lies; EVERYTHING if that is unknown."""
    rule = _RULES.get(op.fn)
    values = operands[1:] if op.fn == "masked" else operands
    if rule is None or not all(map(is_bounded, values)):
        return EVERYTHING
    return rule(*values, *op.parameters)


def _both_ways(low: float, high: float) -> Interval:
    return min(low, high), max(low, high)


def _corners(a: Interval, b: Interval) -> Interval:
    products = [x * y for x in a for y in b]
    return min(products), max(products)


def _inverse(x: Interval) -> Interval:
    return (1 / x[1], 1 / x[0]) if x[0] > 0 or x[1] < 0 else EVERYTHING


def _quotient(a: Interval, b: Interval) -> Interval:
    inverse = _inverse(b)
    return _corners(a, inverse) if is_bounded(inverse) else EVERYTHING


def _magnitude(x: Interval) -> Interval:
    most = max(map(abs, x))
    return (0.0 if x[0] <= 0 <= x[1] else min(map(abs, x))), most


def _exp(x: Interval) -> Interval:
    return (0.0, math.exp(x[1])) if x[1] < 80 else EVERYTHING


def _log(x: Interval) -> Interval:
    return (math.log(x[0]), math.log(x[1])) if x[0] > 0 else EVERYTHING


def _sqrt(x: Interval) -> Interval:
    return (math.sqrt(x[0]), math.sqrt(x[1])) if x[0] >= 0 else EVERYTHING


def _square(x: Interval) -> Interval:
    low, high = _magnitude(x)
    return low * low, high * high


def _power(x: Interval, exponent: float) -> Interval:
    most = max(1.0, *map(abs, x))
    if exponent < 0 or not float(exponent).is_integer() or exponent * math.log10(most) > 300:
        return EVERYTHING
    return -(most**exponent), most**exponent


def _between(x: Interval, slope: float) -> Interval:
    """Bound a function that lies between 0 and x above 0, and above `slope` below it."""
    return min(0.0, slope), max(0.0, x[1])


_RULES: Mapping[str, Callable[..., Interval]] = {
    "copy": lambda x: x,
    "neg": lambda x: (-x[1], -x[0]),
    "abs": _magnitude,
    "relu": lambda x: (max(x[0], 0.0), max(x[1], 0.0)),
    "leaky_relu": lambda x, c: (min(x[0], c * x[0], c * x[1]), max(x[1], c * x[0], c * x[1])),
    "exp": _exp,
    "log": _log,
    "sqrt": _sqrt,
    "rsqrt": lambda x: _inverse(_sqrt(x)) if x[0] > 0 else EVERYTHING,
    "reciprocal": _inverse,
    "square": _square,
    "sigmoid": lambda x: (0.0, 1.0),
    "silu": lambda x: _between(x, -0.3),
    "tanh": lambda x: (-1.0, 1.0),
    "erf": lambda x: (-1.0, 1.0),
    "gelu": lambda x: _between(x, -0.2),
    "gelu_tanh": lambda x: _between(x, -0.2) if max(map(abs, x)) < 1e12 else EVERYTHING,
    "sin": lambda x: (-1.0, 1.0),
    "cos": lambda x: (-1.0, 1.0),
    "add_scalar": lambda x, c: (x[0] + c, x[1] + c),
    "mul_scalar": lambda x, c: _both_ways(x[0] * c, x[1] * c),
    "rsub_scalar": lambda x, c: (c - x[1], c - x[0]),
    "rdiv_scalar": lambda x, c: _quotient((c, c), x),
    "div_scalar": lambda x, c: _both_ways(x[0] / c, x[1] / c) if c else EVERYTHING,
    "pow_scalar": _power,
    "max_scalar": lambda x, c: (max(x[0], c), max(x[1], c)),
    "min_scalar": lambda x, c: (min(x[0], c), min(x[1], c)),
    "mul": _corners,
    "add": lambda a, b: (a[0] + b[0], a[1] + b[1]),
    "sub": lambda a, b: (a[0] - b[1], a[1] - b[0]),
    "div": _quotient,
    "max": lambda a, b: (max(a[0], b[0]), max(a[1], b[1])),
    "min": lambda a, b: (min(a[0], b[0]), min(a[1], b[1])),
    "safe_sub": lambda a, b: (a[0] - b[1], a[1] - b[0]),
    "safe_div": _quotient,
    "masked": lambda x, c: (min(x[0], c), max(x[1], c)),
}
