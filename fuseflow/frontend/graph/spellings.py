# SPDX-License-Identifier: MIT
"""Operators that both frameworks have, spelled with the vocabulary of `OpKind`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from fuseflow.frontend.graph.builder import OpBuilder

__all__ = ["IDENTITIES", "attention", "einsum", "linear", "matmul", "scalar"]


def matmul(
    b: OpBuilder, x: str, y: str, *, transpose_x: bool = False, transpose_y: bool = False
) -> str:
    """Multiply matrices with NumPy's rules for batches and vectors."""
    rank_x, rank_y = len(b.shape(x)), len(b.shape(y))
    if not rank_x or not rank_y:
        raise b.error("a matrix product of a scalar")
    batch = tuple(f"b{depth}" for depth in range(max(rank_x, rank_y) - 2, 0, -1))
    labels_x = _matrix_labels(batch, rank_x, ("m", "k"), transpose=transpose_x)
    labels_y = _matrix_labels(batch, rank_y, ("k", "n"), transpose=transpose_y)
    output = batch + ("m",) * (rank_x > 1) + ("n",) * (rank_y > 1)
    return b.contract((x, y), (labels_x, labels_y), output)


def _matrix_labels(
    batch: tuple[str, ...], rank: int, inner: tuple[str, str], *, transpose: bool
) -> tuple[str, ...]:
    if rank == 1:
        return ("k",)
    pair = inner[::-1] if transpose else inner
    return batch[len(batch) - (rank - 2) :] + pair


def linear(b: OpBuilder, x: str, weight: str, bias: str = "") -> str:
    """Multiply by a weight stored as [out, in] and add a bias where given."""
    product = matmul(b, x, weight, transpose_y=True)
    return b.map("add", product, bias) if bias else product


def einsum(b: OpBuilder, equation: str, operands: Sequence[str]) -> str:
    """Evaluate an einsum equation with one letter per dimension, and `...` where present."""
    left, _, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        raise b.error(f"equation {equation!r} does not take {len(operands)} operands")
    ranks = [len(b.shape(name)) for name in operands]
    labels = [_expand_dots(term, rank) for term, rank in zip(terms, ranks, strict=True)]
    dots = max(sum(label.startswith(".") for label in term) for term in labels)
    if "->" in equation:
        output = _expand_dots(right, len(right.replace("...", "")) + dots)
    else:
        output = _implicit_output(labels, dots)
    return b.contract(operands, labels, output)


def _implicit_output(labels: Sequence[tuple[str, ...]], dots: int) -> tuple[str, ...]:
    """Return the labels that occur once, in alphabetical order, behind those of the dots."""
    flat = [label for term in labels for label in term if not label.startswith(".")]
    once = sorted(label for label in set(flat) if flat.count(label) == 1)
    return (*(f".{depth}" for depth in range(dots, 0, -1)), *once)


def _expand_dots(term: str, rank: int) -> tuple[str, ...]:
    head, dots, tail = term.partition("...")
    hidden = rank - len(head) - len(tail) if dots else 0
    return (*head, *(f".{depth}" for depth in range(hidden, 0, -1)), *tail)


def attention(
    b: OpBuilder,
    q: str,
    k: str,
    v: str,
    *,
    scale: float | None = None,
    mask: str = "",
    additive: str = "",
) -> str:
    """Scaled dot-product attention over the last two dimensions: softmax(q k^T * scale) v.

    `mask` is a boolean value, true where attention is allowed; `additive` is added to the scores.
    """
    scores = matmul(b, q, k, transpose_y=True)
    scores = scalar(b, "mul", scores, 1 / math.sqrt(b.shape(q)[-1]) if scale is None else scale)
    if mask:
        scores = b.where(mask, scores, b.constant(np.float32(-np.inf)))
    if additive:
        scores = b.map("add", scores, additive)
    return matmul(b, b.softmax(scores, -1, zero_rows=bool(mask)), v)


SCALAR_FORMS = {
    ("add", False): "add_scalar",
    ("add", True): "add_scalar",
    ("sub", True): "rsub_scalar",
    ("mul", False): "mul_scalar",
    ("mul", True): "mul_scalar",
    ("div", False): "div_scalar",
    ("div", True): "rdiv_scalar",
    ("max", False): "max_scalar",
    ("max", True): "max_scalar",
    ("min", False): "min_scalar",
    ("min", True): "min_scalar",
    ("pow", False): "pow_scalar",
}
IDENTITIES = {"add": 0.0, "max": -math.inf, "min": math.inf}
"""What each reduction that a scatter may have starts from."""

NAMED_POWERS = {2.0: "square", 0.5: "sqrt", -0.5: "rsqrt", -1.0: "reciprocal"}
NEUTRAL = {"add": 0.0, "sub": 0.0, "mul": 1.0, "div": 1.0, "pow": 1.0}


def scalar(b: OpBuilder, fn: str, x: str, c: float, *, reverse: bool = False) -> str:
    """Apply a binary function to `x` and a number, or to the number and `x` if reversed.

    `fn` is add, sub, mul, div, max, min or pow. Nothing is appended where the number is neutral.
    """
    commutes = fn in ("add", "mul")
    if NEUTRAL.get(fn) == c and (commutes or not reverse):
        return x
    if fn == "sub" and not reverse:
        return b.map("add_scalar", x, parameters=(-c,))
    if fn == "pow" and not reverse and c in NAMED_POWERS:
        return b.map(NAMED_POWERS[c], x)
    if fn == "div" and reverse and c == 1:
        return b.map("reciprocal", x)
    if (fn, reverse) not in SCALAR_FORMS:
        raise b.error(f"{fn} of a number and a tensor")
    return b.map(SCALAR_FORMS[fn, reverse], x, parameters=(c,))
