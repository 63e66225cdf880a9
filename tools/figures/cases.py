# SPDX-License-Identifier: MIT
"""Which cases make up a size of the suite: every experiment as data."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from tools.figures.configs import CONFIGS, Config, decoder_configs
from tools.figures.graphs import GRAPHS, Kind
from tools.figures.workloads import Autoencoder, Decoder, GraphNetwork, Workload

__all__ = ["FIGURES", "SIZES", "Case", "cases_of", "predicted_tokens"]

SIZES = ("smoke", "small", "paper")
FIGURES = ("fig12", "fig14")

# Channel tokens per token of a stage, from the design of the product kernels.
_TOKENS_PER_STAGE_TOKEN = 8


@dataclass(frozen=True, slots=True)
class Case:
    """One simulation: a workload, fused one way, on one machine, for some figures.

    Where time is short, the most `expendable` cases are left out first.
    """

    figures: tuple[str, ...]
    workload: Workload
    config: Config
    memory: str = "ideal"
    timing: str = "comal"
    expendable: int = 0

    @property
    def name(self) -> str:
        """Return a name that no other case has."""
        load = self.workload
        parts = [load.model, load.input, f"d{load.density:g}", self.config.name]
        parts += [self.memory] * (self.memory != "ideal") + [self.timing] * (self.timing != "comal")
        return " / ".join(parts)


def cases_of(size: str, files: Collection[str] = ()) -> list[Case]:
    """Return all cases of a size, those of one workload next to each other.

    Of the real graphs named in `files` there is an archive; others have a stand-in.
    """
    cases = [*_graph_networks(size, files), *_autoencoders(size), *_decoders(size)]
    names = [case.name for case in cases]
    if len(set(names)) != len(names):
        raise ValueError("two cases have one name")
    return cases


def predicted_tokens(case: Case) -> int:
    """Return about how many channel tokens a case simulates."""
    stages = case.workload.expected()
    fused = case.config.kernels == 1
    return _TOKENS_PER_STAGE_TOKEN * sum(
        stage.again if fused and stage.user else stage.work for stage in stages
    )


def _graph_networks(size: str, files: Collection[str]) -> Iterator[Case]:
    cora = "cora" if "cora" in files else "cora-like"
    everything = ("unfused", "partial", "full")
    for model, figures in (("gcn", ("fig12", "fig14")), ("graphsage", ("fig12",))):
        yield from _network(model, "karate", everything, figures)
        on_cora = everything if model == "gcn" else everything[:2]
        yield from _network(model, cora, on_cora, figures, sparse=True)
        yield from _network(model, "cora_ml-like/8", everything, figures)


def _network(
    model: str,
    graph: str,
    configs: Iterable[str],
    figures: tuple[str, ...],
    *,
    sparse: bool = False,
) -> Iterator[Case]:
    workload = GraphNetwork(model, GRAPHS[graph], sparse_features=sparse)
    for name in configs:
        yield Case(figures, workload, CONFIGS[model][name])


def _autoencoders(size: str) -> Iterator[Case]:
    variants = ((5, 0.5), (8, 0.1))
    sizes = (("ImageNet", 98, 256), ("NIH-CXR", 256, 512), ("LUNA16", 128, 512))
    for (name, inputs, hidden), (batch, density) in itertools.product(sizes, variants):
        load = Autoencoder(name, inputs, hidden, batch, density, Kind.REDUCED, f"D {inputs}")
        yield from (Case(("fig12",), load, config) for config in CONFIGS["sae"].values())


def _decoders(size: str) -> Iterator[Case]:
    for block in (1, 2, 4):
        load = Decoder(64, 48, 12, 192, block, Kind.REDUCED, "1/16")
        for config in decoder_configs().values():
            layers = 2 if config.name == "full" else 1
            yield Case(("fig12",), replace(load, layers=layers), config)
