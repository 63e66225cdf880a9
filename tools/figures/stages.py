# SPDX-License-Identifier: MIT
"""Closed forms: how many cycles a kernel takes at least, if every unit does one token per cycle.

A stage is one operation of a model. Its `work` counts innermost tokens and one stop per innermost
fiber; a kernel takes at least the largest work of its stages, which run at the same time, and
kernels run one after the other. An operation that stands alone and sums rows can also be charged
with emptying its accumulator (`drain`). Independent of the compiler and of the simulator: only
extents and counts of entries go in.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

__all__ = [
    "GraphCounts",
    "Matrix",
    "SparseProduct",
    "Stage",
    "attention_stages",
    "autoencoder_stages",
    "decoder_stages",
    "dense_features",
    "gcn_stages",
    "graphsage_stages",
    "kernel_floor",
    "sparse_features",
]

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Stage:
    """One operation: globs of the einsums that it consists of, and its tokens.

    `again` is its work where `user` stands in the same kernel: computed anew for every use, or only
    where the user looks. `joint` is that of a product whose operands are products too, if one loop
    nest computes them all.
    """

    name: str
    ops: tuple[str, ...]
    work: int
    drain: int = 0
    again: int = 0
    user: str = ""
    joint: int = 0

    def matches(self, op: str) -> bool:
        """Return True if an einsum belongs to this stage."""
        return any(fnmatch.fnmatchcase(op, pattern) for pattern in self.ops)


def kernel_floor(
    stages: Sequence[Stage], ops: Iterable[str], lanes: int = 1, *, joint: bool = False
) -> tuple[int, int]:
    """Return the floor of a kernel that computes the einsums `ops`, with and without drain.

    With `joint` one loop nest computes all products of the kernel.

    Raises:
        KeyError: if an einsum belongs to no stage.
    """
    present: dict[str, Stage] = {}
    for op in ops:
        owner = next((stage for stage in stages if stage.matches(op)), None)
        if owner is None:
            raise KeyError(op)
        present[owner.name] = owner
    nest = max(stage.joint for stage in present.values()) if joint else 0
    work = nest or max(
        stage.again if stage.user and stage.user in present else stage.work
        for stage in present.values()
    )
    drain = next(iter(present.values())).drain if len(present) == 1 else 0
    return -(-(work + drain) // lanes), -(-work // lanes)


@dataclass(frozen=True, slots=True)
class Matrix:
    """A stored weight: how many entries, in how many rows that are walked."""

    entries: int
    rows: int

    @property
    def tokens(self) -> int:
        """Return the tokens of one walk over all its rows."""
        return self.entries + self.rows


@dataclass(frozen=True, slots=True)
class SparseProduct:
    """Layer 1 of a graph network: tokens of A X, of (A X) W and of X W, and per use by layer 2.

    `row` is the mean length of the rows of A X.
    """

    aggregate: int
    transform: int
    own: int
    aggregate_again: int
    transform_again: int
    own_again: int
    row: int


@dataclass(frozen=True, slots=True)
class GraphCounts:
    """What the floors of a graph network depend on: n, a, F, H, C, and the weights of 2 layers."""

    nodes: int
    entries: int
    features: int
    hidden: int
    classes: int
    first: Matrix
    second: Matrix
    product: SparseProduct


def dense_features(
    nodes: int, entries: int, two_hops: int, features: int, weight: Matrix
) -> SparseProduct:
    """Layer 1 where X is stored with its zeros: every row has F elements."""
    return SparseProduct(
        aggregate=entries * (features + 1),
        transform=nodes * weight.tokens,
        own=nodes * weight.tokens,
        aggregate_again=two_hops * (features + 1),
        transform_again=entries * weight.tokens,
        own_again=entries * weight.tokens,
        row=features,
    )


def sparse_features(
    rows: Integers,
    columns: Integers,
    features: npt.NDArray[np.float32],
    weight: Integers,
    own_weight: Integers,
) -> SparseProduct:
    """Layer 1 where rows of X hold what is not zero, and no row of W is left out.

    Args:
        rows, columns: the entries of A.
        features: X, f32[n, F].
        weight, own_weight: stored entries of each row of W, i64[F], for A X and for X.
    """
    from scipy import sparse

    nodes = len(features)
    adjacency = sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(nodes, nodes))
    stored = sparse.csr_array((features != 0).astype(np.float64))
    lengths = np.diff(stored.indptr) + 1
    aggregate = np.bincount(rows, lengths[columns], nodes)
    pattern = adjacency @ stored
    pattern.data[:] = 1.0
    transform = pattern @ (weight + 1)
    own = stored @ (own_weight + 1)
    return SparseProduct(
        aggregate=int(aggregate.sum()),
        transform=int(transform.sum()),
        own=int(own.sum()),
        aggregate_again=int(aggregate[columns].sum()),
        transform_again=int(transform[columns].sum()),
        own_again=int(own[columns].sum()),
        row=int(pattern.sum()) // nodes,
    )


def gcn_stages(g: GraphCounts) -> tuple[Stage, ...]:
    """Two layers of GCN, (A X) W + b in that order; a softmax is one pass over its rows."""
    n, hidden, out = g.nodes, g.hidden + 1, g.classes + 1
    uses = g.entries * hidden
    return (
        Stage("adj1", ("layer1.matmul",), g.product.aggregate, n * (g.product.row + 1),
              g.product.aggregate_again, "adj2"),
        Stage("lin1", ("layer1.linear.matmul",), g.product.transform, n * hidden,
              g.product.transform_again, "adj2", g.entries * g.first.entries),
        Stage("bias1", ("layer1.linear.add",), n * hidden, 0, uses, "adj2"),
        Stage("relu", ("layer1.activation.*",), n * hidden, 0, uses, "adj2"),
        Stage("adj2", ("layer2.matmul",), g.entries * hidden, n * hidden),
        Stage("lin2", ("layer2.linear.matmul",), n * g.second.tokens, n * out,
              joint=g.entries * g.second.entries),
        Stage("bias2", ("layer2.linear.add",), n * out),
        Stage("softmax", ("layer2.activation.*",), n * out),
    )  # fmt: skip


def graphsage_stages(g: GraphCounts) -> tuple[Stage, ...]:
    """Two layers of GraphSAGE; both linear maps of a layer have weights of one size."""
    n, hidden, out = g.nodes, g.hidden + 1, g.classes + 1
    uses = g.entries * hidden
    return (
        Stage("adj1", ("layer1.matmul",), g.product.aggregate, n * (g.product.row + 1),
              g.product.aggregate_again, "adj2"),
        Stage("self1", ("layer1.self_linear.matmul",), g.product.own, n * hidden,
              g.product.own_again, "adj2"),
        Stage("nbr1", ("layer1.neighbor_linear.matmul",), g.product.transform, n * hidden,
              g.product.transform_again, "adj2"),
        *(Stage(name, (f"layer1.{op}",), n * hidden, 0, uses, "adj2")
          for name, op in (("bias_self1", "self_linear.add"), ("bias_nbr1", "neighbor_linear.add"),
                           ("add1", "add"), ("relu1", "activation.*"))),
        Stage("adj2", ("layer2.matmul",), g.entries * hidden, n * hidden),
        Stage("self2", ("layer2.self_linear.matmul",), n * g.second.tokens, n * out),
        Stage("nbr2", ("layer2.neighbor_linear.matmul",), n * g.second.tokens, n * out),
        *(Stage(name, (f"layer2.{op}",), n * out)
          for name, op in (("bias_self2", "self_linear.add"), ("bias_nbr2", "neighbor_linear.add"),
                           ("add2", "add"), ("relu2", "activation.*"))),
    )  # fmt: skip


def autoencoder_stages(
    batch: int, inputs: int, hidden: int, first: Matrix, second: Matrix
) -> tuple[Stage, ...]:
    """Encoder and decoder; every sample is fully populated, and so is every code."""
    code, sample = batch * (hidden + 1), batch * (inputs + 1)
    return (
        Stage("enc_mul", ("encoder.linear.matmul",), batch * first.tokens, code),
        Stage("enc_bias", ("encoder.linear.add",), code),
        Stage("enc_relu", ("encoder.activation.*",), code),
        Stage("dec_mul", ("decoder.linear.matmul",), batch * second.tokens, sample),
        Stage("dec_bias", ("decoder.linear.add",), sample),
    )


def attention_stages(
    seq: int, heads: int, width: int, mask: int, *, masked_first: bool
) -> tuple[Stage, ...]:
    """Attention over `mask` entries per head.

    Scores are formed densely, row by row with inner fibers of `seq`. With `masked_first` a kernel
    that applies the mask as well forms only those that it keeps, each a sum of `width` products.
    """
    entries, dense = heads * (mask + seq), heads * seq * (seq + 1)
    sampled = heads * mask * (width + 1)
    scores = Stage("qk", ("*attention.matmul",), dense * width, dense)
    masked = Stage("mask", ("*attention.masked",), dense)
    if masked_first:
        scores = replace(scores, again=sampled, user="mask")
        masked = replace(masked, again=entries, user="qk")
    return (
        scores,
        masked,
        Stage("scale", ("*attention.div_scalar",), entries),
        Stage("softmax", ("*attention.softmax*",), entries),
        Stage("pv", ("*attention.matmul_1",), sampled, heads * seq * (width + 1)),
    )


def decoder_stages(
    seq: int, dim: int, heads: int, ffn: int, mask: int, *, masked_first: bool
) -> tuple[Stage, ...]:
    """One decoder; what is split into heads has inner fibers of dim / heads."""
    width = dim // heads
    split = heads * (width + 1)
    wide, hidden = seq * (dim + 1), seq * (ffn + 1)
    projections = (
        stage
        for kind in ("query", "key", "value")
        for stage in (
            Stage(f"{kind}_mul", (f"*projection.{kind}.matmul",), seq * dim * split, seq * split),
            Stage(f"{kind}_bias", (f"*projection.{kind}.add",), seq * split),
        )
    )
    return (
        Stage("ln1", ("*projection.norm.*",), wide),
        *projections,
        *attention_stages(seq, heads, width, mask, masked_first=masked_first),
        Stage("out_mul", ("*feedforward.output.matmul",), seq * dim * (dim + 1), wide),
        Stage("out_bias", ("*feedforward.output.add",), wide),
        Stage("res1", ("*feedforward.add",), wide),
        Stage("ln2", ("*feedforward.norm.*",), wide),
        Stage("ffn1_mul", ("*feedforward.up.matmul",), seq * dim * (ffn + 1), hidden),
        Stage("ffn1_bias", ("*feedforward.up.add",), hidden),
        Stage("relu", ("*feedforward.activation.*",), hidden),
        Stage("ffn2_mul", ("*feedforward.down.matmul",), seq * ffn * (dim + 1), wide),
        Stage("ffn2_bias", ("*feedforward.down.add",), wide),
        Stage("res2", ("*feedforward.add_1",), wide),
    )
