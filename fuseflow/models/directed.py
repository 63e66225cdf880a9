# SPDX-License-Identifier: MIT
"""Seeded random directed graphs with power-law spreads of both degrees, no row empty.

Every node first draws one edge that leaves it, so a row is never empty, but a column may be; then
pairs are drawn, the ends by weights of their own, until the count is met.
"""

from __future__ import annotations

import numpy as np

from fuseflow.errors import Location, UsageError
from fuseflow.models.graphs import GraphData, graph_from_pairs
from fuseflow.models.power_law import (
    Integers,
    NodeSampler,
    Tuning,
    fill,
    tune_exponent,
)

__all__ = ["directed_graph"]

# Where who is cited much and who cites much have nothing to do with each other.
_OUT_EXPONENT = 0.4
_IN_EXPONENT = 0.6


def directed_graph(
    nodes: int, entries: int, seed: int, *, two_hops: int | None = None
) -> GraphData:
    """Draw a directed graph with exactly `entries` edges, of which row i lists those of node i.

    With `two_hops` both degrees follow one ranking, with one exponent that is tuned until the sum
    of in-degree times out-degree is within 1 % of it; otherwise the rankings are independent. No
    edge leads to where it starts. Raises UsageError if the counts contradict each other or the
    target is out of reach.
    """
    most = nodes * (nodes - 1) // 2
    if not 2 <= nodes <= entries <= most:
        raise UsageError(
            "U103 bad-setting",
            f"edges={entries} must be from {nodes} to {most} for {nodes} nodes",
            where=Location(field="edges"),
        )
    if two_hops is not None:
        tuning = Tuning(nodes, entries, two_hops, entries * entries // nodes)
        return tune_exponent(lambda exponent: _draw(nodes, entries, seed, exponent), tuning)
    starts = NodeSampler(nodes, seed, _OUT_EXPONENT, "directed/out", "directed/starts")
    ends = NodeSampler(nodes, seed, _IN_EXPONENT, "directed/in", "directed/ends")
    graph = _fill(nodes, entries, starts, ends)
    if graph is None:
        raise UsageError(
            "U103 bad-setting",
            f"edges={entries} are too many for {nodes} nodes with uneven degrees",
            where=Location(field="edges"),
        )
    return graph


def _draw(nodes: int, entries: int, seed: int, exponent: float) -> GraphData | None:
    starts = NodeSampler(nodes, seed, exponent, "directed/both", "directed/starts")
    ends = NodeSampler(nodes, seed, exponent, "directed/both", "directed/ends")
    return _fill(nodes, entries, starts, ends)


def _fill(nodes: int, entries: int, starts: NodeSampler, ends: NodeSampler) -> GraphData | None:
    """Draw edges, one of each node first; None if repeats leave no way to `entries` of them."""

    def draw(missing: int) -> Integers:
        rows, columns = starts.draw(2 * missing + 32), ends.draw(2 * missing + 32)
        found: Integers = (rows * nodes + columns)[rows != columns]
        return found

    keys = fill(_one_of_each(nodes, ends), entries, draw)
    return (
        None if keys is None else graph_from_pairs("directed", nodes, keys // nodes, keys % nodes)
    )


def _one_of_each(nodes: int, ends: NodeSampler) -> Integers:
    """Return one edge of every node, as row * nodes + column."""
    columns = ends.draw(nodes)
    rows = np.arange(nodes, dtype=np.int64)
    while len(loops := np.flatnonzero(columns == rows)):
        columns[loops] = ends.draw(len(loops))
    return rows * nodes + columns
