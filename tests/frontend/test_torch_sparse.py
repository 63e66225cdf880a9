"""Operators on sparse layouts: what torch computes on stored entries, the einsums compute too."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from fuseflow.errors import ModelError
from fuseflow.frontend.torch.module import import_torch
from tests.frontend.imports import Function, draw, functions, imported

DENSE = draw(6, 6) * (draw(6, 6, seed=1) > 0)
X, Y = draw(6, 4, seed=2), draw(4, 6, seed=3)
CSR, COO = DENSE.to_sparse_csr(), DENSE.to_sparse_coo()

CASES: dict[str, tuple[Callable[..., Tensor], tuple[Tensor, ...]]] = {
    "sampled product": (lambda a, x, y: torch.sparse.sampled_addmm(a, x, y) @ x, (CSR, X, Y)),
    "scaled sampled product": (
        lambda a, x, y: torch.sparse.sampled_addmm(a, x, y, beta=0.5, alpha=2.0).to_dense(),
        (CSR, X, Y),
    ),
    "sampled product alone": (
        lambda a, x, y: torch.sparse.sampled_addmm(a, x, y, beta=0.0).to_dense(),
        (CSR, X, Y),
    ),
    "softmax of rows": (lambda a, x: torch.sparse.softmax(a, 1) @ x, (COO, X)),
    "softmax of columns": (lambda a, x: torch.sparse.softmax(a, 0) @ x, (COO, X)),
    "softmax of a square": (lambda a, x: torch.sparse.softmax(a * a, 1) @ x, (COO, X)),
    "sum of rows": (lambda a: torch.sparse.sum(a, 1).to_dense(), (COO,)),
    "sum of all": (lambda a: torch.sparse.sum(a), (COO,)),
    "product of CSR": (lambda a, x: (a @ a) @ x, (CSR, X)),
    "elementwise CSR": (lambda a, x: (a * a) @ x, (CSR, X)),
    "elementwise COO": (lambda a, x: (a + a) @ x, (COO, X)),
    "sparse.mm": (lambda a, x: torch.sparse.mm(a, x), (COO, X)),
    "sparse.addmm": (lambda a, x: torch.sparse.addmm(x, a, x, beta=0.5), (COO, X)),
    "transposed": (lambda a, x: a.t() @ x, (COO, X)),
    "made dense": (lambda a, x: a.to_dense() @ x, (CSR, X)),
}


@pytest.mark.parametrize("name", CASES)
def test_sparse_operators_agree_with_torch(name: str) -> None:
    function, args = CASES[name]
    graph = imported(function, *args)
    sparse = [value for value in graph.values.values() if value.origin == "layout"]
    assert [str(value.format) for value in sparse] == [
        "dense,compressed" if args[0] is CSR else "compressed,compressed"
    ] * len(sparse)


def test_a_sampled_product_is_computed_on_the_pattern_alone() -> None:
    graph = imported(
        lambda a, x, y: torch.sparse.sampled_addmm(a, x, y, beta=0.0).to_dense(), CSR, X, Y
    )
    assert functions(graph) == ["add:mul", "masked"]
    mask = graph.values[graph.einsums[1].operands[0].value].tensor
    assert mask is not None
    assert mask.stored == int((DENSE != 0).sum())


def test_softmax_of_an_unknown_pattern_is_refused() -> None:
    with pytest.raises(ModelError, match="which entries of its operand are stored"):
        import_torch(Function(lambda a, x: torch.sparse.softmax(a @ a, 1) @ x), (COO, X))
