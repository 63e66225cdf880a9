# SPDX-License-Identifier: MIT
"""What is computed: a model on an input, imported as a user would, with the floors of its stages.

Tensors are stored as the paper's artifact stores them: graphs and weights compressed, features
with their zeros. A workload is data; `load` does the work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fuseflow.cli.sources import import_case
from fuseflow.frontend.options import ImportOptions
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.models import zoo
from fuseflow.models.bigbird import bigbird_mask
from fuseflow.models.case import ModelCase, seeded_torch
from fuseflow.models.graph_inputs import GraphInputs, graph_case
from fuseflow.models.options import GraphModelSettings
from tools.figures.graphs import GraphSpec, Kind, load_graph
from tools.figures.grow import grow, small_inputs
from tools.figures.stages import (
    GraphCounts,
    Matrix,
    Stage,
    autoencoder_stages,
    decoder_stages,
    dense_features,
    gcn_stages,
    graphsage_stages,
    sparse_features,
)

__all__ = ["SEED", "Autoencoder", "Decoder", "GraphNetwork", "Loaded"]

HIDDEN = 16
SEED = 0
# Graphs up to here are imported as they are, larger ones traced small.
DENSE_NODES = 4096
_COMPRESSED = "compressed,compressed"
_SPARSE_ROWS = "dense,compressed"


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """An imported model, the floors of its stages, and facts about its input for the row."""

    graph: EinsumGraph
    stages: tuple[Stage, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GraphNetwork:
    """GCN or GraphSAGE on a graph; `sparse_features` leaves the zeros of X away (not the paper)."""

    model: str
    spec: GraphSpec
    density: float = 0.4
    sparse_features: bool = False

    @property
    def input(self) -> str:
        """Return the name of the graph, with how X is stored if not as the paper does."""
        return f"{self.spec.name}, X (D,C)" if self.sparse_features else self.spec.name

    @property
    def kind(self) -> Kind:
        """Return how far the input is from what the paper ran."""
        return self.spec.kind

    @property
    def scale(self) -> str:
        """Return how much smaller the input is."""
        return self.spec.scale

    def expected(self) -> tuple[Stage, ...]:
        """Return floors for features without zeros: at least those of sparse ones."""
        spec = self.spec
        first = _drawn(spec.features, HIDDEN, self.density)
        second = _drawn(HIDDEN, spec.classes, self.density)
        product = dense_features(spec.nodes, spec.entries, spec.two_hops, spec.features, first)
        return self._stages(spec.nodes, spec.entries, spec.features, first, second, product)

    def load(self, files: Mapping[str, Path]) -> Loaded:
        """Import the network with real or drawn data; raises what `load_graph` raises."""
        inputs = load_graph(self.spec, files)
        is_large = inputs.graph.nodes > DENSE_NODES
        case = self._case(small_inputs(inputs) if is_large else inputs)
        formats = {"x": "dense,dense", "*.weight": _COMPRESSED}
        if self.sparse_features:
            formats = {"x": _SPARSE_ROWS, "*.weight": _SPARSE_ROWS}
        graph = import_case(case, ImportOptions(formats=formats))
        if is_large:
            grow(graph, case, inputs)
        pattern = inputs.graph
        first, second = _stored(graph, "layer1."), _stored(graph, "layer2.")
        if self.sparse_features:
            own, other = _row_lengths(graph, "layer1.")[0], _row_lengths(graph, "layer1.")[-1]
            product = sparse_features(pattern.rows, pattern.indices, inputs.features, other, own)
        else:
            product = dense_features(
                pattern.nodes, pattern.entries, pattern.two_hops, inputs.width, first
            )
        counts = (pattern.nodes, pattern.entries, inputs.width, first, second, product)
        facts = {
            "nodes": pattern.nodes,
            "entries": pattern.entries,
            "features": inputs.width,
            "two_hops": pattern.two_hops,
            "digest": pattern.digest(),
        }
        return Loaded(graph, self._stages(*counts), facts)

    def _case(self, inputs: GraphInputs) -> ModelCase:
        from fuseflow.models.gcn import GCN
        from fuseflow.models.graphsage import GraphSAGE

        network = GCN if self.model == "gcn" else GraphSAGE
        settings = GraphModelSettings(hidden=HIDDEN, weight_density=self.density, seed=SEED)
        with seeded_torch(self.model):
            module = network(inputs.width, HIDDEN, inputs.classes)
            return graph_case(self.model, self.model, module, inputs, settings)

    def _stages(
        self, nodes: int, entries: int, features: int, first: Matrix, second: Matrix, product: Any
    ) -> tuple[Stage, ...]:
        classes = self.spec.classes
        counts = GraphCounts(nodes, entries, features, HIDDEN, classes, first, second, product)
        return gcn_stages(counts) if self.model == "gcn" else graphsage_stages(counts)


@dataclass(frozen=True, slots=True)
class Autoencoder:
    """The pruned autoencoder; `data_set` names the images whose size it has."""

    data_set: str
    inputs: int
    hidden: int
    batch: int
    density: float
    kind: Kind
    scale: str = ""

    @property
    def model(self) -> str:
        """Return the name of the model."""
        return "sae"

    @property
    def input(self) -> str:
        """Return the name of the input, as tables show it."""
        return f"{self.data_set}, B{self.batch} d{self.density:g}"

    def expected(self) -> tuple[Stage, ...]:
        """Return floors for weights of exactly this density."""
        return self._stages(
            _drawn(self.inputs, self.hidden, self.density),
            _drawn(self.hidden, self.inputs, self.density),
        )

    def load(self, files: Mapping[str, Path]) -> Loaded:
        """Import the autoencoder with drawn weights and fully populated samples."""
        del files
        case = zoo.build(
            "sae",
            {
                "input": str(self.inputs),
                "hidden": str(self.hidden),
                "batch": str(self.batch),
                "weight_sparsity": repr(1.0 - self.density),
                "seed": str(SEED),
            },
        )
        graph = import_case(
            case, ImportOptions(formats={"x": _COMPRESSED, "*.weight": _COMPRESSED})
        )
        stages = self._stages(_stored(graph, "encoder."), _stored(graph, "decoder."))
        return Loaded(graph, stages, {"features": self.inputs})

    def _stages(self, first: Matrix, second: Matrix) -> tuple[Stage, ...]:
        return autoencoder_stages(self.batch, self.inputs, self.hidden, first, second)


@dataclass(frozen=True, slots=True)
class Decoder:
    """Decoders in the shape of GPT-3 small; `layers` are simulated, configs multiply them.

    Scores are formed densely and then masked, as published, unless `masked_first` leaves it to the
    compiler to form only those that the mask keeps.
    """

    seq: int
    dim: int
    heads: int
    ffn: int
    block: int
    kind: Kind
    scale: str = ""
    layers: int = 1
    masked_first: bool = False

    @property
    def model(self) -> str:
        """Return the name of the model."""
        return "gpt"

    @property
    def input(self) -> str:
        """Return the name of the input, as tables show it."""
        return f"b{self.block} of S{self.seq}"

    @property
    def density(self) -> float:
        """Return the share of weights that are kept."""
        return 1.0

    def expected(self) -> tuple[Stage, ...]:
        """Return the floors; the mask is drawn, which is cheap."""
        mask = int(bigbird_mask(self.seq, self.block, 2, SEED).sum())
        return decoder_stages(
            self.seq, self.dim, self.heads, self.ffn, mask, masked_first=self.masked_first
        )

    def load(self, files: Mapping[str, Path]) -> Loaded:
        """Import the decoders with drawn weights and tokens."""
        del files
        names = ("seq", "dim", "heads", "ffn", "block", "layers")
        settings = {name: str(getattr(self, name)) for name in names}
        graph = import_case(zoo.build("gpt", {**settings, "seed": str(SEED)}))
        return Loaded(graph, self.expected())


def _drawn(rows: int, columns: int, density: float) -> Matrix:
    """Return what a drawn weight is expected to hold: rows without entries are not stored."""
    return Matrix(round(density * rows * columns), round(rows * (1 - (1 - density) ** columns)))


def _row_lengths(graph: EinsumGraph, prefix: str) -> list[npt.NDArray[np.int64]]:
    """Return the stored entries of each row of the weights of a module, in order of their use."""
    tensors = (
        value.tensor
        for name, value in graph.values.items()
        if name.startswith(prefix) and name.endswith(".weight")
    )
    return [np.count_nonzero(t.to_dense(), axis=1).astype(np.int64) for t in tensors if t]


def _stored(graph: EinsumGraph, prefix: str) -> Matrix:
    """Return what every weight of a module holds at least."""
    lengths = _row_lengths(graph, prefix)
    return Matrix(
        min(int(each.sum()) for each in lengths),
        min(int(np.count_nonzero(each)) for each in lengths),
    )
