"""The rows of the table of export cases: small models in every form in which frameworks export.

Graphs come as matrices of every layout and as lists of edges, pruned weights with masks and
without, attention with its mask in every spelling.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import prune
from torch_geometric.nn import GATConv, GCNConv, SAGEConv

from tests.frontend.graphs import NODES, edge_index, features, weights
from tests.frontend.imports import Function, draw

__all__ = ["ROADS", "ROWS", "Model", "Row"]

ROADS = ("torch", "pt2", "dynamo-20", "legacy-17")
"""In Python, saved by torch, and as ONNX by both exporters."""
ONNX = ("dynamo-20", "legacy-17")
FILES = ("pt2", *ONNX)
NO_SHAPE = {"legacy-17": "I207 input-type: declares no shape"}
IN_FORWARD = {"torch": "I004 export-failed: build sparse tensors outside of forward"}
LISTS_OF_SPARSE = {"torch": "I003 data-dependent: which of its entries are stored"}

WIDTH, CLASSES = 5, 3
LENGTH, HEADS, BLOCK = 16, 2, 4
MODEL = 8


@dataclass(frozen=True)
class Model:
    """A module in eval mode, the tensors that it is called with, and what these are called."""

    module: nn.Module
    args: tuple[Tensor, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """A model, and what becomes of it on the roads on which it is not imported.

    `refused` has the rule and a part of the message by road. `unsaved` names the roads on which
    torch itself writes no file. `with_attention` adds the road that keeps attention one operator.
    """

    make: Callable[[], Model]
    unsaved: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    with_attention: bool = False

    @property
    def roads(self) -> tuple[str, ...]:
        """Return all roads on which the model can be tried."""
        return (*ROADS, "dynamo-23") if self.with_attention else ROADS


# Adjacency as a matrix.


def adjacency() -> Tensor:
    """Return the normalised adjacency of a graph with loops, [NODES, NODES]."""
    matrix = torch.eye(NODES)
    sources, targets = edge_index("plain")
    matrix[targets, sources] = 1
    scale = matrix.sum(1).rsqrt()
    return scale[:, None] * matrix * scale


class MatrixGcn(nn.Module):
    """Two layers; `multiply` applies the adjacency, which is an input or a buffer."""

    def __init__(self, multiply: Callable[..., Tensor], buffer: Tensor | None = None) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(WIDTH, 4), nn.Linear(4, CLASSES)
        self.multiply = multiply
        self.register_buffer("adjacency", buffer)

    def forward(self, x: Tensor, *given: Tensor) -> Tensor:
        a = given if given else (self.adjacency,)
        x = torch.relu(self.multiply(*a, self.first(x)))
        return F.log_softmax(self.multiply(*a, self.second(x)), dim=-1)


def product(a: Tensor, x: Tensor) -> Tensor:
    return a @ x


def written_sum(a: Tensor, x: Tensor) -> Tensor:
    return torch.einsum("ij,jf->if", a, x)


def coo_from(indices: Tensor, values: Tensor, x: Tensor) -> Tensor:
    return torch.sparse_coo_tensor(indices, values, (NODES, NODES)) @ x


def csr_from(rows: Tensor, columns: Tensor, values: Tensor, x: Tensor) -> Tensor:
    return torch.sparse_csr_tensor(rows, columns, values, (NODES, NODES)) @ x


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "dense": lambda a: a,
    "coo": lambda a: a.to_sparse_coo().coalesce(),
    "csr": lambda a: a.to_sparse_csr(),
    "csc": lambda a: a.to_sparse_csc(),
    "bsr": lambda a: a.to_sparse_bsr((1, 1)),
}


def gcn_of_input(layout: str, multiply: Callable[..., Tensor] = product) -> Model:
    torch.manual_seed(0)
    args = (features(), LAYOUTS[layout](adjacency()))
    return Model(MatrixGcn(multiply).eval(), args, ("x", "adjacency"))


def gcn_of_buffer(layout: str) -> Model:
    torch.manual_seed(0)
    module = MatrixGcn(product, LAYOUTS[layout](adjacency()))
    return Model(module.eval(), (features(),), ("x",))


def gcn_of_parts(multiply: Callable[..., Tensor], layout: str) -> Model:
    torch.manual_seed(0)
    matrix = sparse(layout)
    if layout == "coo":
        parts, names = (matrix.indices(), matrix.values()), ("indices", "values")
    else:
        parts = (matrix.crow_indices(), matrix.col_indices(), matrix.values())
        names = ("rows", "columns", "values")
    return Model(MatrixGcn(multiply).eval(), (features(), *parts), ("x", *names))


def function(f: Callable[..., Any], *args: Tensor) -> Model:
    return Model(Function(f).eval(), args, tuple("abc"[: len(args)]))


# Message passing.


class Network(nn.Module):
    """Two layers of torch_geometric over the same edges, which are an input or a buffer."""

    def __init__(self, first: nn.Module, second: nn.Module, buffer: Tensor | None = None) -> None:
        super().__init__()
        self.first, self.second = first, second
        self.register_buffer("edges", buffer)

    def forward(self, x: Tensor, *edges: Tensor) -> Tensor:
        edges = edges or (self.edges,)
        x = F.relu(self.first(x, *edges))
        return F.log_softmax(self.second(x, *edges), dim=-1)


def network(
    layer: Callable[..., nn.Module], graph: str = "loops", form: str = "edges", **more: Any
) -> Model:
    """Return two layers; `form` is edges, weighted, buffer, cached, csr or coo."""
    torch.manual_seed(0)
    layers = layer(WIDTH, 4, **more), layer(4, CLASSES, **more)
    edges, x = edge_index(graph), features()
    if form in ("buffer", "cached"):
        module = Network(*layers, buffer=edges).eval()
        module(x)
        return Model(module, (x,), ("x",))
    given: tuple[Tensor, ...] = (edges,)
    if form == "weighted":
        given = (edges, weights(edges))
    elif form != "edges":
        matrix = torch.sparse_coo_tensor(edges.flip(0), torch.ones(edges.shape[1]), (NODES, NODES))
        given = (matrix.to_sparse_csr() if form == "csr" else matrix.coalesce(),)
    names = ("x", "edge_index", "edge_weight")[: 1 + len(given)]
    return Model(Network(*layers).eval(), (x, *given), names)


# Pruned weights.


def autoencoder(*, permanent: bool) -> Model:
    torch.manual_seed(0)
    widths = (32, 16, 4, 16, 32)
    layers: list[nn.Module] = []
    for inner, outer in itertools.pairwise(widths):
        layers += [nn.Linear(inner, outer), nn.ReLU()]
        prune.l1_unstructured(layers[-2], "weight", amount=0.8)
        if permanent:
            prune.remove(layers[-2], "weight")
    return Model(nn.Sequential(*layers[:-1], nn.Sigmoid()).eval(), (draw(3, 32),), ("x",))


class SparseLinear(nn.Module):
    """A linear layer whose weight is stored sparsely, as a buffer or as a parameter."""

    def __init__(self, weight: Tensor, *, trained: bool) -> None:
        super().__init__()
        if trained:
            self.weight = nn.Parameter(weight)
        else:
            self.register_buffer("weight", weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight).relu()


def sparse_linear(layout: str, *, trained: bool = False) -> Model:
    weight = draw(4, 8) * (draw(4, 8, seed=1) > 0.5)
    module = SparseLinear(LAYOUTS[layout](weight), trained=trained).eval()
    return Model(module, (draw(3, 8),), ("x",))


# Attention.


def allowed() -> Tensor:
    """Return BigBird's mask, bool[LENGTH, LENGTH]: a window, a global block, a random one."""
    blocks = torch.arange(LENGTH // BLOCK)
    pattern = (blocks[:, None] - blocks).abs() <= 1
    pattern[0], pattern[:, 0] = True, True
    return pattern.repeat_interleave(BLOCK, 0).repeat_interleave(BLOCK, 1)


Attend = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def scores(q: Tensor, k: Tensor) -> Tensor:
    return q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])


def sdpa(q: Tensor, k: Tensor, v: Tensor, m: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, attn_mask=m)


def sdpa_causal(q: Tensor, k: Tensor, v: Tensor, m: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def filled(q: Tensor, k: Tensor, v: Tensor, m: Tensor) -> Tensor:
    return scores(q, k).masked_fill(~m, -math.inf).softmax(-1) @ v


def chosen(q: Tensor, k: Tensor, v: Tensor, m: Tensor) -> Tensor:
    return torch.where(m, scores(q, k), -1e9).softmax(-1) @ v


def added(q: Tensor, k: Tensor, v: Tensor, m: Tensor) -> Tensor:
    addend = torch.zeros(LENGTH, LENGTH).masked_fill(~m, -math.inf)
    return (scores(q, k) + addend).softmax(-1) @ v


def added_lowest(q: Tensor, k: Tensor, v: Tensor, m: Tensor) -> Tensor:
    return (scores(q, k) + (1 - m.float()) * torch.finfo(torch.float32).min).softmax(-1) @ v


def triangle(q: Tensor, k: Tensor, v: Tensor, m: Tensor) -> Tensor:
    hidden = torch.ones(LENGTH, LENGTH).tril() == 0
    return scores(q, k).masked_fill(hidden, -math.inf).softmax(-1) @ v


def exponential(q: Tensor, k: Tensor, v: Tensor, m: Tensor) -> Tensor:
    kept = torch.exp(scores(q, k)) * m.float()
    return kept / kept.sum(-1, keepdim=True) @ v


class Block(nn.Module):
    """A transformer block; the mask is a buffer, or a second input."""

    def __init__(self, attend: Attend, buffer: Tensor | None) -> None:
        super().__init__()
        self.attend = attend
        self.ln1, self.ln2 = nn.LayerNorm(MODEL), nn.LayerNorm(MODEL)
        self.qkv, self.proj = nn.Linear(MODEL, 3 * MODEL), nn.Linear(MODEL, MODEL)
        self.up, self.down = nn.Linear(MODEL, 2 * MODEL), nn.Linear(2 * MODEL, MODEL)
        self.register_buffer("mask", buffer)

    def forward(self, x: Tensor, *masks: Tensor) -> Tensor:
        (mask,) = masks or (self.mask,)
        shape = (*x.shape[:2], HEADS, MODEL // HEADS)
        q, k, v = (part.view(shape).transpose(1, 2) for part in self.qkv(self.ln1(x)).chunk(3, -1))
        y = self.attend(q, k, v, mask).transpose(1, 2).reshape(x.shape)
        x = x + self.proj(y)
        return x + self.down(F.gelu(self.up(self.ln2(x))))


def block(attend: Attend, *, given: bool = False) -> Model:
    torch.manual_seed(0)
    module = Block(attend, None if given else allowed()).eval()
    x = draw(1, LENGTH, MODEL)
    return Model(module, (x, allowed()) if given else (x,), ("x", "mask")[: 2 if given else 1])


def flex(q: Tensor, k: Tensor, v: Tensor, m: Tensor) -> Tensor:
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    mask = create_block_mask(
        lambda b, h, i, j: m[i, j], None, None, LENGTH, LENGTH, device="cpu", BLOCK_SIZE=BLOCK
    )
    return flex_attention(q, k, v, block_mask=mask)


def sparse(layout: str) -> Tensor:
    return LAYOUTS[layout](adjacency())


def sampled(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    return torch.sparse.sampled_addmm(a, b, c).to_dense()


def softmax(a: Tensor) -> Tensor:
    return torch.sparse.softmax(a, 1).to_dense()


def elementwise(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).to_dense()


def dense_product(a: Tensor, b: Tensor) -> Tensor:
    return a.to_dense() @ b


def squared(a: Tensor, b: Tensor) -> Tensor:
    return (a @ b).to_dense()


ROWS: dict[str, Row] = {
    "gcn, dense input": Row(lambda: gcn_of_input("dense")),
    "gcn, dense buffer": Row(lambda: gcn_of_buffer("dense")),
    "gcn, einsum": Row(lambda: gcn_of_input("dense", written_sum)),
    "gcn, coo input": Row(lambda: gcn_of_input("coo"), refused=NO_SHAPE),
    "gcn, csr input": Row(lambda: gcn_of_input("csr"), ("pt2",), NO_SHAPE),
    "gcn, csc input": Row(lambda: gcn_of_input("csc"), ("pt2",), NO_SHAPE),
    "gcn, bsr input": Row(lambda: gcn_of_input("bsr"), ("pt2", "dynamo-20"), NO_SHAPE),
    "gcn, coo buffer": Row(lambda: gcn_of_buffer("coo"), FILES),
    "gcn, csr buffer": Row(lambda: gcn_of_buffer("csr"), FILES),
    "gcn, csc buffer": Row(lambda: gcn_of_buffer("csc"), FILES),
    "gcn, bsr buffer": Row(lambda: gcn_of_buffer("bsr"), FILES),
    "gcn, sparse.mm": Row(lambda: gcn_of_input("coo", torch.sparse.mm), ONNX),
    "gcn, coo built in forward": Row(lambda: gcn_of_parts(coo_from, "coo"), FILES),
    "gcn, csr built in forward": Row(lambda: gcn_of_parts(csr_from, "csr"), FILES, IN_FORWARD),
    "sampled_addmm": Row(
        lambda: function(sampled, sparse("csr"), draw(NODES, 4), draw(4, NODES)), FILES
    ),
    "to_dense": Row(lambda: function(dense_product, sparse("coo"), features()), ONNX),
    "sparse softmax": Row(lambda: function(softmax, sparse("coo")), ONNX),
    "csr by element": Row(lambda: function(elementwise, sparse("csr"), sparse("csr")), FILES),
    "coo by element": Row(lambda: function(elementwise, sparse("coo"), sparse("coo")), ONNX),
    "csr times csr": Row(lambda: function(squared, sparse("csr"), sparse("csr")), FILES),
    "GCNConv": Row(lambda: network(GCNConv)),
    "GCNConv not normalised": Row(lambda: network(GCNConv, normalize=False)),
    "GCNConv weighted": Row(lambda: network(GCNConv, form="weighted")),
    "GCNConv weighted, not normalised": Row(
        lambda: network(GCNConv, form="weighted", normalize=False)
    ),
    "GCNConv cached": Row(lambda: network(GCNConv, form="cached", cached=True)),
    "GCNConv of repeated edges": Row(lambda: network(GCNConv, graph="repeated")),
    "GCNConv of no edges": Row(lambda: network(GCNConv, graph="empty")),
    "GCNConv of csr": Row(lambda: network(GCNConv, form="csr", normalize=False), FILES),
    "GCNConv of coo": Row(lambda: network(GCNConv, form="coo", normalize=False), FILES),
    "GCNConv of csr, normalised": Row(lambda: network(GCNConv, form="csr"), FILES, LISTS_OF_SPARSE),
    "SAGEConv mean": Row(lambda: network(SAGEConv)),
    "SAGEConv mean of csr": Row(lambda: network(SAGEConv, form="csr"), FILES),
    "SAGEConv max": Row(lambda: network(SAGEConv, form="buffer", aggr="max")),
    "SAGEConv max of input": Row(lambda: network(SAGEConv, aggr="max")),
    "SAGEConv max of csr": Row(lambda: network(SAGEConv, form="csr", aggr="max"), FILES),
    "GATConv": Row(lambda: network(GATConv)),
    "GATConv heads": Row(lambda: network(GATConv, heads=2, concat=False)),
    "GATConv of repeated edges": Row(lambda: network(GATConv, graph="repeated")),
    "autoencoder, masks attached": Row(lambda: autoencoder(permanent=False)),
    "autoencoder, masks permanent": Row(lambda: autoencoder(permanent=True)),
    "linear, csr buffer": Row(lambda: sparse_linear("csr"), FILES),
    "linear, bsr buffer": Row(lambda: sparse_linear("bsr"), FILES),
    "linear, coo buffer": Row(lambda: sparse_linear("coo"), FILES),
    "linear, csr parameter": Row(lambda: sparse_linear("csr", trained=True), FILES),
    "block, sdpa boolean": Row(lambda: block(sdpa), with_attention=True),
    "block, sdpa causal": Row(lambda: block(sdpa_causal), with_attention=True),
    "block, sdpa, mask given": Row(lambda: block(sdpa, given=True), with_attention=True),
    "block, masked_fill": Row(lambda: block(filled)),
    "block, masked_fill, mask given": Row(lambda: block(filled, given=True)),
    "block, tril": Row(lambda: block(triangle)),
    "block, where": Row(lambda: block(chosen)),
    "block, additive": Row(lambda: block(added)),
    "block, additive lowest": Row(lambda: block(added_lowest)),
    "block, exp times mask": Row(lambda: block(exponential)),
    "block, flex": Row(lambda: block(flex), FILES),
}
