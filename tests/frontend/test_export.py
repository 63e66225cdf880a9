"""`fuseflow.export`: the module that a program has becomes a graph, and stays what it was."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

import fuseflow
from fuseflow.errors import ModelError
from fuseflow.frontend.options import ImportOptions
from tests.frontend.imports import assert_equal_to_reference, draw

LAYOUTS = {
    torch.sparse_coo: "compressed,compressed",
    torch.sparse_csr: "dense,compressed",
    torch.sparse_csc: "dense,compressed@1,0",
    torch.sparse_bsr: "dense,compressed",
}


def sparse(layout: torch.layout, shape: tuple[int, int] = (8, 8)) -> Tensor:
    dense = draw(*shape) * (draw(*shape, seed=1) > 0.5)
    blocks = (2, 2) if layout is torch.sparse_bsr else None
    return dense.to_sparse(layout=layout, blocksize=blocks)


class Propagation(nn.Module):
    def forward(self, adjacency: Tensor, x: Tensor) -> Tensor:
        return adjacency @ x


class Stored(nn.Module):
    """A product with a sparse buffer."""

    def __init__(self, layout: torch.layout) -> None:
        super().__init__()
        self.register_buffer("adjacency", sparse(layout))

    def forward(self, x: Tensor) -> Tensor:
        return self.adjacency @ x


class Weighted(nn.Module):
    """A linear layer whose sparse weight is trained."""

    def __init__(self, layout: torch.layout) -> None:
        super().__init__()
        self.weight = nn.Parameter(sparse(layout))
        self.bias = nn.Parameter(draw(8))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight, self.bias)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_sparse_input_keeps_its_layout(layout: torch.layout) -> None:
    adjacency = sparse(layout)
    graph = fuseflow.export(Propagation(), (adjacency, draw(8, 3)))
    assert_equal_to_reference(graph)
    value = graph.values["adjacency"]
    assert (str(value.format), value.origin) == (LAYOUTS[layout], "layout")
    assert value.tensor is not None
    np.testing.assert_array_equal(value.tensor.to_dense(), adjacency.to_dense().numpy())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_sparse_buffer_keeps_its_layout(layout: torch.layout) -> None:
    graph = fuseflow.export(Stored(layout), draw(8, 3))
    assert_equal_to_reference(graph)
    assert graph.values["adjacency"].origin == "layout"


@pytest.mark.parametrize("layout", [torch.sparse_csr, torch.sparse_bsr])
def test_a_sparse_weight_with_a_gradient_keeps_its_layout(layout: torch.layout) -> None:
    module = Weighted(layout)
    graph = fuseflow.export(module, draw(3, 8))
    assert_equal_to_reference(graph)
    assert graph.values["weight"].origin == "layout"
    assert module.weight.layout == layout
    assert module.weight.requires_grad


def test_blocks_of_a_block_layout_are_noted() -> None:
    graph = fuseflow.export(Propagation(), (sparse(torch.sparse_bsr, (8, 8)), draw(8, 3)))
    (note,) = [note for note in graph.notes if note.startswith("adjacency:")]
    assert "density" in note


def test_the_module_is_not_changed() -> None:
    module = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.BatchNorm1d(8))
    prune.l1_unstructured(module[0], "weight", 0.5)
    before = copy.deepcopy(module.state_dict())
    fuseflow.export(module, draw(4, 8))
    assert module.training
    assert prune.is_pruned(module)
    assert all(parameter.requires_grad for parameter in module.parameters())
    after = module.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("permanent", [False, True])
def test_pruned_weights_are_found_by_their_zeros(permanent: bool) -> None:
    module = nn.Linear(16, 16)
    prune.l1_unstructured(module, "weight", 0.8)
    if permanent:
        prune.remove(module, "weight")
    value = fuseflow.export(module, draw(4, 16)).values["weight"]
    assert value.origin == "zeros"
    assert value.tensor is not None
    assert value.tensor.density == pytest.approx(0.2, abs=0.01)


def test_structured_pruning_leaves_blocks_that_are_noted() -> None:
    module = nn.Linear(16, 16)
    blocks = torch.eye(4).repeat_interleave(4, 0).repeat_interleave(4, 1)
    prune.custom_from_mask(module, "weight", blocks)
    notes = fuseflow.export(module, draw(4, 16)).notes
    assert "weight: 16x16, density 0.25, dense,compressed (zeros), blocks 4x4" in notes


def test_the_graph_has_the_name_of_the_class() -> None:
    assert fuseflow.export(nn.ReLU(), draw(2)).name == "ReLU"
    assert fuseflow.export(nn.ReLU(), draw(2), name="own").name == "own"


def test_a_sidecar_and_options_apply(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text("tensors: [{match: weight, levels: [compressed, compressed]}]")
    options = ImportOptions(reference=False)
    graph = fuseflow.export(nn.Linear(4, 4), (draw(2, 4),), path, options=options)
    assert graph.values["weight"].origin == "sidecar net.yaml:1"
    assert graph.outputs[0].reference is None


def test_keyword_arguments_are_inputs() -> None:
    class Scaled(nn.Module):
        def forward(self, x: Tensor, *, scale: Tensor) -> Tensor:
            return x * scale

    graph = fuseflow.export(Scaled(), draw(3), kwargs={"scale": draw(3, seed=2)})
    assert_equal_to_reference(graph)
    assert "scale" in graph.values


def test_a_computed_tensor_made_sparse_in_forward_is_the_same_tensor() -> None:
    class Inside(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.relu().to_sparse_csr() @ x

    assert_equal_to_reference(fuseflow.export(Inside(), draw(4, 4)))


def test_importing_the_package_loads_nothing() -> None:
    program = "import sys, fuseflow; print(sorted({'numpy', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"
    with pytest.raises(AttributeError, match="no attribute 'import_everything'"):
        fuseflow.import_everything  # noqa: B018


class BuiltInForward(nn.Module):
    """An adjacency that `forward` makes from edges and weights that are its own."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.tensor([2.0, 3.0, 4.0]))

    def forward(self, edges: Tensor, x: Tensor) -> Tensor:
        return torch.sparse_coo_tensor(edges, self.weight, (4, 4)) @ x


def test_a_coo_tensor_made_in_forward_of_known_parts_is_a_sparse_constant() -> None:
    edges = torch.tensor([[0, 1, 3], [1, 2, 0]])
    graph = fuseflow.export(BuiltInForward(), (edges, draw(4, 2)))
    assert_equal_to_reference(graph)
    (value,) = [value for value in graph.values.values() if value.origin == "layout"]
    assert str(value.format) == "compressed,compressed"
    assert value.tensor is not None
    assert value.tensor.stored == 3


def test_a_coo_tensor_made_of_computed_values_is_refused_with_advice() -> None:
    class Computed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.sparse_coo_tensor(torch.tensor([[0, 1], [1, 0]]), x[0], (2, 2)) @ x

    with pytest.raises(ModelError) as caught:
        fuseflow.export(Computed(), draw(2, 2))
    assert "outside of forward" in str(caught.value)
