# SPDX-License-Identifier: MIT
"""Which cases make up a size of the suite: every experiment as data."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from tools.figures.configs import (
    CONFIGS,
    Config,
    attention_config,
    chain_configs,
    decoder_configs,
)
from tools.figures.graphs import GRAPHS, Kind, pattern_spec
from tools.figures.kernels import Attention, Chain, Workload
from tools.figures.patterns import PATTERNS
from tools.figures.workloads import Autoencoder, Decoder, GraphNetwork

__all__ = ["FIGURES", "SIZES", "Case", "cases_of", "predicted_tokens"]

SIZES = ("smoke", "small", "paper")
FIGURES = (
    "fig4b",
    "fig12",
    "fig14",
    "fig15",
    "fig16a",
    "fig16b",
    "fig17",
    "fig18",
    "table3",
    "table4",
)

# Channel tokens per token of a stage, from the design of the product kernels.
_TOKENS_PER_STAGE_TOKEN = 8

# How expendable a case is that takes hours at full size.
_HOURS = 9
_PRESETS = ("unfused", "partial", "full")
# As the artifact's generators draw weights, as its scripts ask, and as the paper reads.
_DENSITIES = (0.4, 0.5, 1.0)
_GRAPHS = {
    "smoke": ("karate", "cora_ml-like/8", "mag-like/2048"),
    "small": (
        "karate",
        "cora_ml-like, F 128",
        "dblp-like/8",
        "collab-like/128",
        "mag-like/512, correlated",
        "mag-like/512, uncorrelated",
    ),
    "paper": (
        "karate",
        "cora_ml-like",
        "dblp-like",
        "collab-like",
        "mag-like, correlated",
        "mag-like, uncorrelated",
    ),
}
# Images by the width of their code, and their elements per size.
_IMAGES = {"ImageNet": 256, "NIH-CXR": 512, "LUNA16": 512}
_IMAGE_SIZES = {
    "smoke": {"ImageNet": 98, "NIH-CXR": 256, "LUNA16": 128},
    "small": {"ImageNet": 784, "NIH-CXR": 16_384, "LUNA16": 4_096},
    "paper": {"ImageNet": 50_176, "NIH-CXR": 1_048_576, "LUNA16": 262_144},
}
# Sequence, width, feed-forward, blocks of the mask, scale.
_DECODERS = {
    "smoke": (64, 48, 192, (1, 2, 4), "S, D, FFN, heads, b / 16"),
    "small": (256, 192, 768, (4, 8, 16), "S, D, FFN, heads, b / 4"),
    "paper": (1024, 768, 3072, (16, 32, 64), ""),
}
# Nodes, features, patterns, sparsities in percent.
_PATTERNS = {
    "smoke": (128, 32, ("uniform",), (80, 95)),
    "small": (128, 32, tuple(PATTERNS), (50, 60, 70, 80, 90, 95)),
    "paper": (500, 128, tuple(PATTERNS), (95, 90, 80, 70, 60, 50)),
}
_FULL_ATTENTION = Attention(1024, 12, 64, 64, Kind.EXACT_SYNTHETIC)
_ATTENTION = {
    "smoke": Attention(64, 12, 4, 4, Kind.REDUCED, "S, width, b / 16"),
    "small": Attention(128, 12, 8, 8, Kind.REDUCED, "S, width, b / 8"),
    "paper": _FULL_ATTENTION,
}
_TILED = {
    "smoke": Attention(128, 12, 8, 8, Kind.REDUCED, "S, width, b / 8"),
    "small": Attention(256, 12, 16, 16, Kind.REDUCED, "S, width, b / 4"),
    "paper": _FULL_ATTENTION,
}
_LANES_16A = {
    "smoke": (1, 2, 4, 8, 16),
    "small": (1, 2, 4, 8, 16, 32, 64),
    "paper": (1, 2, 4, 8, 16, 32, 64),
}


@dataclass(frozen=True, slots=True)
class Case:
    """One simulation: a workload, fused one way, on one machine, for some figures.

    With `counts_orders` loop orders are counted in place of a simulation. Where time is short, the
    most `expendable` cases are left out first.
    """

    figures: tuple[str, ...]
    workload: Workload
    config: Config
    memory: str = "ideal"
    timing: str = "comal"
    expendable: int = 0
    counts_orders: bool = False

    @property
    def name(self) -> str:
        """Return a name that no other case has, of any size."""
        load = self.workload
        parts = [
            load.model,
            load.input,
            *[load.scale] * bool(load.scale),
            f"d{load.density:g}",
            self.config.name,
        ]
        parts += [self.memory] * (self.memory != "ideal") + [self.timing] * (self.timing != "comal")
        return " / ".join([*parts, *["orders"] * self.counts_orders])


def cases_of(size: str, files: Collection[str] = (), *, opt_in: bool = False) -> list[Case]:
    """Return all cases of a size, those of one workload next to each other.

    Of the real graphs named in `files` there is an archive; others have a stand-in. Cases that
    take hours, MAG fully fused at full size, are there on request.
    """
    groups = (
        _graph_networks(size, files),
        _autoencoders(size),
        _decoders(size),
        _patterns(size),
        _attention(size),
        _orders(),
    )
    cases = list(itertools.chain(*groups))
    if size == "paper" and not opt_in:
        cases = [case for case in cases if case.expendable < _HOURS]
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
    yield from _on_cora(size, "cora" if "cora" in files else "cora-like")
    for model, name in itertools.product(("gcn", "graphsage"), _GRAPHS[size]):
        spec = GRAPHS[name.removesuffix("-like") if name.removesuffix("-like") in files else name]
        figures: tuple[str, ...] = ("fig12",)
        if model == "gcn" and spec.name.startswith(("cora_ml", "dblp", "collab")):
            figures += ("fig14",)
        if spec.name.startswith("collab"):
            figures += ("table3", "fig4b") if model == "gcn" else ("table3",)
        yield from _network(GraphNetwork(model, spec), figures)


def _network(workload: GraphNetwork, figures: tuple[str, ...]) -> Iterator[Case]:
    """Yield the configurations of a graph that the figures want."""
    is_mag = workload.spec.name.startswith("mag")
    configs: dict[str, tuple[str, ...]] = dict.fromkeys(_PRESETS, ("fig12", "fig14", "table3"))
    if "fig14" in figures:
        configs |= dict.fromkeys(("layer 1", "layer 2"), ("fig14",))
    if "fig4b" in figures:
        configs["unfused"] += ("fig4b",)
        configs["partial"] += ("fig4b",)
        configs |= dict.fromkeys(("CS-factored", "CS-global"), ("fig4b",))
    for name, wanted in configs.items():
        expendable = (
            _HOURS if is_mag and name == "full" else 7 if workload.model == "graphsage" else 0
        )
        shown = tuple(figure for figure in figures if figure in wanted)
        yield Case(shown, workload, CONFIGS[workload.model][name], expendable=expendable)


def _on_cora(size: str, name: str) -> Iterator[Case]:
    """Yield Cora at every density that may be meant, and with accumulators that take time."""
    for model in ("gcn", "graphsage"):
        everything = model == "gcn" or size == "paper"
        configs = _PRESETS if everything else _PRESETS[:2]
        if size == "smoke":
            load = GraphNetwork(model, GRAPHS[name], sparse_features=True)
            yield from (Case(("fig12",), load, CONFIGS[model][each]) for each in configs)
            continue
        densities = _DENSITIES if model == "gcn" else _DENSITIES[:1]
        for density in densities:
            load = GraphNetwork(model, GRAPHS[name], density)
            yield from (Case(("fig12",), load, CONFIGS[model][each]) for each in configs)
        load = GraphNetwork(model, GRAPHS[name])
        for each in configs:
            yield Case(("fig12",), load, CONFIGS[model][each], timing="drained")


def _autoencoders(size: str) -> Iterator[Case]:
    variants = ((5, 0.5), (32 if size == "paper" else 8, 0.1))
    for (name, hidden), (batch, density) in itertools.product(_IMAGES.items(), variants):
        inputs = _IMAGE_SIZES[size][name]
        full = size == "paper"
        kind = Kind.EXACT_SYNTHETIC if full else Kind.REDUCED
        scale = "" if full else f"D {inputs:,} of {_IMAGE_SIZES['paper'][name]:,}"
        load = Autoencoder(name, inputs, hidden, batch, density, kind, scale)
        rank = 8 if name == "NIH-CXR" else 0
        for config in CONFIGS["sae"].values():
            yield Case(("fig12",), load, config, expendable=rank)


def _decoders(size: str) -> Iterator[Case]:
    seq, dim, ffn, blocks, scale = _DECODERS[size]
    kind = Kind.REDUCED if scale else Kind.EXACT_SYNTHETIC
    for block in blocks:
        load = Decoder(seq, dim, 12, ffn, block, kind, scale)
        figures = ("fig12", "table3") if block == blocks[0] and size != "smoke" else ("fig12",)
        for config in decoder_configs().values():
            yield Case(figures, _for_config(load, config), config)
        if size == "small":
            load = replace(load, masked_first=True)
            for config in decoder_configs(masked_first=True).values():
                yield Case(("fig12",), _for_config(load, config), config)


def _for_config(load: Decoder, config: Config) -> Decoder:
    """Return as many decoders as a configuration is about."""
    return replace(load, layers=2 if config.name.startswith("full") else 1)


def _patterns(size: str) -> Iterator[Case]:
    nodes, features, names, percents = _PATTERNS[size]
    kind, scale = (Kind.EXACT_SYNTHETIC, "") if size == "paper" else (Kind.REDUCED, "n 128, F 32")
    for name, percent in itertools.product(names, percents):
        load = GraphNetwork("gcn", pattern_spec(name, nodes, percent, features, kind, scale))
        for config in _PRESETS:
            rank = 6 if percent < 70 else 0
            yield Case(("fig15",), load, CONFIGS["gcn"][config], expendable=rank)


def _attention(size: str) -> Iterator[Case]:
    """Yield lanes over attention, with and without a memory model, then tiles."""
    load = _ATTENTION[size]
    for count in _LANES_16A[size]:
        config = attention_config(f"{count} lanes on level 2", (1, count))
        yield Case(("fig16a", "fig16b") if count in (1, 2, 4) else ("fig16a",), load, config)
        yield Case(("fig16a",), load, config, memory="comal-hbm")
    for lanes in ((2, 1), (4, 1), (4, 4)):
        config = attention_config(f"lanes {lanes[0]} x {lanes[1]}", lanes)
        yield Case(("fig16b",), load, config)
    for block in (2, 4, 8) if size == "smoke" else (4, 8, 16) if size == "small" else (16, 32, 64):
        yield from _tiles(replace(_TILED[size], block=block))
    if size == "small":
        for block in (16, 32, 64):
            yield from _tiles(replace(_TILED["paper"], block=block), scalar=False)


def _tiles(load: Attention, *, scalar: bool = True) -> Iterator[Case]:
    if scalar:
        yield Case(("fig17",), load, attention_config("scalar"))
    edge = load.block
    config = attention_config(f"tiles of {edge}", tile=edge)
    yield Case(("fig17",), replace(load, tile=edge), config)


def _orders() -> Iterator[Case]:
    for config in chain_configs().values():
        yield Case(("fig18",), Chain(), config)
    for model in ("gcn", "graphsage"):
        load = GraphNetwork(model, GRAPHS["karate"])
        yield Case(("table4",), load, CONFIGS[model]["full"], counts_orders=True)
