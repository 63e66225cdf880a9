"""Layers of torch_geometric from ONNX files, with their edges bound when the file is imported."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fuseflow.errors import ModelError
from fuseflow.frontend.onnx.reader import import_onnx
from fuseflow.frontend.options import ImportOptions
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.verify_einsum import verify_einsum_graph
from tests.frontend.graphs import (
    EDGES,
    LAYERS,
    NODES,
    WEIGHTED,
    edge_index,
    features,
    make_layer,
    weights,
)
from tests.frontend.imports import assert_equal_to_reference, functions
from tests.frontend.onnx.export import export_module

QUICK = ("gcn", "sage mean", "sage max", "gat heads", "gin")
NAMES = ("x", "edge_index", "edge_weight")


def layers(names: Sequence[str]) -> list[object]:
    """Return test parameters for layers; only some are exported in quick tests."""
    return [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in names]


def export_for_any_edges(module: nn.Module, folder: Path, *, weighted: bool = False) -> Path:
    """Export a layer such that it takes any number of edges."""
    edges = edge_index("plain")
    args = (features(), edges, weights(edges)) if weighted else (features(), edges)
    count = torch.export.Dim("edges", min=0)
    shapes = (None, {1: count}, {0: count})[: len(args)]
    path = folder / "layer.onnx"
    torch.onnx.export(
        module,
        args,
        path,
        input_names=NAMES[: len(args)],
        dynamic_shapes=shapes,
        opset_version=20,
        dynamo=True,
        verbose=False,
    )
    return path


def imported(path: Path, edges: Tensor, *, weighted: bool = False) -> EinsumGraph:
    """Import a file on a graph; compare the graph with what the runtime computes."""
    data = dict(zip(NAMES, (features(), edges, weights(edges)), strict=True))
    bindings = {}
    for name in NAMES if weighted else NAMES[:2]:
        np.save(path.with_name(f"{name}.npy"), data[name].numpy())
        bindings[name] = str(path.with_name(f"{name}.npy"))
    graph = import_onnx(path, ImportOptions(bindings=bindings))
    verify_einsum_graph(graph)
    assert_equal_to_reference(graph)
    return graph


def forms(graph: EinsumGraph) -> list[str]:
    return [note for note in graph.notes if "become" in note]


@pytest.mark.filterwarnings("ignore::")
@pytest.mark.parametrize("layer", layers(tuple(LAYERS)))
def test_layer_exported_for_any_edges_agrees_with_the_runtime(layer: str, tmp_path: Path) -> None:
    path = export_for_any_edges(make_layer(layer), tmp_path)
    for name in EDGES:
        assert len(forms(imported(path, edge_index(name)))) >= 1


@pytest.mark.filterwarnings("ignore::")
@pytest.mark.parametrize("layer", layers(WEIGHTED))
def test_layer_with_edge_weights_agrees_with_the_runtime(layer: str, tmp_path: Path) -> None:
    path = export_for_any_edges(make_layer(layer), tmp_path, weighted=True)
    for name in EDGES:
        imported(path, edge_index(name), weighted=True)


@pytest.mark.parametrize(
    "layer", ["gcn", "gcn not normalised", "sage mean", "sage sum", "gin", "graph conv"]
)
def test_legacy_export_agrees_with_the_runtime(layer: str, tmp_path: Path) -> None:
    edges = edge_index("loops")
    exported = export_module(
        make_layer(layer), (features(), edges), NAMES[:2], "legacy-17", tmp_path
    )
    (note,) = forms(imported(exported.path, edges))
    assert note.startswith("edge_index: ")


@pytest.mark.filterwarnings("ignore::")
def test_file_gives_the_einsums_of_its_module(tmp_path: Path) -> None:
    path = export_for_any_edges(make_layer("gat heads"), tmp_path)
    graph = imported(path, edge_index("plain"))
    softmax = [op.fn for op in graph.einsums if op.composite.startswith("softmax")]
    assert softmax == ["copy", "safe_sub", "exp", "copy", "safe_div"]
    repeated = imported(path, edge_index("repeated"))
    assert "incidence" in forms(repeated)[0]


@pytest.mark.filterwarnings("ignore::")
def test_degrees_stay_a_vector_and_the_mask_of_a_maximum_a_matrix(tmp_path: Path) -> None:
    path = export_for_any_edges(make_layer("sage mean"), tmp_path)
    graph = imported(path, edge_index("isolated"))
    assert functions(graph)[:2] == ["add:mul", "safe_div"]
    assert graph.values[graph.einsums[1].operands[1].value].shape == (NODES,)


# Refusals.


def exported(tmp_path: Path, layer: str = "gcn") -> Path:
    args = (features(), edge_index("plain"))
    return export_module(make_layer(layer), args, NAMES[:2], "legacy-17", tmp_path).path


def test_node_that_the_file_does_not_have_is_refused(tmp_path: Path) -> None:
    path = exported(tmp_path, "gcn not normalised")
    edges = edge_index("plain").clone()
    edges[0, 0] = NODES + 3
    with pytest.raises(ModelError) as caught:
        imported(path, edges)
    assert caught.value.rule == "I002 unsupported-form"
    assert f"index {NODES + 3} is outside of the {NODES} coordinates" in str(caught.value)


def test_other_number_of_edges_than_exported_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        imported(exported(tmp_path), edge_index("loops"))
    (finding,) = caught.value.findings
    assert finding.rule == "I206 input-data"
    assert finding.fix is not None
    assert "dynamic dimensions" in finding.fix


def test_edges_that_are_not_bound_are_refused_with_the_way_to_bind_them(tmp_path: Path) -> None:
    path = exported(tmp_path)
    np.save(tmp_path / "x.npy", features().numpy())
    with pytest.raises(ModelError) as caught:
        import_onnx(path, ImportOptions(bindings={"x": str(tmp_path / "x.npy")}))
    (finding,) = caught.value.findings
    assert finding.rule == "I205 unbound-input"
    assert finding.message == "int64[2, 9] has no data, and the shape of NonZero depends on it"
    assert finding.fix == "--bind edge_index=FILE, or export with cached=True"
