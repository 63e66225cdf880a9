# SPDX-License-Identifier: MIT
"""Decoder blocks in the shape of GPT-3 small, with a BigBird mask on the attention scores.

A block is three modules, the pieces that are fused as one where fusion goes by layer: projection,
attention, and feed-forward with the output projection. Tokens go in as vectors: there is no
embedding and no head.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from fuseflow.errors import Location, UsageError
from fuseflow.models.bigbird import bigbird_mask
from fuseflow.models.case import ModelCase, freeze, require_dense_size
from fuseflow.models.draws import CounterStream, draw_eighths
from fuseflow.models.options import GptSettings
from fuseflow.models.weights import set_weights

__all__ = ["GPT", "Attention", "DecoderBlock", "FeedForward", "Projection", "build"]


class Projection(nn.Module):
    """Layer normalization, then queries, keys and values."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim, elementwise_affine=False)
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map tokens [batch, seq, dim] to queries, keys and values of the same shape."""
        normed = self.norm(x)
        return self.query(normed), self.key(normed), self.value(normed)


class Attention(nn.Module):
    """Softmax attention over the keys that the mask allows, in several heads."""

    mask: Tensor

    def __init__(self, heads: int, mask: Tensor) -> None:
        super().__init__()
        self.heads = heads
        self.register_buffer("mask", mask)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Map queries, keys and values [batch, seq, dim] to weighted values of the same shape."""
        batch, seq, dim = query.shape
        scores = self.split(query) @ self.split(key).transpose(-2, -1)
        scores = scores.masked_fill(~self.mask, float("-inf"))
        scores = scores / math.sqrt(dim // self.heads)
        weighted = torch.softmax(scores, dim=-1) @ self.split(value)
        return weighted.transpose(1, 2).reshape(batch, seq, dim)

    def split(self, x: Tensor) -> Tensor:
        """Reshape [batch, seq, dim] to [batch, heads, seq, dim / heads]."""
        batch, seq, dim = x.shape
        return x.view(batch, seq, self.heads, dim // self.heads).transpose(1, 2)


class FeedForward(nn.Module):
    """Output projection of the attention, then the feed-forward layers, each with a residual."""

    def __init__(self, dim: int, ffn: int) -> None:
        super().__init__()
        self.output = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim, elementwise_affine=False)
        self.up = nn.Linear(dim, ffn)
        self.activation = nn.ReLU()
        self.down = nn.Linear(ffn, dim)

    def forward(self, attended: Tensor, x: Tensor) -> Tensor:
        """Add what attention found to the tokens [batch, seq, dim] and transform the sum."""
        x = x + self.output(attended)
        transformed: Tensor = x + self.down(self.activation(self.up(self.norm(x))))
        return transformed


class DecoderBlock(nn.Module):
    """One decoder: projection, attention, feed-forward."""

    def __init__(self, dim: int, heads: int, ffn: int, mask: Tensor) -> None:
        super().__init__()
        self.projection = Projection(dim)
        self.attention = Attention(heads, mask)
        self.feedforward = FeedForward(dim, ffn)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens [batch, seq, dim] to tokens of the same shape."""
        query, key, value = self.projection(x)
        transformed: Tensor = self.feedforward(self.attention(query, key, value), x)
        return transformed


class GPT(nn.Module):
    """A stack of decoder blocks, all with the same mask bool[seq, seq]."""

    def __init__(self, layers: int, dim: int, heads: int, ffn: int, mask: Tensor) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(DecoderBlock(dim, heads, ffn, mask) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens [batch, seq, dim] to tokens of the same shape."""
        for block in self.blocks:
            x = block(x)
        return x


def build(settings: GptSettings) -> ModelCase:
    """Build the decoder stack with a batch of one random sequence.

    Raises UsageError where block does not divide seq, heads does not divide dim, the mask has fewer
    block columns than random_blocks asks for, or a tensor would be too large.
    """
    _require_consistent(settings)
    require_dense_size("the attention scores", settings.heads * settings.seq, settings.seq)
    require_dense_size("a weight matrix", settings.dim, max(settings.dim, settings.ffn))
    mask = bigbird_mask(settings.seq, settings.block, settings.random_blocks, settings.seed)
    module = GPT(
        settings.layers, settings.dim, settings.heads, settings.ffn, torch.from_numpy(mask)
    )
    set_weights(module, settings.seed, scale_by_inputs=True)
    tokens = draw_eighths(CounterStream(settings.seed, "x"), (1, settings.seq, settings.dim))
    return ModelCase(
        name="gpt",
        module=freeze(module),
        args=(torch.from_numpy(tokens),),
        input_names=("x",),
        description=f"{settings.layers} decoder block(s), {settings.seq} tokens of {settings.dim}, "
        f"{settings.heads} heads, feed-forward {settings.ffn}, BigBird mask in blocks of "
        f"{settings.block} with density {mask.mean():.4f}, seed {settings.seed}",
    )


def _require_consistent(settings: GptSettings) -> None:
    count = settings.seq // settings.block
    checks = (
        ("block", settings.seq % settings.block == 0, f"must divide seq={settings.seq}"),
        ("heads", settings.dim % settings.heads == 0, f"must divide dim={settings.dim}"),
        (
            "random_blocks",
            settings.random_blocks <= count,
            f"must be at most seq / block = {count}",
        ),
    )
    for key, holds, rule in checks:
        if not holds:
            raise UsageError(
                "U104 settings-conflict",
                f"{key}={getattr(settings, key)} {rule}",
                where=Location(field=key),
            )
