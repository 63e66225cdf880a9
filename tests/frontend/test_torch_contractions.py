"""Reductions, contractions, norms and softmax against eager torch."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.frontend.imports import draw, functions, imported, only

Map = Callable[..., Tensor]

REDUCTIONS: dict[str, tuple[Map, list[str]]] = {
    "sum of all": (lambda x: x.sum(), ["add:copy"]),
    "sum": (lambda x: x.sum(1), ["add:copy"]),
    "sum, kept": (lambda x: x.sum(1, keepdim=True), ["add:copy"]),
    "sum of two": (lambda x: x.sum((0, -1)), ["add:copy"]),
    "mean": (lambda x: x.mean(-1), ["add:copy", "mul_scalar"]),
    "mean of all": (lambda x: x.mean(), ["add:copy", "mul_scalar"]),
    "maximum": (lambda x: x.amax(0), ["max:copy"]),
    "minimum": (lambda x: x.amin((0, 1)), ["min:copy"]),
    "maximum, first result": (lambda x: x.max(1)[0], ["max:copy"]),
    "maximum of all": (lambda x: x.max(), ["max:copy"]),
    "product": (lambda x: x.prod(2), ["mul:copy"]),
}


@pytest.mark.parametrize("text", REDUCTIONS)
def test_reduction(text: str) -> None:
    function, expected = REDUCTIONS[text]
    assert functions(imported(function, draw(3, 4, 5))) == expected


CONTRACTIONS: dict[str, tuple[Map, tuple[tuple[int, ...], ...]]] = {
    "matrices": (torch.matmul, ((3, 4), (4, 5))),
    "matrix and vector": (torch.matmul, ((3, 4), (4,))),
    "vector and matrix": (torch.matmul, ((4,), (4, 5))),
    "vectors": (torch.dot, ((4,), (4,))),
    "batches": (torch.bmm, ((2, 3, 4), (2, 4, 5))),
    "batch and matrix": (torch.matmul, ((2, 3, 4), (4, 5))),
    "matrix and batch": (torch.matmul, ((3, 4), (2, 4, 5))),
    "batches that broadcast": (torch.matmul, ((2, 1, 3, 4), (6, 4, 5))),
    "one row": (torch.matmul, ((1, 4), (4, 5))),
    "one summand": (torch.matmul, ((3, 1), (1, 5))),
    "transposed": (lambda x, y: x.T @ y.mT, ((4, 3), (5, 4))),
    "linear": (F.linear, ((2, 3, 4), (5, 4))),
    "linear with bias": (F.linear, ((3, 4), (5, 4), (5,))),
    "addmm": (
        lambda c, a, b: torch.addmm(c, a, b, beta=0.5, alpha=2),
        ((5,), (3, 4), (4, 5)),
    ),
    "outer": (torch.outer, ((3,), (4,))),
    "einsum ij,jk": (lambda x, y: torch.einsum("ij,jk->ik", x, y), ((3, 4), (4, 5))),
    "einsum implicit": (lambda x, y: torch.einsum("ij,jk", x, y), ((3, 4), (4, 5))),
    "einsum transposing": (lambda x, y: torch.einsum("ij,jk->ki", x, y), ((3, 4), (4, 5))),
    "einsum one operand": (lambda x: torch.einsum("ijk->ki", x), ((3, 4, 5),)),
    "einsum one permuted": (lambda x: torch.einsum("ij->ji", x) + 1, ((3, 4),)),
    "einsum elementwise": (lambda x, y: torch.einsum("ij,ij->ij", x, y), ((3, 4), (3, 4))),
    "einsum heads": (
        lambda x, y: torch.einsum("bihe,bjhe->bhij", x, y),
        ((2, 3, 4, 5), (2, 6, 4, 5)),
    ),
    "einsum dots": (lambda x, y: torch.einsum("...ij,jk->...ik", x, y), ((2, 3, 4), (4, 5))),
    "einsum sum of one": (lambda x, y: torch.einsum("ij,k->ik", x, y), ((3, 4), (5,))),
    "einsum three": (
        lambda x, y, z: torch.einsum("ij,jk,kl->il", x, y, z),
        ((3, 4), (4, 5), (5, 2)),
    ),
}


@pytest.mark.parametrize("text", CONTRACTIONS)
def test_contraction(text: str) -> None:
    function, shapes = CONTRACTIONS[text]
    imported(function, *(draw(*shape, seed=n) for n, shape in enumerate(shapes)))


def test_matrix_product_is_one_sum_of_products() -> None:
    op = only(imported(torch.matmul, draw(3, 4), draw(4, 5)))
    assert str(op) == "matmul[i,k] = add[j] mul(args_0[i,j], args_1[j,k])"


def test_product_of_three_carries_one_composite_name() -> None:
    graph = imported(
        lambda x, y, z: torch.einsum("ij,jk,kl->il", x, y, z), draw(3, 4), draw(4, 5), draw(5, 2)
    )
    assert [op.composite for op in graph.einsums] == ["einsum_1", "einsum_1"]


def test_linear_layer_is_a_product_and_an_addition_of_their_own() -> None:
    graph = imported(nn.Linear(4, 5), draw(3, 4))
    assert functions(graph) == ["add:mul", "add"]
    assert [op.composite for op in graph.einsums] == ["", ""]


def test_square_matrix_gets_two_index_names() -> None:
    graph = imported(lambda a, x: a @ (a @ x), draw(4, 4), draw(4, 3))
    assert [str(op.operands[0]) for op in graph.einsums] == ["args_0[i,j]", "args_0[i,j]"]
    assert graph.einsums[1].operands[1].indices[0] == "j"


@pytest.mark.parametrize("dim", [0, -1])
def test_softmax_over_plain_scores_uses_plain_functions(dim: int) -> None:
    graph = imported(lambda x: torch.softmax(x, dim), draw(3, 5))
    assert functions(graph) == ["max:copy", "sub", "exp", "add:copy", "div"]
    assert {op.composite for op in graph.einsums} == {"softmax_1"}


def test_log_softmax_subtracts_the_logarithm_of_the_sum() -> None:
    graph = imported(lambda x: torch.log_softmax(x, -1), draw(3, 5))
    assert functions(graph) == ["max:copy", "sub", "exp", "add:copy", "log", "sub"]


def test_softmax_over_one_entry_is_one() -> None:
    imported(lambda x: torch.softmax(x, -1), draw(3, 1))


NORM = ["add:copy", "mul_scalar", "sub", "square", "add:copy", "mul_scalar", "add_scalar", "rsqrt"]


def test_layer_norm_divides_by_the_extent() -> None:
    graph = imported(nn.LayerNorm(6, elementwise_affine=False), draw(3, 6))
    assert functions(graph) == [*NORM, "mul"]
    assert graph.einsums[1].parameters == (1 / 6,)
    assert {op.composite for op in graph.einsums} == {"layer_norm_1"}


def test_layer_norm_with_scale_and_shift_is_one_composite() -> None:
    module = nn.LayerNorm((4, 6))
    nn.init.normal_(module.weight)
    nn.init.normal_(module.bias)
    graph = imported(module, draw(3, 4, 6))
    assert functions(graph) == [*NORM, "mul", "mul", "add"]
    assert {op.composite for op in graph.einsums} == {"layer_norm_1"}


def test_rms_norm_does_not_subtract_the_mean() -> None:
    graph = imported(nn.RMSNorm(6), draw(3, 6))
    assert functions(graph)[:2] == ["square", "add:copy"]


def test_batch_norm_in_eval_mode_scales_and_shifts_channels() -> None:
    module = nn.BatchNorm1d(4)
    assert module.running_mean is not None
    nn.init.normal_(module.running_mean)
    nn.init.normal_(module.weight)
    assert functions(imported(module, draw(6, 4))) == ["sub", "mul", "add"]


def test_composites_of_a_kind_are_numbered() -> None:
    graph = imported(lambda x: torch.softmax(torch.softmax(x, -1), 0), draw(3, 4))
    assert list(dict.fromkeys(op.composite for op in graph.einsums)) == ["softmax_1", "softmax_2"]
