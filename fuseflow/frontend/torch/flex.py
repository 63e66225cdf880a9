# SPDX-License-Identifier: MIT
"""flex_attention: its block mask becomes the pattern of a masked softmax.

The export keeps the function that decides about an entry as a graph of its own, and beside it which
blocks that function is asked about, and which are stored whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fuseflow.errors import ModelError
from fuseflow.frontend.graph import spellings
from fuseflow.frontend.graph.builder import OpBuilder
from fuseflow.frontend.graph.location import locate
from fuseflow.frontend.torch.values import Known, Subgraph

if TYPE_CHECKING:
    import torch

__all__ = ["FlexCall", "is_flex_attention"]


def is_flex_attention(target: object) -> bool:
    """Tell whether a node calls torch's flex_attention."""
    return str(target) == "flex_attention"


@dataclass(frozen=True, slots=True)
class FlexCall:
    """The arguments of one call, taken from those of the node in their order.

    `block_mask` is what `BlockMask.as_tuple` gives: lengths of queries and keys, number and indices
    of the blocks of each row that are asked about and that are whole, ..., extents of a block, and
    the function that is asked.
    """

    score_mod: Subgraph
    block_mask: Sequence[Any]
    scale: float
    score_buffers: Sequence[Any]
    mask_buffers: Sequence[Any]

    @classmethod
    def of(cls, arguments: Sequence[Any]) -> FlexCall:
        """Take the arguments behind queries, keys and values."""
        score_mod, block_mask, scale, _, score_buffers, mask_buffers = arguments
        return cls(score_mod, block_mask, scale, score_buffers, mask_buffers)

    def spell(self, b: OpBuilder, q: str, k: str, v: str) -> str:
        """Append the attention of these operands and return its result.

        Raises ModelError I002 if scores are changed by a function, or the mask is not known.
        """
        import torch

        if not self.score_mod.is_identity or self.score_buffers:
            raise _refusal(b, "a function that changes scores", "add a bias to the scores yourself")
        if not all(isinstance(each, Known) for each in self.mask_buffers):
            raise _refusal(b, "a mask that depends on inputs", "bind these inputs, or use buffers")
        keep = self.pattern()
        if bool(keep.all()):
            return spellings.attention(b, q, k, v, scale=self.scale)
        mask = b.constant(np.asarray(keep.to(torch.bool)), "block_mask")
        return spellings.attention(b, q, k, v, scale=self.scale, mask=mask)

    def pattern(self) -> torch.Tensor:
        """Return which scores exist, bool[batch or 1, heads or 1, queries, keys]."""
        from torch.nn.attention.flex_attention import create_mask

        queries, keys, *parts = self.block_mask
        asked, whole = _blocks(parts[0], parts[1]), _blocks(parts[2], parts[3])
        height, width, function = parts[-3:]
        buffers = [each.tensor for each in self.mask_buffers]

        # torch counts the parameters of the function to learn what it decides about.
        def decide(b: torch.Tensor, h: torch.Tensor, q: torch.Tensor, k: torch.Tensor) -> Any:
            return function.module(b, h, q, k, *buffers)

        batch, heads = asked.shape[:2]
        answers = create_mask(decide, batch, heads, queries, keys, device="cpu")
        return (_entries(asked, queries, keys, height, width) & answers) | _entries(
            whole, queries, keys, height, width
        )


def _blocks(counts: Known | None, indices: Known | None) -> torch.Tensor:
    """Return the blocks of a list per row, bool[batch, heads, rows, columns]."""
    import torch

    if counts is None or indices is None:
        return torch.zeros(1, 1, 1, 1, dtype=torch.bool)
    places = indices.tensor.long()
    listed = torch.arange(places.shape[-1]) < counts.tensor.unsqueeze(-1)
    blocks = torch.zeros(places.shape, dtype=torch.bool)
    *rows, slot = listed.nonzero(as_tuple=True)
    blocks[(*rows, places[(*rows, slot)])] = True
    return blocks


def _entries(
    blocks: torch.Tensor, queries: int, keys: int, height: int, width: int
) -> torch.Tensor:
    """Return the entries that lie in blocks; blocks at the end may be cut."""
    import torch

    rows = (torch.arange(queries) // height).clamp(max=blocks.shape[2] - 1)
    columns = (torch.arange(keys) // width).clamp(max=blocks.shape[3] - 1)
    return blocks[:, :, rows][:, :, :, columns]


def _refusal(b: OpBuilder, what: str, fix: str) -> ModelError:
    message = f"flex_attention with {what} is not supported"
    return ModelError("I002 unsupported-form", message, where=locate(b.source), fix=fix)
