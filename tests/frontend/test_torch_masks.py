"""Attention masks in every spelling: one pattern, one `masked`, and the values of eager torch."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fuseflow.errors import ModelError
from fuseflow.frontend.options import ImportOptions
from fuseflow.frontend.torch.module import import_torch
from fuseflow.ir.einsum import Einsum, EinsumGraph
from fuseflow.ir.evaluate import evaluate_outputs
from tests.frontend.imports import Function, draw, functions, imported

HEADS, ROWS, WIDTH = 2, 8, 4
INF = float("inf")


def band(rows: int = ROWS) -> Tensor:
    """Return a mask that allows neighbours."""
    places = torch.arange(rows)
    return (places[:, None] - places).abs() <= 1


def scores(q: Tensor, k: Tensor) -> Tensor:
    return q @ k.mT / math.sqrt(WIDTH)


def attend(weights: Tensor, v: Tensor) -> Tensor:
    return torch.softmax(weights, -1) @ v


Attention = Callable[..., Tensor]

SPELLINGS: dict[str, Attention] = {
    "masked_fill": lambda q, k, v, m: attend(scores(q, k).masked_fill(~m, -INF), v),
    "masked_fill before the scale": lambda q, k, v, m: attend(
        (q @ k.mT).masked_fill(~m, -INF) / 2, v
    ),
    "masked_fill with zeros as condition": lambda q, k, v, m: attend(
        scores(q, k).masked_fill(m.float() == 0, -INF), v
    ),
    "large negative number": lambda q, k, v, m: attend(scores(q, k).masked_fill(~m, -1e9), v),
    "where": lambda q, k, v, m: attend(torch.where(m, scores(q, k), torch.tensor(-1e9)), v),
    "where with a number": lambda q, k, v, m: attend(torch.where(m, scores(q, k), -INF), v),
    "where with a full tensor": lambda q, k, v, m: attend(
        torch.where(m, scores(q, k), torch.full((ROWS, ROWS), -INF)), v
    ),
    "where the other way round": lambda q, k, v, m: attend(torch.where(~m, -INF, scores(q, k)), v),
    "additive": lambda q, k, v, m: attend(
        scores(q, k) + torch.zeros(ROWS, ROWS).masked_fill(~m, -INF), v
    ),
    "additive, smallest number": lambda q, k, v, m: attend(
        scores(q, k) + (1 - m.float()) * torch.finfo(torch.float32).min, v
    ),
    "subtracted": lambda q, k, v, m: attend(scores(q, k) - 1e6 * (~m).float(), v),
    "sdpa, boolean": lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, attn_mask=m),
    "sdpa, float": lambda q, k, v, m: F.scaled_dot_product_attention(
        q, k, v, attn_mask=torch.zeros(ROWS, ROWS).masked_fill(~m, -INF)
    ),
    "mask with more axes": lambda q, k, v, m: attend(
        scores(q, k).masked_fill(~m[None, None], -INF)[0], v
    ),
}


def operands(heads: int = HEADS) -> list[Tensor]:
    return [draw(heads, ROWS, WIDTH, seed=n) for n in range(3)]


def masked(graph: EinsumGraph) -> Einsum:
    """Return the one einsum that masks."""
    (op,) = [op for op in graph.einsums if op.fn == "masked"]
    return op


@pytest.mark.parametrize("text", SPELLINGS)
def test_every_spelling_is_one_pattern_and_a_safe_softmax(text: str) -> None:
    graph = imported(SPELLINGS[text], *operands(), buffers={"m": band()})
    op = masked(graph)
    pattern = graph.values[op.operands[0].value]
    assert op.parameters == (-INF,)
    assert pattern.tensor is not None
    assert pattern.tensor.values is None
    assert np.array_equal(pattern.tensor.to_dense() == 1, band().numpy())
    assert (pattern.origin, pattern.dtype) == ("mask", "bool")
    assert pattern.name == "m"
    softmax = [op.fn for op in graph.einsums if op.composite == "softmax_1"]
    assert softmax == ["copy", "safe_sub", "exp", "copy", "safe_div"]


def test_mask_is_stored_compressed_whatever_its_density() -> None:
    graph = imported(
        SPELLINGS["masked_fill"], *operands(), buffers={"m": torch.ones(ROWS, ROWS) > 0}
    )
    assert str(graph.values["m"].format) == "compressed,compressed"


def test_product_with_a_mask_stays_a_product() -> None:
    def forward(q: Tensor, k: Tensor, v: Tensor, m: Tensor) -> Tensor:
        weights = torch.exp(scores(q, k)) * m
        return weights / weights.sum(-1, keepdim=True) @ v

    graph = imported(forward, *operands(), buffers={"m": band()})
    assert "masked" not in functions(graph)
    assert "safe_div" not in functions(graph)
    assert graph.values["m"].origin == "zeros"


def test_causal_attention_masks_with_a_triangle() -> None:
    def forward(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)

    graph = imported(forward, *operands())
    tensor = graph.values["causal_mask"].tensor
    assert tensor is not None
    assert np.array_equal(tensor.to_dense(), np.tril(np.ones((ROWS, ROWS))))


def test_attention_without_a_mask_is_not_safe() -> None:
    graph = imported(lambda q, k, v: F.scaled_dot_product_attention(q, k, v), *operands())
    assert {"sub", "div"} <= set(functions(graph))


def test_grouped_queries_share_keys() -> None:
    def forward(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, enable_gqa=True)

    shapes = ((1, 4, ROWS, WIDTH), (1, 2, ROWS, WIDTH), (1, 2, ROWS, WIDTH))
    imported(forward, *(draw(*shape, seed=n) for n, shape in enumerate(shapes)))


def test_bias_with_absent_entries_is_added_where_it_is_present() -> None:
    bias = torch.where(band(), draw(ROWS, ROWS), -INF)
    graph = imported(
        lambda q, k, v, bias: attend(scores(q, k) + bias, v), *operands(), buffers={"bias": bias}
    )
    assert functions(graph)[2:4] == ["add", "masked"]


def test_mask_over_keys_alone_has_one_dimension() -> None:
    keep = torch.tensor([True] * 5 + [False] * 3)
    graph = imported(SPELLINGS["masked_fill"], *operands(), buffers={"m": keep})
    assert graph.values["m"].shape == (ROWS,)


def test_mask_given_as_input_is_bound() -> None:
    graph = imported(SPELLINGS["masked_fill"], *operands(), band())
    assert masked(graph).operands[0].value == "args_3"
    assert any("args_3 is bound" in note for note in graph.notes)


def test_large_negative_fill_is_kept_where_more_than_a_softmax_sees_it() -> None:
    graph = imported(
        lambda x, m: torch.relu(x.masked_fill(~m, -1e9) + 5),
        draw(ROWS, ROWS),
        buffers={"m": band()},
    )
    assert masked(graph).parameters == (-1e9,)


def test_choice_between_two_tensors_is_the_sum_of_both_masked() -> None:
    graph = imported(
        lambda x, y, m: torch.where(m, x, y),
        draw(ROWS, ROWS),
        draw(ROWS, ROWS, seed=1),
        buffers={"m": band()},
    )
    assert functions(graph) == ["masked", "masked", "add"]


def test_triangle_of_a_result_is_a_mask_with_zeros() -> None:
    graph = imported(lambda x: torch.tril(x + 1, diagonal=1), draw(4, 6))
    assert masked(graph).parameters == (0.0,)


def test_inf_next_to_what_a_mask_hides_does_not_leak() -> None:
    x = draw(ROWS, ROWS)
    x[0, 5] = INF
    imported(lambda x, m: attend(x.masked_fill(~m, -INF), x.clamp(max=3)), x, buffers={"m": band()})


EMPTY_ROW = band() & (torch.arange(ROWS) != 3)[:, None]


@pytest.mark.parametrize("text", ["masked_fill", "where", "additive", "sdpa, float"])
def test_row_without_entries_is_refused_by_name(text: str) -> None:
    with pytest.raises(ModelError) as caught:
        imported(SPELLINGS[text], *operands(), buffers={"m": EMPTY_ROW})
    assert caught.value.rule == "I014 empty-row"
    assert "[0,3]" in str(caught.value)


def test_row_without_entries_is_zero_where_the_framework_says_so() -> None:
    imported(SPELLINGS["sdpa, boolean"], *operands(), buffers={"m": EMPTY_ROW})


def test_row_without_entries_is_zero_where_the_user_accepts_it() -> None:
    options = ImportOptions(empty_rows="zero", reference=False)
    module = Function(SPELLINGS["masked_fill"], m=EMPTY_ROW)
    graph = import_torch(module, operands(), options=options)
    result = evaluate_outputs(graph)["output"]
    assert np.all(result[:, 3] == 0)
    assert np.all(np.isfinite(result))
