# SPDX-License-Identifier: MIT
"""The inputs of the graph networks: which graph, which features, how many classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fuseflow.errors import Location, UsageError
from fuseflow.models.case import ModelCase, freeze, require_dense_size
from fuseflow.models.draws import CounterStream, draw_eighths
from fuseflow.models.graph_file import read_graph_file
from fuseflow.models.graphs import GraphData, karate_club
from fuseflow.models.power_law import power_law_graph
from fuseflow.models.weights import set_weights

if TYPE_CHECKING:
    from torch import nn

    from fuseflow.models.options import GraphModelSettings

__all__ = ["GraphInputs", "graph_case", "load_inputs"]

_DEFAULT_NODES = 256
_EDGES_PER_NODE = 6
_DEFAULT_FEATURES = 64
_DEFAULT_CLASSES = 7
_ADJACENCY_FORMAT = "compressed,compressed"


@dataclass(frozen=True, slots=True, eq=False)
class GraphInputs:
    """A graph, its features f32[n, F] and the number of classes to tell apart."""

    graph: GraphData
    features: npt.NDArray[np.float32]
    classes: int

    @property
    def width(self) -> int:
        """How many features a node has (F)."""
        return int(self.features.shape[1])


def load_inputs(settings: GraphModelSettings) -> GraphInputs:
    """Read or draw the graph that the settings name, with its features.

    Raises UsageError for settings that do not go together or a file that does not exist, ModelError
    for a file with wrong content.
    """
    graph = _load_graph(settings)
    return GraphInputs(
        graph=graph,
        features=_load_features(graph, settings),
        classes=settings.classes or graph.classes or _DEFAULT_CLASSES,
    )


def graph_case(
    name: str, title: str, module: nn.Module, inputs: GraphInputs, settings: GraphModelSettings
) -> ModelCase:
    """Give `module` its seeded weights and wrap it with the inputs `x` and `adj`."""
    import torch

    set_weights(module, settings.seed, density=settings.weight_density)
    return ModelCase(
        name=name,
        module=freeze(module),
        args=(torch.from_numpy(inputs.features), torch.from_numpy(inputs.graph.dense())),
        input_names=("x", "adj"),
        formats={"adj": _ADJACENCY_FORMAT},
        description=f"{title} on {inputs.graph.summary()}; {inputs.width} features, hidden "
        f"{settings.hidden}, {inputs.classes} classes, weight density {settings.weight_density:g}, "
        f"seed {settings.seed}",
    )


def _load_graph(settings: GraphModelSettings) -> GraphData:
    if settings.graph == "powerlaw":
        nodes = settings.nodes or _DEFAULT_NODES
        edges = settings.edges or _EDGES_PER_NODE * nodes
        require_dense_size("the adjacency matrix", nodes, nodes)
        return power_law_graph(nodes, edges, settings.seed, two_hops=settings.two_hops)
    for key in ("nodes", "edges", "two_hops"):
        if getattr(settings, key) is not None:
            raise UsageError(
                "U104 settings-conflict",
                f'{key} applies to graph=powerlaw only, not to graph="{settings.graph}"',
                where=Location(field=key),
            )
    return karate_club() if settings.graph == "karate" else read_graph_file(settings.graph)


def _load_features(graph: GraphData, settings: GraphModelSettings) -> npt.NDArray[np.float32]:
    if settings.features is None and graph.features is not None:
        return graph.features
    width = settings.features or _DEFAULT_FEATURES
    require_dense_size(f'the features of graph "{graph.name}"', graph.nodes, width)
    return draw_eighths(CounterStream(settings.seed, "features"), (graph.nodes, width))
