# SPDX-License-Identifier: MIT
"""The graphs of the suite: real ones, and seeded stand-ins of a stated size.

A stand-in is called "-like", and a reduced one says by how much. Real graphs come from files that
the user names; nothing is downloaded.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from fuseflow.models.directed import directed_graph
from fuseflow.models.draws import CounterStream, draw_eighths
from fuseflow.models.graph_file import read_graph_file
from fuseflow.models.graph_inputs import GraphInputs
from fuseflow.models.graphs import GraphData, karate_club
from fuseflow.models.power_law import power_law_graph
from tools.figures.patterns import entries_of, make_pattern

__all__ = ["GRAPHS", "GraphSpec", "Kind", "WrongGraphError", "load_graph", "pattern_spec"]

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
    target that it is `tuned` to, or about what comes out; 0 where nobody has counted it. `digest`
    is the SHA-256 of the pattern.
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


def _stand_in(
    name: str, counts: tuple[int, int, int, int, int], digest: str, **more: object
) -> GraphSpec:
    """Return a stand-in; `counts` are n, a, R, F, C, and `more` other fields."""
    kind = Kind.REDUCED_STAND_IN if "scale" in more else Kind.STAND_IN
    return replace(GraphSpec(name, kind, *counts, digest=digest), **more)  # type: ignore[arg-type]


_SPECS = (
    GraphSpec("karate", Kind.REAL, 34, 156, 1_212, 34, 4, "karate",
              digest="1ac243829683c5964d31dd26e0ada9f39b754c12d9da97fad93a7c320dface72"),
    *(GraphSpec(name, Kind.REAL, *counts, source="file") for name, counts in (
        ("cora", (2_708, 10_556, 115_158, 1_433, 7)),
        ("cora_ml", (2_995, 16_316, 0, 2_879, 7)),
        ("dblp", (17_716, 105_734, 0, 1_639, 4)),
        ("collab", (235_868, 1_935_264, 0, 128, 2)),
        ("mag", (736_389, 5_416_271, 0, 128, 349)),
    )),
    _stand_in("cora-like", (2_708, 10_556, 115_158, 1_433, 7),
              "1eef7d1eae5ed07979124800654734c3962397f48708c52e46ea0c0deadae9ff"),
    _stand_in("cora_ml-like/8", (374, 2_040, 36_560, 32, 7),
              "5af8f5405c05886cdce57e647d8a5919359f2a5bf166e62a4169cadffb53c450",
              scale="n and a / 8, F 32"),
    _stand_in("cora_ml-like, F 128", (2_995, 16_316, 292_494, 128, 7),
              "739d2ae6639ff5fd461646add161757eb936d303fad67ef9f67cf23354710ab6",
              scale="F 128 of 2,879"),
    _stand_in("dblp-like/8", (2_214, 13_216, 273_578, 128, 4),
              "7dbfc5de026ddc2379d16299f377ef01f6bf0a6544b6ca08071918583d1350f2",
              scale="n and a / 8, F 128 of 1,639"),
    _stand_in("collab-like/128", (1_843, 15_120, 658_594, 128, 2),
              "b150a53233b3118c4503f011d86a54201c91a05b1f133dd4dcf3900edee37485",
              scale="n and a / 128"),
    _stand_in("mag-like/2048", (360, 2_644, 79_000, 32, 349),
              "f4cd2521803c6d353f53dcdc2fb5af83b34bb7c4f4e86db2192c9610b2861c31",
              scale="n and a / 2,048, F 32 of 128", source="directed"),
    _stand_in("mag-like/512, correlated", (1_438, 10_578, 645_000, 128, 349),
              "283505ae2994860afaf33e63738043de6a6c97e303db4985f2c4e2bc2ba1c5f5",
              scale="n and a / 512", source="directed"),
    _stand_in("mag-like/512, uncorrelated", (1_438, 10_578, 79_088, 128, 349),
              "60bbcf5d485177ae60c47fd98c9d427fcef3f74ad91fdb24d212094bced92313",
              scale="n and a / 512", source="directed", tuned=False),
    _stand_in("cora_ml-like", (2_995, 16_316, 292_494, 2_879, 7),
              "739d2ae6639ff5fd461646add161757eb936d303fad67ef9f67cf23354710ab6"),
    _stand_in("dblp-like", (17_716, 105_734, 2_188_626, 1_639, 4),
              "76c3e2ac6a59b84545d799bf0ae237e7ea76d4e784e59fcfce87ba1a44628f83"),
    _stand_in("collab-like", (235_868, 1_935_264, 84_000_000, 128, 2),
              "7e3162b8a94d329c8718c25adc7ad9b36e1e8e0cb3a90cbd80312d25ad46318f"),
    _stand_in("mag-like, correlated", (736_389, 5_416_271, 330_000_000, 128, 349),
              "b022402cc80f8e42adc9c23b72bcbe08c7d5a12a5c3608408a193552aaa69908",
              source="directed"),
    _stand_in("mag-like, uncorrelated", (736_389, 5_416_271, 40_074_769, 128, 349),
              "dfd9216dae77cea660f1d09bb522171190458eedd1ae24e3fa3ec08be99fd799",
              source="directed", tuned=False),
)  # fmt: skip
GRAPHS: Mapping[str, GraphSpec] = {spec.name: spec for spec in _SPECS}


def pattern_spec(
    pattern: str, nodes: int, percent: int, features: int, kind: Kind, scale: str = ""
) -> GraphSpec:
    """Return the spec of a graph of figure 15, with 7 classes."""
    entries = entries_of(nodes, percent)
    name = f"{pattern}, {percent} %, n {nodes}"
    even = entries * entries // nodes
    return GraphSpec(name, kind, nodes, entries, even, features, 7, f"{pattern} {percent}", scale)


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
    if spec.source == "power-law":
        return power_law_graph(spec.nodes, spec.entries, _SEED, two_hops=spec.two_hops)
    if spec.source == "directed":
        target = spec.two_hops if spec.tuned else None
        return directed_graph(spec.nodes, spec.entries, _SEED, two_hops=target)
    pattern, percent = spec.source.split()
    return make_pattern(pattern, spec.nodes, int(percent), _SEED)


def _from_file(spec: GraphSpec, files: Mapping[str, Path]) -> GraphData:
    if spec.name not in files:
        raise WrongGraphError(f"no file of {spec.name} is given: --graph {spec.name}=FILE")
    graph = read_graph_file(files[spec.name])
    if graph.features is None or graph.features.shape[1] != spec.features:
        raise WrongGraphError(f"{files[spec.name]} has other features than {spec.name}")
    found = (graph.nodes, graph.entries, graph.two_hops if spec.two_hops else 0)
    if found != (spec.nodes, spec.entries, spec.two_hops):
        raise WrongGraphError(f"{files[spec.name]} is not {spec.name}: it is {graph.summary()}")
    return graph
