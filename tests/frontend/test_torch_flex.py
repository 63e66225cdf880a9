"""flex_attention: whatever its block mask allows becomes the pattern of the scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from fuseflow.errors import ModelError
from fuseflow.ir.einsum import EinsumGraph
from tests.frontend.imports import draw, functions, imported

LENGTH, HEADS, WIDTH, BLOCK = 24, 2, 4, 8


class Flex(nn.Module):
    """Attention of a sequence on itself; `rule` decides which scores exist."""

    def __init__(self, rule: Callable[..., Any] | None, heads: int | None = None, **more: Any):
        super().__init__()
        self.mask = rule and create_block_mask(
            rule, None, heads, LENGTH, LENGTH, device="cpu", BLOCK_SIZE=BLOCK
        )
        self.more = more

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return flex_attention(q, k, v, block_mask=self.mask, **self.more)


def attend(module: nn.Module) -> EinsumGraph:
    operands = [draw(1, HEADS, LENGTH, WIDTH, seed=seed) for seed in range(3)]
    return imported(module, *operands)


def causal(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
    return q >= k


def window(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
    return (q - k).abs() <= 9


def blocks(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
    return q // BLOCK == k // BLOCK


@pytest.mark.parametrize("rule", [causal, window, blocks])
def test_the_mask_is_the_pattern_of_the_scores(rule: Callable[..., Any]) -> None:
    mask = attend(Flex(rule)).values["block_mask"]
    rows, columns = torch.meshgrid(torch.arange(LENGTH), torch.arange(LENGTH), indexing="ij")
    assert mask.tensor is not None
    np.testing.assert_array_equal(mask.tensor.to_dense(), rule(0, 0, rows, columns).numpy())
    assert mask.origin == "mask"


def test_blocks_of_the_mask_are_noted() -> None:
    (note,) = [note for note in attend(Flex(blocks)).notes if note.startswith("block_mask")]
    assert note.endswith("blocks 1x1x8x8")


def test_a_mask_may_differ_between_heads() -> None:
    graph = attend(Flex(lambda b, h, q, k: q >= k * h, HEADS))
    assert graph.values["block_mask"].shape == (HEADS, LENGTH, LENGTH)


def test_a_mask_may_read_a_buffer() -> None:
    allowed = torch.arange(LENGTH) % 3 != 1
    attend(Flex(lambda b, h, q, k: allowed[k] & (q >= 0)))


def test_a_row_without_entries_is_zero() -> None:
    graph = attend(Flex(lambda b, h, q, k: q > k))
    assert graph.outputs[0].reference is not None
    assert (graph.outputs[0].reference[0, :, 0] == 0).all()


def test_without_a_mask_scores_are_dense() -> None:
    graph = attend(Flex(None, scale=0.5))
    assert "masked" not in functions(graph)


def test_changed_scores_are_refused_with_their_place() -> None:
    with pytest.raises(ModelError) as caught:
        attend(Flex(causal, score_mod=lambda s, b, h, q, k: s * 2))
    assert caught.value.rule == "I002 unsupported-form"
    assert "a function that changes scores" in str(caught.value)
    assert str(caught.value.findings[0].where.file).startswith("test_torch_flex.py:")
