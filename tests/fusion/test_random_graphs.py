# SPDX-License-Identifier: MIT
"""Any graph, format and strategy: the compiled program computes what the dense tensors denote."""

from hypothesis import given, settings

from fuseflow.ir.einsum import EinsumGraph
from tests.fusion.checks import assert_every_strategy
from tests.strategies import GraphShape, einsum_graphs


@settings(max_examples=400)
@given(einsum_graphs())
def test_random_graphs_compute_dense_results(graph: EinsumGraph) -> None:
    assert_every_strategy(graph)


@settings(max_examples=100)
@given(einsum_graphs(GraphShape(max_ops=7, extents=(2, 3), softmax=True)))
def test_long_random_graphs_compute_dense_results(graph: EinsumGraph) -> None:
    assert_every_strategy(graph)


@settings(max_examples=100)
@given(einsum_graphs(GraphShape(nonfinite=True)))
def test_infinite_and_undefined_values_travel_unchanged(graph: EinsumGraph) -> None:
    assert_every_strategy(graph)
