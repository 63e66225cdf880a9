"""Workloads: a graph that is traced small and grown gives what a direct import gives."""

from __future__ import annotations

import pytest

from tools.figures import workloads
from tools.figures.cases import Case
from tools.figures.configs import CONFIGS
from tools.figures.graphs import GRAPHS
from tools.figures.runner import Runner
from tools.figures.workloads import GraphNetwork


def test_a_grown_graph_is_that_of_a_direct_import(monkeypatch: pytest.MonkeyPatch) -> None:
    load = GraphNetwork("gcn", GRAPHS["cora_ml-like/8"])
    cases = [Case((), load, CONFIGS["gcn"][name]) for name in ("partial", "full")]
    direct = [Runner().run(case) for case in cases]
    monkeypatch.setattr(workloads, "DENSE_NODES", 0)
    runner = Runner()
    for case, expected in zip(cases, direct, strict=True):
        row = runner.run(case)
        assert (row.status, row.kernels, row.tokens) == ("ok", expected.kernels, expected.tokens)
        assert (row.flops, row.bytes, row.digest) == (expected.flops, expected.bytes, row.digest)
