"""Modules as users write them, exported by every road, import like the modules themselves."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fuseflow.frontend.torch.module import import_torch
from fuseflow.models import ModelCase
from tests.frontend.onnx.build import assert_equals_reference
from tests.frontend.onnx.export import ROADS, export_case, roads
from tests.frontend.onnx.structure import structure
from tests.frontend.onnx.test_onnx_zoo import load

T, D, HEADS = 8, 12, 2


def allowed() -> Tensor:
    """A mask without an empty row."""
    mask = torch.rand(T, T, generator=torch.Generator().manual_seed(0)) > 0.5
    return mask | torch.eye(T, dtype=torch.bool)


class Encoder(nn.Module):
    """Attention as a library function, fresh norms of equal weights, a packed projection."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(D), nn.LayerNorm(D)
        self.plain = nn.LayerNorm(D, elementwise_affine=False)
        self.qkv, self.out = nn.Linear(D, 3 * D), nn.Linear(D, D)
        self.feed = nn.Sequential(nn.Linear(D, 2 * D, bias=False), nn.GELU(), nn.Linear(2 * D, D))
        self.register_buffer("mask", allowed())

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm1(x)).chunk(3, dim=-1)
        q, k, v = (part.view(1, T, HEADS, -1).transpose(1, 2) for part in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=self.mask)
        x = x + self.out(y.transpose(1, 2).reshape(1, T, D))
        return self.plain(x + self.feed(self.norm2(x)))


class Masks(nn.Module):
    """One set of scores under every spelling of a mask."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mask", allowed())
        self.register_buffer("weights", allowed().float())

    def forward(self, q: Tensor, k: Tensor) -> tuple[Tensor, ...]:
        scores = q @ k.transpose(-2, -1) / math.sqrt(D)
        filled = scores.masked_fill(~self.mask, -math.inf).softmax(-1)
        chosen = torch.where(self.mask, scores, -1e9).softmax(-1)
        addend = torch.zeros(T, T).masked_fill(~self.mask, -math.inf)
        added = (scores + addend).softmax(-1)
        kept = torch.exp(scores) * self.weights
        normed = kept / kept.sum(-1, keepdim=True)
        causal = F.scaled_dot_product_attention(q, k, q, is_causal=True)
        return filled, chosen, added, normed, causal


class Pointwise(nn.Module):
    """Functions that exporters spell with several nodes, and some that they keep."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.linspace(0.5, 1.5, D))
        self.matrix = nn.Parameter(torch.linspace(-1, 1, D * D).view(D, D))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        a = F.gelu(x, approximate="tanh") * self.scale
        b = F.silu(torch.einsum("td,de->te", y, self.matrix))
        c = torch.rsqrt(a.pow(2).mean(-1, keepdim=True) + 1)
        d = (b * c).clamp(-1, 1) + x @ self.matrix
        return F.log_softmax(F.leaky_relu(d, 0.1) - 0.5, dim=-1)


class Normed(nn.Module):
    """A norm that ONNX has from opset 23 on."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(D, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(x) + x
        return y


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def case(name: str) -> ModelCase:
    torch.manual_seed(0)
    pair = (draw(1, T, D, seed=1), draw(1, T, D, seed=2))
    if name == "encoder":
        return ModelCase(name, Encoder(), pair[:1], ("x",))
    if name == "normed":
        return ModelCase(name, Normed(), pair[:1], ("x",))
    if name == "masks":
        return ModelCase(name, Masks(), tuple(each[None] for each in pair), ("q", "k"))
    return ModelCase(name, Pointwise(), tuple(each[0] for each in pair), ("x", "y"))


QUICK = {
    "encoder": ROADS,
    "masks": ("dynamo-20", "legacy-17"),
    "pointwise": ("dynamo-18", "legacy-17"),
}


@pytest.mark.parametrize(("name", "road"), roads(tuple(QUICK), QUICK))
def test_export_imports_like_the_module(name: str, road: str, tmp_path: Path) -> None:
    model = case(name)
    imported = load(export_case(model, road, tmp_path))
    assert_equals_reference(imported)
    direct = import_torch(model.module, model.args, input_names=model.input_names)
    assert list(structure(imported)) == list(structure(direct))


def test_rms_norm_is_one_operator_where_the_file_says_so(tmp_path: Path) -> None:
    model = case("normed")
    direct = import_torch(model.module, model.args, input_names=model.input_names)
    for road in ("dynamo-20", "dynamo-23"):
        imported = load(export_case(model, road, tmp_path))
        assert_equals_reference(imported)
        assert [op.fn for op in imported.einsums] == [op.fn for op in direct.einsums]
    assert list(structure(imported)) == list(structure(direct))
