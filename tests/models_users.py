"""More models as people write them in PyTorch: blocks of published architectures, graph layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import prune
from torch_geometric.nn import (
    APPNP,
    ChebConv,
    EdgeConv,
    GATv2Conv,
    GCN2Conv,
    GINEConv,
    PNAConv,
    SGConv,
    TAGConv,
    TransformerConv,
)

from tests.models_matrix import Example, randint, randn

__all__ = ["USER_MODELS"]

LENGTH, WIDTH, HEADS = 8, 8, 2
NODES, FEATURES, CLASSES = 7, 5, 3
EDGES = torch.tensor([[0, 1, 2, 4, 3, 5, 6, 0, 1, 3], [1, 0, 1, 2, 4, 3, 5, 6, 6, 3]])


# Transformers.


class BertSelfAttention(nn.Module):
    """Three projections, and a padding mask that was extended to large negative numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.value, self.dropout = nn.Linear(WIDTH, WIDTH), nn.Dropout(0.1)

    def split(self, x: Tensor) -> Tensor:
        return x.view(*x.size()[:-1], HEADS, WIDTH // HEADS).permute(0, 2, 1, 3)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        q, k, v = (self.split(f(hidden)) for f in (self.query, self.key, self.value))
        scores = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(WIDTH // HEADS)
        probabilities = self.dropout(nn.functional.softmax(scores + mask, dim=-1))
        context = torch.matmul(probabilities, v).permute(0, 2, 1, 3).contiguous()
        return context.view(*context.size()[:-2], WIDTH)


class BertLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention, self.output = BertSelfAttention(), nn.Linear(WIDTH, WIDTH)
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH, eps=1e-12), nn.LayerNorm(WIDTH, eps=1e-12)
        self.intermediate, self.down = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        hidden = self.norm1(self.output(self.attention(hidden, mask)) + hidden)
        return self.norm2(self.down(F.gelu(self.intermediate(hidden))) + hidden)


class Bert(nn.Module):
    """Embeddings of words, positions and types, one layer, and a pooled first token."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.types = nn.Embedding(20, WIDTH, padding_idx=0), nn.Embedding(2, WIDTH)
        self.positions, self.norm = nn.Embedding(LENGTH, WIDTH), nn.LayerNorm(WIDTH)
        self.layer, self.pooler = BertLayer(), nn.Linear(WIDTH, WIDTH)
        self.register_buffer("position_ids", torch.arange(LENGTH).expand((1, -1)))

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        x = self.words(input_ids) + self.types(token_type_ids)
        x = self.norm(x + self.positions(self.position_ids[:, : input_ids.shape[1]]))
        mask = attention_mask[:, None, None, :].to(dtype=x.dtype)
        mask = (1.0 - mask) * torch.finfo(x.dtype).min
        x = self.layer(x, mask)
        return torch.tanh(self.pooler(x[:, 0]))


class RmsNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        dtype = x.dtype
        x = x.to(torch.float32)
        x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)
        return self.weight * x.to(dtype)


def rotate_half(x: Tensor) -> Tensor:
    first, second = x[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2 :]
    return torch.cat((-second, first), dim=-1)


class LlamaBlock(nn.Module):
    """RMS norms, rotary positions, fewer heads of keys than of queries, SwiGLU."""

    def __init__(self, heads: int = 4, kv_heads: int = 2, head: int = 4) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head, width = heads, kv_heads, head, heads * head
        self.q_proj = nn.Linear(width, heads * head, bias=False)
        self.k_proj = nn.Linear(width, kv_heads * head, bias=False)
        self.v_proj = nn.Linear(width, kv_heads * head, bias=False)
        self.o_proj = nn.Linear(heads * head, width, bias=False)
        self.gate_proj, self.up_proj = (nn.Linear(width, 24, bias=False) for _ in range(2))
        self.down_proj = nn.Linear(24, width, bias=False)
        self.input_norm, self.post_norm = RmsNorm(width), RmsNorm(width)
        frequencies = 1.0 / (10000.0 ** (torch.arange(0, head, 2).float() / head))
        self.register_buffer("inv_freq", frequencies, persistent=False)

    def rotary(self, length: int) -> tuple[Tensor, Tensor]:
        angles = torch.outer(torch.arange(length, dtype=torch.float32), self.inv_freq)
        angles = torch.cat((angles, angles), dim=-1)
        return angles.cos(), angles.sin()

    def forward(self, x: Tensor) -> Tensor:
        batch, length, _ = x.shape
        h = self.input_norm(x)
        q = self.q_proj(h).view(batch, length, self.heads, self.head).transpose(1, 2)
        k = self.k_proj(h).view(batch, length, self.kv_heads, self.head).transpose(1, 2)
        v = self.v_proj(h).view(batch, length, self.kv_heads, self.head).transpose(1, 2)
        cos, sin = self.rotary(length)
        q, k = (q * cos + rotate_half(q) * sin), (k * cos + rotate_half(k) * sin)
        groups = self.heads // self.kv_heads
        k, v = (
            t[:, :, None].expand(batch, self.kv_heads, groups, length, self.head)
            .reshape(batch, self.heads, length, self.head)
            for t in (k, v)
        )  # fmt: skip
        mask = torch.full((length, length), float("-inf")).triu(1)
        scores = q @ k.transpose(2, 3) / math.sqrt(self.head) + mask
        y = F.softmax(scores, dim=-1, dtype=torch.float32).to(q.dtype) @ v
        x = x + self.o_proj(y.transpose(1, 2).reshape(batch, length, -1))
        h = self.post_norm(x)
        return x + self.down_proj(F.silu(self.gate_proj(h)) * self.up_proj(h))


class DecodeStep(nn.Module):
    """One new token of a language model, with the keys and values of those before."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = (
            t.view(1, 1, HEADS, -1).transpose(1, 2) for t in self.qkv(x).split(WIDTH, dim=-1)
        )
        keys, values = torch.cat([keys, k], dim=2), torch.cat([values, v], dim=2)
        y = F.scaled_dot_product_attention(q, keys, values)
        return self.out(y.transpose(1, 2).reshape(1, 1, WIDTH)), keys, values


class VisionBlock(nn.Module):
    """Patches that a linear layer embeds, a class token, positions, a block and a head."""

    def __init__(self, image: int = 8, patch: int = 4) -> None:
        super().__init__()
        self.patch, count = patch, (image // patch) ** 2
        self.embed = nn.Linear(3 * patch * patch, WIDTH)
        self.cls_token = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.pos_embed = nn.Parameter(torch.randn(1, count + 1, WIDTH))
        self.block = nn.TransformerEncoderLayer(
            WIDTH, HEADS, 16, batch_first=True, norm_first=True, activation="gelu"
        )
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        b, c, h, w = images.shape
        p = self.patch
        x = images.reshape(b, c, h // p, p, w // p, p).permute(0, 2, 4, 1, 3, 5)
        x = self.embed(x.reshape(b, (h // p) * (w // p), c * p * p))
        x = torch.cat([self.cls_token.expand(b, -1, -1), x], dim=1) + self.pos_embed
        return self.head(self.norm(self.block(x))[:, 0])


class LinearAttention(nn.Module):
    """Attention by a feature map, elu + 1: no scores of all pairs."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        q, k = F.elu(q) + 1, F.elu(k) + 1
        context = torch.einsum("bnd,bne->bde", k, v)
        scale = 1.0 / (torch.einsum("bnd,bd->bn", q, k.sum(dim=1)) + 1e-6)
        return torch.einsum("bnd,bde,bn->bne", q, context, scale)


class Performer(nn.Module):
    """Random features of a softmax kernel, drawn once."""

    def __init__(self, features: int = 12) -> None:
        super().__init__()
        self.to_qk, self.to_v = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.register_buffer("projection", torch.randn(features, WIDTH))

    def kernel(self, x: Tensor) -> Tensor:
        x = x / WIDTH**0.25
        norm = (x**2).sum(-1, keepdim=True) / 2
        y = x @ self.projection.t() - norm
        return torch.exp(y - y.amax(dim=-1, keepdim=True)) + 1e-4

    def forward(self, x: Tensor) -> Tensor:
        q, k = (self.kernel(t) for t in self.to_qk(x).chunk(2, -1))
        v = self.to_v(x)
        d_inv = 1.0 / torch.einsum("...nd,...d->...n", q, k.sum(dim=-2))
        context = torch.einsum("...nd,...ne->...de", k, v)
        return torch.einsum("...de,...nd,...n->...ne", context, q, d_inv)


class LocalGlobal(nn.Module):
    """Longformer's pattern: a window, and tokens that attend to all and are attended by all."""

    def __init__(self, window: int = 1, tokens: tuple[int, ...] = (0,)) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        i = torch.arange(LENGTH)
        local = (i[:, None] - i[None, :]).abs() <= window
        everywhere = torch.isin(i, torch.tensor(tokens))
        allowed = local | everywhere[:, None] | everywhere[None, :]
        self.register_buffer("blocked", ~allowed)

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.attention(x, x, x, attn_mask=self.blocked, need_weights=False)
        return x + y


class MixtureOfExperts(nn.Module):
    """Every expert runs on every token; a softmax gate weighs them."""

    def __init__(self, experts: int = 3) -> None:
        super().__init__()
        self.gate = nn.Linear(WIDTH, experts)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(WIDTH, 12), nn.GELU(), nn.Linear(12, WIDTH))
            for _ in range(experts)
        )

    def forward(self, x: Tensor) -> Tensor:
        weights = F.softmax(self.gate(x), dim=-1)
        outputs = torch.stack([expert(x) for expert in self.experts], dim=-1)
        return (outputs * weights.unsqueeze(-2)).sum(dim=-1)


# Others.


class TiedAutoencoder(nn.Module):
    """The decoder is the encoder's weight, transposed; codes are thresholded."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 16) / 4)
        self.b_enc, self.b_dec = nn.Parameter(torch.randn(6)), nn.Parameter(torch.randn(16))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        code = F.relu(F.linear(x - self.b_dec, self.weight, self.b_enc))
        return F.linear(code, self.weight.t(), self.b_dec), code


class JumpRelu(nn.Module):
    """A sparse autoencoder whose codes are kept where they exceed a learned threshold."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Linear(8, 12), nn.Linear(12, 8)
        self.threshold = nn.Parameter(torch.full((12,), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        pre = self.encoder(x)
        return self.decoder(pre * (pre > self.threshold))


class NToM(nn.Module):
    """Weights of which two of four neighbours are left."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 8))
        for layer in (self.layers[0], self.layers[2]):
            weight = layer.weight.detach()
            groups = weight.abs().view(weight.shape[0], -1, 4)
            keep = torch.zeros_like(groups).scatter(-1, groups.topk(2, dim=-1).indices, 1.0)
            prune.custom_from_mask(layer, "weight", keep.view_as(weight))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class DeepCross(nn.Module):
    """Deep & Cross: x0 times a linear layer of x, added to x, layer by layer."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(20, 4)
        self.cross = nn.ModuleList(nn.Linear(10, 10) for _ in range(2))
        self.deep = nn.Sequential(nn.Linear(10, 8), nn.BatchNorm1d(8), nn.ReLU())
        self.top = nn.Linear(18, 1)

    def forward(self, dense: Tensor, ids: Tensor) -> Tensor:
        x0 = torch.cat([dense, self.table(ids).flatten(1)], dim=1)
        x = x0
        for layer in self.cross:
            x = x0 * layer(x) + x
        return torch.sigmoid(self.top(torch.cat([x, self.deep(x0)], dim=1))).squeeze(-1)


class FactorizationMachine(nn.Module):
    """First order, and all pairs by the square of the sum less the sum of squares."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(12, 1)
        self.v = nn.Parameter(torch.randn(12, 4) / 4)

    def forward(self, x: Tensor) -> Tensor:
        pairs = torch.pow(x @ self.v, 2) - torch.pow(x, 2) @ torch.pow(self.v, 2)
        return self.linear(x) + 0.5 * pairs.sum(1, keepdim=True)


# Graphs.


class GraphNet(nn.Module):
    """Any layer of torch_geometric between two linear ones, as its examples have it."""

    def __init__(self, layer: Callable[[], Any], width: int = WIDTH, first: bool = False) -> None:
        super().__init__()
        self.lin1, self.conv = nn.Linear(FEATURES, WIDTH), layer()
        self.lin2 = nn.Linear(width, CLASSES)
        self.first = first

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        x = F.dropout(F.relu(self.lin1(x)), training=self.training)
        x = self.conv(x, x, edge_index) if self.first else self.conv(x, edge_index)
        return F.log_softmax(self.lin2(F.elu(x)), dim=1)


class EdgeFeatures(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = GINEConv(nn.Sequential(nn.Linear(FEATURES, 8), nn.ReLU()), edge_dim=2)

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        return self.conv(x, edge_index, edge_attr)


class GraphClassifier(nn.Module):
    """A layer, and the mean of the nodes of each graph of a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.lin = SGConv(FEATURES, WIDTH), nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        from torch_geometric.nn import global_mean_pool

        return self.lin(global_mean_pool(self.conv(x, edge_index).relu(), batch, 2))


class LinkPredictor(nn.Module):
    """Scores pairs of nodes by the product of what a layer makes of them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = SGConv(FEATURES, WIDTH, K=1)

    def forward(self, x: Tensor, edge_index: Tensor, pairs: Tensor) -> Tensor:
        z = self.conv(x, edge_index)
        return torch.sigmoid((z[pairs[0]] * z[pairs[1]]).sum(dim=-1))


def graph(layer: Callable[[], Any], width: int = WIDTH, *, first: bool = False) -> Example:
    return Example(lambda: GraphNet(layer, width, first), (randn(NODES, FEATURES), EDGES))


def pna() -> Any:
    degrees = torch.bincount(torch.bincount(EDGES[1], minlength=NODES))
    return PNAConv(
        WIDTH, WIDTH, aggregators=["mean", "min", "max", "std"],
        scalers=["identity", "amplification"], deg=degrees,
    )  # fmt: skip


IDS = randint(20, 2, LENGTH)
KEPT = (torch.arange(LENGTH) < torch.tensor([[5], [LENGTH]])).long()
TOKENS = randn(1, LENGTH, WIDTH)
CACHE = randn(1, HEADS, LENGTH, WIDTH // HEADS)

USER_MODELS: dict[str, Example] = {
    "bert": Example(Bert, (IDS, KEPT, torch.zeros_like(IDS))),
    "llama-block": Example(LlamaBlock, (randn(1, LENGTH, 16),)),
    "decode-step": Example(DecodeStep, (randn(1, 1, WIDTH), CACHE, CACHE * 2)),
    "vision-block": Example(VisionBlock, (randn(2, 3, 8, 8),)),
    "linear-attention": Example(LinearAttention, (TOKENS,)),
    "performer": Example(Performer, (TOKENS,)),
    "local-global": Example(LocalGlobal, (TOKENS,)),
    "mixture-of-experts": Example(MixtureOfExperts, (randn(4, WIDTH),)),
    "tied-autoencoder": Example(TiedAutoencoder, (randn(3, 16),)),
    "jump-relu": Example(JumpRelu, (randn(3, 8),)),
    "two-of-four": Example(NToM, (randn(3, 16),)),
    "deep-cross": Example(DeepCross, (randn(3, 6), randint(20, 3, 1))),
    "factorization-machine": Example(FactorizationMachine, (randn(3, 12),)),
    "appnp": graph(lambda: APPNP(K=3, alpha=0.1)),
    "sgconv": graph(lambda: SGConv(WIDTH, WIDTH, K=2)),
    "chebconv": graph(lambda: ChebConv(WIDTH, WIDTH, K=3)),
    "tagconv": graph(lambda: TAGConv(WIDTH, WIDTH, K=2)),
    "gatv2": graph(lambda: GATv2Conv(WIDTH, 4, heads=2)),
    "gcnii": graph(lambda: GCN2Conv(WIDTH, alpha=0.1, theta=0.5, layer=1), first=True),
    "graph-transformer": graph(lambda: TransformerConv(WIDTH, 4, heads=2, beta=True)),
    "edge-conv": graph(lambda: EdgeConv(nn.Sequential(nn.Linear(2 * WIDTH, WIDTH), nn.ReLU()))),
    "pna": graph(pna),
    "edge-features": Example(EdgeFeatures, (randn(NODES, FEATURES), EDGES, randn(10, 2))),
    "graph-classifier": Example(
        GraphClassifier, (randn(NODES, FEATURES), EDGES, torch.tensor([0, 0, 0, 1, 1, 1, 1]))
    ),
    "link-predictor": Example(
        LinkPredictor, (randn(NODES, FEATURES), EDGES, torch.tensor([[0, 3, 6], [2, 2, 1]]))
    ),
}
