# SPDX-License-Identifier: MIT
"""Comparisons of computed values, as numbers: 1 where they hold, 0 elsewhere.

They are spelled with functions that exist. A difference is 0 for equal operands only, and two
factors lift any other to at least 1 in magnitude, the smallest subnormal number included. Operands
that are not finite, and NaN, are outside of what this decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fuseflow.frontend.graph import spellings
from fuseflow.frontend.graph.builder import OpBuilder

__all__ = ["COMPARISONS", "negation", "sign"]

_LIFT = 1e38


def _difference(b: OpBuilder, x: str, y: str) -> str:
    lifted = b.map("sub", x, y)
    for _ in range(2):
        lifted = spellings.scalar(b, "mul", lifted, _LIFT)
    return lifted


def _greater(b: OpBuilder, x: str, y: str) -> str:
    with b.composite("greater"):
        return spellings.scalar(b, "min", b.map("relu", _difference(b, x, y)), 1.0)


def _unequal(b: OpBuilder, x: str, y: str) -> str:
    with b.composite("unequal"):
        return spellings.scalar(b, "min", b.map("abs", _difference(b, x, y)), 1.0)


def negation(b: OpBuilder, condition: str) -> str:
    """Return 1 - condition."""
    return spellings.scalar(b, "sub", condition, 1.0, reverse=True)


def sign(b: OpBuilder, x: str) -> str:
    """Return -1, 0 or 1."""
    with b.composite("sign"):
        lifted = spellings.scalar(b, "mul", spellings.scalar(b, "mul", x, _LIFT), _LIFT)
        return spellings.scalar(b, "max", spellings.scalar(b, "min", lifted, 1.0), -1.0)


COMPARISONS: Mapping[str, Callable[[OpBuilder, str, str], str]] = {
    "eq": lambda b, x, y: negation(b, _unequal(b, x, y)),
    "ge": lambda b, x, y: negation(b, _greater(b, y, x)),
    "gt": _greater,
    "le": lambda b, x, y: negation(b, _greater(b, x, y)),
    "lt": lambda b, x, y: _greater(b, y, x),
    "ne": _unequal,
}
