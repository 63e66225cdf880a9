"""Who decides how an operand is stored, and what a format text means for it."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from fuseflow.frontend.options import ImportOptions
from fuseflow.ir.einsum import Value
from tests.frontend.imports import Function, draw, imported


def sparse(*shape: int, share: float = 0.2) -> Tensor:
    generator = torch.Generator().manual_seed(7)
    return draw(*shape) * (torch.rand(*shape, generator=generator) < share)


def weight(
    data: Tensor,
    *,
    user: Mapping[str, str] | None = None,
    model: Mapping[str, str] | None = None,
    **options: float,
) -> Value:
    """Return the weight of ``x @ w.T`` after import."""
    module = Function(lambda x, w: torch.nn.functional.linear(x, w), w=data)
    graph = imported(
        module,
        draw(3, data.shape[1], seed=5),
        formats=model,
        options=ImportOptions(formats=user or {}, **options),  # type: ignore[arg-type]
    )
    return graph.values["w"]


def test_weight_is_stored_with_the_summed_dimension_first() -> None:
    data = draw(6, 9)
    value = weight(data)
    assert value.shape == (9, 6)
    assert value.tensor is not None
    assert np.array_equal(value.tensor.to_dense(), data.numpy().T)


def test_dense_weight_is_dense() -> None:
    value = weight(draw(8, 9))
    assert (str(value.format), value.origin) == ("dense,dense", "dense")


def test_zeros_make_a_weight_sparse() -> None:
    value = weight(sparse(8, 9))
    assert (str(value.format), value.origin) == ("dense,compressed", "zeros")


def test_negative_zeros_count_as_zeros_and_nan_does_not() -> None:
    data = torch.full((8, 8), -0.0)
    data[0, 0] = 1
    assert weight(data).origin == "zeros"


def test_few_elements_stay_dense() -> None:
    assert weight(sparse(7, 9)).origin == "dense"


@pytest.mark.parametrize(("threshold", "origin"), [(0.1, "dense"), (0.9, "zeros")])
def test_threshold_is_an_option(threshold: float, origin: str) -> None:
    assert weight(sparse(20, 20, share=0.5), density_threshold=threshold).origin == origin


def test_model_wins_over_zeros_and_user_over_model() -> None:
    data = sparse(8, 9)
    both = {"w": "compressed,compressed"}
    assert weight(data, model={"w": "dense,dense"}).origin == "model"
    assert str(weight(data, model={"w": "dense,dense"}).format) == "dense,dense"
    value = weight(data, user=both, model={"w": "dense,dense"})
    assert (str(value.format), value.origin) == ("compressed,compressed", "user")


def test_exact_name_wins_over_a_glob() -> None:
    value = weight(sparse(8, 9), user={"*": "dense,dense", "w": "compressed,compressed"})
    assert str(value.format) == "compressed,compressed"


def test_levels_without_mode_order_follow_storage() -> None:
    assert str(weight(draw(8, 9), user={"w": "compressed,dense"}).format) == "compressed,dense"


def test_mode_order_counts_the_dimensions_of_the_model() -> None:
    inner = weight(draw(8, 9), user={"w": "dense,compressed@1,0"})
    outer = weight(draw(8, 9), user={"w": "dense,compressed@0,1"})
    assert str(inner.format) == "dense,compressed"
    assert str(outer.format) == "dense,compressed@1,0"


def test_split_dimension_gives_its_level_to_each_part() -> None:
    def forward(x: Tensor, w: Tensor) -> Tensor:
        return (x @ w).view(3, 2, 5).sum(1)

    graph = imported(
        Function(forward, w=draw(9, 10)),
        draw(3, 9),
        options=ImportOptions(formats={"w": "dense,compressed"}),
    )
    assert str(graph.values["w"].format) == "dense,compressed,compressed"


def test_dimension_of_extent_1_may_be_named_or_not() -> None:
    for text in ("dense,compressed,dense,compressed", "compressed,compressed"):
        graph = imported(
            lambda x: x * 2,
            draw(1, 4, 1, 5),
            input_names=("x",),
            options=ImportOptions(formats={"x": text}),
        )
        assert str(graph.values["x"].format) == "compressed,compressed"


def test_note_says_density_format_and_rule() -> None:
    graph = imported(Function(lambda x, w: x @ w, w=draw(4, 5)), draw(3, 4), input_names=("x",))
    assert graph.notes == [
        "x: 3x4, density 1, dense,dense (dense)",
        "w: 4x5, density 1, dense,dense (dense)",
    ]


def test_format_of_the_model_for_no_tensor_is_a_note() -> None:
    graph = imported(lambda x: x + 1, draw(3), formats={"gone": "dense"})
    assert graph.notes[0] == 'the model has a format for "gone", which is no tensor of it'


def test_double_precision_is_computed_in_single() -> None:
    graph = imported(lambda x, w: x.double() @ w, draw(3, 4), buffers={"w": draw(4, 5).double()})
    assert {value.dtype for value in graph.values.values()} == {"float32"}
