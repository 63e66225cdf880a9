"""Models as people write them in PyTorch, each with inputs; nothing in them knows fuseflow."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import prune

__all__ = ["MODELS", "Example"]

LENGTH, WIDTH, HEADS, VOCABULARY = 8, 8, 2, 20
CAUSAL = nn.Transformer.generate_square_subsequent_mask(LENGTH)


@dataclass(frozen=True)
class Example:
    """What makes a module, and the positional and keyword arguments that it is called with."""

    make: Callable[[], nn.Module]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def module(self) -> nn.Module:
        """Return the module with seeded weights, in training mode as users have it."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return self.make()


def randn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)))


def randint(high: int, *shape: int) -> Tensor:
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(3))


def pruned_mlp(*, permanent: bool) -> nn.Module:
    """A classifier of which magnitude pruning has left a fifth."""
    layers = [nn.Linear(24, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 4)]
    for layer in layers:
        if isinstance(layer, nn.Linear):
            prune.l1_unstructured(layer, "weight", amount=0.8)
            if permanent:
                prune.remove(layer, "weight")
    return nn.Sequential(*layers, nn.LogSoftmax(dim=-1))


class MixerBlock(nn.Module):
    """MLP-Mixer: tokens are mixed, then channels, each behind a norm and with a residual."""

    def __init__(self, tokens: int, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.tokens = nn.Sequential(nn.Linear(tokens, 12), nn.GELU(), nn.Linear(12, tokens))
        self.channels = nn.Sequential(
            nn.Linear(channels, 12), nn.GELU(), nn.Dropout(0.1), nn.Linear(12, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        result: Tensor = x + self.channels(self.norm2(x))
        return result


class CausalSelfAttention(nn.Module):
    """GPT-2's attention: one projection for all three, a triangle as a buffer."""

    def __init__(self, width: int, heads: int, length: int) -> None:
        super().__init__()
        self.c_attn = nn.Linear(width, 3 * width)
        self.c_proj = nn.Linear(width, width)
        self.attn_dropout = nn.Dropout(0.1)
        self.resid_dropout = nn.Dropout(0.1)
        self.heads = heads
        mask = torch.tril(torch.ones(length, length)).view(1, 1, length, length)
        self.register_buffer("bias", mask)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.size()
        q, k, v = self.c_attn(x).split(width, dim=2)
        shape = (batch, length, self.heads, width // self.heads)
        q, k, v = (part.view(shape).transpose(1, 2) for part in (q, k, v))
        att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        att = att.masked_fill(self.bias[:, :, :length, :length] == 0, float("-inf"))
        att = self.attn_dropout(F.softmax(att, dim=-1))
        y = (att @ v).transpose(1, 2).contiguous().view(batch, length, width)
        result: Tensor = self.resid_dropout(self.c_proj(y))
        return result


class GptBlock(nn.Module):
    def __init__(self, width: int, heads: int, length: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = CausalSelfAttention(width, heads, length)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width),
            nn.GELU(approximate="tanh"),
            nn.Linear(4 * width, width),
            nn.Dropout(0.1),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        result: Tensor = x + self.mlp(self.ln_2(x))
        return result


class Gpt2(nn.Module):
    """A language model whose head shares its weight with the embedding."""

    def __init__(self, vocabulary: int, width: int, heads: int, length: int, layers: int) -> None:
        super().__init__()
        self.wte = nn.Embedding(vocabulary, width)
        self.wpe = nn.Embedding(length, width)
        self.h = nn.ModuleList([GptBlock(width, heads, length) for _ in range(layers)])
        self.ln_f = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, vocabulary, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, idx: Tensor) -> Tensor:
        pos = torch.arange(0, idx.size(1), dtype=torch.long, device=idx.device)
        x = self.wte(idx) + self.wpe(pos)
        for block in self.h:
            x = block(x)
        result: Tensor = self.lm_head(self.ln_f(x))
        return result


class Autoencoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 4), nn.ReLU())
        self.decoder = nn.Sequential(nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 16), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.decoder(self.encoder(x))
        return result


class Recommender(nn.Module):
    """Dense features and a bag of categories per sample, joined by an MLP."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(30, 8, mode=mode)
        self.bottom = nn.Sequential(nn.Linear(6, 8), nn.ReLU())
        self.top = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 1))

    def forward(self, dense: Tensor, ids: Tensor, offsets: Tensor | None = None) -> Tensor:
        joined = torch.cat([self.bottom(dense), self.bag(ids, offsets)], dim=1)
        return torch.sigmoid(self.top(joined))


class Dlrm(nn.Module):
    """Facebook's recommender: products of all pairs of features, the lower triangle of them."""

    def __init__(self) -> None:
        super().__init__()
        self.bags = nn.ModuleList([nn.EmbeddingBag(n, 8, mode="sum") for n in (20, 30)])
        self.bottom = nn.Sequential(nn.Linear(6, 8), nn.ReLU())
        self.top = nn.Sequential(nn.Linear(8 + 3, 8), nn.ReLU(), nn.Linear(8, 1))

    def forward(self, dense: Tensor, ids: Tensor) -> Tensor:
        x = self.bottom(dense)
        features = [x, *(bag(ids[:, :, n]) for n, bag in enumerate(self.bags))]
        stacked = torch.stack(features, dim=1)
        products = torch.bmm(stacked, stacked.transpose(1, 2))
        rows, columns = torch.tril_indices(len(features), len(features), offset=-1)
        joined = torch.cat([x, products[:, rows, columns]], dim=1)
        return torch.sigmoid(self.top(joined))


def encoder_layer(**more: Any) -> nn.Module:
    return nn.TransformerEncoderLayer(WIDTH, HEADS, 16, **{"batch_first": True, **more})


TOKENS = randn(1, LENGTH, WIDTH)
PADDING = torch.arange(LENGTH).expand(2, LENGTH) >= torch.tensor([[5], [LENGTH]])

MODELS: dict[str, Example] = {
    "pruned-mlp": Example(lambda: pruned_mlp(permanent=False), (randn(5, 24),)),
    "pruned-mlp-permanent": Example(lambda: pruned_mlp(permanent=True), (randn(5, 24),)),
    "mixer": Example(lambda: MixerBlock(6, WIDTH), (randn(2, 6, WIDTH),)),
    "encoder": Example(encoder_layer, (TOKENS,)),
    "encoder-norm-first": Example(
        lambda: encoder_layer(norm_first=True, activation="gelu"), (randn(2, LENGTH, WIDTH),)
    ),
    "encoder-length-first": Example(
        lambda: encoder_layer(batch_first=False), (randn(LENGTH, 2, WIDTH),)
    ),
    "encoder-causal": Example(encoder_layer, (TOKENS,), {"src_mask": CAUSAL, "is_causal": True}),
    "encoder-padding": Example(
        encoder_layer, (randn(2, LENGTH, WIDTH),), {"src_key_padding_mask": PADDING}
    ),
    "encoder-stack": Example(
        lambda: nn.TransformerEncoder(encoder_layer(), 2, enable_nested_tensor=False), (TOKENS,)
    ),
    "decoder": Example(
        lambda: nn.TransformerDecoderLayer(WIDTH, HEADS, 16, batch_first=True),
        (TOKENS, randn(1, 6, WIDTH)),
        {"tgt_mask": CAUSAL},
    ),
    "attention": Example(
        lambda: nn.MultiheadAttention(WIDTH, HEADS, batch_first=True), (TOKENS, TOKENS, TOKENS)
    ),
    "gpt-block": Example(lambda: GptBlock(WIDTH, HEADS, LENGTH), (TOKENS,)),
    "gpt": Example(
        lambda: Gpt2(VOCABULARY, WIDTH, HEADS, LENGTH, 2), (randint(VOCABULARY, 1, LENGTH),)
    ),
    "autoencoder": Example(Autoencoder, (randn(4, 16),)),
    "recommender": Example(lambda: Recommender("sum"), (randn(3, 6), randint(30, 3, 4))),
    "recommender-pairs": Example(Dlrm, (randn(3, 6), randint(20, 3, 4, 2))),
    "recommender-bags": Example(
        lambda: Recommender("mean"), (randn(3, 6), randint(30, 6), torch.tensor([0, 2, 4]))
    ),
}
