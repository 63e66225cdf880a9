"""Adjacencies of many nodes are imported by their entries; their dense form is never made."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from fuseflow.frontend.torch.module import import_torch
from fuseflow.fusion import FuseOptions, Strategy, fuse
from fuseflow.ir.einsum import Role
from fuseflow.sim import simulate

NODES = 5000
LAYOUTS = {
    "coo": (torch.sparse_coo, "compressed,compressed"),
    "csr": (torch.sparse_csr, "dense,compressed"),
    "csc": (torch.sparse_csc, "dense,compressed@1,0"),
}
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def adjacency(layout: torch.layout) -> Tensor:
    """300 edges at random, one of them with the weight 0."""
    generator = torch.Generator().manual_seed(0)
    places = torch.randperm(NODES**2, generator=generator)[:300]
    weights = torch.rand(300, generator=generator)
    weights[7] = 0
    matrix = torch.sparse_coo_tensor(torch.stack([places // NODES, places % NODES]), weights)
    return torch.sparse_coo_tensor(
        matrix._indices(), matrix._values(), (NODES, NODES)
    ).coalesce().to_sparse(layout=layout)  # fmt: skip


class Layer(nn.Module):
    def __init__(self, buffer: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("adjacency", buffer)

    def forward(self, x: Tensor, *given: Tensor) -> Tensor:
        (matrix,) = given or (self.adjacency,)
        return torch.relu(matrix @ x - 0.5)


@pytest.fixture
def no_dense_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing turn a large matrix into a dense one, neither by name nor by conversion."""
    densify = Tensor.to_dense

    def refuse(tensor: Tensor, *args: object, **kwargs: object) -> Tensor:
        assert tensor.numel() < NODES**2, "a large matrix was made dense"
        return densify(tensor, *args, **kwargs)

    monkeypatch.setattr(Tensor, "to_dense", refuse)


@pytest.mark.usefixtures("no_dense_form")
@pytest.mark.parametrize("as_buffer", [False, True], ids=["input", "buffer"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_large_adjacency_keeps_its_entries(layout: str, as_buffer: bool) -> None:
    matrix, x = adjacency(LAYOUTS[layout][0]), torch.rand(NODES, 2)
    module, args = (Layer(matrix), (x,)) if as_buffer else (Layer(), (x, matrix))
    graph = import_torch(module, args)
    (value,) = (each for each in graph.values.values() if each.shape == (NODES, NODES))
    assert value.role is (Role.PARAMETER if as_buffer else Role.INPUT)
    assert value.tensor is not None
    assert value.tensor.stored == 299
    # A weight is laid out anew for the sum that reads it, an input stays as it is.
    text = LAYOUTS[layout][1].partition("@")[0] if as_buffer else LAYOUTS[layout][1]
    assert str(value.format) == text
    report = simulate(fuse(graph, FuseOptions(Strategy("layer"))), check=True)
    assert report.check.passed


def test_what_has_no_sparse_form_is_computed_densely() -> None:
    """A CSR matrix has no reshape in torch; the result is the same as from a dense one."""

    class Weighted(Layer):
        def forward(self, x: Tensor, *given: Tensor) -> Tensor:
            degrees = self.adjacency.to_dense().sum(1, keepdim=True)
            return torch.relu(self.adjacency @ x) / (degrees + 1)

    matrix, x = adjacency(torch.sparse_csr), torch.rand(NODES, 2)
    graph = import_torch(Weighted(matrix), (x,))
    report = simulate(fuse(graph, FuseOptions(Strategy("layer"))), check=True)
    assert report.check.passed
