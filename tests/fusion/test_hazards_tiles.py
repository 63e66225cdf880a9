# SPDX-License-Identifier: MIT
"""Hazards of tiles and lanes: ragged edges, masks finer than a tile, lists of uneven length."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from fuseflow.fusion import FuseOptions, Strategy, fuse
from fuseflow.fusion.blocks import block_graph
from fuseflow.fusion.lanes import parallelize
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.schedule import PRESETS
from fuseflow.ir.testing import make_graph
from tests.fusion.checks import assert_simulates
from tests.fusion.examples import softmax

every_strategy = pytest.mark.parametrize("strategy", PRESETS)


def assert_blocked(graph: EinsumGraph, tiles: dict[str, int], strategy: Strategy) -> None:
    """Require the references of a blocked graph, under every order of its indices."""
    blocked = block_graph(graph, tiles)
    assert blocked is not graph
    for order in permutations(sorted(graph.index_sizes())):
        assert_simulates(fuse(blocked, FuseOptions(strategy, order=order)))


@every_strategy
@pytest.mark.parametrize("tile", [2, 4, 5, 8])
def test_hazard_h33_padding_takes_no_part_in_a_sum(tile: int, strategy: Strategy) -> None:
    graph = make_graph(
        ["E[i] = exp(x[i])", "y[] = add[i] copy(E[i])"],
        {"x": [1, 2, 3, 4, 5]},
        outputs=["E", "y"],
        references=True,
    )
    assert graph.outputs[1].reference == pytest.approx(233.204, abs=1e-3)
    assert_blocked(graph, {"i": tile}, strategy)


@every_strategy
@pytest.mark.parametrize("reduction", ["max", "min", "add", "mul"])
@pytest.mark.parametrize("tiles", [{"j": 4}, {"i": 2, "j": 2}, {"i": 4}])
def test_hazard_h33_padding_takes_no_part_in_any_reduction(
    reduction: str, tiles: dict[str, int], strategy: Strategy
) -> None:
    graph = make_graph(
        [f"m[i] = {reduction}[j] copy(A[i,j])"],
        {"A": [[-3, -2, -1], [3, 2, 1], [1, 1, -1]]},
        references=True,
    )
    assert_blocked(graph, tiles, strategy)


@every_strategy
@pytest.mark.parametrize("tiles", [{"i": 2, "j": 2}, {"j": 2}, {"i": 2}])
def test_hazard_h34_mask_is_finer_than_its_tile(tiles: dict[str, int], strategy: Strategy) -> None:
    graph = make_graph(
        ["X[i,j] = masked(M[i,j], S[i,j], -inf)", *softmax("X")],
        {"S": [[2, 9], [1, 1]], "M": ([[1, 0], [1, 1]], "compressed,compressed pattern")},
        references=True,
    )
    np.testing.assert_allclose(graph.outputs[0].reference, [[1, 0], [0.5, 0.5]])
    assert_blocked(graph, tiles, strategy)


@every_strategy
@pytest.mark.parametrize("lanes", [2, 3, 4, 8])
@pytest.mark.parametrize("index", ["i", "j", "k"])
def test_hazard_h14_lists_are_shorter_than_the_lanes(
    index: str, lanes: int, strategy: Strategy
) -> None:
    uneven = np.array([[1, 2, 3, 4, 5], [6, 0, 0, 0, 0], [0, 0, 0, 0, 0]])
    graph = make_graph(
        ["T[i,k] = add[j] mul(A[i,j], B[j,k])", "Z[i,k] = add(T[i,k], b[k])"],
        {"A": (uneven, "dense,compressed"), "B": (uneven.T, "compressed,compressed"),
         "b": [1, 2, 3]},
        references=True,
    )  # fmt: skip
    program = fuse(graph, FuseOptions(strategy))
    kernels = [parallelize(kernel, index, lanes) for kernel in program.kernels]
    assert_simulates(replace(program, kernels=kernels))
