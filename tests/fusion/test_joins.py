# SPDX-License-Identifier: MIT
"""Joins: only where coordinates differ, one for all payloads of a stream."""

from __future__ import annotations

import numpy as np

from fuseflow.ir.dataflow import Op
from fuseflow.ir.testing import make_graph
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
