# SPDX-License-Identifier: MIT
"""Single kernels that figures sweep: attention over lanes and tiles, a chain over loop orders."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fuseflow.cli.sources import import_case
from fuseflow.frontend.options import ImportOptions
from fuseflow.models.bigbird import bigbird_mask
from fuseflow.models.case import ModelCase, freeze, seeded_torch
from fuseflow.models.draws import CounterStream, draw_eighths, draw_kept
from fuseflow.models.graphs import karate_club
from tools.figures.graphs import Kind
from tools.figures.stages import Stage, attention_stages
from tools.figures.workloads import SEED, Autoencoder, Decoder, GraphNetwork, Loaded

__all__ = ["Attention", "Chain", "Workload"]

_CHAIN_COLUMNS = 16
_CHAIN_DENSITY = 0.1


@dataclass(frozen=True, slots=True)
class Attention:
    """Masked attention in `heads` heads of `width`; `tile` is the edge of a tile, 1 for numbers."""

    seq: int
    heads: int
    width: int
    block: int
    kind: Kind
    scale: str = ""
    tile: int = 1

    @property
    def model(self) -> str:
        """Return the name of the model."""
        return "attention"

    @property
    def input(self) -> str:
        """Return the name of the input, as tables show it."""
        tiles = f", tiles of {self.tile}" if self.tile > 1 else ""
        return f"b{self.block} of S{self.seq}, {self.heads} x {self.width}{tiles}"

    @property
    def density(self) -> float:
        """Return the share of weights that are kept; there are none."""
        return 1.0

    def expected(self) -> tuple[Stage, ...]:
        """Return the floors; a product of tiles starts every `tile` cycles."""
        tile = self.tile
        mask = int(bigbird_mask(self.seq, self.block, 2, SEED).sum()) // tile**2
        width = math.ceil(self.width / tile)
        stages = attention_stages(self.seq // tile, self.heads, width, mask, masked_first=False)
        return tuple(
            replace(
                stage,
                ops=tuple(op.replace("*attention.", "") for op in stage.ops),
                work=stage.work * (tile if stage.name in ("qk", "pv") else 1),
            )
            for stage in stages
        )

    def load(self, files: Mapping[str, Path]) -> Loaded:
        """Import attention on drawn queries, keys and values."""
        del files
        import torch

        from fuseflow.models.gpt import Attention as Module

        mask = torch.from_numpy(bigbird_mask(self.seq, self.block, 2, SEED))
        shape = (1, self.seq, self.heads * self.width)
        names = ("query", "key", "value")
        with seeded_torch("attention"):
            module = freeze(Module(self.heads, mask))
        args = tuple(torch.from_numpy(draw_eighths(CounterStream(SEED, n), shape)) for n in names)
        graph = import_case(ModelCase("attention", module, args, names))
        return Loaded(graph, self.expected())


@dataclass(frozen=True, slots=True)
class Chain:
    """(A B) C: A the karate club, B dense, C of 16 columns at density 0.1."""

    @property
    def model(self) -> str:
        """Return the name of the model."""
        return "chain"

    @property
    def input(self) -> str:
        """Return the name of the input, as tables show it."""
        return "(A B) C, A karate"

    @property
    def kind(self) -> Kind:
        """Return how far the input is from what the paper ran."""
        return Kind.EXACT_SYNTHETIC

    @property
    def scale(self) -> str:
        """Return how much smaller the input is."""
        return ""

    @property
    def density(self) -> float:
        """Return the share of C that is stored."""
        return _CHAIN_DENSITY

    def expected(self) -> tuple[Stage, ...]:
        """Return floors under any order: without stops, and nothing computed twice."""
        graph = karate_club()
        stored = np.count_nonzero(_last_factor(), axis=1)
        return (
            Stage("first", ("matmul",), graph.entries * int(np.count_nonzero(stored))),
            Stage("second", ("matmul_1",), graph.nodes * int(stored.sum())),
        )

    def load(self, files: Mapping[str, Path]) -> Loaded:
        """Import the chain on drawn matrices."""
        del files
        import torch
        from torch import Tensor, nn

        class Module(nn.Module):
            def forward(self, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
                return (a @ b) @ c

        graph = karate_club()
        b = draw_eighths(CounterStream(SEED, "b"), (graph.nodes, graph.nodes))
        args = tuple(torch.from_numpy(each) for each in (graph.dense(), b, _last_factor()))
        compressed = "compressed,compressed"
        case = ModelCase("chain", freeze(Module()), args, ("a", "b", "c"))
        formats = {"a": compressed, "c": compressed, "b": "dense,dense"}
        loaded = import_case(case, ImportOptions(formats=formats))
        facts = {
            "nodes": graph.nodes,
            "entries": graph.entries,
            "two_hops": graph.two_hops,
            "digest": graph.digest(),
        }
        return Loaded(loaded, self.expected(), facts)


def _last_factor() -> npt.NDArray[np.float32]:
    shape = (karate_club().nodes, _CHAIN_COLUMNS)
    kept = draw_kept(CounterStream(SEED, "c/kept"), shape, _CHAIN_DENSITY)
    return draw_eighths(CounterStream(SEED, "c"), shape) * kept


# A model on an input. `expected` gives the floors of its stages from extents and densities, before
# anything is drawn.
Workload = GraphNetwork | Autoencoder | Decoder | Attention | Chain
