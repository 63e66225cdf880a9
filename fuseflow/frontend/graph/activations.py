# SPDX-License-Identifier: MIT
"""Functions that have no scalar function of their own, spelled with several, for both frameworks.

The parts of each carry one composite name. Where frameworks guard against overflow, so does the
spelling.
"""

from __future__ import annotations

from fuseflow.frontend.graph import spellings
from fuseflow.frontend.graph.builder import OpBuilder

__all__ = ["celu", "elu", "hard_sigmoid", "hard_swish", "log_sum_exp", "mish", "selu", "softplus"]


def elu(b: OpBuilder, x: str, alpha: float) -> str:
    """Spell max(x, 0) + alpha * (exp(min(x, 0)) - 1)."""
    with b.composite("elu"):
        return _elu(b, x, alpha, 1.0)


def celu(b: OpBuilder, x: str, alpha: float) -> str:
    """Spell max(x, 0) + alpha * (exp(min(x, 0) / alpha) - 1)."""
    with b.composite("celu"):
        return _elu(b, x, alpha, alpha)


def selu(b: OpBuilder, x: str, alpha: float, gamma: float) -> str:
    """Spell gamma * elu(x)."""
    with b.composite("selu"):
        return spellings.scalar(b, "mul", _elu(b, x, alpha, 1.0), gamma)


def _elu(b: OpBuilder, x: str, alpha: float, divisor: float) -> str:
    negative = spellings.scalar(b, "div", spellings.scalar(b, "min", x, 0.0), divisor)
    below = spellings.scalar(b, "sub", b.map("exp", negative), 1.0)
    return b.map("add", b.map("relu", x), spellings.scalar(b, "mul", below, alpha))


def softplus(b: OpBuilder, x: str) -> str:
    """Spell log(1 + exp(x)) as max(x, 0) + log(1 + exp(-|x|)), which cannot overflow."""
    with b.composite("softplus"):
        small = b.map("exp", b.map("neg", b.map("abs", x)))
        rest = b.map("log", spellings.scalar(b, "add", small, 1.0))
        return b.map("add", b.map("relu", x), rest)


def mish(b: OpBuilder, x: str) -> str:
    """Spell x * tanh(softplus(x))."""
    with b.composite("mish"):
        return b.map("mul", x, b.map("tanh", softplus(b, x)))


def hard_sigmoid(b: OpBuilder, x: str, slope: float = 1 / 6, offset: float = 0.5) -> str:
    """Spell slope * x + offset, bounded by 0 and 1."""
    with b.composite("hard_sigmoid"):
        line = spellings.scalar(b, "mul", x, slope)
        line = spellings.scalar(b, "add", line, offset)
        return spellings.scalar(b, "min", b.map("relu", line), 1.0)


def hard_swish(b: OpBuilder, x: str) -> str:
    """Spell x * hard_sigmoid(x)."""
    with b.composite("hard_swish"):
        return b.map("mul", x, hard_sigmoid(b, x))


def log_sum_exp(b: OpBuilder, x: str, dims: tuple[int, ...], *, keepdim: bool) -> str:
    """Spell the logarithm of a sum of exponentials, shifted by the largest."""
    with b.composite("log_sum_exp"):
        maximum = b.reduce("max", x, dims, keepdim=True)
        shifted = b.map("exp", b.map("sub", x, maximum))
        total = b.map("log", b.reduce("add", shifted, dims, keepdim=keepdim))
        return b.map("add", total, maximum if keepdim else b.reduce("max", maximum, dims))
