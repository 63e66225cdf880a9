"""Networks of two layers of torch_geometric as their users write them, for any graph."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.nn import GATConv, GCNConv, GINConv, SAGEConv

from fuseflow.models.graphs import GraphData


class Network(nn.Module):
    """Two layers with a nonlinearity between them, and log-probabilities of classes."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        x = F.relu(self.first(x, edge_index))
        x = F.dropout(x, training=self.training)
        return F.log_softmax(self.second(x, edge_index), dim=1)


def _mlp(width: int, out: int) -> nn.Module:
    return nn.Sequential(nn.Linear(width, 16), nn.ReLU(), nn.Linear(16, out))


NETWORKS: dict[str, Callable[[int, int], tuple[nn.Module, nn.Module]]] = {
    "gcn": lambda width, classes: (GCNConv(width, 16), GCNConv(16, classes)),
    "gcn not normalised": lambda width, classes: (
        GCNConv(width, 16, normalize=False),
        GCNConv(16, classes, normalize=False),
    ),
    "sage mean": lambda width, classes: (SAGEConv(width, 16), SAGEConv(16, classes)),
    "sage sum": lambda width, classes: (
        SAGEConv(width, 16, aggr="sum"),
        SAGEConv(16, classes, aggr="sum"),
    ),
    "sage max": lambda width, classes: (
        SAGEConv(width, 16, aggr="max"),
        SAGEConv(16, classes, aggr="max"),
    ),
    "gat": lambda width, classes: (GATConv(width, 8), GATConv(8, classes)),
    "gat heads": lambda width, classes: (
        GATConv(width, 8, heads=4),
        GATConv(32, classes, heads=2, concat=False),
    ),
    "gin": lambda width, classes: (GINConv(_mlp(width, 16)), GINConv(_mlp(16, classes))),
}


def make_network(name: str, graph: GraphData) -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    """Return a network with seeded weights, and the features and edges of a graph."""
    assert graph.features is not None
    assert graph.classes is not None
    torch.manual_seed(0)
    layers = NETWORKS[name](graph.features.shape[1], graph.classes)
    # Row i of the pattern lists what node i reads: edges lead from the columns to the rows.
    edges = torch.from_numpy(np.stack([graph.indices, graph.rows]))
    return Network(*layers).eval(), (torch.from_numpy(graph.features), edges)
