"""Operators that only move indices leave no einsum, and slices move to the weights."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fuseflow.errors import ModelError
from fuseflow.ir.einsum import EinsumGraph
from tests.frontend.imports import draw, functions, imported, only

Map = Callable[[Tensor], Tensor]

VIEWS: dict[str, tuple[Map, tuple[int, ...]]] = {
    "chained": (lambda x: x.view(2, 3, 4).transpose(0, 1).reshape(6, 4), (6, 4)),
    "expand": (lambda x: x.expand(5, 3, 4), (3, 4)),
    "expand and merge": (lambda x: x[:, None].expand(3, 2, 4).reshape(6, 4), (3, 4)),
    "flatten": (lambda x: x.flatten(1), (2, 3, 4)),
    "merge": (lambda x: x.reshape(2, 12), (2, 3, 4)),
    "movedim": (lambda x: x.movedim(0, -1), (2, 3, 4)),
    "permute": (lambda x: x.permute(2, 0, 1), (2, 3, 4)),
    "repeat": (lambda x: x.repeat(2, 3), (3, 4)),
    "split": (lambda x: x.view(2, 3, 2, 2), (6, 4)),
    "squeeze": (lambda x: x.squeeze(), (1, 3, 1, 4)),
    "swap": (lambda x: x.swapaxes(0, 2), (2, 3, 4)),
    "t": (lambda x: x.t(), (3, 4)),
    "unflatten": (lambda x: x.unflatten(1, (2, 2)), (3, 4)),
    "unsqueeze": (lambda x: x[:, None, :, None], (3, 4)),
    "unsqueeze and squeeze": (lambda x: x.unsqueeze(0).squeeze(0), (3, 4)),
    "view with -1": (lambda x: x.view(-1, 2), (3, 4)),
}


@pytest.mark.parametrize("text", VIEWS)
def test_view_leaves_no_einsum_of_its_own(text: str) -> None:
    function, shape = VIEWS[text]
    graph = imported(
        lambda x: (torch.exp(function(x)).sum(), function(torch.relu(x))), draw(*shape)
    )
    # A sum over copies is a sum times their number, and an output shows every copy.
    assert [fn for fn in functions(graph) if fn not in ("mul_scalar", "mul")] == [
        "exp",
        "add:copy",
        "relu",
    ]


def test_heads_are_dimensions_of_the_stored_values() -> None:
    def forward(x: Tensor) -> Tensor:
        heads = torch.relu(x).view(5, 4, 3).transpose(0, 1)
        return (heads @ heads.mT).sum(0)

    graph = imported(forward, draw(5, 12))
    assert graph.values["args_0"].shape == (5, 4, 3)
    assert [str(access) for access in graph.einsums[1].operands] == ["relu[i,j,k]", "relu[m,j,k]"]


def test_refinement_reaches_every_value_on_the_same_axis() -> None:
    def forward(x: Tensor, y: Tensor) -> Tensor:
        return (x + y).view(2, 3, 4).sum(1)

    graph = imported(forward, draw(24), draw(24, seed=1))
    assert {value.shape for value in graph.values.values()} == {(2, 3, 4), (2, 4)}


def test_axes_of_one_element_carry_no_index() -> None:
    graph = imported(lambda x, y: x + y, draw(1, 3, 1, 4), draw(4, seed=1))
    assert [value.shape for value in graph.values.values()] == [(3, 4), (4,), (3, 4)]


RESHAPES = {
    "alone": ((6, 4), (4, 6)),
    "between": ((2, 6, 4, 3), (2, 4, 6, 3)),
    "with ones": ((4, 15), (1, 10, 1, 6)),
    "twice": ((6, 4, 10, 9), (4, 6, 9, 10)),
}


@pytest.mark.parametrize("name", RESHAPES)
def test_reshape_that_moves_data_is_a_product_with_a_tensor_of_ones(name: str) -> None:
    before, after = RESHAPES[name]
    graph = imported(lambda x: torch.relu(x).reshape(after) * 2, draw(*before))
    assert "add:mul" in functions(graph)
    assert f"a reshape moves data: {list(before)} to {list(after)}" in graph.notes
    moved = next(value for value in graph.values.values() if value.origin == "reshape")
    assert moved.tensor is not None
    assert moved.tensor.stored in (24, 60, 90)


def test_an_axis_in_different_factors_is_refused() -> None:
    first, second = (12,), (3, 4)

    def forward(x: Tensor) -> Tensor:
        y = torch.relu(x)
        return y.reshape(second).sum() + y.reshape(4, -1).sum()

    with pytest.raises(ModelError) as caught:
        imported(forward, draw(*first))
    assert caught.value.rule == "I010 no-common-refinement"
    assert "[" in str(caught.value)
    assert "test_torch_shapes.py" in str(caught.value.findings[0].where)


def test_sum_over_a_broadcast_counts_its_copies() -> None:
    graph = imported(lambda x: x[:, None].expand(3, 5, 4).sum((1, 2)), draw(3, 4))
    assert functions(graph) == ["add:copy", "mul_scalar"]


def test_maximum_over_a_broadcast_is_the_value_itself() -> None:
    graph = imported(lambda x: torch.relu(x)[:, None].expand(3, 5, 4).amax(1), draw(3, 4))
    assert functions(graph) == ["relu"]


def test_product_summed_over_a_broadcast_counts_its_copies() -> None:
    graph = imported(lambda x, y: x.expand(3, 5) @ y.expand(5, 4), draw(3, 1), draw(1, 4))
    assert functions(graph) == ["mul", "mul_scalar"]


def test_output_that_is_a_broadcast_is_written_out() -> None:
    graph = imported(lambda x: torch.relu(x).expand(2, 3, 4), draw(3, 1))
    assert functions(graph) == ["relu", "mul"]


def test_output_may_be_an_input_seen_otherwise() -> None:
    assert functions(imported(lambda x: x.T.reshape(-1), draw(3, 4))) == []


def test_repeated_heads_read_the_one_that_they_share() -> None:
    def forward(q: Tensor, k: Tensor) -> Tensor:
        return q @ k[:, None].expand(2, 3, 5, 4).reshape(6, 5, 4).mT

    op = only(imported(forward, draw(6, 7, 4), draw(2, 5, 4)))
    assert [len(access.indices) for access in op.operands] == [4, 3]


# Slices and concatenations.


def selections(graph: EinsumGraph) -> int:
    """Count the products that select coordinates."""
    names = [access.value for op in graph.einsums for access in op.operands]
    return sum(name.startswith("select") for name in names)


def test_chunks_of_a_projection_slice_its_weight() -> None:
    class Projection(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv = nn.Linear(8, 24)

        def forward(self, x: Tensor) -> Tensor:
            q, k, v = self.qkv(x).chunk(3, dim=-1)
            return torch.relu(q) * k + v

    graph = imported(Projection(), draw(5, 8))
    assert selections(graph) == 0
    shapes = {name: value.shape for name, value in graph.values.items() if "weight" in name}
    assert shapes == {
        "qkv.weight.0:8": (8, 8),
        "qkv.weight.8:16": (8, 8),
        "qkv.weight.16:24": (8, 8),
    }


def test_unbind_of_stacked_projections_slices_the_weight() -> None:
    layer = nn.Linear(8, 24)

    def forward(x: Tensor, weight: Tensor) -> Tensor:
        stacked = nn.functional.linear(x, weight).view(5, 3, 2, 4).permute(1, 2, 0, 3)
        q, k, v = stacked.unbind(0)
        return q @ k.mT @ v

    graph = imported(forward, draw(5, 8), buffers={"weight": layer.weight.detach()})
    assert selections(graph) == 0


def test_slice_through_a_reshape_of_an_inner_factor_selects() -> None:
    layer = nn.Linear(8, 24)

    def forward(x: Tensor, weight: Tensor) -> Tensor:
        q, k, v = nn.functional.linear(x, weight).view(5, 2, 3, 4).unbind(2)
        return q * k + v

    graph = imported(forward, draw(5, 8), buffers={"weight": layer.weight.detach()})
    assert selections(graph) == 3


def test_overlapping_slices_do_not_compute_anything_twice() -> None:
    def forward(x: Tensor, weight: Tensor) -> Tensor:
        y = x @ weight
        return y[:, :6] + y[:, 2:]

    graph = imported(forward, draw(5, 8), buffers={"weight": draw(8, 8)})
    assert functions(graph).count("add:mul") == 3
    assert selections(graph) == 2


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x[1],
        lambda x: x[:, -1],
        lambda x: x[1:5],
        lambda x: x[::2],
        lambda x: x[1:6:3, 2:],
        lambda x: x.narrow(0, 2, 3),
        lambda x: x.split(4)[1],
        lambda x: x.unbind(1)[2],
    ],
)
def test_slice_of_an_input_selects(function: Map) -> None:
    graph = imported(lambda x: torch.relu(function(x)), draw(6, 4))
    selecting = [value for name, value in graph.values.items() if name.startswith("select")]
    assert selecting
    assert all(value.origin == "selection" for value in selecting)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.softmax(x @ x.mT, -1)[:, :, :2],
        lambda x: torch.softmax(x @ x.mT, -1)[:, 1],
        lambda x: torch.nn.functional.layer_norm(x, (4,))[0],
        lambda x: x.transpose(1, 2)[:, 1:3].reshape(2, -1),
        lambda x: x.sum(1)[:, 2:],
        lambda x: x.amax(1, keepdim=True)[:, :, 2:],
        lambda x: (x + x[0])[:, :2].flatten(1)[:, 4:],
        lambda x: torch.relu(x)[:, :2][:, 1:],
    ],
)
def test_slice_of_a_result_keeps_its_values(function: Map) -> None:
    imported(function, draw(2, 6, 4))


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_concatenation_places_its_parts(dim: int) -> None:
    def forward(x: Tensor, y: Tensor) -> Tensor:
        return torch.relu(torch.cat([x, y, x], dim))

    imported(forward, draw(3, 4), draw(3, 4, seed=1))


def test_stack_adds_an_axis() -> None:
    imported(lambda x, y: torch.stack([x, y], 1), draw(3, 4), draw(3, 4, seed=1))


def test_product_over_a_concatenation_is_a_sum_of_products() -> None:
    layer = nn.Linear(7, 5)

    def forward(x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        return nn.functional.linear(torch.cat([x, y], -1), weight)

    graph = imported(
        forward, draw(3, 4), draw(3, 3, seed=1), buffers={"weight": layer.weight.detach()}
    )
    assert functions(graph) == ["add:mul", "add:mul", "add"]


def test_concatenation_with_a_constant_needs_no_product_for_it() -> None:
    graph = imported(
        lambda x, token: torch.cat([token, x], 0), draw(3, 4), buffers={"token": draw(1, 4)}
    )
    assert selections(graph) == 1
    assert np.count_nonzero(graph.values["token"].tensor.to_dense()) == 4  # type: ignore[union-attr]


PADDED: dict[str, Map] = {
    "zeros": lambda x: F.pad(x, (1, 2)),
    "numbers": lambda x: F.pad(x, (0, 2, 1, 0), value=0.5),
    "cut and padded": lambda x: F.pad(x, (-1, 1)),
    "reflected": lambda x: F.pad(x, (2, 1), mode="reflect"),
    "replicated": lambda x: F.pad(x, (2, 0), mode="replicate"),
    "circular": lambda x: F.pad(x, (1, 1), mode="circular"),
}


@pytest.mark.parametrize("name", PADDED)
def test_padding_equals_torch(name: str) -> None:
    graph = imported(lambda x: PADDED[name](torch.relu(x)) * 2, draw(2, 3, 4))
    assert graph.outputs[0].reference is not None
