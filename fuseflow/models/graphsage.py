# SPDX-License-Identifier: MIT
"""A two-layer GraphSAGE network: a node's own features and the sum of its neighbors', apart."""

from __future__ import annotations

from torch import Tensor, nn

from fuseflow.models.case import ModelCase
from fuseflow.models.graph_inputs import graph_case, load_inputs
from fuseflow.models.options import GraphModelSettings

__all__ = ["GraphSAGE", "SAGELayer", "build"]


class SAGELayer(nn.Module):
    """``relu(x @ Ws + bs + (adj @ x) @ Wn + bn)``: neighbors are summed, not averaged."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.self_linear = nn.Linear(inputs, outputs)
        self.neighbor_linear = nn.Linear(inputs, outputs)
        self.activation = nn.ReLU()

    def forward(self, x: Tensor, adj: Tensor) -> Tensor:
        """Map features [n, inputs] over the adjacency [n, n] to [n, outputs]."""
        activated: Tensor = self.activation(self.self_linear(x) + self.neighbor_linear(adj @ x))
        return activated


class GraphSAGE(nn.Module):
    """Two layers; the second reads the first's result twice, directly and over the neighbors."""

    def __init__(self, features: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.layer1 = SAGELayer(features, hidden)
        self.layer2 = SAGELayer(hidden, classes)

    def forward(self, x: Tensor, adj: Tensor) -> Tensor:
        """Map features [n, features] over the adjacency [n, n] to [n, classes]."""
        scores: Tensor = self.layer2(self.layer1(x, adj), adj)
        return scores


def build(settings: GraphModelSettings) -> ModelCase:
    """Build the network on the graph that the settings name."""
    inputs = load_inputs(settings)
    module = GraphSAGE(inputs.width, settings.hidden, inputs.classes)
    return graph_case("graphsage", "two-layer GraphSAGE", module, inputs, settings)
