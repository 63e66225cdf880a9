"""Graph networks of torch_geometric, unmodified, from the framework to checked cycles."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fuseflow.cli import ff_fuse, ff_import, ff_sim
from fuseflow.frontend.onnx.reader import import_onnx
from fuseflow.frontend.options import ImportOptions
from fuseflow.frontend.torch.module import import_torch
from fuseflow.fusion import FuseOptions, Strategy, fuse
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.report import SimulationReport
from fuseflow.ir.schedule import PRESETS
from fuseflow.models.graph_file import read_graph_file
from fuseflow.models.graphs import karate_club
from fuseflow.sim import simulate
from tests.frontend.graphs import edge_index, features, make_layer
from tests.frontend.networks import NETWORKS, make_network
from tests.frontend.onnx.export import export_module
from tests.frontend.test_messages import DISTINCT, PROGRAMS, data_on, graph_of

INPUTS = ("x", "edge_index")


def run(graph: EinsumGraph, strategy: Strategy) -> SimulationReport:
    report = simulate(fuse(graph, FuseOptions(strategy=strategy)), check=True)
    assert report.check.passed
    return report


@pytest.mark.parametrize("name", PROGRAMS)
def test_messages_of_every_kind_are_simulated_right(name: str) -> None:
    for pairs in (DISTINCT, [*DISTINCT, (0, 1), (4, 3)]):
        graph = graph_of(PROGRAMS[name], data_on(pairs))
        for strategy in PRESETS:
            run(graph, strategy)


@pytest.mark.parametrize("edges", ["isolated", "repeated", "empty"])
@pytest.mark.parametrize(
    "layer", ["gcn not normalised", "sage mean", "sage max", "gat without loops", "gatv2", "gin"]
)
def test_layer_on_a_difficult_graph_is_simulated_right(layer: str, edges: str) -> None:
    graph = import_torch(make_layer(layer), (features(), edge_index(edges)))
    for strategy in PRESETS:
        run(graph, strategy)


@pytest.mark.parametrize("name", NETWORKS)
def test_network_on_the_karate_club_is_simulated_right(name: str) -> None:
    module, args = make_network(name, karate_club())
    graph = import_torch(module, args)
    for strategy in PRESETS:
        run(graph, strategy)


@pytest.mark.filterwarnings("ignore::")
@pytest.mark.parametrize(
    "name",
    [
        name if name in ("gcn", "gat heads") else pytest.param(name, marks=pytest.mark.slow)
        for name in NETWORKS
    ],
)
def test_network_from_a_file_costs_what_it_costs_as_a_module(name: str, tmp_path: Path) -> None:
    module, args = make_network(name, karate_club())
    exported = export_module(module, args, INPUTS, "dynamo-20", tmp_path)
    from_file = import_onnx(exported.path, ImportOptions(bindings=exported.bindings))
    direct = import_torch(module, args)
    for strategy in PRESETS:
        assert run(from_file, strategy).totals == run(direct, strategy).totals


@pytest.mark.parametrize(
    "name",
    [name if name == "gcn" else pytest.param(name, marks=pytest.mark.slow) for name in NETWORKS],
)
def test_network_on_cora_is_simulated_right(name: str, shared: Path) -> None:
    module, args = make_network(name, read_graph_file(shared / "data" / "cora.npz"))
    graph = import_torch(module, args)
    run(graph, Strategy.LAYER)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::")
@pytest.mark.parametrize("name", NETWORKS)
def test_file_is_bound_to_the_archive_of_cora_in_the_pipe(
    name: str, shared: Path, tmp_path: Path
) -> None:
    archive = shared / "data" / "cora.npz"
    module, args = make_network(name, read_graph_file(archive))
    export_module(module, args, INPUTS, "dynamo-20", tmp_path)
    bound = ["--bind", f"x={archive}:feat", "--bind", f"edge_index={archive}:adj"]
    stages = [str(tmp_path / stage) for stage in ("graph.pb", "program.pb", "report.pb")]
    assert ff_import.main([str(tmp_path / "model.onnx"), *bound, "-o", stages[0]]) == 0
    assert ff_fuse.main([stages[0], "--strategy", "layer", "-o", stages[1]]) == 0
    assert ff_sim.main([stages[1], "--check", "-o", stages[2]]) == 0


def test_edges_of_cora_are_stored_as_entries(shared: Path) -> None:
    module, args = make_network("gcn not normalised", read_graph_file(shared / "data" / "cora.npz"))
    with torch.no_grad():
        graph = import_torch(module, args, options=ImportOptions(reference=False))
    matrix = graph.values["edge_index"].tensor
    assert matrix is not None
    assert (matrix.shape, matrix.stored) == ((2708, 2708), 10556)
    sums = np.bincount(args[1][1].numpy(), minlength=2708)
    np.testing.assert_array_equal(np.bincount(matrix.coordinates()[:, 0], minlength=2708), sums)
