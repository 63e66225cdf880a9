# SPDX-License-Identifier: MIT
"""The graphs of the suite: real ones, and seeded stand-ins of a stated size.

A stand-in is called "-like", and a reduced one says by how much. Real graphs come from files that
the user names; nothing is downloaded.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fuseflow.models.draws import CounterStream, draw_eighths
from fuseflow.models.graph_file import read_graph_file
from fuseflow.models.graph_inputs import GraphInputs
from fuseflow.models.graphs import GraphData, karate_club
from fuseflow.models.power_law import power_law_graph

__all__ = ["GRAPHS", "GraphSpec", "Kind", "WrongGraphError", "load_graph"]

_SEED = 1


class Kind(enum.StrEnum):
    """How far an input is from what the paper ran; tables print it with every number."""

    REAL = "real"
    EXACT_SYNTHETIC = "exact-synthetic"
    STAND_IN = "stand-in"
    REDUCED_STAND_IN = "reduced stand-in"
    REDUCED = "reduced"


class WrongGraphError(Exception):
    """A graph is not the one that its name promises, or is not there."""


@dataclass(frozen=True, slots=True)
class GraphSpec:
    """A graph with n `nodes`, a `entries` and R `two_hops`, F `features` and C `classes`.

    `source` says how it is made. `two_hops` is the count of a real graph, and of a stand-in the
    target that it is `tuned` to, or about what comes out. `digest` is the SHA-256 of the pattern.
    """

    name: str
    kind: Kind
    nodes: int
    entries: int
    two_hops: int
    features: int
    classes: int
    source: str = "power-law"
    scale: str = ""
    digest: str = ""
    tuned: bool = True


GRAPHS: Mapping[str, GraphSpec] = {
    spec.name: spec
    for spec in (
        GraphSpec("karate", Kind.REAL, 34, 156, 1_212, 34, 4, "karate",
                  digest="1ac243829683c5964d31dd26e0ada9f39b754c12d9da97fad93a7c320dface72"),
        GraphSpec("cora", Kind.REAL, 2_708, 10_556, 115_158, 1_433, 7, "file"),
        GraphSpec("cora-like", Kind.STAND_IN, 2_708, 10_556, 115_158, 1_433, 7,
                  digest="1eef7d1eae5ed07979124800654734c3962397f48708c52e46ea0c0deadae9ff"),
        GraphSpec("cora_ml-like/8", Kind.REDUCED_STAND_IN, 374, 2_040, 36_560, 32, 7,
                  scale="n and a / 8, F 32",
                  digest="5af8f5405c05886cdce57e647d8a5919359f2a5bf166e62a4169cadffb53c450"),
    )
}  # fmt: skip


def load_graph(spec: GraphSpec, files: Mapping[str, Path]) -> GraphInputs:
    """Read or draw a graph with its features f32[n, F].

    Args:
        spec: which graph.
        files: archives of real graphs, by name.

    Raises:
        WrongGraphError: if a file is missing, or the graph is not the expected one.
        UsageError, ModelError: if a file cannot be read.
    """
    graph = _pattern(spec, files)
    if spec.digest and graph.digest() != spec.digest:
        raise WrongGraphError(f"{spec.name} has digest {graph.digest()}, not {spec.digest}")
    features = graph.features
    if features is None:
        features = draw_eighths(CounterStream(_SEED, "features"), (spec.nodes, spec.features))
    return GraphInputs(graph, features, spec.classes)


def _pattern(spec: GraphSpec, files: Mapping[str, Path]) -> GraphData:
    if spec.source == "karate":
        return karate_club()
    if spec.source == "file":
        return _from_file(spec, files)
    return power_law_graph(spec.nodes, spec.entries, _SEED, two_hops=spec.two_hops)


def _from_file(spec: GraphSpec, files: Mapping[str, Path]) -> GraphData:
    if spec.name not in files:
        raise WrongGraphError(f"no file of {spec.name} is given: --graph {spec.name}=FILE")
    graph = read_graph_file(files[spec.name])
    if graph.features is None or graph.features.shape[1] != spec.features:
        raise WrongGraphError(f"{files[spec.name]} has other features than {spec.name}")
    found = (graph.nodes, graph.entries, graph.two_hops)
    if found != (spec.nodes, spec.entries, spec.two_hops):
        raise WrongGraphError(f"{files[spec.name]} is not {spec.name}: it is {graph.summary()}")
    return graph
