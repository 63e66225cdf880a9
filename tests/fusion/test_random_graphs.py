# SPDX-License-Identifier: MIT
"""Any graph, format, strategy, cut and loop order computes what the dense tensors denote.

Each graph is compiled under one strategy, and cut and ordered at random once; the families differ
in what their graphs are made of. `make fuzz` runs them for as long as one likes, with new graphs.
"""

from random import Random

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from fuseflow.fusion import FuseOptions
from fuseflow.ir.einsum import EinsumGraph
from tests.fusion.checks import (
    EVERY_STRATEGY,
    assert_computes,
    assert_random_orders,
    describe,
)
from tests.strategies import GraphShape, einsum_graphs

FAMILIES = {
    "short": GraphShape(max_ops=3),
    "medium": GraphShape(max_ops=5, extents=(1, 2, 3)),
    "long": GraphShape(max_ops=9, extents=(2, 3)),
    "matrices": GraphShape(max_ops=5, max_rank=2, extents=(1, 3, 5)),
    "cubes": GraphShape(max_ops=4, max_rank=4, extents=(1, 2)),
    "empty": GraphShape(max_ops=4, extents=(0, 1, 2)),
    "filled": GraphShape(max_ops=4, extents=(2, 3), fills=(0.5, -1.0)),
    "infinite": GraphShape(max_ops=4, nonfinite=True),
}
GRAPHS = 260
"""How many graphs of each family are drawn."""
SIMULATED = 1 / 8
"""The share of graphs whose kernels are also simulated, token by token."""


@pytest.mark.parametrize("family", FAMILIES)
def test_random_graphs_compute_dense_results(family: str) -> None:
    @settings(max_examples=GRAPHS)
    @given(einsum_graphs(FAMILIES[family]), st.sampled_from(EVERY_STRATEGY), st.integers(0, 2**32))
    def check(graph: EinsumGraph, options: FuseOptions, seed: int) -> None:
        note(f"{describe(graph)} under {options}, seed {seed}")
        rng = Random(seed)
        assert_computes(graph, options)
        assert_random_orders(graph, rng, tokens=rng.random() < SIMULATED)

    check()
