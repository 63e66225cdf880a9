# SPDX-License-Identifier: MIT
"""The settings of each model of the zoo: names, defaults, and the values they accept.

These are apart from the modules they configure so that a help text never imports torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from fuseflow.models.settings import Domain, setting

__all__ = ["AutoencoderSettings", "GptSettings", "GraphModelSettings"]

_POSITIVE = Domain("an integer of at least 1", lambda value: value >= 1)
_TWO_OR_MORE = Domain("an integer of at least 2", lambda value: value >= 2)
_NOT_NEGATIVE = Domain("an integer of at least 0", lambda value: value >= 0)
_SEED = Domain("an integer from 0 to 4294967295", lambda value: 0 <= value < 2**32)
_DENSITY = Domain("a number above 0 and up to 1", lambda value: 0 < value <= 1)
_SPARSITY = Domain("a number from 0 and below 1", lambda value: 0 <= value < 1)


@dataclass(frozen=True, slots=True)
class GraphModelSettings:
    """Settings of the two-layer graph networks."""

    graph: str = setting("karate", "karate, powerlaw, or the path of a graph file (.npz)")
    nodes: int | None = setting(None, "nodes of a powerlaw graph", _TWO_OR_MORE, shown="256")
    edges: int | None = setting(
        None,
        "stored entries of a powerlaw graph; each edge is stored twice",
        _TWO_OR_MORE,
        shown="6 x nodes",
    )
    two_hops: int | None = setting(
        None,
        "sum of squared degrees that a powerlaw graph is tuned to",
        _POSITIVE,
        shown="not tuned",
    )
    features: int | None = setting(
        None,
        "input features per node; if given, they are random",
        _POSITIVE,
        shown="the graph's, 64 for powerlaw",
    )
    hidden: int = setting(16, "width of the hidden layer", _POSITIVE)
    classes: int | None = setting(
        None, "width of the output", _POSITIVE, shown="the graph's, 7 if it has none"
    )
    weight_density: float = setting(0.4, "share of weights that are not pruned", _DENSITY)
    seed: int = setting(0, "seed of weights and of random graphs and features", _SEED)


@dataclass(frozen=True, slots=True)
class AutoencoderSettings:
    """Settings of the pruned autoencoder."""

    input: int = setting(64, "elements of one sample", _POSITIVE)
    hidden: int = setting(32, "width of the code", _POSITIVE)
    batch: int = setting(8, "samples", _POSITIVE)
    weight_sparsity: float = setting(0.8, "share of weights that are pruned", _SPARSITY)
    seed: int = setting(0, "seed of weights and samples", _SEED)


@dataclass(frozen=True, slots=True)
class GptSettings:
    """Settings of the decoder with a BigBird mask."""

    seq: int = setting(64, "tokens, a multiple of block", _POSITIVE)
    dim: int = setting(64, "width of a token, a multiple of heads", _POSITIVE)
    heads: int = setting(4, "attention heads", _POSITIVE)
    ffn: int = setting(256, "width of the feed-forward layer", _POSITIVE)
    block: int = setting(8, "edge of a mask block, in tokens", _POSITIVE)
    layers: int = setting(1, "decoder blocks", _POSITIVE)
    random_blocks: int = setting(2, "random mask blocks per block row", _NOT_NEGATIVE)
    seed: int = setting(0, "seed of weights, tokens and random mask blocks", _SEED)
