# SPDX-License-Identifier: MIT
"""Worked examples as graphs: a product of three matrices, graph convolutions, masked attention."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fuseflow.fusion.analysis.support import compute_fills
from fuseflow.fusion.regions import make_region
from fuseflow.ir.dataflow import DataflowGraph
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.evaluate import Dense
from fuseflow.ir.testing import TensorSpec, make_graph, sparse_array
from tests.fusion.checks import lower_region, stored_values

CSR = "dense,compressed"
CSC = "dense,compressed@1,0"
SPARSE = "compressed,compressed"
DENSE = "dense,dense"
BAND = np.eye(6) + np.eye(6, k=1) + np.eye(6, k=-5) > 0
"""A mask of 6 x 6 with two entries in each row."""

FIRST_LAYER = {
    "(AX)W": ["Y1[l,m] = add[p] mul(A[l,p], X[p,m])", "U1[l,c] = add[m] mul(Y1[l,m], W1[m,c])"],
    "A(XW)": ["Y1[p,c] = add[m] mul(X[p,m], W1[m,c])", "U1[l,c] = add[p] mul(A[l,p], Y1[p,c])"],
}


def lower(graph: EinsumGraph, *order: str) -> DataflowGraph:
    """Lower a whole graph into one kernel under an order."""
    region = make_region(graph, graph.einsums, graph.name)
    return lower_region(region, stored_values(graph), compute_fills(graph), order)[0]


def softmax(scores: str) -> list[str]:
    """The einsums of P[i,j], the softmax over j of scores[i,j]."""
    return [
        f"top[i] = max[j] copy({scores}[i,j])",
        f"low[i,j] = safe_sub({scores}[i,j], top[i])",
        "e[i,j] = exp(low[i,j])",
        "s[i] = add[j] copy(e[i,j])",
        "P[i,j] = safe_div(e[i,j], s[i])",
    ]


def product_chain() -> EinsumGraph:
    """(A B) C of sparse matrices."""
    rng = np.random.default_rng(0)
    shapes = {"A": (6, 5), "B": (5, 4), "C": (4, 6)}
    return make_graph(
        ["T[i,j] = add[k] mul(A[i,k], B[k,j])", "D[i,l] = add[j] mul(T[i,j], C[j,l])"],
        {name: (sparse_array(rng, shape), SPARSE) for name, shape in shapes.items()},
        references=True,
    )


def gcn_layer(first: str, adjacency: str = CSR) -> EinsumGraph:
    """relu(A X W + b), associated as `first` says; A in a format, X in CSR, W dense."""
    rng = np.random.default_rng(0)
    products = {
        "A(XW)": ["Y[l,j] = add[m] mul(X[l,m], W[m,j])", "T[i,j] = add[l] mul(A[i,l], Y[l,j])"],
        "(AX)W": ["Y[i,m] = add[l] mul(A[i,l], X[l,m])", "T[i,j] = add[m] mul(Y[i,m], W[m,j])"],
    }
    tensors: Mapping[str, TensorSpec] = {
        "A": (sparse_array(rng, (6, 6), 0.3), adjacency),
        "X": (sparse_array(rng, (6, 5)), CSR),
        "W": sparse_array(rng, (5, 3), 1.0),
        "b": sparse_array(rng, (3,), 1.0),
    }
    ends = ["U[i,j] = add(T[i,j], b[j])", "Z[i,j] = relu(U[i,j])"]
    return make_graph([*products[first], *ends], tensors, references=True)


def gcn(
    first: str,
    formats: tuple[str, str] = (CSR, CSR),
    *,
    adjacency: Dense | None = None,
    features: Dense | None = None,
    hidden: int = 4,
    classes: int = 3,
) -> EinsumGraph:
    """Two graph convolutions; `formats` has those of A in the first and in the second layer."""
    rng = np.random.default_rng(0)
    a = sparse_array(rng, (6, 6)) if adjacency is None else adjacency
    x = sparse_array(rng, (len(a), 5)) if features is None else features
    tensors: Mapping[str, TensorSpec] = {
        "A": (a, formats[0]),
        "A2": (a, formats[1]),
        "X": (x, CSR),
        "W1": sparse_array(rng, (x.shape[1], hidden), 1.0),
        "W2": sparse_array(rng, (hidden, classes), 1.0),
        "b1": sparse_array(rng, (hidden,), 1.0),
        "b2": sparse_array(rng, (classes,), 1.0),
    }
    texts = [
        *FIRST_LAYER[first],
        "V1[l,c] = add(U1[l,c], b1[c])",
        "H[l,c] = relu(V1[l,c])",
        "Y2[l,j] = add[c] mul(H[l,c], W2[c,j])",
        "U2[i,j] = add[l] mul(A2[i,l], Y2[l,j])",
        "Z[i,j] = add(U2[i,j], b2[j])",
    ]
    return make_graph(texts, tensors, references=True)


def attention(values: str = DENSE, mask: Dense = BAND, depth: int = 3) -> EinsumGraph:
    """softmax(where(M, Q K^T / 2, -inf)) V with V in a format."""
    rng = np.random.default_rng(0)
    queries, keys = mask.shape
    tensors: Mapping[str, TensorSpec] = {
        "Q": sparse_array(rng, (queries, depth), 1.0),
        "K": sparse_array(rng, (keys, depth), 1.0),
        "V": (sparse_array(rng, (keys, 2), 0.6), values),
        "M": (mask, f"{SPARSE} pattern"),
    }
    texts = [
        "S0[i,j] = add[d] mul(Q[i,d], K[j,d])",
        "S1[i,j] = mul_scalar(S0[i,j], 0.5)",
        "X[i,j] = masked(M[i,j], S1[i,j], -inf)",
        *softmax("X"),
        "O[i,e] = add[j] mul(P[i,j], V[j,e])",
    ]
    return make_graph(texts, tensors, references=True)
