# SPDX-License-Identifier: MIT
"""A two-layer graph convolutional network: aggregate, transform, activate."""

from __future__ import annotations

from torch import Tensor, nn

from fuseflow.models.case import ModelCase
from fuseflow.models.graph_inputs import graph_case, load_inputs
from fuseflow.models.options import GraphModelSettings

__all__ = ["GCN", "GCNLayer", "build"]


class GCNLayer(nn.Module):
    """``activation((adj @ x) @ W + b)``: the plain sum over neighbors comes first."""

    def __init__(self, inputs: int, outputs: int, activation: nn.Module) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.activation = activation

    def forward(self, x: Tensor, adj: Tensor) -> Tensor:
        """Map features [n, inputs] over the adjacency [n, n] to [n, outputs]."""
        activated: Tensor = self.activation(self.linear(adj @ x))
        return activated


class GCN(nn.Module):
    """Two layers; the result is a distribution over classes for every node."""

    def __init__(self, features: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.layer1 = GCNLayer(features, hidden, nn.ReLU())
        self.layer2 = GCNLayer(hidden, classes, nn.Softmax(dim=-1))

    def forward(self, x: Tensor, adj: Tensor) -> Tensor:
        """Map features [n, features] over the adjacency [n, n] to [n, classes]."""
        probabilities: Tensor = self.layer2(self.layer1(x, adj), adj)
        return probabilities


def build(settings: GraphModelSettings) -> ModelCase:
    """Build the network on the graph that the settings name."""
    inputs = load_inputs(settings)
    module = GCN(inputs.width, settings.hidden, inputs.classes)
    return graph_case("gcn", "two-layer GCN", module, inputs, settings)
