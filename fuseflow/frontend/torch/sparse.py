# SPDX-License-Identifier: MIT
"""ATen operators that compute on the stored entries of a sparse tensor only.

Which entries are stored must be known: the tensor is an operand with data, or was computed on the
pattern of one. Explicit zeros count as absent.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from fuseflow.frontend.graph import spellings
from fuseflow.frontend.graph.ops import MapAttrs
from fuseflow.frontend.torch.args import Call, Rule

__all__ = ["SPARSE_RULES"]


def _sampled_addmm(call: Call) -> str:
    """Spell beta * self + alpha * (mat1 @ mat2), both on the pattern of self."""
    b, pattern = call.builder, _pattern(call)
    product = spellings.matmul(b, call.tensor("mat1"), call.tensor("mat2"))
    product = spellings.scalar(b, "mul", product, float(call.get("alpha", 1)))
    sampled = b.map("masked", pattern, product, parameters=(0.0,))
    beta = float(call.get("beta", 1))
    if not beta:
        return sampled
    return b.map("add", sampled, spellings.scalar(b, "mul", call.tensor("self"), beta))


def _softmax(call: Call) -> str:
    """Normalise the stored entries along a dimension; what is not stored stays 0."""
    b = call.builder
    scores = b.where(_pattern(call), call.tensor("self"), b.constant(np.float32(-np.inf)))
    return b.softmax(scores, int(call.get("dim")), zero_rows=True)


def _sum(call: Call) -> str:
    return call.builder.reduce("add", call.tensor("self"), call.dims())


def _product(call: Call) -> str:
    """Spell a product of matrices whose sums may be means, or maxima, of what is stored."""
    b, sparse, dense = call.builder, call.tensor("sparse"), call.tensor("dense")
    reduction = call.texts.get("reduce", "sum")
    if reduction in ("amax", "amin", "max", "min"):
        return _extremum(call, reduction.removeprefix("a"))
    call.require("reduce", (None, "sum", "mean"))
    product = spellings.matmul(b, sparse, dense)
    if reduction == "sum":
        return product
    counts = np.maximum(_stored(call, sparse).sum(1, keepdims=True), 1).astype(np.float32)
    return b.map("safe_div", product, b.constant(counts, "stored per row"))


def _extremum(call: Call, op: str) -> str:
    """Take the largest or smallest product of each row and column; rows without any give 0."""
    b, sparse = call.builder, call.tensor("sparse")
    products = b.map("mul", b.unsqueeze(sparse, (2,)), b.unsqueeze(call.tensor("dense"), (0,)))
    stored = _stored(call, sparse)
    pattern = b.unsqueeze(b.constant(stored, "pattern"), (2,))
    fill = -np.inf if op == "max" else np.inf
    result = b.reduce(op, b.map("masked", pattern, products, parameters=(fill,)), (1,))
    if stored.any(1).all():
        return result
    rows = b.constant(stored.any(1, keepdims=True), "has_entries")
    return b.map("masked", rows, result, parameters=(0.0,))


def _pattern(call: Call) -> str:
    """Return the value that says which entries of `self` are stored."""
    stored = _stored(call, call.tensor("self"))
    return call.builder.constant(stored, "pattern")


def _stored(call: Call, name: str) -> npt.NDArray[np.bool_]:
    """Return which entries of a value are stored: where its data are, or those it comes from."""
    graph = call.builder.graph
    data = graph.values[name].data
    if data is not None:
        return np.asarray(data != 0)
    op = graph.producers().get(name)
    if op is None or not isinstance(op.attrs, MapAttrs):
        raise call.refusal("which entries of its operand are stored is not known")
    if op.attrs.fn == "masked":
        return _stored(call, op.inputs[0])
    first, *others = (_stored(call, each) for each in op.inputs)
    if not all(np.array_equal(first, other) for other in others):
        raise call.refusal("its operand comes from tensors that store different entries")
    return first


SPARSE_RULES: Mapping[str, Rule] = {
    "_sparse_mm": _product,
    "_sparse_softmax": _softmax,
    "_sparse_sum": _sum,
    "sparse_sampled_addmm": _sampled_addmm,
}
