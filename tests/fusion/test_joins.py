# SPDX-License-Identifier: MIT
"""Joins: only where coordinates differ, one for all payloads of a stream."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from fuseflow.fusion.analysis.domains import JOIN_INPUTS
from fuseflow.ir.dataflow import JoinAttrs, Op
from fuseflow.ir.testing import TensorSpec, make_graph, sparse_array
from tests.fusion.checks import assert_denotes
from tests.fusion.examples import lower, softmax


def test_union_of_results_with_the_same_coordinates_is_no_join() -> None:
    graph = make_graph(
        ["X[i,j] = masked(M[i,j], S[i,j], -inf)", *softmax("X"),
         "Y[i,j] = max(P[i,j], low[i,j])", "Z[i,j] = max(P[i,j], top[i])"],
        {"S": np.arange(6).reshape(2, 3), "M": (np.eye(2, 3), "compressed,compressed pattern")},
        outputs=["Y", "Z"],
    )  # fmt: skip
    fused, _ = assert_denotes(graph)
    assert fused.run
    joins = [node for node in lower(graph, "i", "j").nodes if node.op is Op.JOIN]
    assert len(joins) == 1  # Z looks P up at every j; Y reads both streams as they are


def vectors(count: int, density: float) -> dict[str, TensorSpec]:
    rng = np.random.default_rng(0)
    return {f"x{n}": (sparse_array(rng, (12,), density), "compressed") for n in range(count)}


def chained(fn: str, names: Sequence[str], result: str) -> list[str]:
    """The einsums that combine vectors one after the other."""
    texts, last = [], names[0]
    for number, name in enumerate(names[1:], start=1):
        output = result if number == len(names) - 1 else f"{result}{number}"
        texts.append(f"{output}[i] = {fn}({last}[i], {name}[i])")
        last = output
    return texts


@pytest.mark.parametrize(
    ("fn", "density", "keep"), [("add", 0.1, "union"), ("mul", 0.95, "intersect")]
)
def test_many_sparse_operands_meet_in_a_chain_of_joins(fn: str, density: float, keep: str) -> None:
    tensors = vectors(40, density)
    graph = make_graph(chained(fn, list(tensors), "y"), tensors)
    fused, _ = assert_denotes(graph)
    assert fused.run
    joins = [n.attrs for n in lower(graph, "i").nodes if isinstance(n.attrs, JoinAttrs)]
    assert {join.keep for join in joins} == {keep}
    assert all(len(join.payloads) <= JOIN_INPUTS for join in joins)


@pytest.mark.parametrize("factors", [2, 3, 4, 5, 8, 16])
def test_joins_of_products_of_sums_stay_small(factors: int) -> None:
    tensors = vectors(2 * factors, 0.8)
    sums = [f"s{n}[i] = add(x{2 * n}[i], x{2 * n + 1}[i])" for n in range(factors)]
    product = chained("mul", [f"s{n}" for n in range(factors)], "y")
    graph = make_graph([*sums, *product], tensors)
    fused, _ = assert_denotes(graph)
    assert fused.run
    joins = [n.attrs.keep for n in lower(graph, "i").nodes if isinstance(n.attrs, JoinAttrs)]
    assert all(len(keep) <= 2**JOIN_INPUTS for keep in joins)


@pytest.mark.parametrize("terms", [2, 3, 4, 5, 8, 16])
def test_joins_of_sums_of_products_stay_small(terms: int) -> None:
    tensors = vectors(2 * terms, 0.5)
    products = [f"p{n}[i] = mul(x{2 * n}[i], x{2 * n + 1}[i])" for n in range(terms)]
    total = chained("add", [f"p{n}" for n in range(terms)], "y")
    graph = make_graph([*products, *total], tensors)
    fused, _ = assert_denotes(graph)
    assert fused.run
    joins = [n.attrs.keep for n in lower(graph, "i").nodes if isinstance(n.attrs, JoinAttrs)]
    assert all(len(keep) <= 2**JOIN_INPUTS for keep in joins)
