"""Workloads: a graph that is traced small and grown gives what a direct import gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fuseflow.fusion import FuseOptions, fuse
from fuseflow.ir.schedule_parse import parse_schedule
from fuseflow.models.graph_inputs import GraphInputs
from fuseflow.models.graphs import graph_from_pairs
from fuseflow.sim import simulate
from tools.figures import workloads
from tools.figures.cases import Case
from tools.figures.configs import CONFIGS, attention_config
from tools.figures.graphs import GRAPHS, Kind
from tools.figures.kernels import Attention
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


@pytest.mark.parametrize("model", ["gcn", "graphsage"])
def test_nodes_without_edges_have_right_results(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compressed matrix does not store them, but biases and a softmax reach them."""
    rows, columns = np.array([1, 1, 4, 6]), np.array([2, 4, 1, 2])
    graph = graph_from_pairs("sparse", 8, rows, columns)
    features = np.random.default_rng(0).standard_normal((8, 5)).astype(np.float32)
    inputs = GraphInputs(graph, features, 3)
    monkeypatch.setattr(workloads, "load_graph", lambda spec, files: inputs)
    load = GraphNetwork(model, replace(GRAPHS["karate"], classes=3))
    graph_of_model = load.load({}).graph
    for config in CONFIGS[model].values():
        program = fuse(graph_of_model, FuseOptions(schedule=parse_schedule(config.schedule)))
        assert simulate(program, check=True).check.passed, config.name


@pytest.mark.parametrize("lanes", [(4, 1), (4, 4)])
def test_attention_over_lanes_is_right_and_as_fast_as_it_can(lanes: tuple[int, int]) -> None:
    load = Attention(128, 12, 8, 8, Kind.REDUCED, "S, width, b / 8")
    row = Runner().run(Case((), load, attention_config("lanes", lanes)))
    assert (row.status, row.reason) == ("ok", "")
    assert row.ratio is not None
    assert row.ratio < 1.1


def test_tiles_save_the_area_of_a_tile() -> None:
    load = Attention(64, 12, 4, 4, Kind.REDUCED, "S, width, b / 16")
    scalar = Runner().run(Case((), load, attention_config("scalar")))
    tiled = Runner().run(Case((), replace(load, tile=4), attention_config("tiles", tile=4)))
    assert tiled.status == "ok"
    assert 14 < scalar.cycles / tiled.cycles <= 16
