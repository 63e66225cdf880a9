# SPDX-License-Identifier: MIT
"""Compares what a compiled program computes with the dense evaluation of its graph."""

from __future__ import annotations

import numpy as np

from fuseflow.fusion import Fused, FuseOptions, Strategy, plan_graph
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.evaluate import evaluate_outputs
from tests.fusion.interpreter import run_program

EVERY_STRATEGY = tuple(
    FuseOptions(strategy=strategy, recompute=budget)
    for strategy in Strategy
    for budget in ((None, 1e9) if strategy is Strategy.FULL else (None,))
)


def assert_computes(graph: EinsumGraph, options: FuseOptions | None = None) -> Fused:
    """Fuse a graph and require the results of the dense evaluation."""
    fused = plan_graph(graph, options)
    expected = evaluate_outputs(graph)
    actual = run_program(fused.program)
    for name, array in expected.items():
        scale = np.max(np.abs(array[np.isfinite(array)]), initial=1.0)
        np.testing.assert_allclose(
            actual[name], array, rtol=1e-4, atol=1e-5 * scale, err_msg=f"{name} under {options}"
        )
    return fused


def assert_every_strategy(graph: EinsumGraph) -> list[Fused]:
    """Require right results under every strategy, with and without recomputation."""
    return [assert_computes(graph, options) for options in EVERY_STRATEGY]
