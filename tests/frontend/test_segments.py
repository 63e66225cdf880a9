"""Bags of embeddings, and slices that are reduced one by one: one product with a sparse matrix."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from fuseflow.ir.einsum import EinsumGraph
from tests.frontend.imports import Function, draw, functions, imported

IDS = torch.tensor([3, 0, 3, 5, 1, 0, 2])
STARTS = torch.tensor([0, 3, 3])


def bags(mode: str, **more: object) -> EinsumGraph:
    torch.manual_seed(0)
    module = nn.EmbeddingBag(6, 4, mode=mode, **more)  # type: ignore[arg-type]
    return imported(module.eval(), IDS, STARTS)


@pytest.mark.parametrize("more", [{}, {"padding_idx": 0}], ids=["plain", "padding"])
@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_sums_and_means_of_bags_are_one_product(mode: str, more: dict[str, int]) -> None:
    graph = bags(mode, **more)
    assert functions(graph) == ["add:mul"]
    assert graph.values["input"].origin == "edges"


def test_maxima_of_bags_agree_with_torch() -> None:
    assert "max:copy" in functions(bags("max"))


def test_bags_with_weights_per_sample_agree_with_torch() -> None:
    module = nn.EmbeddingBag(6, 4, mode="sum", include_last_offset=True).eval()
    ends = torch.tensor([0, 3, 3, 7])
    weights = nn.Parameter(draw(7))

    def weighted(ids: Tensor, ends: Tensor, w: Tensor, table: Tensor) -> Tensor:
        return nn.functional.embedding_bag(
            ids, table, ends, mode="sum", per_sample_weights=w, include_last_offset=True
        )

    model = Function(weighted, w=weights.detach(), table=module.weight.detach())
    assert functions(imported(model, IDS, ends)) == ["add:mul"]


def loop(x: Tensor, w: Tensor, means: bool) -> Tensor:
    """A loop over segments as users write it."""
    rows, y = [], x @ w
    for first, last in ((0, 2), (2, 3), (3, 7)):
        part = y[first:last]
        rows.append(part.mean(0, keepdim=True) if means else part.sum(0).unsqueeze(0))
    return torch.cat(rows)


@pytest.mark.parametrize("means", [False, True])
def test_reduced_neighbouring_slices_are_one_product(means: bool) -> None:
    graph = imported(lambda x, w: loop(x, w, means), draw(7, 3), draw(3, 5))
    assert functions(graph) == ["add:mul", *(["mul"] if means else []), "add:mul"]


def test_slices_that_are_no_neighbours_stay_apart() -> None:
    def overlapping(x: Tensor) -> Tensor:
        return torch.cat([x[:4].sum(0, keepdim=True), x[3:].sum(0, keepdim=True)])

    assert functions(imported(overlapping, draw(7, 3))).count("add:copy") == 2
