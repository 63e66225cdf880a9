"""Layers of torch_geometric on graphs of all kinds: what is imported, and that it agrees."""

import tracemalloc

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_geometric.nn import GCNConv

from fuseflow.errors import ModelError
from fuseflow.frontend.options import ImportOptions
from fuseflow.frontend.torch.module import import_torch
from fuseflow.ir.einsum import EinsumGraph
from tests.frontend.graphs import (
    EDGES,
    FEATURES,
    LAYERS,
    NODES,
    WEIGHTED,
    edge_index,
    features,
    make_layer,
    weights,
)
from tests.frontend.imports import draw, functions, imported


def layer_on(layer: str, graph: str) -> EinsumGraph:
    return imported(make_layer(layer), features(), edge_index(graph), input_names=("x", "edges"))


def forms(graph: EinsumGraph) -> list[str]:
    return [note for note in graph.notes if "become" in note]


def graphs(*quick: str) -> list[object]:
    """Return test parameters for all graphs; those not listed as quick are slow."""
    return [pytest.param(n, marks=[] if n in quick else [pytest.mark.slow]) for n in EDGES]


@pytest.mark.parametrize("graph", graphs("loops", "repeated", "empty"))
@pytest.mark.parametrize("layer", LAYERS)
def test_layer_on_a_graph_agrees_with_torch(layer: str, graph: str) -> None:
    layer_on(layer, graph)


@pytest.mark.parametrize("graph", graphs("loops", "repeated"))
@pytest.mark.parametrize("layer", WEIGHTED)
def test_layer_with_edge_weights_agrees_with_torch(layer: str, graph: str) -> None:
    edges = edge_index(graph)
    imported(make_layer(layer), features(), edges, weights(edges))


def test_messages_are_one_product_with_the_adjacency_matrix() -> None:
    graph = layer_on("gcn not normalised", "plain")
    assert functions(graph) == ["add:mul", "add:mul", "add"]
    matrix = graph.values["edges"]
    assert (str(matrix.format), matrix.origin) == ("compressed,compressed", "edges")
    assert matrix.tensor is not None
    expected = np.zeros((NODES, NODES), dtype=np.float32)
    expected[tuple(np.array(EDGES["plain"]).T[::-1])] = 1
    np.testing.assert_array_equal(matrix.tensor.to_dense(), expected)
    assert forms(graph) == ["edges: 9 edges become the entries of a 7x7 matrix"]


def test_normalisation_folds_into_the_entries() -> None:
    graph = layer_on("gcn", "loops")
    assert functions(graph) == ["add:mul", "add:mul", "add"]
    tensor = graph.values["edges"].tensor
    assert tensor is not None
    # Three of the eight edges are loops; each of the seven nodes gets one.
    assert tensor.stored == 8 - 3 + 7


def test_mean_divides_by_degrees_and_adds_no_entry() -> None:
    graph = layer_on("sage mean", "isolated")
    assert functions(graph)[:2] == ["add:mul", "safe_div"]


def test_maximum_is_one_over_the_edges_and_0_without_any() -> None:
    graph = layer_on("sage max", "isolated")
    assert functions(graph)[:3] == ["masked", "max:copy", "masked"]
    assert [op.parameters for op in graph.einsums[:3]] == [(-np.inf,), (), (0.0,)]
    mask = graph.values["edges"]
    assert mask.dtype == "bool"
    assert "has_edges" not in layer_on("sage max", "plain").values


def test_attention_is_a_softmax_on_the_pattern_of_the_edges() -> None:
    graph = layer_on("gat heads", "plain")
    softmax = [op.fn for op in graph.einsums if op.composite.startswith("softmax")]
    assert softmax == ["copy", "safe_sub", "exp", "copy", "safe_div"]
    first = next(op for op in graph.einsums if op.fn == "masked")
    assert first.parameters == (-np.inf,)
    assert len(first.output.indices) == 3


@pytest.mark.parametrize("layer", ["gcn", "sage mean", "sage sum", "sage max", "gin"])
def test_repeated_edges_are_merged_where_that_changes_nothing(layer: str) -> None:
    (note,) = forms(layer_on(layer, "repeated"))
    assert "3 repetitions merged" in note


def test_repeated_edges_of_attention_stay_edges_of_their_own() -> None:
    graph = layer_on("gat without loops", "repeated")
    (note,) = forms(graph)
    assert note.endswith("an incidence matrix, because 3 of its edges are repetitions")
    incidence = [value.tensor for value in graph.values.values() if value.origin == "edges"]
    assert {tensor.stored for tensor in incidence if tensor is not None} == {8}


@pytest.mark.parametrize("layer", ["gcn", "sage mean", "sage max", "gin"])
def test_layer_on_a_batch_of_features_agrees_with_torch(layer: str) -> None:
    batch = draw(2, NODES, FEATURES, seed=1)
    (note,) = forms(imported(make_layer(layer), batch, edge_index("plain")))
    assert "entries" in note


def test_layers_share_the_matrix_of_their_edges() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = GCNConv(5, 4), GCNConv(4, 3)

        def forward(self, x: Tensor, edges: Tensor) -> Tensor:
            result: Tensor = self.second(self.first(x, edges).relu(), edges)
            return result

    graph = imported(Two(), features(), edge_index("plain"))
    assert sum(value.origin == "edges" for value in graph.values.values()) == 1


def test_normalisation_that_a_layer_has_cached_is_read_as_it_is() -> None:
    layer = GCNConv(5, 4, cached=True).eval()
    layer(features(), edge_index("plain"))
    graph = imported(layer, features(), edge_index("plain"))
    assert functions(graph) == ["add:mul", "add:mul", "add"]


def test_import_of_many_edges_makes_nothing_of_edges_by_features() -> None:
    nodes, edges, width = 40_000, 120_000, 256
    index = torch.randint(nodes, (2, edges), generator=torch.Generator().manual_seed(0))
    layer = GCNConv(8, width, normalize=False).eval()
    options = ImportOptions(reference=False)
    tracemalloc.start()
    graph = import_torch(layer, (draw(nodes, 8), index), options=options)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < edges * width * 4 / 2
    tensor = graph.values["edge_index"].tensor
    assert tensor is not None
    assert tensor.stored == len(torch.unique(index, dim=1).T)


# Gathers and scatters that users write themselves.


def test_rows_chosen_by_a_list_are_a_product_with_a_matrix_of_ones() -> None:
    graph = imported(lambda x, rows: x[rows], draw(6, 3), torch.tensor([4, 0, 0, 5]))
    assert functions(graph) == ["add:mul"]


def test_consecutive_rows_are_a_slice() -> None:
    rows = torch.tensor([2, 3, 4])
    graph = imported(lambda x, w, rows: (x @ w)[rows], draw(6, 3), draw(3, 4), rows)
    assert functions(graph) == ["add:mul", "add:mul"]


def test_scores_of_pairs_of_nodes_agree_with_torch() -> None:
    pairs = edge_index("plain")
    imported(lambda x, pairs: (x[pairs[0]] * x[pairs[1]]).sum(-1), features(), pairs)


def test_gated_sum_of_both_ends_agrees_with_torch() -> None:
    def gated(x: Tensor, edges: Tensor) -> Tensor:
        source, target = edges
        gate = torch.sigmoid(x[source] + x[target] - 0.5)
        message = gate * x[source] / (1 + x[target].abs())
        return torch.zeros_like(x).index_add(0, target, message)

    for name in EDGES:
        imported(gated, features(), edge_index(name))


def test_model_on_edges_agrees_with_torch() -> None:
    layer = nn.Linear(10, 3)

    def edge_conv(x: Tensor, edges: Tensor, weight: Tensor) -> Tensor:
        source, target = edges
        both = torch.cat([x[target], x[source] - x[target]], dim=-1) @ weight
        zeros = x.new_zeros(len(x), 3)
        index = target.view(-1, 1).expand_as(both)
        return zeros.scatter_reduce(0, index, both.relu(), "amax", include_self=False)

    weight = layer.weight.detach().T.contiguous()
    graph = imported(edge_conv, features(), edge_index("plain"), weight)
    assert forms(graph)[0].endswith("because what is scattered was not gathered")


# Refusals.


def refuse(rule: str, model: object, *args: Tensor) -> str:
    with pytest.raises(ModelError) as caught:
        imported(model, *args)  # type: ignore[arg-type]
    (finding,) = caught.value.findings
    assert finding.rule == rule
    return finding.message


def test_scatter_into_computed_values_is_refused() -> None:
    def model(x: Tensor, edges: Tensor) -> Tensor:
        return x.index_add(0, edges[1], x[edges[0]])

    message = refuse("I002 unsupported-form", model, features(), edge_index("plain"))
    assert message == "scattering into computed values is not supported, only into zeros"


def test_scatter_that_includes_the_base_in_a_maximum_is_refused() -> None:
    def model(x: Tensor, edges: Tensor) -> Tensor:
        index = edges[1].view(-1, 1).expand(-1, x.shape[1])
        return torch.zeros_like(x).scatter_reduce(0, index, x[edges[0]], "amax")

    message = refuse("I002 unsupported-form", model, features(), edge_index("plain"))
    assert message == "combining with what the base holds is not supported"


def test_scatter_by_another_index_per_feature_is_refused() -> None:
    index = torch.stack([torch.arange(7), torch.arange(7).flip(0)], dim=1)

    def model(x: Tensor, index: Tensor) -> Tensor:
        return torch.zeros_like(x).scatter_add(0, index, x)

    message = refuse("I002 unsupported-form", model, draw(7, 2), index)
    assert message == "its indices differ along other axes than the one that is scattered"


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("graph", ["plain", "isolated"])
@pytest.mark.parametrize("layer", ["sage mean", "sage sum", "sage max"])
def test_layer_on_a_sparse_adjacency_agrees_with_torch(layer: str, graph: str) -> None:
    sources, targets = edge_index(graph)
    adjacency = torch.zeros(NODES, NODES).index_put((targets, sources), torch.tensor(1.0))
    imported(make_layer(layer), features(), adjacency.to_sparse_csr())


@pytest.mark.parametrize("columns", [[0, 3, 1], [-1, 0, 2]])
def test_lists_of_indices_for_neighbouring_axes_pick_pairs(columns: list[int]) -> None:
    rows = torch.tensor([0, 1, 1])
    imported(lambda x, a, b: x[:, a, b] * 2, draw(2, 3, 4), rows, torch.tensor(columns))


def test_lists_of_indices_for_distant_axes_are_refused() -> None:
    def model(x: Tensor, rows: Tensor) -> Tensor:
        return x[rows, :, rows]

    message = refuse("I002 unsupported-form", model, draw(4, 3, 4), torch.tensor([0, 1]))
    assert "not neighbours" in message


def test_an_adjacency_that_a_layer_normalises_is_read_as_its_edges() -> None:
    edges = torch.tensor([[0, 1, 2, 3, 0], [1, 2, 3, 0, 2]])
    ones = torch.ones(edges.shape[1])
    matrix = torch.sparse_coo_tensor(edges.flip(0), ones, (4, 4)).to_sparse_csr()
    layer = GCNConv(3, 2)
    graph = imported(layer, draw(4, 3), matrix)
    assert (
        "edge_index: forward takes it apart, so it is read as the list of its edges" in graph.notes
    )
    assert functions(graph) == functions(imported(layer, draw(4, 3), edges))


@pytest.mark.parametrize("loops", [False, True], ids=["weights", "loops"])
def test_an_adjacency_that_edges_do_not_stand_for_is_refused(loops: bool) -> None:
    """Weights would be lost, and torch_geometric adds loops to those of a matrix."""
    edges = torch.tensor([[0, 1, 2, 3, 0], [1, 2, 3, 0, 0 if loops else 2]])
    values = torch.full((5,), 1.0 if loops else 0.5)
    matrix = torch.sparse_coo_tensor(edges.flip(0), values, (4, 4)).to_sparse_csr()
    with pytest.raises(ModelError, match="which of its entries are stored"):
        imported(GCNConv(3, 2), draw(4, 3), matrix)
