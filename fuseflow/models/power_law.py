# SPDX-License-Identifier: MIT
"""Seeded random graphs with a power-law spread of degrees (Chung-Lu), undirected, no empty row.

Every node first gets an edge (cover), then pairs are drawn by weight until the count is met
(fill). Counts are exact; the spread follows from one exponent, given or tuned to a target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fuseflow.errors import Location, UsageError
from fuseflow.models.draws import CounterStream
from fuseflow.models.graphs import GraphData, graph_from_pairs

__all__ = ["NodeSampler", "Tuning", "fill", "power_law_graph", "tune_exponent"]

_DEFAULT_EXPONENT = 0.5
_STEEPEST_EXPONENT = 1.5
_TUNING_STEPS = 40
_TUNING_TOLERANCE = 0.01
_FILL_ROUNDS = 500
_COVER_BATCH = 256

Integers = npt.NDArray[np.int64]


def power_law_graph(
    nodes: int, entries: int, seed: int, *, two_hops: int | None = None
) -> GraphData:
    """Draw an undirected graph with exactly `entries` stored entries, two per edge.

    With `two_hops` the exponent is tuned on the same random stream until the sum of squared
    degrees is within 1 % of it. No node is isolated and none has a self-loop. Raises UsageError if
    the counts contradict each other or the target is out of reach.
    """
    _require_counts(nodes, entries)
    if two_hops is None:
        graph = _draw_graph(nodes, entries, seed, _DEFAULT_EXPONENT)
        if graph is None:
            raise _unreachable(
                "edges", entries, f"{nodes} nodes", f"{2 * nodes} edges are always enough"
            )
        return graph
    tuning = Tuning(nodes, entries, two_hops, entries * entries // nodes + entries)
    return tune_exponent(lambda exponent: _draw_graph(nodes, entries, seed, exponent), tuning)


def _require_counts(nodes: int, entries: int) -> None:
    # Half of all pairs, since drawing what is left of a full matrix takes for ever; or a tree.
    most = max(nodes * (nodes - 1) // 2, 2 * (nodes - 1))
    if entries % 2 or not nodes <= entries <= most:
        raise UsageError(
            "U103 bad-setting",
            f"edges={entries} must be an even number from {nodes} to {most} for {nodes} nodes, "
            "because each edge is stored twice and each node has one",
            where=Location(field="edges"),
        )


@dataclass(frozen=True, slots=True)
class Tuning:
    """What a graph is tuned to; `evenly` is about the least that such a graph can have."""

    nodes: int
    entries: int
    two_hops: int
    evenly: int


def tune_exponent(draw: Callable[[float], GraphData | None], tuning: Tuning) -> GraphData:
    """Bisect the exponent of a draw: a steeper one gives more paths of two edges.

    `draw` makes a graph from an exponent, or None where the weights are so uneven that their few
    heavy pairs are used up. Raises UsageError if the target is out of reach.
    """
    low, high = 0.0, _STEEPEST_EXPONENT
    for _ in range(_TUNING_STEPS):
        middle = (low + high) / 2
        graph = draw(middle)
        if graph and abs(graph.two_hops - tuning.two_hops) <= _TUNING_TOLERANCE * tuning.two_hops:
            return graph
        if graph is None or graph.two_hops > tuning.two_hops:
            high = middle
        else:
            low = middle
    raise _unreachable(
        "two_hops",
        tuning.two_hops,
        f"{tuning.nodes} nodes and {tuning.entries} edges",
        f"the most even such graph has about {tuning.evenly}",
    )


def _unreachable(key: str, value: int, size: str, fix: str) -> UsageError:
    return UsageError(
        "U103 bad-setting",
        f"{key}={value} is out of reach for a powerlaw graph of {size}",
        where=Location(field=key),
        fix=fix,
    )


def _draw_graph(nodes: int, entries: int, seed: int, exponent: float) -> GraphData | None:
    """Draw one graph, or return None where cover or fill cannot end at that many entries."""
    sampler = NodeSampler(nodes, seed, exponent)
    cover = _cover(nodes, seed, sampler)

    def draw(missing: int) -> Integers:
        ends = sampler.draw(4 * missing + 64).reshape(-1, 2)
        low, high = ends.min(axis=1), ends.max(axis=1)
        found: Integers = (low * nodes + high)[low != high]
        return found

    keys = fill(cover, entries // 2, draw) if len(cover) <= entries // 2 else None
    if keys is None:
        return None
    low, high = keys // nodes, keys % nodes
    return graph_from_pairs(
        "powerlaw", nodes, np.concatenate((low, high)), np.concatenate((high, low))
    )


class NodeSampler:
    """Draws nodes with probability in proportion to ((rank + 1/2) / n) ** -exponent.

    Samplers with the same `ranks` and seed rank the nodes alike; `pairs` names the stream of draws.
    """

    __slots__ = ("_bounds", "_stream")

    def __init__(
        self,
        nodes: int,
        seed: int,
        exponent: float,
        ranks: str = "powerlaw/ranks",
        pairs: str = "powerlaw/pairs",
    ) -> None:
        order = CounterStream(seed, ranks).order(nodes)
        # Whole numbers: a last-bit difference between math libraries must not move a draw.
        weights = np.rint(((order + 0.5) / nodes) ** -exponent * 2**16)
        self._bounds = np.cumsum(weights)
        self._stream = CounterStream(seed, pairs)

    def draw(self, count: int) -> Integers:
        """Return `count` nodes, with repeats."""
        targets = np.floor(self._stream.fractions(count) * self._bounds[-1])
        drawn: Integers = np.searchsorted(self._bounds, targets, side="right").astype(np.int64)
        return drawn

    def draw_singly(self) -> Iterator[int]:
        """Yield nodes for ever."""
        while True:
            yield from self.draw(_COVER_BATCH).tolist()


def _cover(nodes: int, seed: int, sampler: NodeSampler) -> Integers:
    """Give every node an edge; return keys low * nodes + high, free of repeats."""
    isolated = [True] * nodes
    keys = []
    partners = sampler.draw_singly()
    for node in CounterStream(seed, "powerlaw/cover").order(nodes).tolist():
        if isolated[node]:
            partner = next(other for other in partners if other != node)
            isolated[node] = isolated[partner] = False
            keys.append(min(node, partner) * nodes + max(node, partner))
    return np.array(keys, dtype=np.int64)


def fill(keys: Integers, count: int, draw: Callable[[int], Integers]) -> Integers | None:
    """Add to distinct `keys` what is drawn, without repeats, until there are `count`.

    `draw` gets the number of keys that are missing; it returns any number of keys. None if that
    does not end.
    """
    for _ in range(_FILL_ROUNDS):
        if len(keys) == count:
            return keys
        drawn = draw(count - len(keys))
        keys = _first_occurrences(np.concatenate((keys, drawn)))[:count]
    return None


def _first_occurrences(keys: Integers) -> Integers:
    """Drop repeats but keep the order of drawing, so that cutting the end drops the latest."""
    _, first = np.unique(keys, return_index=True)
    kept: Integers = keys[np.sort(first)]
    return kept
