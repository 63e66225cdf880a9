"""Small graphs and the layers of torch_geometric, as tests of message passing want them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.nn import GATConv, GATv2Conv, GCNConv, GINConv, GraphConv, SAGEConv

from tests.frontend.imports import draw

NODES, FEATURES = 7, 5

EDGES: dict[str, list[tuple[int, int]]] = {
    "plain": [(0, 1), (1, 0), (2, 1), (4, 2), (3, 4), (5, 3), (6, 5), (0, 6), (1, 6)],
    "loops": [(0, 0), (0, 1), (1, 2), (3, 3), (2, 5), (4, 6), (6, 4), (5, 5)],
    "isolated": [(1, 0), (2, 0), (0, 2), (3, 2)],
    "repeated": [(0, 1), (0, 1), (0, 1), (2, 1), (1, 3), (4, 3), (1, 3), (5, 6)],
    "one edge": [(3, 1)],
    "empty": [],
}


def edge_index(name: str) -> Tensor:
    """Return the edges of a graph by name, i64[2, E], sources first."""
    return torch.tensor(EDGES[name], dtype=torch.int64).reshape(-1, 2).T.contiguous()


def _gin() -> nn.Module:
    return GINConv(nn.Sequential(nn.Linear(FEATURES, 6), nn.ReLU(), nn.Linear(6, 4)), eps=0.25)


LAYERS: dict[str, Callable[[], Any]] = {
    "gcn": lambda: GCNConv(FEATURES, 4),
    "gcn without loops": lambda: GCNConv(FEATURES, 4, add_self_loops=False),
    "gcn not normalised": lambda: GCNConv(FEATURES, 4, normalize=False),
    "sage mean": lambda: SAGEConv(FEATURES, 4),
    "sage sum": lambda: SAGEConv(FEATURES, 4, aggr="sum"),
    "sage max": lambda: SAGEConv(FEATURES, 4, aggr="max"),
    "gat": lambda: GATConv(FEATURES, 4),
    "gat heads": lambda: GATConv(FEATURES, 3, heads=2),
    "gat mean of heads": lambda: GATConv(FEATURES, 3, heads=2, concat=False),
    "gat without loops": lambda: GATConv(FEATURES, 3, heads=2, add_self_loops=False),
    "gatv2": lambda: GATv2Conv(FEATURES, 3, heads=2),
    "gin": _gin,
    "graph conv": lambda: GraphConv(FEATURES, 4),
    "graph conv max": lambda: GraphConv(FEATURES, 4, aggr="max"),
}

WEIGHTED = ("gcn", "gcn without loops", "gcn not normalised", "graph conv", "graph conv max")


def make_layer(name: str) -> nn.Module:
    """Return a layer with seeded weights and a bias that is not zero."""
    torch.manual_seed(0)
    layer: nn.Module = LAYERS[name]().eval()
    for label, parameter in layer.named_parameters():
        if label.endswith("bias"):
            nn.init.uniform_(parameter)
    return layer


def features() -> Tensor:
    """Return the features of the nodes of every graph here."""
    return draw(NODES, FEATURES, seed=1)


def weights(edges: Tensor) -> Tensor:
    """Return a positive weight for each edge."""
    return draw(edges.shape[1], seed=2).abs() + 0.1
